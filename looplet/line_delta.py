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


def encode_next(before: Sequence[str], lines: Sequence[str]) -> str:
    """The same as JSON text, for *lines* that mostly go on where *before* did, in a fraction of the time.

    A line is looked for where it is expected and in the eight places behind. Only what is found there is
    sure to be taken from *before*: up to 400 characters that stand elsewhere may be written out.
    """
    ends = [*before, None]
    parts: list[str] = []
    where: dict[str, int] = {}
    left = _UNSOUGHT
    # Most of a long prompt is its beginning: no line of Python for each line of that.
    start, stop = 0, next(compress(count(), map(ne, ends, lines)), len(lines))
    for line in lines[stop:]:
        if ends[stop] == line:
            stop += 1
            continue
        if start < stop:
            parts.append(f"[{start}, {stop}]")
        start = stop
        if line in (near := ends[stop : stop + _NEAR]):
            start += near.index(line)
            stop = start + 1
            continue
        if left < len(line):  # what is looked for everywhere is worth the while
            where = where or dict(zip(before, count()))
            if (place := where.get(line, -1)) >= 0:
                start, stop = place, place + 1
                continue
        left -= len(line)
        parts.append(quoted(line))
    if start < stop:
        parts.append(f"[{start}, {stop}]")
    return f"[{', '.join(parts)}]"


def decode(before: Sequence[str], delta: Delta) -> list[str]:
    """The lines that *delta* stands for."""
    lines: list[str] = []
    for part in delta:
        if isinstance(part, str):
            lines.append(part)
        else:
            lines.extend(before[part[0] : part[1]])
    return lines
