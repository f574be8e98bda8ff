"""What the engine asks of the world: a driver does it and sends back what came of it.

| need | what the driver sends back |
|---|---|
| `Ask` | a `ChatReply`, or a `ModelError` |
| `Wait` | nothing, after the seconds or when the run is cancelled |
| `RunTool` | its `ToolResult` |
| `RunTools` | one `ToolResult` for each call, in order |
| `Compact` | a `CompactOutcome` |
| `Save` | nothing, once the record is durable |
| a `Step` | nothing, when the consumer, to whom it was given, asks for the next one |
| `Resolve` | what the awaitable gives |

A driver that blocks lends the engine its ways to do the two that come at each step, `Ask` and `RunTool`
(`Run.at_once`): the engine then does them where they arise, and yields the others.

`Leave` goes the other way: a driver throws it into the engine when the consumer is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from looplet.types import CancelToken, Step, ToolCall, ToolContext

if TYPE_CHECKING:
    from looplet.engine.observe import Request
    from looplet.engine.run import Run


class Ask:
    """Call the model once.

    Attributes:
        llm: The backend to call.
        request: What to send.
        timeout_s: Seconds until the call counts as hung, or None.
        cancel_token: Handed to backends that name it.
        on_chunk: Receives text as the model writes it, for backends that stream; or None.
    """

    # Here and below a plain class: a named tuple takes longer to define, and to make.
    __slots__ = ("cancel_token", "llm", "on_chunk", "request", "timeout_s")

    def __init__(
        self,
        llm: object,
        request: Request,
        timeout_s: float | None,
        cancel_token: CancelToken | None,
        on_chunk: Callable[[str], None] | None,
    ) -> None:
        self.llm = llm
        self.request = request
        self.timeout_s = timeout_s
        self.cancel_token = cancel_token
        self.on_chunk = on_chunk


class Wait:
    """Let *seconds* pass, less if *cancel_token* is cancelled."""

    __slots__ = ("cancel_token", "seconds")

    def __init__(self, seconds: float, cancel_token: CancelToken | None) -> None:
        self.seconds = seconds
        self.cancel_token = cancel_token


class RunTool:
    """Run one call.

    Attributes:
        call: The call.
        context: Its `ToolContext`, or None.
        run: Whose call it is, for tools that start a run of their own.
    """

    __slots__ = ("call", "context", "run")

    def __init__(self, call: ToolCall, context: ToolContext | None, run: Run) -> None:
        self.call = call
        self.context = context
        self.run = run


class RunTools:
    """Run several calls, at once where their tools allow it.

    Attributes:
        calls: The calls, in the order of their results.
        contexts: One `ToolContext` or None for each call.
        run: Whose calls they are.
    """

    __slots__ = ("calls", "contexts", "run")

    def __init__(self, calls: Sequence[ToolCall], contexts: Sequence[ToolContext | None], run: Run) -> None:
        self.calls = calls
        self.contexts = contexts
        self.run = run


class Work:
    """A piece of work that may block."""

    __slots__ = ("work",)

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work


class Compact(Work):
    """Shorten the history, which may call the model."""

    __slots__ = ()


class Save(Work):
    """Make something durable; returns when it is."""

    __slots__ = ()


class Resolve:
    """Wait for what a hook returned."""

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable = awaitable


Need: TypeAlias = Ask | Wait | RunTool | RunTools | Compact | Save | Step | Resolve


class Leave(BaseException):
    """The consumer is gone: end the run through its one door, hand out nothing more."""
