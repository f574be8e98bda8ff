"""Sub-agents: runs that a tool of a run starts, inside the limits of that run.

Called from a tool's body, `run_sub_loop` inherits from the run that is executing the tool: permission hooks
(hooks whose class says `inherited = True`), cancel token, deadline, approval handler, folders and recorders.
It cannot take more steps than that run has left. Tokens and model calls are added to that run's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from copy import copy
from hashlib import sha256
from threading import Lock
from typing import Any, TypeAlias

from looplet import clock
from looplet.config import DomainAdapter, LoopConfig
from looplet.conversation import Conversation
from looplet.engine.hooks import async_emit_event, emit_event
from looplet.engine.observe import ModelCall, RunObserver
from looplet.engine.run import Run
from looplet.engine.scope import current_run
from looplet.errors import ConfigError
from looplet.events import LifecycleEvent
from looplet.loop import async_composable_loop, composable_loop
from looplet.running import running_call
from looplet.session import SessionLog
from looplet.skills import SHELF_TOOLS
from looplet.tools import BaseToolRegistry, tool, tools_from
from looplet.tools.decorator import done
from looplet.types import AgentState, DefaultState, Step, Usage
from looplet.values import dumps

Summary: TypeAlias = Callable[[Any, SessionLog, list[Step]], dict[str, Any]]
"""`(state, session_log, steps) -> dict` that is merged into a result."""

_INHERITED = (
    "max_tokens",
    "temperature",
    "recovery_temperature",
    "use_native_tools",
    "concurrent_dispatch",
    "reactive_recovery",
    "context_window",
    "cancel_token",
    "approval_handler",
    "llm_timeout_s",
    "cwd",
    "workspace_root",
    "metadata",
    "tracer",
    "done_tool",
    "cache_policy",
)
"""Fields of the configuration that a sub-agent takes over; the others belong to the one run."""

_adding = Lock()


def run_sub_loop(
    llm: Any,
    task: Any = None,
    tools: Any = None,
    *,
    max_steps: int = 5,
    system_prompt: str = "",
    hooks: Sequence[Any] | None = None,
    context: Any = None,
    state: AgentState | None = None,
    sub_tools: Any = None,
    build_summary: Summary | None = None,
    state_mutating_tools: Collection[str] | None = None,
    conversation: Conversation | None = None,
    subagent_id: str | None = None,
) -> dict[str, Any]:
    """Run a sub-agent to its end.

    Args:
        llm: Its backend.
        task: What it is to do.
        tools: The registry, or list, that its tools are cloned from; by default that of the run around it.
        max_steps: Its step budget; less where the run around it has less left.
        system_prompt: Its own.
        hooks: Told SUBAGENT_START and SUBAGENT_STOP, and run inside it, save those that record a run
            (`RunObserver`): what is inside belongs to another run.
        context: Handed to its hooks.
        state: Its state; a fresh one by default.
        sub_tools: Its tools, instead of a clone.
        build_summary: Adds to the result.
        state_mutating_tools: Names of tools that it does not get. The done tool it always has.
        conversation: Continued in a fork.
        subagent_id: Its name and run id; by default one that follows from the call that starts it, so that
            a replay has the same; a fresh one outside of runs.

    Returns:
        `answer` (the answer as text, or None), `final_output` (arguments of its done call, or None),
        `stop_reason`, `steps` (dicts, without times and ids), `llm_calls`, `usage` (token counts),
        `entities`, `findings`, `highlights`, `summary` (one line of text), `subagent_id`, and what
        *build_summary* gives.

    Raises:
        ConfigError: There are no tools.
        BaseException: What leaves the run inside. SUBAGENT_STOP is told before.
    """
    sub = _SubAgent(llm, hooks, context, state, build_summary, conversation, subagent_id)
    registry = sub.registry(tools, sub_tools, state_mutating_tools)
    arguments = sub.arguments(task, registry, max_steps, system_prompt)
    with sub:
        for step in composable_loop(**arguments):
            sub.steps.append(step)
    return sub.result()


async def async_run_sub_loop(
    llm: Any,
    task: Any = None,
    tools: Any = None,
    *,
    max_steps: int = 5,
    system_prompt: str = "",
    hooks: Sequence[Any] | None = None,
    context: Any = None,
    state: AgentState | None = None,
    sub_tools: Any = None,
    build_summary: Summary | None = None,
    state_mutating_tools: Collection[str] | None = None,
    conversation: Conversation | None = None,
    subagent_id: str | None = None,
) -> dict[str, Any]:
    """`run_sub_loop` on an event loop, for async tools."""
    sub = _SubAgent(llm, hooks, context, state, build_summary, conversation, subagent_id)
    registry = sub.registry(tools, sub_tools, state_mutating_tools)
    arguments = sub.arguments(task, registry, max_steps, system_prompt)
    async with sub, aclosing(async_composable_loop(**arguments)) as steps:
        async for step in steps:
            sub.steps.append(step)
    return sub.result()


def clone_tools_excluding(parent_tools: Any, exclude: Collection[str]) -> BaseToolRegistry:
    """A registry of the same class as *parent_tools* (or made from a list) without the tools in *exclude*."""
    twin: BaseToolRegistry
    if not hasattr(parent_tools, "copy"):  # of the user's own: `_tools` is all that it must have
        twin = copy(parent_tools)
        twin._tools = {name: spec for name, spec in parent_tools._tools.items() if name not in exclude}
        return twin
    twin = tools_from(parent_tools) if isinstance(parent_tools, (list, tuple)) else parent_tools.copy()
    for name in exclude:
        twin.remove(name)
    return twin


class _SubAgent:
    """One sub-agent: what goes into its run, and what comes out. Entering and leaving it tells the hooks."""

    def __init__(
        self,
        llm: Any,
        hooks: Sequence[Any] | None,
        context: Any,
        state: AgentState | None,
        build_summary: Summary | None,
        conversation: Conversation | None,
        subagent_id: str | None,
    ) -> None:
        self.llm = llm
        self.parent: Run | None = current_run()
        self.hooks = list(hooks or ())
        self.context = context
        self.state = state
        self.build_summary = build_summary
        self.conversation = conversation
        self.id = subagent_id or _own_id(self.parent)
        self.log = SessionLog()
        self.steps: list[Step] = []
        self.llm_calls = 0
        self.heard = _Heard()

    def registry(self, tools: Any, sub_tools: Any, exclude: Collection[str] | None) -> BaseToolRegistry:
        """Its tools, always with a done tool."""
        if tools is None and self.parent is not None:
            tools = self.parent.plan.tools
        given = tools if sub_tools is None else sub_tools
        if given is None:
            raise ConfigError("run_sub_loop needs tools: pass a registry or a list, or call it from a tool")
        name = self.parent.plan.done_tool if self.parent else "done"
        left_out = set(exclude or ()) - {name} if sub_tools is None else set[str]()
        if self.parent is not None and self.parent.plan.config.skills:
            left_out |= SHELF_TOOLS  # what they would add goes to the run around it
        registry = clone_tools_excluding(given, left_out)
        if name not in registry._tools:
            registry.register(tool(name=name)(done))
        return registry

    def arguments(
        self, task: Any, registry: BaseToolRegistry, max_steps: int, system_prompt: str
    ) -> dict[str, Any]:
        """Everything that `composable_loop` is called with."""
        observers: list[RunObserver] = [self.heard]
        hooks = [hook for hook in self.hooks if not isinstance(hook, RunObserver)]
        if self.parent is not None:
            observers += [observer.for_child() for observer in self.parent.plan.nesting]
            known = {id(hook) for hook in hooks}
            around = [hook for hook in self.parent.plan.slots.hooks if _is_inherited(hook)]
            hooks = [hook for hook in around if id(hook) not in known] + hooks
        config = self._config(max_steps, system_prompt)
        config.observers = observers
        if self.state is None:
            self.state = DefaultState(max_steps=config.max_steps)
        elif isinstance(self.state, DefaultState):
            self.state.max_steps = config.max_steps = min(self.state.max_steps, config.max_steps)
        return {
            "llm": self.llm,
            "task": task,
            "tools": registry,
            "context": self.context,
            "hooks": hooks,
            "config": config,
            "state": self.state,
            "session_log": self.log,
            "conversation": self.conversation.fork() if self.conversation is not None else None,
        }

    def _config(self, max_steps: int, system_prompt: str) -> LoopConfig:
        own: dict[str, Any] = {
            "system_prompt": system_prompt,
            "session_id": self.id,
            "build_trace": self._ended,
        }
        parent = self.parent
        if parent is None:
            return LoopConfig(max_steps=max_steps, **own)
        around: LoopConfig = parent.plan.config
        fields: dict[str, Any] = {name: getattr(around, name) for name in _INHERITED} | own
        seconds = parent.seconds_left()
        if seconds is not None:
            fields["deadline_s"] = max(0.0, seconds)
        fields["domain"] = DomainAdapter(
            extract_entities=parent.plan.extract_entities,
            extract_step_metadata=parent.plan.extract_step_metadata,
        )
        # The steps of the calls that run now are still to come, and are not the sub-agent's to spend.
        left = parent.steps_left() - max(1, len(parent.pending))
        return LoopConfig(max_steps=max(0, min(max_steps, left)), **fields)

    def _ended(self, *, llm_calls: int, **_: Any) -> None:
        self.llm_calls = llm_calls

    def __enter__(self) -> None:
        emit_event(**self._news(LifecycleEvent.SUBAGENT_START, {}))

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        emit_event(**self._news(LifecycleEvent.SUBAGENT_STOP, self._ended_with(error)))

    async def __aenter__(self) -> None:
        await async_emit_event(**self._news(LifecycleEvent.SUBAGENT_START, {}))

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await async_emit_event(**self._news(LifecycleEvent.SUBAGENT_STOP, self._ended_with(error)))

    def _ended_with(self, error: BaseException | None) -> dict[str, Any]:
        """Add what it used up to the run around it; gives what its end tells."""
        if self.parent is not None:
            with _adding:
                self.parent.usage += self.heard.usage
                self.parent.llm_calls += self.llm_calls
        facts: dict[str, Any] = {
            "llm_calls": self.llm_calls,
            "step_count": len(self.steps),
            "entities": sorted(self.log.all_entities()),
            "stop_reason": self.heard.stop_reason,
        }
        return facts | ({"error": f"{type(error).__name__}: {error}"} if error is not None else {})

    def _news(self, event: LifecycleEvent, facts: dict[str, Any]) -> dict[str, Any]:
        """What is told to the caller's hooks, and to those of the run around it."""
        around = list(self.parent.plan.slots.hooks) if self.parent is not None else []
        listeners = list({id(hook): hook for hook in [*self.hooks, *around]}.values())
        about = {"state": self.state, "context": self.context, "subagent_id": self.id, "extra": facts}
        return {"hooks": listeners, "event": event, **about}

    def result(self) -> dict[str, Any]:
        """What the caller gets."""
        entities = sorted(self.log.all_entities())
        output = self.heard.output
        answer = _answer(output)
        result = {
            "summary": f"Entities: {', '.join(entities)}" if entities else (answer or "No findings"),
            "answer": answer,
            "final_output": output,
            "stop_reason": self.heard.stop_reason,
            "entities": entities,
            "steps": [_told(step) for step in self.steps],
            "llm_calls": self.llm_calls,
            "usage": self.heard.usage.to_dict(),
            "findings": [text for entry in self.log.entries for text in entry.findings],
            "highlights": [text for entry in self.log.entries for text in entry.highlights],
            "subagent_id": self.id,
        }
        if self.build_summary is not None:
            result |= self.build_summary(self.state, self.log, self.steps) or {}
        return result


class _Heard(RunObserver):
    """Keeps what a run does not tell in its steps."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.output: dict[str, Any] | None = None
        self.stop_reason = ""

    def model_called(self, call: ModelCall) -> None:
        if call.reply is not None and call.reply.usage is not None:
            self.usage += call.reply.usage

    def answered(self, output: dict[str, Any]) -> None:
        self.output = output

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        self.stop_reason = stop_reason


def _own_id(parent: Run | None) -> str:
    """12 hex characters; inside a run they follow from the call, so that a replay of the run has them too."""
    call = running_call()
    if parent is None or call is None:
        return clock.new_id()
    with _adding:
        number = next((p.number for p in parent.pending if p.call is call), 0)
        place = [parent.plan.config.session_id, parent.plan.task, number, call.tool, call.args]
        key = dumps(place)
        count = parent.runs_inside[key] = parent.runs_inside.get(key, 0) + 1
    return sha256(f"{key} {count}".encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _told(step: Step) -> dict[str, Any]:
    """A step as a dict, without what is another one in each execution: a model may be sent this."""
    told = step.to_dict()
    told["call"].pop("call_id", None)
    told["result"].pop("duration_ms", None)
    return told


def _is_inherited(hook: object) -> bool:
    return getattr(type(hook), "inherited", False) is True


def _answer(output: dict[str, Any] | None) -> str | None:
    """The one text in a final output: its member `answer`, or its only member."""
    if not output:
        return None
    value = output.get("answer", next(iter(output.values())) if len(output) == 1 else None)
    return None if value is None else str(value)
