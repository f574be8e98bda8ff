"""How the local provider writes a model's turn in each provider's own form: JSON bodies and SSE events."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from looplet.testing.misbehave import Status
from looplet.testing.provider_script import Json, ProviderRequest
from looplet.testing.replies import Calls, Chunks, as_chat_reply
from looplet.types import Block, ChatReply, Usage

CREATED = 1_700_000_000
"""The time stamp of every reply: seconds since the epoch, always the same."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A model's turn, ready to be written.

    Attributes:
        reply: What the model says, with its usage.
        parts: The pieces in which its text is streamed.
        key: 12 hex characters made from the request: the same request gets the same ids.
        body: The request's JSON.
    """

    reply: ChatReply
    parts: tuple[str, ...]
    key: str
    body: Json

    @property
    def model(self) -> str:
        """Name of the model that answers: the one that was asked for."""
        return str(self.body.get("model", "local"))

    @property
    def usage(self) -> Usage:
        """Tokens of the turn: the reply's own, else a quarter of the characters."""
        if self.reply.usage is not None:
            return self.reply.usage
        return Usage(len(json.dumps(self.body)) // 4, max(1, len(json.dumps(self.reply.blocks)) // 4))

    @property
    def calls(self) -> list[Block]:
        """The tool calls."""
        return [block for block in self.reply.blocks if block.get("type") == "tool_use"]

    @property
    def refusal(self) -> str | None:
        """The text with which the model declines, or None."""
        return self.reply.text if self.reply.stop_reason == "refusal" else None


def turn_of(reply: object, request: ProviderRequest, key: str) -> Turn:
    """*reply* as a turn with ids made from *key*, in answer to *request*.

    Raises:
        ConfigError: It is nothing a model can say.
    """
    said = as_chat_reply(reply, first_id=1)
    if isinstance(reply, Calls):
        prefix = "toolu" if request.endpoint == "messages" else "call"
        numbered = iter(range(1, len(said.blocks) + 1))
        blocks = [
            {**block, "id": f"{prefix}_{key}_{next(numbered)}"} if block["type"] == "tool_use" else block
            for block in said.blocks
        ]
        said = ChatReply(blocks, said.stop_reason, said.model, said.usage)
    if isinstance(reply, Chunks):
        parts = reply.parts
    else:
        words = said.text.split(" ")
        parts = tuple(part for part in (*(f"{word} " for word in words[:-1]), words[-1]) if part)
    return Turn(said, parts, key, request.body)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One endpoint's way of writing.

    Attributes:
        body: The whole reply as JSON.
        events: The reply as SSE events, each with its blank line.
        error: An HTTP error as JSON.
        request_id_header: Header that carries the id of the request.
    """

    body: Callable[[Turn], Json]
    events: Callable[[Turn], Iterator[str]]
    error: Callable[[Status, str], Json]
    request_id_header: str = "x-request-id"


def _arguments(block: Block) -> str:
    raw = block["input"].get("_raw_arguments")
    return raw if isinstance(raw, str) else json.dumps(block["input"])


def _halves(text: str) -> tuple[str, ...]:
    middle = len(text) // 2
    return tuple(part for part in (text[:middle], text[middle:]) if part)


def _event(data: Json, name: str = "") -> str:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n"


# ------------------------------------------------------------------ OpenAI, chat completions

_FINISH = {"end_turn": "stop", "refusal": "stop", "tool_use": "tool_calls", "max_tokens": "length"}


def _openai_usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
    }


def _openai_call(block: Block, arguments: str) -> Json:
    return {
        "id": block["id"],
        "type": "function",
        "function": {"name": block["name"], "arguments": arguments},
    }


def chat_completion(turn: Turn) -> Json:
    """A `chat.completion` object."""
    text = "" if turn.refusal is not None else turn.reply.text
    message: Json = {"role": "assistant", "content": text or None, "refusal": turn.refusal}
    if turn.calls:
        message["tool_calls"] = [_openai_call(block, _arguments(block)) for block in turn.calls]
    stop = turn.reply.stop_reason or "end_turn"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH.get(stop, stop)}
    return {
        "id": f"chatcmpl-{turn.key}",
        "object": "chat.completion",
        "created": CREATED,
        "model": turn.model,
        "choices": [] if stop == "no_choices" else [choice],
        "usage": _openai_usage(turn.usage),
        "system_fingerprint": "fp_local",
    }


def _chat_deltas(turn: Turn) -> Iterator[Json]:
    yield {"role": "assistant", "content": ""}
    field = "refusal" if turn.refusal is not None else "content"
    for part in turn.parts:
        yield {field: part}
    for index, block in enumerate(turn.calls):
        yield {"tool_calls": [{"index": index, **_openai_call(block, "")}]}
        for part in _halves(_arguments(block)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


def chat_completion_chunks(turn: Turn) -> Iterator[str]:
    """The same as `chat.completion.chunk` events, the usage last if it was asked for."""
    whole = chat_completion(turn)
    head = {**whole, "object": "chat.completion.chunk", "usage": None}
    if whole["choices"]:
        for delta in _chat_deltas(turn):
            yield _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        finish = whole["choices"][0]["finish_reason"]
        yield _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if (turn.body.get("stream_options") or {}).get("include_usage"):
        yield _event({**head, "choices": [], "usage": whole["usage"]})
    yield "data: [DONE]\n\n"


def openai_error(error: Status, key: str) -> Json:
    """An error as OpenAI writes it."""
    kind = "server_error" if error.code >= 500 else "invalid_request_error"
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.error_code}}


# ------------------------------------------------------------------ OpenAI, responses


def response_object(turn: Turn) -> Json:
    """A `response` object."""
    output: list[Json] = []
    if turn.reply.text:
        kind = "refusal" if turn.refusal is not None else "text"
        content: Json = {"type": f"output_{kind}" if kind == "text" else kind, kind: turn.reply.text}
        if kind == "text":
            content["annotations"] = []
        output.append(
            {
                "id": f"msg_{turn.key}",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [content],
            }
        )
    output += [
        {
            "id": f"fc_{block['id']}",
            "type": "function_call",
            "status": "completed",
            "call_id": block["id"],
            "name": block["name"],
            "arguments": _arguments(block),
        }
        for block in turn.calls
    ]
    return _response(turn, output, "incomplete" if turn.reply.stop_reason == "max_tokens" else "completed")


def _response(turn: Turn, output: list[Json], state: str) -> Json:
    usage = turn.usage
    return {
        "id": f"resp_{turn.key}",
        "object": "response",
        "created_at": CREATED,
        "status": state,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if state == "incomplete" else None,
        "instructions": turn.body.get("instructions"),
        "model": turn.model,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": turn.body.get("tools", []),
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.total_tokens,
        },
    }


def response_events(turn: Turn) -> Iterator[str]:
    """The same as SSE events: created, text deltas, finished items, completed."""
    whole = response_object(turn)
    events: list[Json] = [{"type": "response.created", "response": _response(turn, [], "in_progress")}]
    for index, item in enumerate(whole["output"]):
        where = {"item_id": item["id"], "output_index": index}
        events.append({"type": "response.output_item.added", "output_index": index, "item": item})
        if item["type"] == "message":
            delta = {"type": "response.output_text.delta", "content_index": 0, **where}
            events += [{**delta, "delta": part} for part in turn.parts]
        else:
            done = {"type": "response.function_call_arguments.done", "name": item["name"]}
            events.append({**done, "arguments": item["arguments"], **where})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": f"response.{whole['status']}", "response": whole})
    for number, event in enumerate(events):
        yield _event({**event, "sequence_number": number}, event["type"])


# ------------------------------------------------------------------ OpenAI, embeddings


def embeddings(body: Json) -> Json:
    """A list of embeddings: eight numbers for each input, made from its text."""
    given = body.get("input", "")
    inputs = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    as_base64 = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(inputs):
        digest = hashlib.sha256(json.dumps(text).encode()).digest()
        vector = [round(byte / 255 - 0.5, 6) for byte in digest[:8]]
        packed = base64.b64encode(struct.pack("<8f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": packed if as_base64 else vector})
    tokens = max(1, len(json.dumps(inputs)) // 4)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.get("model", "local"), "usage": usage}


# ------------------------------------------------------------------ Anthropic, messages


def _anthropic_usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }


def message_object(turn: Turn) -> Json:
    """A `message` object."""
    stop = turn.reply.stop_reason or "end_turn"
    silent = stop in ("no_choices", "content_filter", "refusal")
    content = [] if silent else [_anthropic_block(block) for block in turn.reply.blocks]
    return {
        "id": f"msg_{turn.key}",
        "type": "message",
        "role": "assistant",
        "model": turn.model,
        "content": content,
        "stop_reason": {"no_choices": "end_turn", "content_filter": "refusal"}.get(stop, stop),
        "stop_sequence": None,
        "usage": _anthropic_usage(turn.usage),
    }


def _anthropic_block(block: Block) -> Block:
    if block.get("type") == "tool_use" and "_raw_arguments" in block["input"]:
        return {**block, "input": {}}
    return block


def message_events(turn: Turn) -> Iterator[str]:
    """The same as Anthropic's SSE events."""
    whole = message_object(turn)
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield _event({"type": "message_start", "message": start}, "message_start")
    yield _event({"type": "ping"}, "ping")
    for index, block in enumerate(turn.reply.blocks if whole["content"] else []):
        yield from _block_events(index, block, turn.parts)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    used = {"output_tokens": whole["usage"]["output_tokens"]}
    yield _event({"type": "message_delta", "delta": delta, "usage": used}, "message_delta")
    yield _event({"type": "message_stop"}, "message_stop")


def _block_events(index: int, block: Block, parts: tuple[str, ...]) -> Iterator[str]:
    if block.get("type") == "tool_use":
        empty = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": p} for p in ("", *_halves(_arguments(block)))]
    else:
        empty = {**block, "text": ""}
        whole = "".join(parts) == block.get("text")
        pieces = parts if whole else (block.get("text", ""),)
        deltas = [{"type": "text_delta", "text": part} for part in pieces]
    yield _event(
        {"type": "content_block_start", "index": index, "content_block": empty}, "content_block_start"
    )
    for delta in deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
    yield _event({"type": "content_block_stop", "index": index}, "content_block_stop")


_ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def anthropic_error(error: Status, key: str) -> Json:
    """An error as Anthropic writes it."""
    kind = _ANTHROPIC_ERRORS.get(error.code, "api_error")
    message = f"{error.param}: {error.message}" if error.param else error.message
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{key}"}


DIALECTS = {
    "chat/completions": Dialect(chat_completion, chat_completion_chunks, openai_error),
    "responses": Dialect(response_object, response_events, openai_error),
    "messages": Dialect(message_object, message_events, anthropic_error, "request-id"),
}
"""Endpoint after `/v1/`, and how it writes."""
