"""A prompt, written as what is new in it since the one before.

A text prompt repeats most of the prompt before it. Stored as lines and as ranges of earlier lines, a run's
prompts take the space of what was added, and a person can still read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, count
from operator import ne
from typing import TypeAlias

from looplet.encode import quoted

Delta: TypeAlias = "list[str | list[int]]"
"""Lines of text, and `[start, stop]` for lines of the text before."""


def encode(before: Sequence[str], lines: Sequence[str]) -> Delta:
    """*lines* in terms of *before*."""
    where = dict(zip(before, range(len(before)), strict=True))
    delta: Delta = []
    start = stop = len(before)
    ends = [*before, None]
    for line in lines:
        if ends[stop] == line:
            stop += 1
            continue
        if start < stop:
            delta.append([start, stop])
        start = stop = where.get(line, -1)
        if start < 0:
            delta.append(line)
            start = stop = len(before)
        else:
            stop += 1
    if start < stop:
        delta.append([start, stop])
    return delta


_NEAR = 8
_UNSOUGHT = 400


class Following:
    """Writes texts, each in terms of the one before; quick, for they mostly go on where it did.

    A line is looked for where it is expected and in the eight places behind. Only what is found there is
    sure to be taken from the text before: up to 400 characters that stand elsewhere in it may be written out.

    Args:
        lines: The text before the first.
    """

    def __init__(self, lines: Sequence[str] = ()) -> None:
        self._before = list(lines)
        self._shape: list[tuple[int, int]] = []
        self._head, self._head_lines = "", list[str]()

    def encode(self, text: str) -> str:
        """The delta of *text* as JSON text."""
        lines = self._lines(text)
        # Once a log and its window are full, every prompt differs from the one before in the same places.
        parts = self._in_shape(lines) or self._found(lines)
        self._before = lines
        return f"[{', '.join(parts)}]"

    def _lines(self, text: str) -> list[str]:
        # Task and tools come first and stay: they need not be taken apart for every prompt.
        if text.startswith(self._head):
            return self._head_lines + text[len(self._head) :].split("\n")
        return text.split("\n")

    def _in_shape(self, lines: list[str]) -> list[str]:
        """The parts, if they are the same as last time; empty if they are not."""
        before = self._before
        if len(lines) != len(before):
            return []
        parts: list[str] = []
        at = size = 0
        for start, stop in self._shape:
            if start == stop:
                line = lines[at]
                size += len(line)
                parts.append(quoted(line))
                at += 1
                continue
            end = at + stop - start
            if lines[at:end] != before[start:stop]:
                return []
            parts.append(f"[{start}, {stop}]")
            at = end
        return parts if at == len(lines) and size <= _UNSOUGHT else []

    def _found(self, lines: list[str]) -> list[str]:
        parts: list[str] = []
        shape = self._shape = []
        ends = [*self._before, None]
        where: dict[str, int] = {}
        left = _UNSOUGHT
        # Most of a long prompt is its beginning: no line of Python for each line of that.
        start, stop = 0, next(compress(count(), map(ne, ends, lines)), len(lines))
        self._head_lines = lines[:stop]
        self._head = "".join([f"{line}\n" for line in self._head_lines])
        for line in lines[stop:]:
            if ends[stop] == line:
                stop += 1
                continue
            if start < stop:
                parts.append(f"[{start}, {stop}]")
                shape.append((start, stop))
            start = stop
            if line in (near := ends[stop : stop + _NEAR]):
                start += near.index(line)
                stop = start + 1
                continue
            if left < len(line):  # what is looked for everywhere is worth the while
                where = where or dict(zip(self._before, count()))
                if (place := where.get(line, -1)) >= 0:
                    start, stop = place, place + 1
                    continue
            left -= len(line)
            parts.append(quoted(line))
            shape.append((0, 0))
        if start < stop:
            parts.append(f"[{start}, {stop}]")
            shape.append((start, stop))
        return parts


def decode(before: Sequence[str], delta: Delta) -> list[str]:
    """The lines that *delta* stands for."""
    lines: list[str] = []
    for part in delta:
        if isinstance(part, str):
            lines.append(part)
        else:
            lines.extend(before[part[0] : part[1]])
    return lines
