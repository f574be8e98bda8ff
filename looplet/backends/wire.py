"""What the providers' wires have in common: the question, how a reply is judged, and arguments of calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from looplet.errors import ModelError
from looplet.parse.decode import MAX_DEPTH, Unreadable, exactly
from looplet.types import Block, ChatReply, ErrorKind, ThreadMessage
from looplet.values import bounded, dumps, plain

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")

RAW_ARGUMENTS = "_raw_arguments"
"""Key under which the arguments of a call stand that are no JSON object, or one that cannot be stored."""


@dataclass(frozen=True, slots=True)
class Question:
    """One model call, the same for every provider.

    Attributes:
        content: A prompt, or a message thread.
        model: Name of the model.
        max_tokens: Longest reply.
        system_prompt: Instructions, or `""`.
        temperature: As given.
        tools: `{"name", "description", "input_schema"}` for each tool; empty means none.
        cache_breakpoints: Parts of the request that the provider may cache; objects with a `label`.
    """

    content: str | Sequence[ThreadMessage]
    model: str
    max_tokens: int
    system_prompt: str = ""
    temperature: float = 0.2
    tools: Sequence[Json] = ()
    cache_breakpoints: Sequence[object] = ()


class Gatherer(Protocol):
    """Puts a streamed reply together."""

    def feed(self, event: Any) -> str:
        """Take one event; gives the text that it adds, often `""`."""
        ...

    def reply(self) -> ChatReply:
        """The whole reply, once the stream has ended.

        Raises:
            ModelError: The stream ended before the reply was complete.
        """
        ...


class Wire(Protocol):
    """One provider's way to write a request and to read a reply. Pure: nothing is sent here."""

    streaming: Mapping[str, Any]
    """Arguments that turn a request into one for a stream."""

    instead: Mapping[str, str | None]
    """Request fields that some models refuse, and the field to send instead (None: leave it out)."""

    def endpoint(self, client: Any) -> Any:
        """The client's method that takes a request."""
        ...

    def adapted(self, method: Any) -> Any:
        """*method*, so that it takes the request as we write it."""
        ...

    def request(self, question: Question) -> Json:
        """Arguments for the endpoint."""
        ...

    def reply(self, raw: Any) -> ChatReply:
        """What a raw reply says.

        Raises:
            ModelError: It says nothing at all.
        """
        ...

    def gatherer(self) -> Gatherer:
        """A fresh one, for one stream."""
        ...


def arguments_of(raw: object, *, cut: bool) -> Json:
    """The `input` of a call, and its mark where it was cut off, as keys for its block.

    Args:
        raw: Arguments as JSON text; or already decoded.
        cut: Whether the reply was cut off while this call was being written.
    """
    if isinstance(raw, Mapping):
        given = dict(raw)
        return {"input": given if plain(given, MAX_DEPTH + 1) else {RAW_ARGUMENTS: dumps(given)}}
    text = raw if isinstance(raw, str) else "" if raw is None else dumps(raw)
    if not cut and text.strip() in ("", "null"):  # what some models write for a tool without parameters
        return {"input": {}}
    try:
        decoded = exactly(text.strip())
    except (Unreadable, RecursionError):
        decoded = None
    if decoded is not None:
        return {"input": decoded}
    broken: Json = {"input": {RAW_ARGUMENTS: text}}
    return {**broken, "truncated": True} if cut else broken


def lenient(blocks: Sequence[Block]) -> list[Block]:
    """*blocks* with `{}` for arguments that are JSON but no object, as `generate_with_tools` gives them."""
    return [_without_odd_json(block) if block["type"] == "tool_use" else block for block in blocks]


def _without_odd_json(block: Block) -> Block:
    raw = block["input"].get(RAW_ARGUMENTS) if set(block["input"]) == {RAW_ARGUMENTS} else None
    if not isinstance(raw, str) or block.get("truncated"):
        return block
    try:
        is_object = isinstance(json.loads(raw), dict)  # and one that cannot be stored
    except (ValueError, RecursionError):
        return block
    return block if is_object else {**block, "input": {}}


def whole_number(value: object) -> int:
    """*value* where it is a count, else 0: a fake reply may hold anything."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def text_or(value: object, default: str = "") -> str:
    """*value* where it is text, else *default*."""
    return value if isinstance(value, str) else default


def items(value: object) -> list[Any]:
    """*value* where it is a list, else an empty one."""
    return list(value) if isinstance(value, (list, tuple)) else []


def calls_in(blocks: Sequence[Block]) -> bool:
    """Whether *blocks* ask for a tool."""
    return any(block["type"] == "tool_use" for block in blocks)


def judged(reply: ChatReply) -> ChatReply:
    """*reply*, if it says something.

    Raises:
        ModelError: The model declined, a filter held its reply back, or it is empty.
    """
    if reply.stop_reason == "refusal":
        raise _unusable(
            f"the model refused to answer: {reply.text or 'it gave no reason'}", ErrorKind.VALIDATION
        )
    if reply.stop_reason == "content_filter":
        raise _unusable("the provider's content filter held the reply back", ErrorKind.VALIDATION)
    if reply.text.strip() or calls_in(reply.blocks):
        return reply
    if reply.stop_reason == "max_tokens":
        raise _unusable("the model used up max_tokens before it wrote anything; raise max_tokens")
    raise _unusable(f"the reply has no content (stop reason: {reply.stop_reason})")


def no_reply(raw: object, what: str) -> ModelError:
    """The error for a raw reply that lacks *what*."""
    seen, said = "", getattr(raw, "error", None)
    if isinstance(raw, str):
        seen = f"; it is text, so check the base URL: {raw[:200]!r}"
    elif isinstance(said, (str, dict)):
        seen = f"; it says: {bounded(dumps(said), 500)}"
    return _unusable(f"the provider's reply has no {what}{seen}")


def understood(read: Callable[[Any], T], said: object) -> T:
    """What *read* makes of a reply or of an event of one.

    Raises:
        ModelError: It is not shaped as the provider's API says.
    """
    try:
        return read(said)
    except (AttributeError, LookupError, TypeError) as problem:
        text = f"the provider's reply has not the shape that its API says: {problem}"
        raise _unusable(text, ErrorKind.PARSE) from problem


def cut_off() -> ModelError:
    """The error for a stream that ended too early."""
    return ModelError(
        "the stream ended before the reply was complete", kind=ErrorKind.NETWORK, retriable=True
    )


def _unusable(text: str, kind: ErrorKind = ErrorKind.EXECUTION) -> ModelError:
    return ModelError(text, kind=kind, status=200)
