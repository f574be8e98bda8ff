"""What differs between a request and its recording, told in one screen.

The nearest recorded call is looked for; of the thread, only the first message that differs is shown, with
the step and tool its content came from; then what else changed, and the command that records it again.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pytest_looplet.cassette.interaction import Interaction
from pytest_looplet.cassette.matching import MEMBERS, DriftClass, Matcher, is_reply
from pytest_looplet.cassette.thread_map import Origin, Part, origins, parts_of

_LINES = 12
_WIDTH = 160
_PLACEHOLDER = re.compile(r"\[env:([A-Za-z_][A-Za-z0-9_]*)\]")


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


@dataclass(frozen=True, slots=True)
class Drift:
    """How one request differs from the cassette.

    Attributes:
        call: Which call of the run, from 1.
        interaction: The recorded call it was compared with; 0 if there is none.
        differences: What differs; the thread first.
        fails: Whether a class of it has no `warn` policy.
        text: All of it, for people.
    """

    call: int
    interaction: int
    differences: tuple[Difference, ...]
    fails: bool
    text: str

    @property
    def classes(self) -> tuple[DriftClass, ...]:
        """The classes of drift, each once."""
        return tuple(dict.fromkeys(d.kind for d in self.differences))


class Explainer:
    """Finds and words the differences of one call.

    Args:
        cassette: Path of the cassette.
        call: Number of the call in this run, from 1.
        matcher: Tells which turns are the same.
        policy: Which classes only warn.
        rerecord: The command that records the cassette again, or an empty string.
    """

    def __init__(
        self,
        cassette: str,
        call: int,
        matcher: Matcher,
        policy: Mapping[DriftClass, Literal["fail", "warn"]],
        rerecord: str,
    ) -> None:
        self._cassette = cassette
        self._call = call
        self._matcher = matcher
        self._policy = policy
        self._rerecord = rerecord

    def differs(self, call: Interaction, recorded: Interaction) -> Drift:
        """How *call* differs from the recorded call that stands for it."""
        found = tuple(differences(call, recorded, self._matcher))
        head = (
            f"model call {self._call} differs from the recording "
            f"(cassette {self._cassette}, interaction {recorded.number})"
        )
        return self._drift(head, recorded.number, found or (Difference("params", "the request"),))

    def out_of_order(self, call: Interaction, recorded: Interaction) -> Drift:
        """*call* was recorded, but other calls before it."""
        head = (
            f"model call {self._call} came out of order: it is interaction {recorded.number} "
            f"(cassette {self._cassette}), and calls recorded before it were not made"
        )
        return self._drift(head, recorded.number, (Difference("calls", _asks(call)),))

    def no_answer(self, call: Interaction, recorded: Sequence[Interaction]) -> Drift:
        """Why none of the *recorded* calls answers *call*."""
        same = [
            i
            for i in recorded
            if i.request.path == call.request.path and i.request.method == call.request.method
        ]
        if not same:
            head = f"model call {self._call} is not on the recording (cassette {self._cassette})"
            asked = f"nothing was recorded for {call.request.method} {call.request.url}"
            return self._drift(head, 0, (Difference("calls", asked),))
        nearest = max(same, key=lambda i: self._nearness(call, i))
        found = tuple(differences(call, nearest, self._matcher))
        if found and not self._goes_on(call, nearest):
            return self.differs(call, nearest)
        if not found and not nearest.played:
            return self.out_of_order(call, nearest)
        head = f"model call {self._call} is one more than was recorded (cassette {self._cassette})"
        if found:
            where = f"it goes on where interaction {nearest.number}, the last of its thread, ended"
        else:
            where = f"interaction {nearest.number} asked the same and is played already"
        return self._drift(head, nearest.number, (Difference("calls", where),))

    def _nearness(self, call: Interaction, other: Interaction) -> tuple[int, int, int, bool, int]:
        """Shared turns first, then length, then how much else is the same, then the earliest unplayed."""
        shared = length = 0
        if call.body is not None and other.body is not None:
            differing = self._matcher.first_difference(call.body, other.body)
            shared = len(call.body.turns) if differing is None else differing
            length = -abs(len(call.body.turns) - len(other.body.turns))
        mine = self._matcher.key(call.request, call.body)
        theirs = self._matcher.key(other.request, other.body)
        equal = sum(a == b for a, b in zip(mine, theirs, strict=True))
        return shared, length, equal, not other.played, -other.number

    def _goes_on(self, call: Interaction, nearest: Interaction) -> bool:
        """Whether *call* only adds turns to a call that was played: the agent did not stop where it had."""
        if not nearest.played or call.body is None or nearest.body is None:
            return False
        return self._matcher.first_difference(call.body, nearest.body) == len(nearest.body.turns)

    def _drift(self, head: str, interaction: int, found: tuple[Difference, ...]) -> Drift:
        lines = [head]
        for difference in found:
            lines.append(f"  {difference.where}" + (":" if difference.lines else ""))
            lines.extend(f"  {line}" for line in difference.lines)
        origin = next((d.origin for d in found if d.origin), None)
        if origin:
            tool = f"tool {origin.tool}" if origin.tool else "the tool"
            lines.append(f"the first difference came from {tool} at step {origin.step}")
        lines.extend(_unset(found))
        if self._rerecord:
            lines.append(f"meant to change it? {self._rerecord}")
        fails = any(self._policy.get(d.kind, "fail") == "fail" for d in found)
        return Drift(self._call, interaction, found, fails, "\n".join(lines))


def unplayed_text(cassette: str, left: Sequence[Interaction], total: int, rerecord: str) -> str:
    """What to say of recorded calls that a replay did not make."""
    lines = [f"{len(left)} of {total} recorded calls were not made (cassette {cassette}):"]
    lines += [f"  interaction {i.number}: {_asks(i)}" for i in left[:_LINES]]
    if len(left) > _LINES:
        lines.append(f"  … and {len(left) - _LINES} more")
    if rerecord:
        lines.append(f"meant to change it? {rerecord}")
    return "\n".join(lines)


def _asks(call: Interaction) -> str:
    asked = f"{call.request.method} {call.request.url}"
    return f"{asked} ({call.model})" if call.model else asked


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
        if name == thread or (name in now and name in then and now[name] == then[name]):
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
    kept = [_cut(line) for line in lines[:_LINES]]
    return kept if len(lines) <= _LINES else [*kept, f"… {len(lines) - _LINES} more lines"]


def _unset(found: Sequence[Difference]) -> Iterator[str]:
    """Names of variables whose value stood in the recording, and which are not set now."""
    names = {
        name for d in found for line in d.lines if line[:1] == "-" for name in _PLACEHOLDER.findall(line)
    }
    for name in sorted(names):
        if name not in os.environ:
            yield f"the recording held the value of {name} there, which is not set now"
