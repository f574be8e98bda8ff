"""Pair two sets so that as many as possible fit, each entry used once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


def pair_up(lefts: int, rights: int, fits: Callable[[int, int], bool]) -> dict[int, int]:
    """The largest pairing of `range(lefts)` with `range(rights)`, as left to right.

    An entry that fits several others is moved to another one where that makes room, so that a loose
    pattern never takes what a strict one needs. The work grows with `lefts * rights`.
    """
    partner: dict[int, int] = {}  # right to left
    chosen: dict[int, int] = {}  # left to right
    for left in range(lefts):
        _make_room(left, rights, fits, partner, chosen)
    return chosen


def _make_room(
    start: int, rights: int, fits: Callable[[int, int], bool], partner: dict[int, int], chosen: dict[int, int]
) -> None:
    """Search, nearest first, for a chain of moves that ends at a free right entry, and make the moves."""
    came_from: dict[int, int] = {}
    waiting = deque([start])
    while waiting:
        left = waiting.popleft()
        for right in range(rights):
            if right in came_from or not fits(left, right):
                continue
            came_from[right] = left
            if right not in partner:
                _move(start, right, came_from, partner, chosen)
                return
            waiting.append(partner[right])


def _move(
    start: int, right: int, came_from: dict[int, int], partner: dict[int, int], chosen: dict[int, int]
) -> None:
    while True:
        left = came_from[right]
        given_up = chosen.get(left)
        partner[right], chosen[left] = left, right
        if left == start or given_up is None:
            return
        right = given_up
