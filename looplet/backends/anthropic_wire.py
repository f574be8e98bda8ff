"""Anthropic's messages: requests from questions, replies from what came back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from looplet.backends.thread import mended
from looplet.backends.wire import (
    Json,
    Question,
    arguments_of,
    cut_off,
    no_reply,
    text_or,
    whole_number,
)
from looplet.types import Block, ChatReply, ThreadMessage, Usage


class AnthropicWire:
    """Reads and writes `messages`."""

    streaming: Mapping[str, Any] = {"stream": True}
    instead: Mapping[str, str | None] = {"temperature": None}

    def endpoint(self, client: Any) -> Any:
        """`client.messages.create`."""
        return client.messages.create

    def adapted(self, method: Any) -> Any:
        """*method*, so that `temperature` reaches the provider also where the SDK has no such parameter."""
        if _takes_temperature(getattr(method, "__func__", method)):
            return method

        def send(**request: Any) -> Any:
            body = {"temperature": request.pop("temperature")} if "temperature" in request else None
            return method(**request, extra_body=body)

        return send

    def request(self, question: Question) -> Json:
        """Arguments for `create`."""
        marks = _Marks(question.cache_breakpoints)
        request: Json = {
            "model": question.model,
            "messages": _messages(question.content, marks),
            "max_tokens": question.max_tokens,
            "temperature": question.temperature,
        }
        if question.system_prompt:
            request["system"] = marks.system(question.system_prompt)
        if question.tools:
            request["tools"] = marks.tools(question.tools)
        return request

    def reply(self, raw: Any) -> ChatReply:
        """What a `message` says."""
        content = getattr(raw, "content", None)
        if not isinstance(content, (list, tuple)):
            raise no_reply(raw, "content")
        stop = text_or(getattr(raw, "stop_reason", None))
        blocks = [
            block
            for number, part in enumerate(content, 1)
            if (block := _block(part, cut=stop == "max_tokens" and number == len(content)))
        ]
        return ChatReply(
            blocks, stop or None, text_or(getattr(raw, "model", None)), _usage(getattr(raw, "usage", None))
        )

    def gatherer(self) -> AnthropicGatherer:
        """Puts the events of a stream together."""
        return AnthropicGatherer()


@lru_cache(maxsize=64)
def _takes_temperature(method: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return True
    return "temperature" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


class AnthropicGatherer:
    """A reply that comes as `message_start`, `content_block_*` and `message_delta` events."""

    def __init__(self) -> None:
        self._parts: dict[int, Json] = {}
        self._stop = ""
        self._ended = False
        self._model = ""
        self._usage: Usage | None = None

    def feed(self, event: Any) -> str:
        """Take one event; gives the text in it."""
        kind = getattr(event, "type", "")
        if kind == "message_start":
            self._model = text_or(event.message.model)
            self._usage = _usage(event.message.usage)
        elif kind == "content_block_start":
            self._start(event.index, event.content_block)
        elif kind == "content_block_delta":
            return self._add(self._parts[event.index], event.delta)
        elif kind == "message_delta":
            self._stop = text_or(event.delta.stop_reason) or self._stop
            written = whole_number(getattr(event.usage, "output_tokens", None))
            self._usage = Usage(0, written) + _sent(self._usage)
        elif kind == "message_stop":
            self._ended = True
        return ""

    def _start(self, index: int, block: Any) -> None:
        part: Json = {"type": block.type, "text": text_or(getattr(block, "text", None)), "json": ""}
        if block.type == "tool_use":
            part.update(id=text_or(block.id), name=text_or(block.name), given=block.input)
        self._parts[index] = part

    def _add(self, part: Json, delta: Any) -> str:
        text = text_or(getattr(delta, "text", None)) if delta.type == "text_delta" else ""
        part["text"] += text
        if delta.type == "input_json_delta":
            part["json"] += delta.partial_json or ""
        return text

    def reply(self) -> ChatReply:
        """The whole reply."""
        if not (self._ended or self._stop):
            raise cut_off()
        parts = [part for _, part in sorted(self._parts.items())]
        blocks: list[Block] = []
        for number, part in enumerate(parts, 1):
            if part["type"] == "text" and part["text"]:
                blocks.append({"type": "text", "text": part["text"]})
            elif part["type"] == "tool_use":
                cut = self._stop == "max_tokens" and number == len(parts)
                # Some servers give them whole when the block starts.
                whole = "" if cut else part["given"] or ""
                arguments = arguments_of(part["json"] or whole, cut=cut)
                blocks.append({"type": "tool_use", "id": part["id"], "name": part["name"], **arguments})
        return ChatReply(blocks, self._stop or None, self._model, self._usage)


def _block(part: Any, *, cut: bool) -> Block | None:
    kind = getattr(part, "type", None)
    if kind == "tool_use":
        arguments = arguments_of(part.input, cut=cut)
        # Whole replies carry what was decoded so far, which cannot be told from what was meant.
        mark = {"truncated": True} if cut else {}
        return {"type": "tool_use", "id": text_or(part.id), "name": text_or(part.name), **arguments, **mark}
    text = getattr(part, "text", None)
    spoken = isinstance(text, str) and (kind == "text" or not isinstance(kind, str))
    return {"type": "text", "text": text} if spoken else None


def _usage(raw: Any) -> Usage | None:
    fresh = getattr(raw, "input_tokens", None)
    if not isinstance(fresh, int):
        return None
    read = whole_number(getattr(raw, "cache_read_input_tokens", None))
    written = whole_number(getattr(raw, "cache_creation_input_tokens", None))
    return Usage(fresh + read + written, whole_number(getattr(raw, "output_tokens", None)), read)


def _sent(usage: Usage | None) -> Usage:
    return Usage(usage.input_tokens, 0, usage.cached_tokens) if usage else Usage()


class _Marks:
    """Cache markers for the parts that the caller names by label."""

    def __init__(self, breakpoints: Sequence[object]) -> None:
        self.labels = {getattr(point, "label", None) for point in breakpoints}
        long = any(getattr(getattr(p, "control", None), "ttl", None) == "1h" for p in breakpoints)
        # A longer life must not come after a shorter one, so the parts in front share the longest.
        self._front: Json = {"type": "ephemeral", "ttl": "1h"} if long else {"type": "ephemeral"}

    def system(self, text: str) -> str | list[Json]:
        """The system prompt, marked if it is to be cached."""
        if "system_prompt" not in self.labels:
            return text
        return [{"type": "text", "text": text, "cache_control": self._front}]

    def tools(self, tools: Sequence[Json]) -> list[Json]:
        """The tools, the last one marked if they are to be cached."""
        if "tool_schemas" not in self.labels:
            return list(tools)
        return [*tools[:-1], {**tools[-1], "cache_control": self._front}]

    def thread(self, turns: list[ThreadMessage]) -> list[ThreadMessage]:
        """The thread, marked where its lasting part ends: text after tool results is new each time."""
        if not self.labels or not turns:
            return turns
        *before, last = turns
        blocks = list(last["content"])
        results = [number for number, block in enumerate(blocks) if block["type"] == "tool_result"]
        end = results[-1] if results else len(blocks) - 1
        blocks[end] = {**blocks[end], "cache_control": {"type": "ephemeral"}}
        return [*before, {**last, "content": blocks}]


def _messages(content: str | Sequence[ThreadMessage], marks: _Marks) -> list[ThreadMessage]:
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    turns = [{**turn, "content": [_plain(block) for block in turn["content"]]} for turn in mended(content)]
    return marks.thread(turns)


def _plain(block: Block) -> Block:
    """*block* without the marks that are ours."""
    return (
        {key: value for key, value in block.items() if key != "truncated"} if "truncated" in block else block
    )
