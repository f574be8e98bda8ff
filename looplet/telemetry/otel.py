"""Runs as OpenTelemetry spans, named and described by the semantic conventions for generative AI.

    composable_loop(..., hooks=[OpenTelemetryHook(agent_name="refunds")])

| span | kind | parent |
|---|---|---|
| `invoke_agent {agent}` | internal | what is current where the run starts; a sub-agent's: the call |
| `chat {model}` | client | its run |
| `execute_tool {tool}` | internal | its run |

Needs `opentelemetry-api` (`pip install "pytest-looplet[otel]"`). What models and tools said is left out
unless it is asked for; why something failed is told. Known secrets are taken out of both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from looplet import clock
from looplet.engine.observe import ModelCall, Request, RunObserver
from looplet.errors import ConfigError
from looplet.redact import Redactor
from looplet.running import running_call
from looplet.telemetry.genai import (
    about_reply,
    about_request,
    about_usage,
    error_type,
    messages_of,
    parts,
    tool_error_type,
)
from looplet.types import Step, ToolCall, Usage
from looplet.values import bounded, dumps

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider

SCOPE = "looplet"
"""Name of the instrumentation scope of all spans."""

CONTENT_CHARS = 20_000
"""Most characters of one attribute with content."""


class OpenTelemetryHook(RunObserver):
    """Exports a run: give it to the loop among the hooks, or in `LoopConfig.observers`.

    Sub-agents are exported too, inside the call that starts them. While a model or tool is asked, its span is
    the current one, so that what instrumented libraries export lies inside it; while several tools run at
    once, the run's span is.

    Args:
        agent_name: `gen_ai.agent.name`.
        provider: `gen_ai.provider.name` where the backend does not say it.
        capture_content: Also export prompts, replies, arguments and results, without known secrets.
        tracer_provider: The global one by default.

    Raises:
        ConfigError: opentelemetry-api is not installed.
    """

    def __init__(
        self,
        *,
        agent_name: str = "",
        provider: str = "",
        capture_content: bool = False,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self._writer = _Writer(tracer_provider)
        self._agent_name = agent_name
        self._provider = provider
        self._captures = capture_content
        self._around: Context | None = None
        self._outside: Context | None = None
        self._run: Span | None = None
        self._model: Span | None = None
        self._asked_at = 0.0
        self._tools: dict[str, tuple[Span, float]] = {}
        self._about_tools: dict[str, str] = {}
        self._usage = Usage()
        self._has_usage = False
        self._run_id = self._outer = ""

    def for_child(self) -> OpenTelemetryHook:
        """The hook of a run that a tool of this run starts: its span is inside that of the call."""
        child = OpenTelemetryHook(provider=self._provider)
        child._writer, child._captures = self._writer, self._captures
        call = running_call()
        span, _ = self._tools.get(call.call_id, (self._run, 0.0)) if call else (self._run, 0.0)
        child._around = self._writer.context_of(span) if span is not None else None
        child._outer = f"{self._run_id}/"
        return child

    def run_started(self, task: object, *, run_id: str) -> None:
        """Open the span of the run."""
        self._outside = self._writer.current()
        self._run_id = f"{self._outer}{run_id}"
        about: dict[str, Any] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.conversation.id": self._run_id,
        }
        if self._agent_name:
            about["gen_ai.agent.name"] = self._agent_name
        if self._provider:
            about["gen_ai.provider.name"] = self._provider
        name = f"invoke_agent {self._agent_name}".rstrip()
        around = self._around or self._outside
        self._run = self._writer.start(name, about, around, clock.now())
        self._writer.make_current(self._run)

    def model_asked(self, step: int, request: Request) -> None:
        """Open the span of a model call."""
        if self._run is None:
            return
        about = about_request(request, self._provider)
        about["gen_ai.conversation.id"] = self._run_id
        for name in ("gen_ai.provider.name", "gen_ai.request.model"):
            if name in about:
                self._run.set_attribute(name, about[name])
        if self._captures:
            about |= self._content(**messages_of(request))
        self._about_tools = {tool["name"]: str(tool.get("description", "")) for tool in request.tools}
        self._asked_at = clock.now()
        name = f"chat {request.model}".rstrip()
        around = self._writer.context_of(self._run)
        self._model = self._writer.start(name, about, around, self._asked_at, client=True)
        self._writer.make_current(self._model)

    def model_chunk(self, step: int, text: str, index: int) -> None:
        """Tell when the first piece of a reply came."""
        if self._model is not None and index == 0:
            self._model.set_attribute("gen_ai.request.stream", True)
            self._model.set_attribute("gen_ai.response.time_to_first_chunk", clock.now() - self._asked_at)

    def model_called(self, call: ModelCall) -> None:
        """Close it, with the tokens and whatever went wrong."""
        span, self._model = self._model, None
        if span is None:
            return
        if call.reply is not None:
            span.set_attributes(about_reply(call))
            if call.reply.usage is not None:
                self._usage += call.reply.usage
                self._has_usage = True
            if self._captures:
                said = {"role": "assistant", "parts": parts(call.reply.blocks)}
                said["finish_reason"] = call.reply.stop_reason or ""
                span.set_attributes(self._content(output_messages=[said]))
        if call.error is not None:
            self._writer.fail(span, error_type(call.error), str(call.error))
        self._writer.end(span, clock.now())
        self._writer.make_current(self._run)

    def tool_started(self, step: int, call: ToolCall) -> None:
        """Open the span of a call."""
        if self._run is None:
            return
        about: dict[str, Any] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.tool,
            "gen_ai.tool.call.id": call.call_id,
            "gen_ai.tool.type": "function",
        }
        if self._about_tools.get(call.tool):
            about["gen_ai.tool.description"] = self._about_tools[call.tool]
        if self._captures:
            about |= self._content(tool_call_arguments=call.args)
        started = clock.now()
        around = self._writer.context_of(self._run)
        span = self._writer.start(f"execute_tool {call.tool}", about, around, started)
        self._tools[call.call_id] = span, started
        self._writer.make_current(span if len(self._tools) == 1 else self._run)

    def step_taken(self, step: Step) -> None:
        """Close it; a call that was refused before it ran gets a span of no length."""
        call, result = step.tool_call, step.tool_result
        if call.tool.startswith("__"):  # the loop's own account of a reply that was no call
            return
        if call.call_id not in self._tools:
            self.tool_started(step.number, call)
        span, started = self._tools.pop(call.call_id, (None, 0.0))
        if span is None:
            return
        if result.error:
            self._writer.fail(span, tool_error_type(result), result.error)
        elif self._captures:
            span.set_attributes(self._content(tool_call_result=result.data))
        # Calls of one batch become steps together; each one's end is its own.
        self._writer.end(span, min(clock.now(), started + result.duration_ms / 1000))
        self._writer.make_current(self._run)

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        """Close the span of the run, and what an exception left open in it."""
        run, self._run = self._run, None
        if run is None:
            return
        left = [span for span, _ in self._tools.values()] + ([self._model] if self._model else [])
        for span in left:
            self._writer.fail(span, type(error).__name__ if error else stop_reason, str(error or stop_reason))
            self._writer.end(span, clock.now())
        self._tools, self._model = {}, None
        if self._has_usage:
            run.set_attributes(about_usage(self._usage))
        run.set_attribute("looplet.stop_reason", stop_reason)
        if error is not None:
            self._writer.fail(run, type(error).__name__, str(error))
        elif stop_reason == "llm_error":
            self._writer.fail(run, stop_reason, "the model could not be reached or gave no answer")
        self._writer.end(run, clock.now())
        self._writer.make_current_again(self._outside)

    def _content(self, **members: Any) -> dict[str, str]:
        """Attributes with content: JSON, without secrets, bounded."""
        return {
            f"gen_ai.{_dotted(name)}": bounded(dumps(self._writer.redactor.value(value)), CONTENT_CHARS)
            for name, value in members.items()
            if value
        }


_DOTTED = {
    "input_messages": "input.messages",
    "output_messages": "output.messages",
    "tool_call_arguments": "tool.call.arguments",
    "tool_call_result": "tool.call.result",
}


def _dotted(name: str) -> str:
    return _DOTTED.get(name, name)


class _Writer:
    """The few things that are done with OpenTelemetry's own objects."""

    def __init__(self, provider: TracerProvider | None) -> None:
        try:
            from opentelemetry import context, trace
        except ImportError:
            raise ConfigError(
                'OpenTelemetryHook needs the opentelemetry-api package: pip install "pytest-looplet[otel]"'
            ) from None
        from looplet import __version__

        self.redactor = Redactor.of_environment()
        self._trace = trace
        self._context = context
        self._tracer: Tracer = trace.get_tracer(SCOPE, __version__, provider)

    def start(
        self, name: str, about: dict[str, Any], around: Context | None, at: float, *, client: bool = False
    ) -> Span:
        """A new span inside *around*, begun *at* seconds since the epoch."""
        kind: SpanKind = self._trace.SpanKind.CLIENT if client else self._trace.SpanKind.INTERNAL
        return self._tracer.start_span(name, around, kind, about, start_time=_ns(at))

    def end(self, span: Span, at: float) -> None:
        """Close a span."""
        span.end(_ns(at))

    def fail(self, span: Span, kind: str, text: str) -> None:
        """Say that what the span is about went wrong; *text* may hold what a tool said, and so a secret."""
        span.set_attribute("error.type", kind)
        told = bounded(self.redactor.text(text), 1_000)
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, told))

    def context_of(self, span: Span) -> Context:
        """The context whose current span is *span*."""
        return self._trace.set_span_in_context(span)

    def current(self) -> Context:
        """The context of whoever asks."""
        return self._context.get_current()

    def make_current(self, span: Span | None) -> None:
        """Let *span* be the current one from here on."""
        if span is not None:
            # Not undone by token: an async consumer may leave in another context than it came in.
            self._context.attach(self.context_of(span))

    def make_current_again(self, context: Context | None) -> None:
        """Let *context* be the current one from here on."""
        if context is not None:
            self._context.attach(context)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
