"""The calls on a cassette for people: a line for each, what was asked of whom and what it answered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from looplet import clock
from looplet.text import clip, columns, count, escape_terminal, shorten, show_value
from looplet.trajectory import Exchange, Trajectory
from looplet.trajectory.table import call_text, grid
from looplet.types import Block
from pytest_looplet.cassette.exchange import Reply
from pytest_looplet.cassette.interaction import Interaction
from pytest_looplet.cassette.upkeep import Summary, tokens_of

LEAST_ANSWER = 40
"""Columns that an answer gets, however much the others take."""

_HEADER = ("#", "call", "model", "messages", "status", "tokens", "answer")
_SIDES = "><<>>><"
_INDENT, _GAPS = "  ", 2 * (len(_HEADER) - 1)
_DAY_S = 24 * 3600
_MOST = 4_000  # characters of a reply that are looked at where it is shown as it came


def head_lines(one: Summary, days: float) -> Iterator[str]:
    """What stands above the calls: the file, how many there are, its size and when it was recorded.

    Args:
        one: The file.
        days: Its age: since it was committed, or else written.
    """
    date = datetime.fromtimestamp(clock.now() - days * _DAY_S, UTC).date()
    ago = f"{count(int(days), 'day')} ago" if days >= 1 else "today"
    tokens = f"{one.input_tokens:,} + {one.output_tokens:,} tokens"
    yield escape_terminal(str(one.path))
    yield f"{_INDENT}{count(one.calls, 'call')}, {tokens}, {one.size:,} bytes, recorded {date} ({ago})"


def call_lines(interactions: Sequence[Interaction], width: int) -> list[str]:
    """A table of the calls: number, provider and path, model, messages sent, status, tokens, the answer.

    Args:
        interactions: The calls in order.
        width: Columns of the terminal; an answer is cut to what the others leave of them.
    """
    if not interactions:
        return []
    facts = [_facts(one) for one in interactions]
    taken = sum(max(map(columns, column)) for column in zip(_HEADER[:-1], *facts, strict=True))
    room = max(LEAST_ANSWER, width - taken - _GAPS - len(_INDENT))
    rows = [(*cells, answer_text(one, room)) for cells, one in zip(facts, interactions, strict=True)]
    return [f"{_INDENT}{line}" for line in grid([_HEADER, *rows], _SIDES)]


def _facts(one: Interaction) -> tuple[str, ...]:
    request, reply, body = one.request, one.reply, one.body
    method = "" if request.method == "POST" else f"{request.method} "
    sent, written = tokens_of(one)
    return (
        str(one.number),
        clip(escape_terminal(f"{method}{request.provider}{request.url}"), 48),
        clip(escape_terminal(one.model), 32),
        str(len(body.turns)) if body is not None and body.thread else "",
        _status(reply),
        f"{sent:,} + {written:,}" if sent or written else "",
    )


def _status(reply: Reply | None) -> str:
    if reply is None or not reply.status:
        return "none"
    return str(reply.status) if reply.ended == "whole" else f"{reply.status} {reply.ended}"


def answer_text(one: Interaction, width: int) -> str:
    """What came back, in one line: the calls and the text of a model, why it failed, or the body as it is."""
    reply = one.reply
    if reply is None:
        return "no reply was recorded"
    # The thread that was sent says nothing of the answer, and reading it would take as long for each call.
    exchange = Exchange({"messages": []}, reply.body, reply.status, reply.failure)
    (call,) = Trajectory.from_traffic([exchange]).model_calls
    blocks = call.reply or _at_its_own_protocol(reply)
    said = list(_said(blocks, width))
    if said:
        return shorten(", ".join(said), width)
    if call.error is not None and (reply.failure or not 200 <= reply.status < 400):
        return shorten(f"✗ {escape_terminal(call.error)}", width)
    raw = reply.body.decode("utf-8", "replace")
    return shorten(escape_terminal(raw[:_MOST]), width) if raw else "nothing"


def _at_its_own_protocol(reply: Reply) -> Sequence[Block]:
    """What a backend answered that does not speak HTTP."""
    try:
        told = json.loads(reply.body)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(told, dict):
        return ()
    if isinstance(told.get("text"), str):
        return [{"type": "text", "text": told["text"]}]
    blocks = told.get("blocks")
    return [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else ()


def _said(blocks: Iterable[Block], width: int) -> Iterator[str]:
    for block in blocks:
        if block.get("type") == "tool_use":
            args = block.get("input")
            yield call_text(
                str(block.get("name")), args if isinstance(args, dict) else {"input": args}, width
            )
        elif block.get("text"):
            yield show_value(str(block["text"]), width)


def as_json(one: Summary, interactions: Iterable[Interaction]) -> dict[str, Any]:
    """The same and more for programs: every body whole, as JSON where it is JSON."""
    return {
        "file": str(one.path),
        "size": one.size,
        "calls": [
            {
                "call": call.number,
                "method": call.request.method,
                "provider": call.request.provider,
                "url": call.request.url,
                "request": call.body.json if call.body is not None else _json(call.request.body),
                "status": call.reply.status if call.reply is not None else 0,
                "reply": _json(call.reply.body) if call.reply is not None else None,
            }
            for call in interactions
        ],
    }


def _json(body: bytes) -> Any:
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
