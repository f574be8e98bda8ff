"""A run told by its traffic: what was sent to a model's provider and what came back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looplet.errors import TraceError
from looplet.trajectory.call import RecordedCall, prompt_text
from looplet.trajectory.messages import ending, has_calls, read_steps, read_thread
from looplet.trajectory.streamed import whole_reply
from looplet.types import Block, ThreadMessage, Usage

_STOPS = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
    "completed": "end_turn",
}
_THREADS = ("messages", "input")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to a provider and its reply.

    Attributes:
        request: The body of the request.
        reply: The body of the reply: JSON, or a stream of server-sent events.
        status: HTTP status; 0 where no reply came.
        failure: What came in place of a reply, such as `ReadTimeout`.
        duration_ms: Milliseconds from request to reply.
    """

    request: Mapping[str, Any]
    reply: bytes | str = b""
    status: int = 200
    failure: str = ""
    duration_ms: float = 0.0


def read_traffic(exchanges: Iterable[Exchange]) -> dict[str, Any]:
    """The fields of a trajectory that *exchanges* tell of, in the order they were made.

    Each request to a model is a model call; requests that carry no thread of messages (embeddings, files)
    are left out. Requests that were made again after a failure are one call with several attempts. Each
    tool call in a reply is a step; its result is what a later request says it was.

    Raises:
        TraceError: A request holds a message that no known provider has.
    """
    reader = _Reader()
    for exchange in exchanges:
        if any(name in exchange.request for name in _THREADS):
            reader.read(exchange)
    return reader.fields()


@dataclass(frozen=True, slots=True)
class _Reply:
    """What a reply says, whichever provider wrote it."""

    blocks: tuple[Block, ...] = ()
    stop_reason: str | None = None
    usage: Usage | None = None
    model: str = ""
    response_id: str = ""
    error: str | None = None


@dataclass(slots=True)
class _Reader:
    calls: list[RecordedCall] = field(default_factory=list)
    thread: list[ThreadMessage] = field(default_factory=list)
    told: list[ThreadMessage] = field(default_factory=list)
    by_response: dict[str, list[ThreadMessage]] = field(default_factory=dict)
    failed: Mapping[str, Any] | None = None
    step: int = 1

    def read(self, exchange: Exchange) -> None:
        """Take the next exchange."""
        request, reply = exchange.request, _reply_of(exchange)
        system, sent = read_thread([*_system(request), *_sent(request)])
        thread = [*self.by_response.get(str(request.get("previous_response_id")), ()), *sent]
        again = self.calls.pop() if self.calls and self.failed == request else None
        kept = again.kept if again else _shared(self.thread, thread)
        call = RecordedCall(
            number=len(self.calls) + 1,
            step=self.step,
            system_prompt=system,
            kept=kept,
            added=again.added if again else tuple(thread[kept:]),
            tools=tuple(_tool_names(request)),
            max_tokens=_whole(request, "max_tokens", "max_completion_tokens", "max_output_tokens"),
            temperature=_number(request.get("temperature")),
            reply=reply.blocks,
            stop_reason=reply.stop_reason,
            model=reply.model or str(request.get("model") or ""),
            usage=reply.usage,
            duration_ms=exchange.duration_ms + (again.duration_ms if again else 0.0),
            attempts=again.attempts + 1 if again else 1,
            error=reply.error,
        )
        self.calls.append(call)
        self.thread = thread
        self.failed = request if reply.error else None
        self._tell(call, again, reply.response_id)

    def _tell(self, call: RecordedCall, again: RecordedCall | None, response_id: str) -> None:
        """Note what is new: the results that were sent, and what the model said to them."""
        if again is None:
            self.told += [message for message in call.added if message["role"] == "user"]
        if call.error is None:
            turn = {"role": "assistant", "content": list(call.reply)}
            self.told.append(turn)
            self.step += sum(block.get("type") == "tool_use" for block in call.reply)
            if response_id:
                self.by_response[response_id] = [*self.thread, turn]

    def fields(self) -> dict[str, Any]:
        """The fields of the trajectory."""
        if not self.calls:
            return {}
        error = self.calls[-1].error
        end = {"stop_reason": "llm_error", "error": error} if error else ending(self.told)
        return {
            "task": prompt_text(self.calls[0].added) or None,
            "steps": read_steps(self.told),
            "model_calls": tuple(self.calls),
            "usage": sum((call.usage for call in self.calls if call.usage), Usage()),
            "duration_ms": sum(call.duration_ms for call in self.calls),
            **end,
        }


def _system(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in ("system", "instructions"):
        if request.get(name):
            yield {"role": "system", "content": request[name]}


def _sent(request: Mapping[str, Any]) -> Sequence[Any]:
    thread = request.get("messages", request.get("input"))
    if isinstance(thread, str):
        return [{"role": "user", "content": thread}]
    return thread if isinstance(thread, list) else []


def _reply_of(exchange: Exchange) -> _Reply:
    body = exchange.reply
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    if exchange.failure or exchange.status == 0 or exchange.status >= 400:
        return _Reply(error=_failure(exchange, _json(text)))
    try:
        reply = _json(text) or whole_reply(text)
        if not isinstance(reply, dict):
            return _Reply(error="the reply cannot be read: it is no JSON object")
        blocks = _said(reply)
        return _Reply(
            blocks,
            _stop_reason(reply, blocks),
            _usage(reply.get("usage")),
            str(reply.get("model") or ""),
            str(reply.get("id") or ""),
        )
    except (AttributeError, IndexError, KeyError, TypeError, TraceError) as error:
        return _Reply(error=f"the reply cannot be read: {type(error).__name__}: {error}")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _failure(exchange: Exchange, reply: object) -> str:
    if exchange.failure or exchange.status == 0:
        return exchange.failure or "no reply came"
    told = reply.get("error") if isinstance(reply, dict) else None
    message = told.get("message") if isinstance(told, dict) else told
    return f"HTTP {exchange.status}: {message}" if message else f"HTTP {exchange.status}"


def _said(reply: Mapping[str, Any]) -> tuple[Block, ...]:
    """What the model wrote, as blocks."""
    told: list[Any] = []
    if choices := reply.get("choices"):
        told = [{**(choices[0].get("message") or {}), "role": "assistant"}]
    elif isinstance(reply.get("output"), list):
        told = [item for item in reply["output"] if item.get("type") in ("message", "function_call")]
    elif isinstance(reply.get("content"), list):
        told = [{"role": "assistant", "content": reply["content"]}]
    _, thread = read_thread(told)
    return tuple(block for message in thread for block in message["content"])


def _stop_reason(reply: Mapping[str, Any], blocks: Sequence[Block]) -> str | None:
    choices = reply.get("choices")
    reason = choices[0].get("finish_reason") if choices else reply.get("stop_reason", reply.get("status"))
    if reason == "completed" and has_calls(blocks):
        return "tool_use"
    return _STOPS.get(reason, reason) if isinstance(reason, str) else None


def _usage(usage: object) -> Usage | None:
    """Tokens, with cached ones counted as input whatever the provider's custom is."""
    if not isinstance(usage, dict) or not usage:
        return None
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    read, made = _whole(usage, "cache_read_input_tokens"), _whole(usage, "cache_creation_input_tokens")
    return Usage(
        _whole(usage, "prompt_tokens", "input_tokens") + read + made,
        _whole(usage, "completion_tokens", "output_tokens"),
        read or _whole(details, "cached_tokens"),
    )


def _whole(values: Mapping[str, Any], *names: str) -> int:
    found = (values.get(name) for name in names)
    return next((value for value in found if isinstance(value, int)), 0)


def _tool_names(request: Mapping[str, Any]) -> Iterator[str]:
    for tool in request.get("tools") or ():
        yield str(tool.get("name") or (tool.get("function") or {}).get("name") or tool.get("type") or "")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _shared(before: Sequence[ThreadMessage], after: Sequence[ThreadMessage]) -> int:
    """How many messages two threads share from the start."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(before), len(after)))
