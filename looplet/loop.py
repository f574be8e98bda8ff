"""The door: from what a caller gives to a run, and out come its steps.

    for step in composable_loop(llm, task="Greet Alice", tools=tools):
        print(step.pretty())
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Any, Protocol, runtime_checkable

from looplet import clock
from looplet.config import DEFAULT_MAX_STEPS, DomainAdapter, LoopConfig, check_config
from looplet.conversation import Conversation
from looplet.drive import drive, drive_async
from looplet.engine.hooks import listens
from looplet.engine.observe import Observers
from looplet.engine.run import Plan, Run, Wire
from looplet.engine.script import script
from looplet.engine.slots import Slots
from looplet.errors import ConfigError
from looplet.events import EventPayload, LifecycleEvent
from looplet.hook_decision import HookDecision
from looplet.memory import render_memory
from looplet.session import SessionLog
from looplet.types import (
    AgentState,
    DefaultState,
    Step,
    ToolCall,
    ToolContext,
    ToolResult,
    capabilities_of,
)

__all__ = [
    "DomainAdapter",
    "LoopConfig",
    "LoopHook",
    "async_composable_loop",
    "composable_loop",
    "emit_event",
]

REPLY_ROOM = 3_000
"""Tokens of the context window kept free for the reply when a prompt's size is judged."""


@runtime_checkable
class LoopHook(Protocol):
    """The twelve slots a hook may fill. A hook is any object with at least one of them.

    What a slot may return, besides None for no opinion (see `looplet.hook_decision`):

    | slot | honoured |
    |---|---|
    | `pre_prompt` | text for this prompt |
    | `pre_dispatch` | `Deny`/`Block`, new arguments, a result instead of the call, text |
    | `check_permission` | True, False, `Deny` |
    | `post_dispatch` | another result, text, `Stop` |
    | `check_done` | text or `Block`: done is turned down |
    | `should_stop` | True, `Stop` |

    A hook that raises before a tool forbids the call. In the async loop any slot may be async.
    """

    def pre_loop(self, state: Any, session_log: SessionLog, context: Any) -> Any:
        """Called once, before anything else."""
        ...

    def pre_prompt(self, state: Any, session_log: SessionLog, context: Any, step_num: int) -> Any:
        """What to tell the model before this step."""
        ...

    def pre_dispatch(self, state: Any, session_log: SessionLog, tool_call: ToolCall, step_num: int) -> Any:
        """About a call, before permission is asked."""
        ...

    def check_permission(self, tool_call: ToolCall, state: Any) -> Any:
        """Whether the call may run, with the arguments it will run with."""
        ...

    def post_dispatch(
        self,
        state: Any,
        session_log: SessionLog,
        tool_call: ToolCall,
        tool_result: ToolResult,
        step_num: int,
    ) -> Any:
        """About a result, before it becomes a step. Also called for calls that were refused."""
        ...

    def check_done(self, state: Any, session_log: SessionLog, context: Any, step_num: int) -> Any:
        """Why the agent must not finish yet."""
        ...

    def should_stop(self, state: Any, step_num: int, new_entities: int) -> Any:
        """Whether to end the run after this iteration."""
        ...

    def should_compact(
        self, state: Any, session_log: SessionLog, conversation: Conversation, step_num: int
    ) -> Any:
        """Whether to shorten the history now."""
        ...

    def build_briefing(self, state: Any, session_log: SessionLog, context: Any) -> Any:
        """The briefing, in place of the configured one."""
        ...

    def build_prompt(
        self,
        *,
        task: Any,
        tool_catalog: str,
        state_summary: dict[str, Any],
        context_history: str,
        step_number: int,
        max_steps: int,
        session_log: str,
        briefing: str,
        memory: str,
    ) -> Any:
        """The whole text prompt, in place of the default."""
        ...

    def on_loop_end(self, state: Any, session_log: SessionLog, context: Any, llm: Any) -> Any:
        """Called once, however the run ended; an int is added to the count of model calls."""
        ...

    def on_event(self, payload: EventPayload) -> Any:
        """Told every lifecycle event."""
        ...


def composable_loop(
    llm: Any,
    task: Any = None,
    tools: Any = None,
    context: Any = None,
    hooks: Sequence[Any] | None = None,
    config: LoopConfig | None = None,
    state: AgentState | None = None,
    session_log: SessionLog | None = None,
    stream: Any = None,
    conversation: Conversation | None = None,
) -> Generator[Step, None, Any]:
    """Run an agent, one step at a time.

    A generator: nothing happens before the first step is asked for. Leaving it early (`break`, `close()`) or an
    exception anywhere ends the run the same way as a normal end.

    Args:
        llm: The backend: `chat`, or at least `generate`.
        task: What to do: a str, dict, list, or any object with a useful `str()`.
        tools: A `BaseToolRegistry`, or a list for `tools_from`.
        context: Your own object, handed to hooks.
        hooks: Objects with some of the slots of `LoopHook`.
        config: Everything else.
        state: Holds steps and budget; a `DefaultState` by default.
        session_log: Continued if given.
        stream: An `EventEmitter` that receives streaming events.
        conversation: Continued if given.

    Yields:
        Each step, once it is final.

    Returns:
        The trace: what `config.build_trace` makes, else a dict with `task`, `steps`, `llm_calls`,
        `total_time_ms` and `conversation`. `looplet.run_loop` gives a `Trajectory` instead.

    Raises:
        ValueError: *tools* is missing, or an argument cannot be what it is.
        TypeError: *llm* is no backend, or is async.
    """
    run = prepare(llm, task, tools, context, hooks, config, state, session_log, stream, conversation)
    _refuse_async_backend(llm)
    return (yield from drive(script(run), run.plan.tools))


async def async_composable_loop(
    llm: Any,
    task: Any = None,
    tools: Any = None,
    context: Any = None,
    hooks: Sequence[Any] | None = None,
    config: LoopConfig | None = None,
    state: AgentState | None = None,
    session_log: SessionLog | None = None,
    stream: Any = None,
    conversation: Conversation | None = None,
) -> AsyncGenerator[Step, None]:
    """`composable_loop` on an event loop: the same run, with backend, tools and hooks awaited.

    Sync backends and sync tools work too; they run in threads so that they do not hold up the event loop. Leave
    it early only inside `contextlib.aclosing`, so that the run ends when you leave and not whenever it is collected.
    """
    run = prepare(llm, task, tools, context, hooks, config, state, session_log, stream, conversation)
    steps = drive_async(script(run), run.plan.tools)
    try:
        async for step in steps:
            yield step
    finally:
        await steps.aclose()


def emit_event(hooks: Sequence[Any], event: LifecycleEvent, **payload_kwargs: Any) -> list[HookDecision]:
    """Tell *event* to every hook that has `on_event`; gives the decisions they returned.

    Args:
        hooks: The hooks. One that has `pre_dispatch` is not told PRE_TOOL_USE, and one that has
            `post_dispatch` is not told POST_TOOL_USE and POST_TOOL_FAILURE: it would decide twice.
        event: The event.
        payload_kwargs: Fields of the `EventPayload`.
    """
    payload = EventPayload(event=event, **payload_kwargs)
    decisions: list[HookDecision] = []
    for hook in hooks:
        if not hasattr(hook, "on_event") or not listens(hook, event):
            continue
        try:
            value = hook.on_event(payload)
        except Exception:
            _log_listener(hook, event)
            continue
        if isinstance(value, HookDecision):
            decisions.append(value)
    return decisions


def _log_listener(hook: object, event: LifecycleEvent) -> None:
    import logging

    logger = logging.getLogger("looplet.loop")
    logger.warning("%s.on_event raised at %s", type(hook).__name__, event.value, exc_info=True)


# ------------------------------------------------------------------ from arguments to a run


def prepare(
    llm: Any,
    task: Any,
    tools: Any,
    context: Any,
    hooks: Sequence[Any] | None,
    config: LoopConfig | None,
    state: AgentState | None,
    session_log: SessionLog | None,
    stream: Any,
    conversation: Conversation | None,
) -> Run:
    """Check the arguments and make the run that a driver can start."""
    if tools is None:
        raise ConfigError("tools is required: pass a BaseToolRegistry, or a list of functions")
    _require_backend(llm)
    config = config or LoopConfig()
    check_config(config)
    registry = _registry(tools)
    slots = Slots(hooks or ())
    state = _bounded_state(state, config)
    session_log = SessionLog() if session_log is None else session_log
    conversation = Conversation() if conversation is None else conversation
    plan = _plan(llm, {} if task is None else task, registry, context, slots, config, state, stream)
    return Run(plan, state, session_log, conversation, wire=plan.wire, llm=llm)


def _require_backend(llm: Any) -> None:
    if not (callable(getattr(llm, "generate", None)) or capabilities_of(llm).chat):
        raise TypeError(
            f"llm is {type(llm).__name__}, which has no generate(); pass a backend such as "
            "OpenAIBackend(client) or AnthropicBackend(client)"
        )


def _refuse_async_backend(llm: Any) -> None:
    method = getattr(type(llm), "generate", None) or getattr(type(llm), "chat", None)
    code = getattr(method, "__code__", None)
    if code is not None and code.co_flags & 0x80:  # inspect.CO_COROUTINE
        raise TypeError(
            f"{type(llm).__name__} is an async backend: use async_composable_loop, or the backend without Async"
        )


def _registry(tools: Any) -> Any:
    if isinstance(tools, (list, tuple)):
        from looplet.tools import tools_from

        return tools_from(tools)
    if not hasattr(tools, "dispatch") or not hasattr(tools, "tool_catalog_text"):
        raise ConfigError(
            f"tools is {type(tools).__name__}: pass a BaseToolRegistry, or a list of functions and ToolSpecs"
        )
    return tools


def _bounded_state(state: AgentState | None, config: LoopConfig) -> AgentState:
    """The caller's state, with the lower of the limits that the caller gave."""
    if state is None:
        return DefaultState(max_steps=config.max_steps)
    if not isinstance(state, DefaultState) or state.max_steps == config.max_steps:
        return state
    if config.max_steps != DEFAULT_MAX_STEPS and state.max_steps != DEFAULT_MAX_STEPS:
        warnings.warn(
            f"state.max_steps={state.max_steps} and config.max_steps={config.max_steps} differ; "
            f"the lower one, {min(state.max_steps, config.max_steps)}, counts",
            UserWarning,
            stacklevel=4,
        )
        state.max_steps = min(state.max_steps, config.max_steps)
    elif config.max_steps != DEFAULT_MAX_STEPS:
        state.max_steps = config.max_steps
    return state


def _wire(llm: Any, config: LoopConfig) -> Wire:
    """How to talk to *llm*. The class is asked, unless the caller insists on native tools."""
    wanted = config.use_native_tools
    able = capabilities_of(llm)
    own_prompt = config.from_domain("build_prompt") or config.render_messages_override
    if wanted is not False and able.chat and not own_prompt:
        return "thread"
    if wanted and (able.native_tools or hasattr(llm, "generate_with_tools")):
        return "native"
    return "text"


def _plan(
    llm: Any,
    task: Any,
    tools: Any,
    context: Any,
    slots: Slots,
    config: LoopConfig,
    state: AgentState,
    stream: Any,
) -> Plan:
    limited = isinstance(state, DefaultState)
    given = config.max_steps != DEFAULT_MAX_STEPS
    return Plan(
        llm=llm,
        task=task,
        tools=tools,
        context=context,
        session_id=config.session_id or clock.new_id(),
        slots=slots,
        observers=Observers(_observers(config, stream)),
        wire=_wire(llm, config),
        # A state that never runs out would never stop, so its first answer bounds it.
        step_limit=None if limited else (config.max_steps if given else state.budget_remaining),
        free_steps=state.max_steps if isinstance(state, DefaultState) else config.max_steps,
        shown_max_steps=config.max_steps,
        max_tokens=config.max_tokens,
        system_prompt=config.system_prompt,
        temperature=config.temperature,
        recovery_temperature=config.recovery_temperature,
        done_tool=config.done_tool,
        max_continuations=config.max_turn_continuations,
        max_briefing_tokens=config.max_briefing_tokens,
        concurrent=config.concurrent_dispatch,
        max_prompt_tokens=max(1, config.context_window - REPLY_ROOM),
        llm_timeout_s=config.llm_timeout_s,
        deadline_s=config.deadline_s,
        cancel_token=config.cancel_token,
        stream_tokens=config.stream_tokens,
        build_briefing=config.from_domain("build_briefing"),
        build_prompt=config.from_domain("build_prompt"),
        build_trace=config.from_domain("build_trace"),
        extract_entities=config.from_domain("extract_entities"),
        extract_step_metadata=config.from_domain("extract_step_metadata"),
        render_messages=config.render_messages_override,
        select_model=_selector(config),
        memory=_memory(config),
        check_output=_output_check(config),
        tool_context=_context_maker(config, slots),
    )


def _observers(config: LoopConfig, stream: Any) -> list[Any]:
    return list(config.observers)


def _selector(config: LoopConfig) -> Callable[[], tuple[Any, Wire]] | None:
    router = config.router
    if router is None:
        return None

    def select() -> tuple[Any, Wire]:
        llm = router.select(purpose="reasoning")
        return llm, _wire(llm, config)

    return select


def _memory(config: LoopConfig) -> Callable[[Any], str] | None:
    sources = config.memory_sources
    return (lambda state: render_memory(sources, state)) if sources else None


def _output_check(config: LoopConfig) -> Callable[[dict[str, Any]], list[str]] | None:
    schema = config.output_schema
    if schema is None:
        return None
    from looplet.validation import validate_args

    return lambda args: validate_args(schema, args).errors


def _context_maker(
    config: LoopConfig, slots: Slots
) -> Callable[[Run, ToolCall, int], ToolContext | None] | None:
    """Makes the `ctx` of each call; None where nothing would be in it."""
    own = (config.cancel_token, config.approval_handler, config.cwd, config.workspace_root, config.metadata)
    if not any(own) and config.cancel_token is None and not slots.on_event:
        return None

    def make(run: Run, call: ToolCall, number: int) -> ToolContext:
        return ToolContext(
            cwd=config.cwd,
            workspace_root=config.workspace_root,
            cancel_token=config.cancel_token,
            on_progress=_progress_teller(run, call, number) if slots.on_event else None,
            session_id=run.plan.session_id,
            metadata=dict(config.metadata),
            request_approval=config.approval_handler,
        )

    return make


def _progress_teller(run: Run, call: ToolCall, number: int) -> Callable[[str, dict[str, Any]], None]:
    event = LifecycleEvent.TOOL_PROGRESS

    def tell(stage: str, data: dict[str, Any]) -> None:
        payload = EventPayload(
            event=event,
            step_num=number,
            state=run.state,
            session_log=run.session_log,
            context=run.plan.context,
            tool_call=call,
            extra={"stage": stage, "data": data},
        )
        for filled in run.plan.slots.on_event:
            try:
                value = filled.call(payload)
            except Exception:
                _log_listener(filled.hook, event)
                continue
            if hasattr(value, "__await__"):
                run.loose.append(value)

    return tell
