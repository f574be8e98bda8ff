"""A reply that came as server-sent events, as the whole reply it stands for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


def whole_reply(body: str) -> Json | None:
    """The reply that *body*, a stream of events, tells piece by piece; None if it tells none.

    Read are the streams of OpenAI's Chat Completions and Responses API and of Anthropic's Messages API. A
    stream that was cut gives what came.
    """
    events = list(_events(body))
    for is_one, gather in _DIALECTS:
        if any(is_one(event) for event in events):
            return gather(events)
    return None


def _events(body: str) -> Iterator[Json]:
    for line in body.splitlines():
        if line.startswith("data:"):
            try:
                event = json.loads(line[5:])
            except (ValueError, RecursionError):
                continue  # `[DONE]`, or the last line of a stream that was cut
            if isinstance(event, dict):
                yield event


def _completion(events: Iterable[Json]) -> Json:
    message: Json = {"role": "assistant", "content": "", "tool_calls": []}
    whole: Json = {"choices": [{"message": message, "finish_reason": None}], "usage": None, "model": ""}
    calls: dict[object, Json] = {}
    for event in events:
        whole["model"] = event.get("model") or whole["model"]
        whole["usage"] = event.get("usage") or whole["usage"]
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            message["content"] += delta.get("content") or ""
            for part in delta.get("tool_calls") or ():
                _add_call(calls, part)
            reason = whole["choices"][0]["finish_reason"]
            whole["choices"][0]["finish_reason"] = choice.get("finish_reason") or reason
    message["tool_calls"] = list(calls.values())
    return whole


def _add_call(calls: dict[object, Json], part: Json) -> None:
    index = part.get("index", part.get("id"))
    call = calls.setdefault(index, {"id": "", "function": {"name": "", "arguments": ""}})
    call["id"] = call["id"] or part.get("id") or ""
    for name, text in (part.get("function") or {}).items():
        if name in ("name", "arguments"):
            call["function"][name] += text or ""


def _message(events: Iterable[Json]) -> Json:
    whole: Json = {"content": [], "usage": {}, "model": "", "stop_reason": None}
    blocks: dict[object, Json] = {}
    for event in events:
        kind = event.get("type")
        if kind == "message_start":
            started = event.get("message") or {}
            whole |= {name: started[name] for name in ("model", "usage", "role") if name in started}
        elif kind == "content_block_start":
            blocks[event.get("index")] = {**(event.get("content_block") or {}), "_json": ""}
        elif kind == "content_block_delta":
            _add_delta(blocks.setdefault(event.get("index"), {"type": "text", "_json": ""}), event["delta"])
        elif kind == "message_delta":
            whole["stop_reason"] = (event.get("delta") or {}).get("stop_reason")
            whole["usage"] = {**(whole["usage"] or {}), **(event.get("usage") or {})}
    whole["content"] = [_closed(block) for block in blocks.values()]
    return whole


def _add_delta(block: Json, delta: Json) -> None:
    for piece, member in (("text", "text"), ("partial_json", "_json"), ("thinking", "thinking")):
        if piece in delta:
            block[member] = (block.get(member) or "") + (delta[piece] or "")


def _closed(block: Json) -> Json:
    text = block.pop("_json")
    return {**block, "input": text} if text else block


def _response(events: Iterable[Json]) -> Json:
    whole = [event["response"] for event in events if isinstance(event.get("response"), dict)]
    return whole[-1] if whole else {}


_DIALECTS: tuple[tuple[Callable[[Mapping[str, Any]], bool], Callable[[Iterable[Json]], Json]], ...] = (
    (lambda event: "choices" in event, _completion),
    (lambda event: str(event.get("type")).startswith(("message_", "content_block")), _message),
    (lambda event: str(event.get("type")).startswith("response."), _response),
)
