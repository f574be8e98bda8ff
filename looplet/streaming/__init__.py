"""A run as a stream of events: what happens, as small objects for a screen, a queue or a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from looplet.engine.observe import Decision, ModelCall, Request, RunObserver
from looplet.events import EventPayload
from looplet.streaming.event import (
    ContextPressureEvent,
    Event,
    HookEvent,
    LLMCallEndEvent,
    LLMCallStartEvent,
    LLMChunkEvent,
    LoopEndEvent,
    LoopStartEvent,
    RecoveryEvent,
    StepEndEvent,
    StepStartEvent,
    ToolDispatchEvent,
    ToolResultEvent,
)
from looplet.streaming.iterator import EventStream
from looplet.streaming.terminal import TerminalPrinter
from looplet.types import Step, ToolCall, ToolResult

__all__ = [
    "CallbackEmitter",
    "CompositeEmitter",
    "ContextPressureEvent",
    "Event",
    "EventEmitter",
    "EventStream",
    "HookEvent",
    "LLMCallEndEvent",
    "LLMCallStartEvent",
    "LLMChunkEvent",
    "LoopEndEvent",
    "LoopStartEvent",
    "PutsNowait",
    "QueueEmitter",
    "RecoveryEvent",
    "StepEndEvent",
    "StepStartEvent",
    "StreamObserver",
    "StreamingHook",
    "TerminalPrinter",
    "ToolDispatchEvent",
    "ToolResultEvent",
]


@runtime_checkable
class EventEmitter(Protocol):
    """Where events go."""

    def emit(self, event: Event) -> None:
        """Take one event. An exception ends the run, so do not raise."""
        ...


class CallbackEmitter:
    """Calls a function with each event."""

    def __init__(self, callback: Callable[[Event], object]) -> None:
        self._callback = callback

    def emit(self, event: Event) -> None:
        """Call the function."""
        self._callback(event)


class PutsNowait(Protocol):
    """A queue: `queue.Queue`, `queue.SimpleQueue`, `asyncio.Queue`."""

    def put_nowait(self, item: Any, /) -> None:
        """Add *item* without waiting."""
        ...


class QueueEmitter:
    """Puts each event into a queue, without ever waiting: a bounded queue that is full raises its `Full`."""

    def __init__(self, q: PutsNowait) -> None:
        self._queue = q

    def emit(self, event: Event) -> None:
        """Put the event."""
        self._queue.put_nowait(event)


class CompositeEmitter:
    """Hands each event to several emitters, in order."""

    def __init__(self, emitters: Iterable[EventEmitter]) -> None:
        self._emitters = list(emitters)

    def emit(self, event: Event) -> None:
        """Hand the event on."""
        for emitter in self._emitters:
            emitter.emit(event)


_ARGS_CHARS = 200


class StreamObserver(RunObserver):
    """Turns what a run tells its observers into events: behind the `stream` argument of the loop.

    Args:
        emitter: Where the events go.
        max_steps: The step budget, for `LoopStartEvent`.
        ends: Whether to emit `LoopStartEvent` and `LoopEndEvent`; a `StreamingHook` in the same run does.
    """

    def __init__(self, emitter: EventEmitter, *, max_steps: int = 0, ends: bool = True) -> None:
        self._emit = emitter.emit
        self._max_steps = max_steps
        self._ends = ends
        self._steps = 0
        self._calls = 0

    def run_started(self, task: object, *, run_id: str) -> None:
        """Emit `LoopStartEvent`."""
        if self._ends:
            label = str(task.get("id", "")) if isinstance(task, dict) else str(task)[:80]
            self._emit(LoopStartEvent(task_summary=label, max_steps=self._max_steps))

    def step_started(self, number: int) -> None:
        """Emit `StepStartEvent`."""
        self._emit(StepStartEvent(step_num=number))

    def model_asked(self, step: int, request: Request) -> None:
        """Emit `LLMCallStartEvent`."""
        self._emit(LLMCallStartEvent(step_num=step, prompt_tokens_est=len(request.prompt) // 4))

    def model_chunk(self, step: int, text: str, index: int) -> None:
        """Emit `LLMChunkEvent`."""
        self._emit(LLMChunkEvent(step_num=step, chunk=text, chunk_index=index))

    def model_called(self, call: ModelCall) -> None:
        """Emit `LLMCallEndEvent`."""
        self._calls += 1
        length = len(call.reply.text) if call.reply else 0
        self._emit(LLMCallEndEvent(step_num=call.step, response_length=length, duration_ms=call.duration_ms))

    def decided(self, decision: Decision) -> None:
        """Emit `HookEvent`."""
        self._emit(HookEvent(hook_name=decision.by, method=decision.verdict, message=decision.reason))

    def tool_started(self, step: int, call: ToolCall) -> None:
        """Emit `ToolDispatchEvent`."""
        args = str(call.args)[:_ARGS_CHARS]
        self._emit(ToolDispatchEvent(step_num=step, tool_name=call.tool, args_summary=args))

    def recovered(self, strategy: str, success: bool) -> None:
        """Emit `RecoveryEvent`."""
        self._emit(RecoveryEvent(strategy=strategy, success=success))

    def step_taken(self, step: Step) -> None:
        """Emit `ToolResultEvent` and `StepEndEvent`."""
        self._steps += 1
        result = step.tool_result
        failed = bool(result.error)
        self._emit(
            ToolResultEvent(
                step_num=step.number,
                tool_name=result.tool,
                duration_ms=result.duration_ms,
                has_error=failed,
            )
        )
        self._emit(StepEndEvent(step_num=step.number, classification="error" if failed else "productive"))

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        """Emit `LoopEndEvent`."""
        if self._ends:
            self._emit(LoopEndEvent(total_steps=self._steps, total_llm_calls=self._calls, reason=stop_reason))


class StreamingHook:
    """A hook that emits events; fills every slot and decides nothing.

    The `done` call passes no tool slot, so it makes no dispatch event here; the loop's `stream` argument
    tells more (model calls, pieces of text).
    """

    def __init__(self, emitter: EventEmitter) -> None:
        self._emit = emitter.emit
        self._prompts = 0

    def pre_loop(self, state: Any, session_log: Any, context: Any) -> None:
        """Emit `LoopStartEvent`."""
        summary = str(getattr(state, "task_summary", ""))
        self._emit(LoopStartEvent(task_summary=summary, max_steps=int(getattr(state, "max_steps", 0))))

    def pre_prompt(self, state: Any, session_log: Any, context: Any, step_num: int) -> str | None:
        """Emit `StepStartEvent`."""
        self._prompts += 1
        self._emit(StepStartEvent(step_num=step_num))
        return None

    def pre_dispatch(self, state: Any, session_log: Any, tool_call: ToolCall, step_num: int) -> None:
        """Emit `ToolDispatchEvent`."""
        args = str(tool_call.args)[:_ARGS_CHARS]
        self._emit(ToolDispatchEvent(step_num=step_num, tool_name=tool_call.tool, args_summary=args))

    def check_permission(self, tool_call: ToolCall, state: Any) -> bool:
        """Allow."""
        return True

    def post_dispatch(
        self, state: Any, session_log: Any, tool_call: ToolCall, tool_result: ToolResult, step_num: int
    ) -> str | None:
        """Emit `ToolResultEvent` and `StepEndEvent`."""
        self._emit(
            ToolResultEvent(
                step_num=step_num,
                tool_name=tool_call.tool,
                duration_ms=tool_result.duration_ms,
                has_error=bool(tool_result.error),
            )
        )
        self._emit(StepEndEvent(step_num=step_num, classification="continue"))
        return None

    def check_done(self, state: Any, session_log: Any, context: Any, step_num: int) -> str | None:
        """Accept."""
        return None

    def should_stop(self, state: Any, step_num: int, new_entities: int) -> bool:
        """Go on."""
        return False

    def should_compact(self, state: Any, session_log: Any, conversation: Any, step_num: int) -> bool:
        """No."""
        return False

    def build_briefing(self, state: Any, session_log: Any, context: Any) -> str | None:
        """Nothing to say."""
        return None

    def build_prompt(self, **kwargs: Any) -> str | None:
        """Leave the prompt as it is."""
        return None

    def on_event(self, payload: EventPayload) -> None:
        """Nothing: the other slots have told it."""

    def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
        """Emit `LoopEndEvent`."""
        self._emit(
            LoopEndEvent(
                total_steps=state.step_count,
                total_llm_calls=self._prompts,
                reason=getattr(state, "_stop_reason", "") or "completed",
            )
        )
        return 0
