"""Where in an agent's run a message belongs: the step and the tool whose result it carries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a turn that a person would look at by itself.

    Attributes:
        where: Its place: `messages[4]`, or `messages[4].content[1]`.
        role: What it is: `system`, `user`, `assistant`, …
        text: What it says; JSON where it is no text.
        answers: Id of the tool call that it answers; empty for anything else.
    """

    where: str
    role: str
    text: str
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """The step (from 1) and the tool that a tool result came from; the tool is empty where unknown."""

    step: int
    tool: str


def parts_of(turn: Any, where: str) -> list[Part]:
    """The parts of one turn, in the dialects of OpenAI and Anthropic."""
    if not isinstance(turn, dict):
        return [Part(where, "text", _readable(turn))]
    role = str(turn.get("role") or turn.get("type") or "message")
    content = turn.get("content")
    if role == "function_call_output":
        return [Part(where, role, _readable(turn.get("output")), str(turn.get("call_id", "")))]
    if isinstance(turn.get("tool_call_id"), str):
        return [Part(where, role, _readable(content), turn["tool_call_id"])]
    if isinstance(content, list) and content and all(isinstance(block, dict) for block in content):
        blocks = [_block(block, f"{where}.content[{n}]", role) for n, block in enumerate(content)]
        return blocks + _rest(turn, where, role)
    if isinstance(content, str):
        return [Part(where, role, content), *_rest(turn, where, role)]
    return [Part(where, role, _readable(turn))]


def _block(block: dict[str, Any], where: str, role: str) -> Part:
    if block.get("type") == "tool_result":
        return Part(where, role, _readable(block.get("content")), str(block.get("tool_use_id", "")))
    text = block.get("text")
    return Part(where, role, text if isinstance(text, str) and len(block) == 2 else _readable(block))


def _rest(turn: dict[str, Any], where: str, role: str) -> list[Part]:
    """The members beside role and content, such as the tool calls of an assistant."""
    rest = {name: value for name, value in turn.items() if name not in ("role", "content")}
    return [Part(where, role, _readable(rest))] if rest else []


def _readable(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def origins(turns: list[Any]) -> dict[str, Origin]:
    """For each id of a tool call that a turn answers: where the answer came from."""
    tools = {id_: name for turn in turns for id_, name in _calls(turn)}
    found: dict[str, Origin] = {}
    for turn in turns:
        for part in parts_of(turn, ""):
            if part.answers and part.answers not in found:
                found[part.answers] = Origin(len(found) + 1, tools.get(part.answers, ""))
    return found


def _calls(turn: Any) -> Iterator[tuple[str, str]]:
    """Ids and tool names of the calls in an assistant's turn."""
    if not isinstance(turn, dict):
        return
    if turn.get("type") == "function_call":
        yield str(turn.get("call_id")), str(turn.get("name", ""))
    for call in turn.get("tool_calls") or ():
        if isinstance(call, dict):
            yield str(call.get("id")), str((call.get("function") or {}).get("name", ""))
    content = turn.get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") == "tool_use":
            yield str(block.get("id")), str(block.get("name", ""))
