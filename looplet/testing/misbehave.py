"""What the local provider can be told to do wrong, as replies for its script."""

from __future__ import annotations

from dataclasses import dataclass, field

from looplet.errors import ModelError
from looplet.types import ChatReply, ErrorKind


@dataclass(frozen=True, slots=True)
class Status:
    """An HTTP error reply; made by `status`.

    Attributes:
        code: HTTP status.
        message: The error's text.
        param: Field of the request that the error names, as OpenAI does.
        error_code: The error's `code` (OpenAI) or `type` (Anthropic).
        headers: Further reply headers.
    """

    code: int
    message: str
    param: str | None = None
    error_code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slow:
    """A reply that comes after a pause; made by `slow`."""

    seconds: float
    reply: object


@dataclass(frozen=True, slots=True)
class Cut:
    """A reply whose connection is closed halfway; made by `cut`."""

    reply: object


@dataclass(frozen=True, slots=True)
class Malformed:
    """A reply with status 200 whose body is not JSON; made by `malformed`."""

    body: str


@dataclass(frozen=True, slots=True)
class Never:
    """No reply at all, while the connection stays open; made by `never`."""


def status(
    code: int,
    message: str = "",
    *,
    retry_after: float | str | None = None,
    param: str | None = None,
    error_code: str | None = None,
    headers: dict[str, str] | None = None,
) -> Status:
    """An HTTP error: `status(429, retry_after=0.05)`, `status(500)`, `status(401, "wrong key")`.

    Args:
        retry_after: Value of `Retry-After`: seconds, or a date as text. A number also sets
            `retry-after-ms`, so that it may be a fraction.
    """
    given = dict(headers or {})
    if retry_after is not None:
        given["retry-after"] = str(retry_after)
        if not isinstance(retry_after, str):
            given["retry-after-ms"] = str(int(retry_after * 1000))
    return Status(code, message or f"the local provider was told to answer {code}", param, error_code, given)


def slow(seconds: float, reply: object = "late") -> Slow:
    """*reply*, after *seconds*."""
    return Slow(seconds, reply)


def cut(reply: object = "this reply will never be complete") -> Cut:
    """The first half of *reply*; then the connection is closed."""
    return Cut(reply)


def malformed(body: str = '{"id": "broken", "choices": [{"mess') -> Malformed:
    """Status 200 with *body*, which is not JSON, as the whole reply or as the only event of a stream."""
    return Malformed(body)


def never() -> Never:
    """The connection is accepted and nothing is ever sent, until the provider is closed."""
    return Never()


def refuses(field_name: str, instead: str = "") -> Status:
    """HTTP 400 that names *field_name* of the request, as a provider that does not know it answers."""
    mend = f" Use '{instead}' instead." if instead else ""
    return status(
        400,
        f"Unsupported parameter: '{field_name}' is not supported with this model.{mend}",
        param=field_name,
        error_code="unsupported_parameter",
    )


def refuses_tools() -> Status:
    """HTTP 400 that names `tools`: a model without tool calling."""
    return refuses("tools")


def too_long() -> Status:
    """HTTP 400 for a request that is longer than the context window, as a provider words it."""
    return status(
        400, "prompt is too long: 250000 tokens > 200000 maximum", error_code="context_length_exceeded"
    )


def refusal(text: str = "I can't help with that.") -> ChatReply:
    """A turn in which the model declines."""
    return ChatReply([{"type": "text", "text": text}], stop_reason="refusal")


def content_filter() -> ChatReply:
    """A turn without content that the provider's filter held back."""
    return ChatReply([], stop_reason="content_filter")


def no_choices() -> ChatReply:
    """A reply with status 200 that has no choice (OpenAI) or no content (Anthropic) in it."""
    return ChatReply([], stop_reason="no_choices")


def from_error(error: ModelError) -> object:
    """The HTTP reply that a client turns into *error* (`rate_limit()`, `timeout()` and the others)."""
    if error.kind is ErrorKind.CONTEXT_OVERFLOW:
        return too_long()
    if error.status is None:
        return never() if error.kind is ErrorKind.TIMEOUT else cut()
    return status(error.status, str(error), retry_after=error.retry_after_s)
