"""From what a caller gives to a plan: the one place that knows every feature and hands it to the engine."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from looplet import clock
from looplet.config import LoopConfig, check_config
from looplet.conversation import Conversation
from looplet.engine.hooks import log_listener
from looplet.engine.observe import NOBODY, Observers, RunObserver
from looplet.engine.run import Plan, Run, Wire
from looplet.engine.scope import Nesting, Resuming
from looplet.engine.slots import NO_HOOKS, Slots
from looplet.errors import ConfigError
from looplet.events import EventPayload, LifecycleEvent
from looplet.running import inside
from looplet.session import SessionLog
from looplet.types import AgentState, DefaultState, NotGiven, ToolCall, ToolContext, capabilities_of
from looplet.values import dumps

if TYPE_CHECKING:
    from looplet.checkpoint import RunJournal
    from looplet.compact import CompactService, ResultShrinker
    from looplet.skills import Skill, SkillShelf

REPLY_ROOM = 3_000
"""Tokens of the context window kept free for the reply when a prompt's size is judged."""


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
    _require_kinds(hooks, config, state)
    config = config or LoopConfig()
    check_config(config)
    registry = _registry(tools, config.done_tool)
    if config.skills:
        shelf, registry = _shelve(config.skills, registry)
        config = replace(config, memory_sources=[*config.memory_sources, shelf])
        hooks = [*(hooks or ()), shelf]
    slots = Slots(hooks) if hooks else NO_HOOKS
    state = _bounded_state(state, config)
    session_log = SessionLog() if session_log is None else session_log
    conversation = Conversation() if conversation is None else conversation
    journal = _journal(config, slots)
    try:
        task = {} if task is None else task
        plan = _plan(llm, task, registry, context, slots, config, state, stream, journal)
        run = Run(plan, state, session_log, conversation)
        _restore(run, config, journal)
    except BaseException:
        if journal is not None:
            journal.file.close()
        raise
    return run


def _restore(run: Run, config: LoopConfig, journal: RunJournal | None) -> None:
    """Start where a checkpoint or a journal says."""
    initial = config.initial_checkpoint
    if journal is not None:
        from looplet.checkpoint import resume_or_begin

        resume_or_begin(journal, run, _agent_identity(run), config.resume, initial)
    elif initial is not None:
        from looplet.checkpoint import continue_from

        continue_from(run, initial)
    for hook in _resuming(run.plan.slots):
        hook.take_up(run)


def _resuming(slots: Slots) -> list[Resuming]:
    return [hook for hook in slots.hooks if isinstance(hook, Resuming)]


def _require_backend(llm: Any) -> None:
    if isinstance(llm, type):
        raise TypeError(f"llm is the class {llm.__name__}: pass an instance of it")
    if not (callable(getattr(llm, "generate", None)) or capabilities_of(llm).chat):
        raise TypeError(
            f"llm is {type(llm).__name__}, which has no generate(); pass a backend such as "
            "OpenAIBackend(client) or AnthropicBackend(client)"
        )


_STATE_NEEDS = ("steps", "step_count", "budget_remaining", "context_summary", "snapshot")


def _require_kinds(hooks: object, config: object, state: object) -> None:
    if hooks is not None and not isinstance(hooks, Iterable):
        raise TypeError(f"hooks is {type(hooks).__name__}: pass a list of hooks, such as [hook]")
    if config is not None and not isinstance(config, LoopConfig):
        raise TypeError(f"config is {type(config).__name__}: pass a LoopConfig")
    if state is None or isinstance(state, DefaultState):
        return
    missing = [name for name in _STATE_NEEDS if not hasattr(state, name)]
    if missing:
        raise TypeError(
            f"state is {type(state).__name__}, which has no {', '.join(missing)}; pass a DefaultState, or an "
            "object with the members of AgentState"
        )


_REGISTRY_NEEDS = ("dispatch", "dispatch_batch", "tool_catalog_text", "tool_schemas", "_tools")


def _registry(tools: Any, done_tool: str) -> Any:
    if isinstance(tools, (list, tuple)):
        from looplet.tools import tools_from

        # A list is all there is, so without a done of its own nobody could finish.
        names = {getattr(one, "name", getattr(one, "__name__", "")) for one in tools}
        return tools_from(tools, include_done=done_tool == "done" and "done" not in names)
    missing = [name for name in _REGISTRY_NEEDS if not hasattr(tools, name)]
    if missing:
        raise ConfigError(
            f"tools is {type(tools).__name__}, which has no {', '.join(missing)}; pass a BaseToolRegistry or "
            "a list of functions and ToolSpecs"
        )
    return tools


def _shelve(skills: Sequence[Skill], registry: Any) -> tuple[SkillShelf, Any]:
    """A shelf of *skills* and the registry it adds tools to: a copy, so that the caller's stays as it is."""
    from looplet.skills import Skill, SkillShelf

    if not isinstance(skills, (list, tuple)) or not all(isinstance(skill, Skill) for skill in skills):
        raise ConfigError(f"LoopConfig(skills={skills!r}): give a list of Skill, such as load_skills(folder)")
    if not hasattr(registry, "copy"):
        raise ConfigError(
            f"LoopConfig(skills=...) with a {type(registry).__name__}: skills need a BaseToolRegistry, or a "
            "list of functions and ToolSpecs"
        )
    own = registry.copy()
    return SkillShelf(skills, own), own


def _bounded_state(state: AgentState | None, config: LoopConfig) -> AgentState:
    """The caller's state, with the lower of the limits that the caller gave."""
    if state is None:
        return DefaultState(max_steps=int(config.max_steps))
    if not isinstance(state, DefaultState) or state.max_steps == config.max_steps:
        return state
    given = [limit for limit in (state.max_steps, config.max_steps) if not isinstance(limit, NotGiven)]
    if len(given) == 2:
        warnings.warn(
            f"state.max_steps={state.max_steps} and config.max_steps={config.max_steps} differ; "
            f"the lower one, {min(given)}, counts",
            UserWarning,
            stacklevel=4,
        )
    state.max_steps = min(given)
    return state


def _step_limit(state: AgentState, config: LoopConfig) -> int | None:
    if isinstance(state, DefaultState):
        # A subclass may have a budget of its own, and then that one and `max_steps` both count.
        plain = type(state).budget_remaining is DefaultState.budget_remaining
        return None if plain else state.max_steps
    # A state that never runs out would never stop, so its first answer bounds it.
    return state.budget_remaining if isinstance(config.max_steps, NotGiven) else config.max_steps


def _wire(llm: Any, config: LoopConfig) -> Wire:
    """How to talk to *llm*. The class is asked, unless the caller insists on native tools."""
    wanted = config.use_native_tools
    able = capabilities_of(llm)
    own_prompt = config.domain_parts().build_prompt or config.render_messages_override
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
    journal: RunJournal | None,
) -> Plan:
    parts = config.domain_parts()
    observers = _observers(config, slots, stream, journal)
    return Plan(
        llm=llm,
        task=task,
        tools=tools,
        context=context,
        session_id=config.session_id or clock.new_id(),
        slots=slots,
        observers=Observers(observers) if observers else NOBODY,
        nesting=[observer for observer in observers if isinstance(observer, Nesting)],
        config=config,
        journal=journal,
        wire=_wire(llm, config),
        step_limit=_step_limit(state, config),
        free_steps=state.max_steps if isinstance(state, DefaultState) else config.max_steps,
        shown_max_steps=int(config.max_steps),
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
        build_briefing=parts.build_briefing,
        briefed=bool(parts.build_briefing or slots.pre_prompt or slots.build_briefing),
        build_prompt=parts.build_prompt,
        build_trace=parts.build_trace,
        extract_entities=parts.extract_entities,
        extract_step_metadata=parts.extract_step_metadata,
        render_messages=config.render_messages_override,
        select_model=_selector(config),
        memory=_memory(config),
        check_output=_output_check(config),
        tool_context=_context_maker(config, slots),
        proactive_compact=_compaction(config.compact_service, "proactive")
        if config.compact_service
        else None,
        overflow=_overflow_stages(config) if config.reactive_recovery else (),
        on_parse_failure=_parse_advice(config),
        cache_breakpoints=_breakpoints(config, slots),
    )


def _observers(config: LoopConfig, slots: Slots, stream: Any, journal: RunJournal | None) -> list[Any]:
    watching = [hook for hook in slots.hooks if isinstance(hook, RunObserver)]
    observers = [*config.observers, *watching, *([journal] if journal is not None else [])]
    if config.tracer is not None:
        from looplet.telemetry import ModelSpans

        observers.append(ModelSpans(config.tracer))
    if stream is not None:
        from looplet.streaming import StreamingHook, StreamObserver

        doubled = any(isinstance(hook, StreamingHook) for hook in slots.hooks)
        observers.append(StreamObserver(stream, max_steps=int(config.max_steps), ends=not doubled))
    return observers


def _journal(config: LoopConfig, slots: Slots) -> RunJournal | None:
    if config.checkpoint_dir is None:
        return None
    from looplet.checkpoint import JournalFile, RunJournal

    return RunJournal(JournalFile(config.checkpoint_dir), slots.hooks)


def _agent_identity(run: Run) -> dict[str, Any]:
    """What makes two agents the same for a resume: their tools' schemas and their permission rules."""
    tools = {schema["name"]: _fingerprint(schema) for schema in run.plan.tools.tool_schemas()}
    rules = [repr(rule) for hook in run.plan.slots.hooks for rule in _rules_of(hook)]
    return {"tools": tools, "rules": _fingerprint(rules)}


def _rules_of(hook: Any) -> Sequence[Any]:
    engine = getattr(hook, "engine", None)
    rules = [rule for rule in getattr(engine, "rules", ()) if hasattr(rule, "decision")]
    default = str(getattr(engine, "default", ""))
    return [default, *((r.tool, r.decision, r.reason, _matcher_text(r.arg_matcher)) for r in rules)]


def _matcher_text(matcher: Any) -> str:
    """What tells one matcher from another: its code, or its repr where that holds no address."""
    code = getattr(matcher, "__code__", None)
    if code is not None:
        return f"{code.co_code.hex()} {code.co_consts!r} {code.co_names!r}".partition(" at 0x")[0]
    return repr(matcher).partition(" at 0x")[0]


def _fingerprint(value: Any) -> str:
    from zlib import crc32

    return f"{crc32(dumps(value).encode()):08x}"


def _selector(config: LoopConfig) -> Callable[[], tuple[Any, Wire]] | None:
    router = config.router
    if router is None:
        return None

    def select() -> tuple[Any, Wire]:
        llm = router.select(purpose="reasoning")
        _require_backend(llm)
        return llm, _wire(llm, config)

    return select


def _memory(config: LoopConfig) -> Callable[[Any], str] | None:
    sources = config.memory_sources
    if not sources:
        return None
    from looplet.memory import render_memory

    return lambda state: render_memory(sources, state)


def _output_check(config: LoopConfig) -> Callable[[dict[str, Any]], list[str]] | None:
    schema = config.output_schema
    if schema is None:
        return None
    from looplet.validation import output_check

    return output_check(schema)


def _compaction(service: CompactService, reason: str) -> Callable[[Run], Any]:
    """Runs *service* on a run and counts the model calls it spends."""

    def compact(run: Run) -> Any:
        from looplet.compact import run_compact

        around = inside.get()
        inside.set((run, None))
        try:
            outcome = run_compact(
                service,
                hooks=run.plan.slots.hooks,
                state=run.state,
                session_log=run.session_log,
                llm=run.llm,
                conversation=run.conversation,
                step_num=run.first_step,
                reason=reason,
            )
        finally:
            inside.set(around)
        run.llm_calls += outcome.llm_calls_spent
        return outcome

    return compact


def _overflow_stages(config: LoopConfig) -> list[tuple[str, Callable[[Run], Any]]]:
    """What to try, in order, when a prompt of one run is too long."""

    kept: list[ResultShrinker] = []  # one for the run, made when it is needed

    def shrink_results(run: Run) -> None:
        from looplet.compact import ResultShrinker

        if not kept:
            kept.append(ResultShrinker())
        kept[0].shrink(run.state, run.conversation)

    def compact(run: Run) -> Any:
        from looplet.compact import TruncateCompact

        return _compaction(config.compact_service or TruncateCompact(), "prompt_too_long")(run)

    def clear_results(run: Run) -> None:
        from looplet.compact import clear_old_results

        clear_old_results(run.state, run.session_log, run.conversation)

    return [("shrink_results", shrink_results), ("compact", compact), ("clear_results", clear_results)]


def _parse_advice(config: LoopConfig) -> Callable[[int, str], tuple[str, str] | None] | None:
    registry = config.recovery_registry
    if registry is None:
        return None

    def advise(step: int, raw: str) -> tuple[str, str] | None:
        from looplet.recovery import FailureScenario

        action = registry.attempt_recovery(FailureScenario.PARSE_ERROR, {"step": step, "raw_response": raw})
        return (action.action_type, action.message) if action is not None else None

    return advise


def _breakpoints(config: LoopConfig, slots: Slots) -> Callable[[int, str, str, str], list[Any] | None] | None:
    """Computes where a provider may cache; a `CacheBreakDetector` among the hooks watches for changes."""
    if config.cache_policy is None:
        return None
    from looplet.cache import CacheBreakDetector, compute_breakpoints

    policy = config.cache_policy
    detector = next((hook for hook in slots.hooks if isinstance(hook, CacheBreakDetector)), None)

    def compute(step: int, system: str, tools: str, memory: str) -> list[Any] | None:
        texts = {"system_prompt": system, "tool_schemas_text": tools, "memory_text": memory}
        if detector is not None:
            return list(detector.record(step, **texts))
        return list(compute_breakpoints(policy, **texts))

    return compute


def _context_maker(
    config: LoopConfig, slots: Slots
) -> Callable[[Run, ToolCall, int], ToolContext | None] | None:
    """Makes the `ctx` of each call; None where nothing would be in it."""
    own = (config.cancel_token, config.approval_handler, config.cwd, config.workspace_root, config.metadata)
    resuming = _resuming(slots)
    if not any(own) and not slots.on_event and not resuming:
        return None

    handler = _approver(config.approval_handler)

    def make(run: Run, call: ToolCall, number: int) -> ToolContext:
        known = [hook.approver_of(call) for hook in resuming]
        return ToolContext(
            cwd=config.cwd,
            workspace_root=config.workspace_root,
            cancel_token=config.cancel_token,
            on_progress=_progress_teller(run, call, number) if slots.on_event else None,
            session_id=run.plan.session_id,
            metadata=dict(config.metadata),
            request_approval=next(filter(None, known), handler),
        )

    return make


def _approver(handler: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """*handler*; of an async one, sync tools get the answer, and tools on an event loop an awaitable."""
    if handler is None:
        return None

    def approve(prompt: str, options: Sequence[str] | None = None) -> Any:
        said = handler(prompt, options)
        if not hasattr(said, "__await__"):
            return said
        from looplet.permissions.asking import awaited, on_event_loop

        return said if on_event_loop() else awaited(said)

    return approve


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
                log_listener(filled.hook, event)
                continue
            if hasattr(value, "__await__"):
                run.loose.append(value)

    return tell
