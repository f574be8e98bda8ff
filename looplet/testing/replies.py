"""What a scripted model can be told to say: text, tool calls, text in pieces, or a failure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looplet.errors import ConfigError, ModelError
from looplet.types import Block, ChatReply, ErrorKind


@dataclass(frozen=True, slots=True)
class Calls:
    """A turn that asks for tools; made by `call` and `calls`.

    Attributes:
        wanted: `(tool name, arguments)` of each call, in order.
        text: What the model says before it calls.
    """

    wanted: tuple[tuple[str, Mapping[str, Any]], ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Chunks:
    """A text turn that is streamed in these pieces; made by `chunks`."""

    parts: tuple[str, ...]


def call(tool: str, /, **args: Any) -> Calls:
    """A turn that calls *tool* with *args*: `call("search", q="x")`."""
    return Calls(((tool, args),))


def calls(*several: Calls, text: str = "") -> Calls:
    """A turn that makes several calls at once: `calls(call("a"), call("b"), text="Both.")`."""
    return Calls(tuple(one for each in several for one in each.wanted), text)


def chunks(*parts: str) -> Chunks:
    """A text turn; a caller that listens with `on_chunk` hears it in these pieces."""
    return Chunks(parts)


def rate_limit(retry_after_s: float | None = None) -> ModelError:
    """The failure of a provider that wants fewer requests (HTTP 429)."""
    return ModelError(
        "HTTP 429: too many requests",
        kind=ErrorKind.RATE_LIMIT,
        status=429,
        retriable=True,
        retry_after_s=retry_after_s,
    )


def timeout() -> ModelError:
    """The failure of a model that did not answer in time."""
    return ModelError("the model did not answer in time", kind=ErrorKind.TIMEOUT, retriable=True)


def overflow() -> ModelError:
    """The failure of a request that is longer than the model's context window (HTTP 400)."""
    return ModelError(
        "HTTP 400: context_length_exceeded: the request is longer than the context window",
        kind=ErrorKind.CONTEXT_OVERFLOW,
        status=400,
    )


def server_error(status: int = 500) -> ModelError:
    """The failure of a provider that broke down (HTTP *status*, 500 to 599)."""
    return ModelError(f"HTTP {status}: server error", kind=ErrorKind.NETWORK, status=status, retriable=True)


def bad_request(message: str = "bad request", status: int = 400) -> ModelError:
    """The failure of a request that can never succeed (HTTP *status*, 400 to 499)."""
    kind = ErrorKind.PERMISSION_DENIED if status in (401, 403) else ErrorKind.VALIDATION
    return ModelError(f"HTTP {status}: {message}", kind=kind, status=status)


def as_chat_reply(reply: object, *, first_id: int) -> ChatReply:
    """*reply* as the turn of a thread.

    Args:
        reply: Text, `Calls`, `Chunks`, a list of blocks, or a `ChatReply`, which is handed through.
        first_id: Number in the id of the first tool call: `call_1` for 1.

    Raises:
        ConfigError: *reply* is none of these.
    """
    if isinstance(reply, ChatReply):
        return reply
    blocks = _blocks(reply, first_id)
    asks = any(block.get("type") == "tool_use" for block in blocks)
    return ChatReply(blocks, stop_reason="tool_use" if asks else "end_turn", model="scripted")


def _blocks(reply: object, first_id: int) -> list[Block]:
    if isinstance(reply, str):
        return [{"type": "text", "text": reply}]
    if isinstance(reply, Chunks):
        return [{"type": "text", "text": "".join(reply.parts)}]
    if isinstance(reply, Calls):
        said: list[Block] = [{"type": "text", "text": reply.text}] if reply.text else []
        return said + [
            {"type": "tool_use", "id": f"call_{number}", "name": name, "input": dict(args)}
            for number, (name, args) in enumerate(reply.wanted, first_id)
        ]
    if isinstance(reply, list) and all(isinstance(block, dict) for block in reply):
        return list(reply)
    raise ConfigError(
        f"a scripted model cannot say {reply!r}. Give replies one by one, each of them text, call(...), "
        "calls(...), chunks(...), a list of block dicts, a ChatReply, an exception, or a function of the "
        "request; for several calls in one turn use calls(call(...), call(...))"
    )


def as_text(blocks: Sequence[Block]) -> str:
    """*blocks* in the text protocol: tool calls as the JSON the loop reads, else the plain text."""
    wanted = [{"tool": b["name"], "args": b["input"]} for b in blocks if b.get("type") == "tool_use"]
    said = "".join(b.get("text", "") for b in blocks if b.get("type") == "text")
    if not wanted:
        return said
    if said:
        wanted[0]["reasoning"] = said
    return json.dumps(wanted[0] if len(wanted) == 1 else {"tools": wanted})
