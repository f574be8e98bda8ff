"""Long texts of a request body, written as lines of the body that it continues.

An agent that puts its whole history into one prompt sends most of the last prompt again, in one string.
Such a string is left out of the body (an empty one stands for it) and said as lines: `[4, 9]` stands for
lines 4 up to 9, counted from 0, of the string at the same place in the earlier body; text is new.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from looplet.line_delta import decode, encode
from pytest_looplet.cassette.body import Body
from pytest_looplet.cassette.members import member, must_be
from pytest_looplet.cassette.one_line import OneLine

Place: TypeAlias = "tuple[str | int, ...]"
"""Keys and positions from the outside in."""

_SHORTEST = 200  # characters; below, a pull request reads better with the text itself
_SHORTEST_RANGE = 20
_RANGE = 12  # characters that a range takes in the file
_DEEPEST = 6


def take_out(body: Body, base: Body, kept: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The JSON of *body* without the texts that repeat *base*, and what `put_in` needs to bring them back.

    Its first *kept* turns, and members that both have, are left as they are.
    """
    made: list[dict[str, Any]] = []
    value: dict[str, Any] = body.json
    for place, text in _new_texts(body, base, kept):
        before = _at(base.json, place)
        if not isinstance(before, str) or "\n" not in text:
            continue
        lines = _lines(before, text)
        if sum(len(part) if isinstance(part, str) else _RANGE for part in lines) < 0.8 * len(text):
            value = _with(value, place, "")
            shown = [part if isinstance(part, str) else OneLine(part) for part in lines]
            made.append({"at": OneLine(list(place)), "lines": shown})
    return value, made


def put_in(value: Any, base: Any, repeated: list[dict[str, Any]]) -> Any:
    """*value* with the texts that `take_out` took.

    Raises:
        ValueError: there is no such text in one of the two.
    """
    for entry in repeated:
        told = must_be(entry, dict, "an entry of `repeated`")
        place = tuple(member(told, "at", list, "an entry of `repeated`"))
        before = _at(base, place)
        if not isinstance(before, str) or _at(value, place) != "":
            raise ValueError(f"it repeats lines of a text at {list(place)}, where there is none")
        lines = member(told, "lines", list, "an entry of `repeated`")
        value = _with(value, place, _text(before, lines))
    return value


def _lines(before: str, text: str) -> list[str | list[int]]:
    """As the encoding gives it, with new lines that follow each other put together.

    A few characters that happen to stand in *before* too, such as an empty line, count as new.
    """
    old = before.split("\n")
    together: list[str | list[int]] = []
    for part in encode(old, text.split("\n")):
        told = part if isinstance(part, str) else "\n".join(old[part[0] : part[1]])
        if not isinstance(part, str) and len(told) >= _SHORTEST_RANGE:
            together.append(part)
        elif together and isinstance(together[-1], str):
            together[-1] += f"\n{told}"
        else:
            together.append(told)
    return together


def _text(before: str, parts: list[Any]) -> str:
    lines = before.split("\n")
    for part in parts:
        if isinstance(part, str):
            continue
        is_range = isinstance(part, list) and len(part) == 2 and all(type(n) is int for n in part)
        if not is_range or not 0 <= part[0] < part[1] <= len(lines):
            raise ValueError(f"it repeats lines {part} of a text that has {len(lines)}")
    return "\n".join(decode(lines, parts))


def _new_texts(body: Body, base: Body, kept: int) -> Iterator[tuple[Place, str]]:
    for name, value in body.json.items():
        if name == body.thread:
            for number, turn in enumerate(body.turns[kept:], kept):
                yield from _long_texts(turn, (name, number))
        elif value is not base.json.get(name) and value != base.json.get(name):
            yield from _long_texts(value, (name,))


def _long_texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        if len(value) >= _SHORTEST:
            yield place, value
    elif len(place) < _DEEPEST and isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            yield from _long_texts(item, (*place, key))


def _at(value: Any, place: Place) -> Any:
    """What stands at *place*; None where that is nowhere."""
    for key in place:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _with(value: Any, place: Place, text: str) -> Any:
    """A copy of *value* with *text* at *place*; what does not change is shared."""
    if not place:
        return text
    copy = value.copy()
    copy[place[0]] = _with(value[place[0]], place[1:], text)
    return copy
