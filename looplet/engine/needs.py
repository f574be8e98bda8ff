"""What the engine asks of the world: a driver does it and sends back what came of it.

| need | what the driver sends back |
|---|---|
| `Ask` | a `ChatReply`, or a `ModelError` |
| `Wait` | nothing, after the seconds or when the run is cancelled |
| `RunTools` | one `ToolResult` for each call, in order |
| `Compact` | a `CompactOutcome` |
| `Save` | nothing, once the record is durable |
| `HandOut` | nothing, when the consumer asks for the next step |
| `Resolve` | what the awaitable gives |

`Leave` goes the other way: a driver throws it into the engine when the consumer is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from looplet.engine.observe import Request
from looplet.types import CancelToken, Step, ToolCall, ToolContext


class Ask(NamedTuple):
    """Call the model once.

    Attributes:
        llm: The backend to call.
        request: What to send.
        timeout_s: Seconds until the call counts as hung, or None.
        cancel_token: Handed to backends that name it.
        on_chunk: Receives text as the model writes it, for backends that stream; or None.
    """

    llm: object
    request: Request
    timeout_s: float | None = None
    cancel_token: CancelToken | None = None
    on_chunk: Callable[[str], None] | None = None


class Wait(NamedTuple):
    """Let *seconds* pass, less if *cancel_token* is cancelled."""

    seconds: float
    cancel_token: CancelToken | None = None


class RunTools(NamedTuple):
    """Run this call, or these at once where their tools allow it.

    Attributes:
        calls: The calls, in the order of their results.
        contexts: One `ToolContext` or None for each call.
        run: Whose calls they are, for tools that start a run of their own.
    """

    calls: Sequence[ToolCall]
    contexts: Sequence[ToolContext | None]
    run: Any = None


class Compact(NamedTuple):
    """Run a piece of work that may block or call the model: a compaction."""

    work: Callable[[], Any]


class Save(NamedTuple):
    """Make something durable; returns when it is."""

    work: Callable[[], None]


class HandOut(NamedTuple):
    """Give the step to the consumer."""

    step: Step


class Resolve(NamedTuple):
    """Wait for what a hook returned."""

    awaitable: Awaitable[Any]


Need: TypeAlias = Ask | Wait | RunTools | Compact | Save | HandOut | Resolve


class Leave(BaseException):
    """The consumer is gone: end the run through its one door, hand out nothing more."""
