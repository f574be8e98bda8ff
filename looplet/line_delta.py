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
    where = {line: place for place, line in enumerate(before)}
    delta: Delta = []
    stop = -1
    for line in lines:
        last = delta[-1] if delta else None
        if isinstance(last, list) and stop < len(before) and before[stop] == line:
            stop += 1
            last[1] = stop
        elif line in where:
            stop = where[line] + 1
            delta.append([stop - 1, stop])
        else:
            delta.append(line)
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
