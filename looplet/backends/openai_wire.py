"""OpenAI's chat completions: requests from questions, replies from what came back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looplet.backends.thread import mended, text_of_result
from looplet.backends.wire import (
    Json,
    Question,
    arguments_of,
    calls_in,
    cut_off,
    items,
    no_reply,
    text_or,
    whole_number,
)
from looplet.types import Block, ChatReply, ThreadMessage, Usage

_STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "function_call": "tool_use", "length": "max_tokens"}


class OpenAIWire:
    """Reads and writes `chat.completions`."""

    streaming: Mapping[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    instead: Mapping[str, str | None] = {
        "max_tokens": "max_completion_tokens",
        "temperature": None,
        "stream_options": None,
    }

    def endpoint(self, client: Any) -> Any:
        """`client.chat.completions.create`."""
        return client.chat.completions.create

    def adapted(self, method: Any) -> Any:
        """*method* as it is."""
        return method

    def request(self, question: Question) -> Json:
        """Arguments for `create`."""
        system = question.system_prompt
        request: Json = {
            "model": question.model,
            "messages": [
                *([{"role": "system", "content": system}] if system else []),
                *_messages(question.content),
            ],
            "max_tokens": question.max_tokens,
            "temperature": question.temperature,
        }
        if question.tools:
            request["tools"] = [_tool(tool) for tool in question.tools]
            request["tool_choice"] = "auto"
        return request

    def reply(self, raw: Any) -> ChatReply:
        """What a `chat.completion` says."""
        try:
            choice = raw.choices[0]
            message = choice.message
            content = message.content
        except (AttributeError, LookupError, TypeError):
            raise no_reply(raw, "choices") from None
        finish = text_or(getattr(choice, "finish_reason", None))
        calls = [
            _Call(text_or(getattr(call, "id", None)), *_named(function))
            for call in items(getattr(message, "tool_calls", None))
            if (function := getattr(call, "function", None)) is not None
        ]
        text, refusal = text_or(content), text_or(getattr(message, "refusal", None))
        return _reply(text, refusal, calls, finish, getattr(raw, "model", None), getattr(raw, "usage", None))

    def gatherer(self) -> OpenAIGatherer:
        """Puts `chat.completion.chunk` events together."""
        return OpenAIGatherer()


def _named(function: Any) -> tuple[str, object]:
    return text_or(getattr(function, "name", None)), getattr(function, "arguments", None)


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: object


class OpenAIGatherer:
    """A reply that comes as `chat.completion.chunk` events."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._finish = ""
        self._model: object = None
        self._usage: object = None

    def feed(self, event: Any) -> str:
        """Take one chunk; gives the text in it."""
        self._model = getattr(event, "model", None) or self._model
        self._usage = getattr(event, "usage", None) or self._usage
        choices = items(getattr(event, "choices", None))
        if not choices:
            return ""
        choice = choices[0]
        self._finish = text_or(getattr(choice, "finish_reason", None)) or self._finish
        delta = getattr(choice, "delta", None)
        for part in items(getattr(delta, "tool_calls", None)):
            self._add(part)
        self._refusal.append(text_or(getattr(delta, "refusal", None)))
        text = text_or(getattr(delta, "content", None))
        self._text.append(text)
        return text

    def _add(self, part: Any) -> None:
        # Some servers leave the index out and send each call whole, with an id of its own.
        index = getattr(part, "index", None)
        call_id = text_or(getattr(part, "id", None))
        if not isinstance(index, int):
            index = len(self._calls) if call_id or not self._calls else max(self._calls)
        call = self._calls.setdefault(index, _Call("", "", ""))
        call.id = call.id or call_id
        name, arguments = _named(getattr(part, "function", None))
        call.name = call.name or name
        if isinstance(arguments, str) and isinstance(call.arguments, str):
            call.arguments += arguments
        elif arguments is not None:  # some servers decode them
            call.arguments = arguments

    def reply(self) -> ChatReply:
        """The whole reply."""
        if not self._finish:
            raise cut_off()
        calls = [call for _, call in sorted(self._calls.items())]
        return _reply(
            "".join(self._text), "".join(self._refusal), calls, self._finish, self._model, self._usage
        )


def text_of_chunk(event: Any) -> str:
    """The text that a `chat.completion.chunk` adds, or `""`."""
    choices = items(getattr(event, "choices", None))
    return text_or(getattr(choices[0].delta, "content", None)) if choices else ""


def _reply(
    text: str, refusal: str, calls: Sequence[_Call], finish: str, model: object, usage: object
) -> ChatReply:
    said = text or refusal
    blocks: list[Block] = [{"type": "text", "text": said}] if said else []
    for number, call in enumerate(calls, 1):
        cut = finish == "length" and number == len(calls)
        arguments = arguments_of(call.arguments, cut=cut)
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, **arguments})
    stop = "refusal" if refusal else _STOPS.get(finish, finish) or None
    if stop in ("end_turn", None) and calls_in(blocks):
        stop = "tool_use"
    return ChatReply(blocks, stop, text_or(model), _usage(usage))


def _usage(raw: Any) -> Usage | None:
    sent = getattr(raw, "prompt_tokens", None)
    if not isinstance(sent, int):
        return None
    details = getattr(raw, "prompt_tokens_details", None)
    cached = whole_number(getattr(details, "cached_tokens", None))
    return Usage(sent, whole_number(getattr(raw, "completion_tokens", None)), cached)


def _tool(tool: Json) -> Json:
    schema = tool.get("input_schema", {"type": "object", "properties": {}})
    described = tool.get("description", "")
    return {
        "type": "function",
        "function": {"name": tool["name"], "description": described, "parameters": schema},
    }


def _messages(content: str | Sequence[ThreadMessage]) -> Iterator[Json]:
    if isinstance(content, str):
        yield {"role": "user", "content": content}
        return
    for turn in mended(content):
        if turn["role"] == "assistant":
            yield _assistant(turn["content"])
        else:
            yield from _user(turn["content"])


def _assistant(blocks: Sequence[Block]) -> Json:
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": json.dumps(block["input"], default=str)},
        }
        for block in blocks
        if block["type"] == "tool_use"
    ]
    if calls:
        return {"role": "assistant", "content": text or None, "tool_calls": calls}
    return {"role": "assistant", "content": text}


def _user(blocks: Sequence[Block]) -> Iterator[Json]:
    rest: list[Block] = []
    for block in blocks:
        if block["type"] == "tool_result":
            yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text_of_result(block)}
        else:
            rest.append(block)
    if all(block["type"] == "text" for block in rest):
        if rest:
            yield {"role": "user", "content": "\n\n".join(block["text"] for block in rest)}
    else:
        yield {"role": "user", "content": rest}
