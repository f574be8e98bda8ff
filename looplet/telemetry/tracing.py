"""Where a run's time went: spans as trees."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from looplet import clock
from looplet.engine.observe import Decision, ModelCall, Request, RunObserver
from looplet.running import running_call
from looplet.types import Step, ToolCall, ToolResult


@dataclass
class Span:
    """A stretch of time with a name.

    Attributes:
        name: What happened, such as `tool.search`.
        span_id: 12 hex characters.
        parent_id: The `span_id` of the span around it, or None.
        start_time: Seconds since the epoch.
        end_time: The same; None while it is open.
        attributes: Facts about it.
        children: Spans inside it, in the order of their starts.
        status: `ok` or `error`.
    """

    name: str
    span_id: str = field(default_factory=clock.new_id)
    parent_id: str | None = None
    start_time: float = field(default_factory=clock.now)
    end_time: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    children: list[Span] = field(default_factory=list)
    status: str = "ok"

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from start to end; None while it is open."""
        return None if self.end_time is None else (self.end_time - self.start_time) * 1000


_open: ContextVar[tuple[tuple[Tracer, Span], ...]] = ContextVar("looplet_spans", default=())


class Tracer:
    """Collects spans as trees. What is open is known for each thread and task by itself.

    A thread that looplet starts, such as a tool's, sees the spans that were open then.
    """

    def __init__(self) -> None:
        self._roots: list[Span] = []

    @property
    def current_span(self) -> Span | None:
        """The innermost span that is open here, or None."""
        mine = (span for tracer, span in reversed(_open.get()) if tracer is self)
        call = running_call()
        return next((span for span in mine if span.end_time is None and _is_around(span, call)), None)

    @property
    def root_spans(self) -> list[Span]:
        """The spans that have no parent, in the order of their starts."""
        return list(self._roots)

    def start_span(
        self, name: str, *, attributes: Mapping[str, Any] | None = None, parent: Span | None = None
    ) -> Span:
        """Open a span inside *parent*, or else inside the current span.

        Args:
            name: What begins.
            attributes: Facts known by now.
            parent: The span around it, where it is not the current one.
        """
        around = parent or self.current_span
        span = Span(name, parent_id=around.span_id if around else None, attributes=dict(attributes or {}))
        (around.children if around else self._roots).append(span)
        _open.set((*_still_open(), (self, span)))
        return span

    def end_span(
        self, span: Span, *, status: str = "ok", attributes: Mapping[str, Any] | None = None
    ) -> None:
        """Close *span* now. The order does not matter, and a span that is closed already stays as it is."""
        if span.end_time is None:
            span.end_time = clock.now()
            span.status = status
            span.attributes.update(attributes or {})
        _open.set(_still_open())


def _still_open() -> tuple[tuple[Tracer, Span], ...]:
    return tuple([entry for entry in _open.get() if entry[1].end_time is None])


def _started(tracer: Tracer, name: str, about: dict[str, Any], parent: Span | None) -> Span:
    """A span inside *parent*, or inside the current one where a tracer's own `start_span` takes no parent."""
    if type(tracer).start_span is not Tracer.start_span:
        from inspect import signature  # which is slow to load, and mostly not needed

        if "parent" not in signature(tracer.start_span).parameters:
            return tracer.start_span(name, attributes=about)
    return tracer.start_span(name, attributes=about, parent=parent)


def _is_around(span: Span, call: ToolCall | None) -> bool:
    """Whether *span* may be around what the body of *call* does: not one of another call of its batch."""
    whose = span.attributes.get("call_id")
    return whose is None or call is None or whose == call.call_id


class ModelSpans(RunObserver):
    """Makes a span `llm.call.step_{n}` of every model call; `LoopConfig.tracer` puts it into a run.

    Attributes:
        tracer: Gets the spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._around: Span | None = None
        self._span: Span | None = None

    def run_started(self, task: object, *, run_id: str) -> None:
        """Remember which span the run is in."""
        self._around = self.tracer.current_span if isinstance(self.tracer, Tracer) else None

    def model_asked(self, step: int, request: Request) -> None:
        """Open the span."""
        about = {"step": step, "method": request.method, "purpose": request.purpose}
        name = f"llm.call.step_{step}"
        self._span = _started(self.tracer, name, about, self._around)

    def model_called(self, call: ModelCall) -> None:
        """Close the span with the model's name, its tokens, and the error if it failed."""
        if self._span is None:
            return
        about: dict[str, Any] = {"attempts": call.attempts, "duration_ms": call.duration_ms}
        if call.reply is not None:
            about |= {"model": call.reply.model, "stop_reason": call.reply.stop_reason}
            about |= call.reply.usage.to_dict() if call.reply.usage else {}
        if call.error is not None:
            about |= {"error": str(call.error), "error_kind": call.error.kind.value}
        self.tracer.end_span(self._span, status="error" if call.error else "ok", attributes=about)
        self._span = None

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        """Close what an exception left open."""
        if self._span is not None:
            self.tracer.end_span(self._span, status="error", attributes={"error": str(error or stop_reason)})
            self._span = None


class TracingHook(RunObserver):
    """Makes a span `loop.run` of a run, and inside it a span `tool.{name}` of every call.

    The done call and replies that could not be read are calls as well. Give the same tracer to
    `LoopConfig.tracer` to have the model calls beside them.

    Attributes:
        tracer: Gets the spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._root: Span | None = None
        self._tools: dict[str, Span] = {}
        self._decisions: dict[str, list[dict[str, str]]] = {}

    def for_child(self) -> TracingHook:
        """Another one for a run that a tool of this run starts: its `loop.run` is inside the tool's span."""
        return TracingHook(self.tracer)

    def run_started(self, task: object, *, run_id: str) -> None:
        """Open the span of the run."""
        self._run().attributes["run_id"] = run_id

    def decided(self, decision: Decision) -> None:
        """Keep a decision for the span of its call."""
        about = {"verdict": decision.verdict, "by": decision.by, "reason": decision.reason}
        self._decisions.setdefault(decision.call_id, []).append(about)

    def tool_started(self, step: int, call: ToolCall) -> None:
        """Open the span of a call."""
        about = {"tool": call.tool, "step": step, "call_id": call.call_id}
        self._tools[call.call_id] = _started(self.tracer, f"tool.{call.tool}", about, self._run())

    def step_taken(self, step: Step) -> None:
        """Close the span of a call, if it is still open."""
        self._finish(step.number, step.tool_call, step.tool_result)
        self._tools.pop(step.tool_call.call_id, None)
        self._decisions.pop(step.tool_call.call_id, None)

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        """Close the span of the run, and what an exception left open in it."""
        for span in self._tools.values():
            if span.end_time is None:
                self.tracer.end_span(span, status="error", attributes={"has_error": True})
        self._tools.clear()
        self._decisions.clear()
        if self._root is not None:
            about = {"stop_reason": stop_reason} | ({"error": str(error)} if error else {})
            self.tracer.end_span(self._root, status="error" if error else "ok", attributes=about)
            self._root = None

    def pre_prompt(self, state: Any, session_log: Any, context: Any, step_num: int) -> None:
        """Open the span of the run, if nothing has yet."""
        self._run()

    def pre_dispatch(self, state: Any, session_log: Any, tool_call: ToolCall, step_num: int) -> None:
        """Nothing: a call's span begins when its tool does."""

    def post_dispatch(
        self, state: Any, session_log: Any, tool_call: ToolCall, tool_result: ToolResult, step_num: int
    ) -> None:
        """Close the span of a call, before other hooks take their time."""
        self._finish(step_num, tool_call, tool_result)

    def check_done(self, state: Any, session_log: Any, context: Any, step_num: int) -> None:
        """No objection."""

    def should_stop(self, state: Any, step_num: int, new_entities: int) -> bool:
        """No wish to stop."""
        return False

    def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
        """Close the span of the run where nothing else tells its end; spends no model calls."""
        if self._root is not None and "run_id" not in self._root.attributes:
            self.run_ended("", None)
        return 0

    def _run(self) -> Span:
        if self._root is None:
            self._root = self.tracer.start_span("loop.run")
        return self._root

    def _finish(self, number: int, call: ToolCall, result: ToolResult) -> None:
        told = call.call_id in self._tools
        if not told:
            self.tool_started(number, call)
        span = self._tools[call.call_id]
        seconds = result.duration_ms / 1000
        if not told:
            # The tool did not run, or nobody told when it began: it ends now and took what it says.
            span.end_time, span.start_time = span.start_time, span.start_time - seconds
        status = "error" if result.error else "ok"
        about: dict[str, Any] = {"has_error": bool(result.error), "duration_ms": result.duration_ms}
        if result.error:
            about["error"] = result.error
        if decisions := self._decisions.get(call.call_id):
            about["decisions"] = list(decisions)
        if not told or span.end_time is None:
            self.tracer.end_span(span, status=status, attributes=about)
        if result.duration_ms and span.end_time is not None:
            # Calls of one batch become steps together; each one's end is its own.
            span.end_time = min(span.end_time, span.start_time + seconds)
        span.status = status  # once more: a hook may have changed the result since
        span.attributes |= about
