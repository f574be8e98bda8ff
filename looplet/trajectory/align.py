"""Two sequences side by side: what they share in order, and what is missing, extra or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

A = TypeVar("A")
B = TypeVar("B")

Likeness: TypeAlias = Literal[0, 1, 2]
"""How alike two entries are: 0 unrelated, 1 the same but changed, 2 equal."""

CELLS = 250_000
"""Largest comparison table that is filled in whole; beyond it, long differences are paired by position."""


@dataclass(frozen=True, slots=True)
class Pair(Generic[A, B]):
    """One line of an alignment.

    Attributes:
        expected: Entry of the first sequence, None where it has none here.
        actual: Entry of the second sequence, None where it has none here.
        mark: Blank for equal, `~` for changed, `-` for missing in the second, `+` for extra in it.
    """

    expected: A | None
    actual: B | None
    mark: Literal["", "~", "-", "+"]


def align(
    expected: Sequence[A], actual: Sequence[B], likeness: Callable[[A, B], Likeness]
) -> list[Pair[A, B]]:
    """Pair the entries of two sequences so that as many as possible are equal, in order.

    The work is linear where the sequences agree; a difference in the middle costs its square, up to
    `CELLS`.
    """
    head = _agreeing(expected, actual, likeness)
    tail = _agreeing(expected[head:][::-1], actual[head:][::-1], likeness)
    ends = len(expected) - tail, len(actual) - tail
    return [
        *_equal(expected[:head], actual[:head]),
        *_middle(expected[head : ends[0]], actual[head : ends[1]], likeness),
        *_equal(expected[ends[0] :], actual[ends[1] :]),
    ]


def focus(pairs: Sequence[Pair[A, B]], context: int | None = 2) -> list[Pair[A, B] | int]:
    """The pairs that differ, with *context* equal ones around them; the number of those left out between.

    Args:
        pairs: An alignment.
        context: Equal pairs to keep on each side of a difference; all of them if None.
    """
    if context is None:
        return list(pairs)
    near: set[int] = set()
    for place, pair in enumerate(pairs):
        if pair.mark:
            near.update(range(place - context, place + context + 1))
    found: list[Pair[A, B] | int] = []
    skipped = 0
    for place, pair in enumerate(pairs):
        if place not in near:
            skipped += 1
            continue
        if skipped:
            found.append(skipped)
            skipped = 0
        found.append(pair)
    return [*found, skipped] if skipped else found


def _agreeing(expected: Sequence[A], actual: Sequence[B], likeness: Callable[[A, B], Likeness]) -> int:
    count = 0
    for one, other in zip(expected, actual, strict=False):
        if likeness(one, other) < 2:
            break
        count += 1
    return count


def _equal(expected: Sequence[A], actual: Sequence[B]) -> Iterator[Pair[A, B]]:
    return (Pair(one, other, "") for one, other in zip(expected, actual, strict=True))


def _middle(
    expected: Sequence[A], actual: Sequence[B], likeness: Callable[[A, B], Likeness]
) -> Iterator[Pair[A, B]]:
    if len(expected) * len(actual) > CELLS:
        yield from _by_position(expected, actual, likeness)
        return
    like: list[list[Likeness]] = [[likeness(one, other) for other in actual] for one in expected]
    # No number of changed pairs is worth an equal one.
    worth = (0, 1, 1 + min(len(expected), len(actual)))
    best = _scores(like, len(actual), worth)
    row, column = 0, 0
    while row < len(expected) and column < len(actual):
        alike, here = like[row][column], best[row][column]
        if alike and here == best[row + 1][column + 1] + worth[alike]:
            yield Pair(expected[row], actual[column], "" if alike == 2 else "~")
            row, column = row + 1, column + 1
        elif here == best[row + 1][column]:
            yield Pair(expected[row], None, "-")
            row += 1
        else:
            yield Pair(None, actual[column], "+")
            column += 1
    yield from (Pair(one, None, "-") for one in expected[row:])
    yield from (Pair(None, other, "+") for other in actual[column:])


def _scores(like: Sequence[Sequence[Likeness]], width: int, worth: tuple[int, int, int]) -> list[list[int]]:
    """For each pair of positions, the best score of what follows; *worth* is that of each likeness."""
    best = [[0] * (width + 1) for _ in range(len(like) + 1)]
    for row in range(len(like) - 1, -1, -1):
        for column in range(width - 1, -1, -1):
            score = max(best[row + 1][column], best[row][column + 1])
            if alike := like[row][column]:
                score = max(score, best[row + 1][column + 1] + worth[alike])
            best[row][column] = score
    return best


def _by_position(
    expected: Sequence[A], actual: Sequence[B], likeness: Callable[[A, B], Likeness]
) -> Iterator[Pair[A, B]]:
    shared = min(len(expected), len(actual))
    for one, other in zip(expected[:shared], actual[:shared], strict=True):
        alike = likeness(one, other)
        if alike:
            yield Pair(one, other, "" if alike == 2 else "~")
        else:
            yield Pair(one, None, "-")
            yield Pair(None, other, "+")
    yield from (Pair(one, None, "-") for one in expected[shared:])
    yield from (Pair(None, other, "+") for other in actual[shared:])
