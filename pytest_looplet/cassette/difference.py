"""Finding what differs between two requests, as data: the thread first, then everything else."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_looplet.cassette.interaction import Interaction
from pytest_looplet.cassette.matching import MEMBERS, UNTOLD, DriftClass, Matcher, is_reply
from pytest_looplet.cassette.thread_map import Origin, Part, origins, parts_of

MOST_LINES = 12
"""Lines of one difference that are shown."""

_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs.

    Attributes:
        kind: Its class of drift.
        where: Its place in the request, and what stands there.
        lines: `- recorded` and `+ now`, with little around them.
        origin: The step and tool it came from, where that is known.
    """

    kind: DriftClass
    where: str
    lines: tuple[str, ...] = ()
    origin: Origin | None = None


def differences(call: Interaction, recorded: Interaction, matcher: Matcher) -> Iterator[Difference]:
    """What differs, the thread first; of the thread only the first message."""
    if call.request.query != recorded.request.query:
        yield Difference("params", "query", (f"- {recorded.request.query}", f"+ {call.request.query}"))
    if call.body is None or recorded.body is None:
        if call.request_bytes != recorded.request_bytes:
            yield Difference(
                "params", "body", _diff(_shown(recorded.request_bytes), _shown(call.request_bytes))
            )
        return
    differing = matcher.first_difference(call.body, recorded.body)
    if differing is not None:
        yield _turn(call, recorded, differing)
    yield from _members(call.body.json, recorded.body.json, call.body.thread)


def last_message(call: Interaction) -> Difference:
    """What a call that was not recorded ends with: its last message, or what it asks for without one."""
    turns = call.body.turns if call.body is not None else []
    if call.body is None or not turns:
        asked = f"{call.request.method} {call.request.url}"
        return Difference("calls", asked, _new(_shown(call.request_bytes)))
    part = parts_of(turns[-1], f"{call.body.thread}[{len(turns) - 1}]")[-1]
    name, origin = _name(part, origins(turns))
    return Difference("calls", f"its last message, {name}", _new(part.text), origin)


def _new(text: str) -> tuple[str, ...]:
    return tuple(f"+ {line}" for line in _clip(text.splitlines()))


def _shown(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _turn(call: Interaction, recorded: Interaction, index: int) -> Difference:
    assert call.body is not None
    assert recorded.body is not None
    now, then = call.body.turns, recorded.body.turns
    where = f"{call.body.thread or recorded.body.thread}[{index}]"
    told = any(is_reply(turn) for turn in then[: index + 1] + now[: index + 1])
    kind: DriftClass = "history" if told else "prompt"
    if index >= len(now) or index >= len(then):
        lost = index >= len(now)
        part = parts_of((then if lost else now)[index], where)[0]
        sign, word = ("-", "is missing") if lost else ("+", "is new")
        lines = [f"{sign} {line}" for line in _clip(part.text.splitlines())]
        name, origin = _name(part, origins(then if lost else now))
        return Difference(kind, f"{name} {word}", tuple(lines), origin)
    new, old = _first_parts(parts_of(now[index], where), parts_of(then[index], where))
    name, origin = _name(new, origins(now))
    return Difference(kind, name, _diff(old.text, new.text), origin)


def _first_parts(now: list[Part], then: list[Part]) -> tuple[Part, Part]:
    """The first parts of a turn that differ."""
    for new, old in zip(now, then, strict=False):
        if (new.text, new.role) != (old.text, old.role):
            return new, old
    if len(now) > len(then):
        return now[len(then)], Part("", "", "")
    if len(then) > len(now):
        return Part(then[len(now)].where, then[len(now)].role, ""), then[len(now)]
    return now[0], then[0]


def _name(part: Part, known: Mapping[str, Origin]) -> tuple[str, Origin | None]:
    origin = known.get(part.answers) if part.answers else None
    if origin is None:
        return f"{part.where} ({part.role})", None
    tool = f", {origin.tool}" if origin.tool else ""
    return f"{part.where} (result of step {origin.step}{tool})", origin


def _members(now: dict[str, Any], then: dict[str, Any], thread: str) -> Iterator[Difference]:
    for name in dict.fromkeys((*then, *now)):
        if name in UNTOLD or name == thread or (name in now and name in then and now[name] == then[name]):
            continue
        kind = MEMBERS.get(name, "params")
        if name == "tools":
            yield from _tools(now.get(name) or [], then.get(name) or [])
        elif _is_short(now.get(name)) and _is_short(then.get(name)):
            yield Difference(kind, f"{name}: {_brief(then, name)} is now {_brief(now, name)}")
        else:
            yield Difference(kind, name, _diff(_text(then.get(name)), _text(now.get(name))))


def _is_short(value: Any) -> bool:
    return not isinstance(value, (dict, list)) and len(str(value)) < 60 and "\n" not in str(value)


def _brief(members: dict[str, Any], name: str) -> str:
    return repr(members[name]) if name in members else "(not sent)"


def _tools(now: list[Any], then: list[Any]) -> Iterator[Difference]:
    new, old = {_tool_name(t): t for t in now}, {_tool_name(t): t for t in then}
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield Difference("tools", f"tool {name} is gone")
        elif name not in old:
            yield Difference("tools", f"tool {name} is new")
        elif new[name] != old[name]:
            yield Difference("tools", f"schema of tool {name}", _diff(_text(old[name]), _text(new[name])))
    if list(new) != list(old) and sorted(new) == sorted(old):
        yield Difference("tools", f"order of tools: {', '.join(old)} is now {', '.join(new)}")


def _tool_name(tool: Any) -> str:
    if not isinstance(tool, dict):
        return str(tool)
    function = tool.get("function")
    return str((function if isinstance(function, dict) else tool).get("name") or tool.get("type"))


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, indent=2)


def _diff(then: str, now: str) -> tuple[str, ...]:
    """A unified diff without its head, long lines cut around the place where they differ."""
    old, new = then.splitlines() or [""], now.splitlines() or [""]
    if len(old) == len(new) == 1:
        start = _differs_at(old[0], new[0])
        return f"- {_cut(old[0], start)}", f"+ {_cut(new[0], start)}"
    changed = list(difflib.unified_diff(old, new, lineterm="", n=1))[2:]
    return tuple(_clip([f"{line[:1]} {line[1:]}" for line in changed if not line.startswith("@@")]))


def _differs_at(a: str, b: str) -> int:
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _cut(line: str, around: int = 0) -> str:
    if len(line) <= _WIDTH:
        return line
    start = max(0, min(around - _WIDTH // 2, len(line) - _WIDTH))
    end = start + _WIDTH
    return ("…" if start else "") + line[start:end] + ("…" if end < len(line) else "")


def _clip(lines: list[str]) -> list[str]:
    kept = [_cut(line) for line in lines[:MOST_LINES]]
    return kept if len(lines) <= MOST_LINES else [*kept, f"… {len(lines) - MOST_LINES} more lines"]
