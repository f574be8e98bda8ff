"""The door: in goes what a caller gives, out come the steps.

for step in composable_loop(llm, task="Greet Alice", tools=tools):
    print(step.pretty())
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from typing import Any, Protocol, runtime_checkable

from looplet.config import DomainAdapter, LoopConfig
from looplet.conversation import Conversation
from looplet.drive import drive, drive_async
from looplet.engine.hooks import emit_event
from looplet.engine.run import Run
from looplet.events import EventPayload
from looplet.planning import prepare
from looplet.session import SessionLog
from looplet.types import AgentState, Step, ToolCall, ToolResult

__all__ = [
    "DomainAdapter",
    "LoopConfig",
    "LoopHook",
    "async_composable_loop",
    "composable_loop",
    "emit_event",
]


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

    A generator: nothing happens before the first step is asked for. Leaving it early (`break`, `close()`) or
    an exception anywhere ends the run the same way as a normal end.

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

    def begin() -> Run:
        run = prepare(llm, task, tools, context, hooks, config, state, session_log, stream, conversation)
        _refuse_async_backend(llm)
        return run

    return drive(begin)  # and not `yield from`, which each step would pass through


def async_composable_loop(
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

    Sync backends and sync tools work too; they run in threads so that they do not hold up the event loop.
    Leave it early only inside `contextlib.aclosing`, so that the run ends when you leave and not whenever it
    is collected, which is reported as a `ResourceWarning`.
    """

    def begin() -> AsyncGenerator[Step, None]:
        run = prepare(llm, task, tools, context, hooks, config, state, session_log, stream, conversation)
        return drive_async(run)

    return _AsyncSteps(begin)


class _AsyncSteps(AsyncGenerator[Step, None]):
    """An async generator that says so when it is left behind unfinished."""

    def __init__(self, begin: Callable[[], AsyncGenerator[Step, None]]) -> None:
        self._begin = begin
        self._steps: AsyncGenerator[Step, None] | None = None

    def __anext__(self) -> Coroutine[Any, Any, Step]:
        return self._begun().__anext__()

    def asend(self, value: None) -> Coroutine[Any, Any, Step]:
        return self._begun().asend(value)

    def athrow(self, *problem: Any) -> Coroutine[Any, Any, Step]:
        return self._begun().athrow(*problem)

    async def aclose(self) -> None:
        self._begin = _no_steps
        await self._begun().aclose()

    def _begun(self) -> AsyncGenerator[Step, None]:
        steps = self._steps
        if steps is None:
            begin, self._begin = self._begin, _no_steps
            steps = self._steps = begin()
        return steps

    def __del__(self) -> None:
        # A generator that is over has no frame.
        if getattr(self._steps, "ag_frame", None) is not None:
            warnings.warn(
                "an async run was left before its end: use `async with contextlib.aclosing("
                "async_composable_loop(...)) as steps`, so that it ends when you leave it",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


async def _no_steps() -> AsyncGenerator[Step, None]:
    nothing: tuple[Step, ...] = ()
    for step in nothing:
        yield step


def _refuse_async_backend(llm: Any) -> None:
    method = getattr(type(llm), "generate", None) or getattr(type(llm), "chat", None)
    code = getattr(method, "__code__", None)
    if code is not None and code.co_flags & 0x80:  # inspect.CO_COROUTINE
        raise TypeError(
            f"{type(llm).__name__} is an async backend: use async_composable_loop, or its sync twin"
        )
