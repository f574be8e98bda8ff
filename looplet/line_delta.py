"""A prompt, written as what is new in it since the one before.

A text prompt repeats most of the prompt before it. Stored as lines and as ranges of earlier lines, a run's
prompts take the space of what was added, and a person can still read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

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


def decode(before: Sequence[str], delta: Delta) -> list[str]:
    """The lines that *delta* stands for."""
    lines: list[str] = []
    for part in delta:
        if isinstance(part, str):
            lines.append(part)
        else:
            lines.extend(before[part[0] : part[1]])
    return lines
