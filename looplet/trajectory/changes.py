"""Where two JSON values differ: the paths that changed, and both values there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from looplet.text import show_value


class _Absent:
    """Stands for a value that is not there; `None` is a value."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """One place in which two values differ.

    Attributes:
        path: Keys and positions from the outside in, such as `result.items[2].price`.
        before: The one value, `ABSENT` if it has nothing there.
        after: The other value, `ABSENT` if it has nothing there.
    """

    path: str
    before: Any
    after: Any

    def text(self, width: int) -> str:
        """The change in one line, such as `result.status: 'shipped' → 'lost'`."""
        room = max(24, (width - len(" → ") - len(self.path) - 2) // 2)
        before, after = self.before, self.after
        if isinstance(before, str) and isinstance(after, str) and max(len(before), len(after)) > room - 2:
            before, after, place = _from_difference(before, after)
            return f"{self.path} at character {place:,}: {_shown(before, room)} → {_shown(after, room)}"
        return f"{self.path}: {_shown(before, room)} → {_shown(after, room)}"


def changes(before: Any, after: Any, path: str) -> Iterator[Change]:
    """The innermost places in which two JSON values differ, in order."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            inner = f"{path}.{key}" if path else key
            yield from changes(before.get(key, ABSENT), after.get(key, ABSENT), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for place, (one, other) in enumerate(zip_longest(before, after, fillvalue=ABSENT)):
            yield from changes(one, other, f"{path}[{place}]")
    else:
        yield Change(path, before, after)


def _from_difference(before: str, after: str) -> tuple[str, str, int]:
    """Two texts from shortly before the first character that differs, and its position from 1."""
    place = first_difference(before, after)
    start = max(0, place - 8)
    return before[start:], after[start:], place + 1


def first_difference(one: str, other: str) -> int:
    """The position of the first character in which two texts differ, from 0."""
    shared = min(len(one), len(other))
    return next((place for place in range(shared) if one[place] != other[place]), shared)


def _shown(value: Any, width: int) -> str:
    if isinstance(value, str) and len(value) > width - 2:
        return f"{show_value(value[: width - 3], width)}…"
    return "absent" if value is ABSENT else show_value(value, width)
