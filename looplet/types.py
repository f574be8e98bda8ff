"""The words of the library: a call, its result, a step, an error, a backend, a state.

Everything else imports from here and this module imports nothing of looplet but the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from looplet.clock import new_id
from looplet.plain import Frozen, Plain

Block: TypeAlias = dict[str, Any]
"""One part of a model's reply or of a message.

`{"type": "text", "text": str}`, `{"type": "tool_use", "id": str, "name": str, "input": dict}` or
`{"type": "tool_result", "tool_use_id": str, "content": str, "is_error": bool}`.
"""

ThreadMessage: TypeAlias = dict[str, Any]
"""One turn of a message thread: `{"role": "user" | "assistant", "content": list[Block]}`."""


class ErrorKind(str, Enum):  # noqa: UP042 - str() of a member is part of the interface
    """What sort of failure an error is; decides what can mend it."""

    PERMISSION_DENIED = "permission_denied"
    TIMEOUT = "timeout"
    VALIDATION = "validation"
    EXECUTION = "execution"
    PARSE = "parse"
    CONTEXT_OVERFLOW = "context_overflow"
    RATE_LIMIT = "rate_limit"
    NETWORK = "network"
    CANCELLED = "cancelled"


@dataclass(eq=False, repr=False)
class ToolError(Plain):
    """What went wrong in a call, as data. Not an exception; always truthy.

    Attributes:
        kind: The sort of failure.
        message: One text for people and models.
        retriable: Whether the same call may succeed later.
        context: Anything a handler may want to know.
    """

    kind: ErrorKind
    message: str
    retriable: bool = False
    context: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False, repr=False)
class CancelToken(Plain):
    """A flag that asks a run, a tool or a backend to stop at its next safe point."""

    _cancelled: bool = field(default=False, repr=False)

    def cancel(self) -> None:
        """Ask for the stop. Calling it again changes nothing."""
        self._cancelled = True

    @property
    def is_cancelled(self) -> bool:
        """Whether the stop was asked for."""
        return self._cancelled

    def raise_if_cancelled(self) -> None:
        """Raise `RuntimeError` if the stop was asked for: for the middle of a long tool."""
        if self.is_cancelled:
            raise RuntimeError("Tool execution cancelled")


@dataclass(eq=False, repr=False)
class ToolContext(Plain):
    """What a tool may know of the run that calls it; handed to a parameter named `ctx`.

    Attributes:
        cwd: Folder that relative paths start from.
        workspace_root: Folder the tool must not leave.
        cancel_token: Asks the tool to stop.
        on_progress: Receives `(stage, data)` from `report_progress`.
        session_id: The run's id.
        metadata: The caller's own.
        request_approval: Asks a person `(prompt, options)` and gives the choice, or None.
    """

    cwd: str | None = None
    workspace_root: str | None = None
    cancel_token: CancelToken | None = None
    on_progress: Callable[[str, dict[str, Any]], None] | None = None
    session_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    request_approval: Callable[[str, Sequence[str] | None], str | None] | None = None

    def report_progress(self, stage: str, data: dict[str, Any] | None = None) -> None:
        """Tell whoever watches how far the tool is."""
        if self.on_progress is not None:
            self.on_progress(stage, data or {})

    def approve(self, prompt: str, options: Sequence[str] | None = None) -> str | None:
        """Ask a person; None when nobody can be asked, which a tool must take as a refusal."""
        if self.request_approval is None:
            return None
        return self.request_approval(prompt, options)


@dataclass(eq=False, repr=False)
class ToolCall(Plain):
    """A model's wish to run one tool.

    Attributes:
        tool: Name of the tool.
        args: Its arguments, a JSON object.
        reasoning: Why, in the model's words.
        call_id: Joins the call to its result.
    """

    tool: str
    args: dict[str, Any] = field(default_factory=dict)
    reasoning: str = ""
    call_id: str = field(default_factory=new_id)

    def to_dict(self) -> dict[str, Any]:
        """The four fields as a dict."""
        return {"tool": self.tool, "args": self.args, "reasoning": self.reasoning, "call_id": self.call_id}


@dataclass(eq=False, repr=False)
class ToolResult(Plain):
    """What a call came to.

    Attributes:
        tool: Name of the tool.
        args_summary: Arguments as a person reads them in one line.
        data: What the tool returned; None after an error.
        error: Why it failed, or None.
        error_detail: The same, structured.
        duration_ms: Milliseconds the tool took.
        result_key: Where a registry stored the whole result, if it did.
        call_id: The call this answers.
    """

    tool: str
    args_summary: str
    data: Any
    error: str | None = None
    error_detail: ToolError | None = None
    duration_ms: float = 0.0
    result_key: str | None = None
    call_id: str | None = None

    @property
    def error_message(self) -> str | None:
        """The error text, or None."""
        return self.error

    @property
    def error_kind(self) -> ErrorKind | None:
        """The sort of failure; None for a success, EXECUTION where nothing better is known."""
        if self.error is None:
            return None
        return self.error_detail.kind if self.error_detail else ErrorKind.EXECUTION

    @property
    def error_retriable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.error_detail.retriable if self.error_detail else False

    def to_dict(self) -> dict[str, Any]:
        """The short view: lists end at 20 items, text at 2,000 characters."""
        short: dict[str, Any] = {
            "tool": self.tool,
            "args": self.args_summary,
            "duration_ms": round(self.duration_ms, 1),
        }
        if self.error:
            short["error"] = self.error
            if self.error_detail:
                short["error_kind"] = self.error_detail.kind.value
                short["error_retriable"] = self.error_detail.retriable
        elif self.result_key:
            short["result_key"] = self.result_key
        if isinstance(self.data, list):
            short["total_items"] = len(self.data)
            short["data"] = self.data[:20]
        else:
            short["data"] = self.data if isinstance(self.data, dict) else _text_of(self.data)[:2000]
        return short


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Step(Frozen):
    """One tool call and its result: what the loop hands out. Never changed afterwards.

    Attributes:
        number: Position in the run, from 1.
        tool_call: What was asked for.
        tool_result: What came of it.
    """

    number: int
    tool_call: ToolCall
    tool_result: ToolResult

    def to_dict(self) -> dict[str, Any]:
        """`{"step", "call", "result"}`, with the result in its short view."""
        return {"step": self.number, "call": self.tool_call.to_dict(), "result": self.tool_result.to_dict()}

    def summary(self) -> str:
        """One line for prompts: sizes instead of contents."""
        result = self.tool_result
        data = result.data
        if result.error:
            return f"S{self.number} ✗ {result.tool}({result.args_summary}) → ERROR: {result.error[:60]}"
        line = f"S{self.number} ✓ {result.tool}({result.args_summary})"
        if isinstance(data, list):
            return f"{line} → {len(data)} items"
        if isinstance(data, dict):
            return f"{line} → {data.get('total') or data.get('total_items') or '?'}"
        return line

    def pretty(self) -> str:
        """One line for people: `#1 ✓ greet(name=Alice) → 1 keys [0ms]`."""
        result = self.tool_result
        line = f"#{self.number} {_mark(result)} {result.tool}({result.args_summary})"
        tail = _tail(result)
        if tail:
            line += f" → {tail}"
        if result.duration_ms > 0:
            line += f" [{result.duration_ms:.0f}ms]"
        return line


def _mark(result: ToolResult) -> str:
    return "✗" if result.error else "✓"


def _text_of(data: Any) -> str:
    try:
        return str(data)
    except Exception:  # of a class that cannot be shown, or of too many digits
        return f"<{type(data).__name__} that cannot be shown>"


def _tail(result: ToolResult) -> str:
    if result.error:
        return f"ERROR: {result.error[:80]}"
    data = result.data
    if isinstance(data, list):
        return f"{len(data)} items"
    if isinstance(data, dict):
        return f"{len(data)} keys"
    if data is None:
        return ""
    text = _text_of(data)
    return text if len(text) <= 60 else f"{text[:57]}..."


@runtime_checkable
class AgentState(Protocol):
    """What the loop needs of a state object; any class with these members will do."""

    steps: list[Any]
    queries_used: int

    @property
    def step_count(self) -> int:
        """Steps taken so far."""
        ...

    @property
    def budget_remaining(self) -> int:
        """Steps that may still be taken; at 0 the run ends."""
        ...

    def context_summary(self) -> str:
        """What happened lately, as text for the model."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """Facts worth showing to the model, as a dict."""
        ...


class NotGiven(int):
    """A number that stands where nobody gave one; equal to any other of its size."""


DEFAULT_MAX_STEPS: int = NotGiven(15)
"""The step budget of a run for which none is given."""


@dataclass(eq=False, repr=False)
class DefaultState(Plain):
    """The state a run has when the caller gives none: its steps and a step budget.

    Attributes:
        steps: The steps so far, newest last.
        queries_used: Calls of tools that are not `free`.
        max_steps: The step budget.
        metadata: The caller's own; shown to the model as facts.
    """

    steps: list[Any] = field(default_factory=list)
    queries_used: int = 0
    max_steps: int = DEFAULT_MAX_STEPS
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def step_count(self) -> int:
        """Steps taken so far."""
        return len(self.steps)

    @property
    def budget_remaining(self) -> int:
        """Steps that may still be taken."""
        return max(0, self.max_steps - len(self.steps))

    def context_summary(self) -> str:
        """One line for each of the last five steps."""
        return "\n".join(s.summary() if hasattr(s, "summary") else str(s) for s in self.steps[-5:])

    def snapshot(self) -> dict[str, Any]:
        """Counters and metadata; metadata wins where the names meet."""
        return {
            "step_count": self.step_count,
            "queries_used": self.queries_used,
            "budget_remaining": self.budget_remaining,
            **self.metadata,
        }


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Usage(Frozen):
    """Tokens of one or more model calls, as the provider counted them.

    Attributes:
        input_tokens: All tokens sent, cached ones included.
        output_tokens: Tokens written by the model.
        cached_tokens: The part of `input_tokens` that came from the provider's prompt cache.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )

    def to_dict(self) -> dict[str, int]:
        """The three counts as a dict."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
        }


StopReason: TypeAlias = Literal["end_turn", "tool_use", "max_tokens", "refusal"] | str
"""Why a model stopped writing, in one spelling for all providers."""


@dataclass(slots=True, eq=False, repr=False)
class ChatReply(Plain):
    """A model's turn in a message thread.

    Attributes:
        blocks: `text` and `tool_use` blocks, in the order the model wrote them.
        stop_reason: `end_turn`, `tool_use`, `max_tokens`, `refusal`, or the provider's own word.
        model: The model that answered, as the provider names it.
        usage: Tokens, or None where the provider does not say.
        attempts: Requests it took, where the backend retries by itself; replies may be equal in spite of it.
    """

    blocks: list[Block]
    stop_reason: StopReason | None = None
    model: str = ""
    usage: Usage | None = None
    attempts: int = field(default=1, compare=False, repr=False)

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        if len(self.blocks) == 1:
            block = self.blocks[0]
            text = block.get("text") if block.get("type") == "text" else ""
            return text if isinstance(text, str) else ""
        texts = [b.get("text") for b in self.blocks if b.get("type") == "text"]
        return "".join([text for text in texts if isinstance(text, str)])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Capabilities(Frozen):
    """What a backend can do; asked once when a run starts.

    Attributes:
        chat: It has `chat`, so the loop sends message threads.
        native_tools: It has `generate_with_tools`.
        stream: `chat` takes `on_chunk`, a callable that receives text as it is written.
        own_retries: It retries by itself, so the loop must not do it again.
        timeout: Its methods take `timeout_s`.
        provider: Who runs the model, such as `openai`; empty where it does not say.
        model: The model that it asks; empty where it does not say.
    """

    chat: bool = False
    native_tools: bool = False
    stream: bool = False
    own_retries: bool = False
    timeout: bool = False
    provider: str = ""
    model: str = ""


@runtime_checkable
class LLMBackend(Protocol):
    """The least a model backend offers: text in, text out."""

    def generate(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> str:
        """The model's answer to one prompt."""
        ...


@runtime_checkable
class NativeToolBackend(Protocol):
    """A backend that gives tool calls as blocks, still for a single prompt."""

    def generate_with_tools(
        self,
        prompt: str,
        *,
        tools: list[dict[str, Any]],
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
    ) -> list[Block]:
        """The model's answer as `text` and `tool_use` blocks.

        Args:
            tools: `{"name", "description", "input_schema"}` for each tool.
        """
        ...


@runtime_checkable
class ChatBackend(Protocol):
    """A backend that takes a true message thread."""

    def chat(
        self,
        messages: list[ThreadMessage],
        *,
        tools: list[dict[str, Any]],
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
    ) -> ChatReply:
        """The model's next turn.

        Args:
            messages: The thread so far; roles alternate and each `tool_use` block is answered by one
                `tool_result` block in the message after it.
            tools: `{"name", "description", "input_schema"}` for each tool; may be empty.
        """
        ...


def capabilities_of(backend: object) -> Capabilities:
    """What *backend* can do: its own `capabilities()` where its class has one, else read off its class.

    The class is asked and never the instance, because a wrapper or a mock answers yes to every
    attribute of its instances.
    """
    kind = type(backend)
    if callable(getattr(kind, "capabilities", None)):
        answer = backend.capabilities()  # type: ignore[attr-defined]
        if isinstance(answer, Capabilities):
            return answer
    native = callable(getattr(kind, "generate_with_tools", None))
    return _BY_METHODS[callable(getattr(kind, "chat", None)), native]


_BY_METHODS = {
    (chat, native): Capabilities(chat=chat, native_tools=native)
    for chat in (True, False)
    for native in (True, False)
}


Prices: TypeAlias = Mapping[str, "ModelPrice"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ModelPrice(Frozen):
    """US dollars for a million tokens of one model.

    Attributes:
        input: For tokens sent and not cached.
        output: For tokens written.
        cached: For tokens read from the prompt cache; None means the input price.
    """

    input: float
    output: float
    cached: float | None = None

    def cost(self, usage: Usage) -> float:
        """US dollars for *usage*."""
        cached_price = self.input if self.cached is None else self.cached
        fresh = max(0, usage.input_tokens - usage.cached_tokens)  # not every provider counts cached ones in
        return (
            fresh * self.input + usage.cached_tokens * cached_price + usage.output_tokens * self.output
        ) / 1e6
