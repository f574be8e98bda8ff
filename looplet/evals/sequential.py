"""Gates that may decide before all trials have run, without passing more often than they promise.

The trials of a suite go round by round: in round 3 every case has run three times, so that the rate over all
runs estimates the mean of the cases' rates, whatever the round. At a few rounds, fixed beforehand, the gate
looks. A look that finds the bound above the floor opens the gate. Each look has its own share of the error
that the gate's confidence allows, and the shares add up to it; so a suite below the floor passes no more
often than promised (the union bound; nothing is assumed of cases or of how looks depend on each other).

Shutting early costs no error: it happens when the gate could not open any more if all the rest passed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

LOOKS = 5
"""At most so many looks; with more, each has less of the error to decide with."""

POWER = 2
"""How much of the error is kept for late looks: after a share t of the looks, t to this power is spent."""


def looks(trials: int) -> tuple[int, ...]:
    """The rounds after which a gate of so many *trials* looks; the last one is always *trials*."""
    number = min(LOOKS, trials)
    return tuple(math.ceil(trials * look / number) for look in range(1, number + 1))


def confidences(number: int, confidence: float) -> tuple[float, ...]:
    """For each of a *number* of looks the confidence of its bound; the errors add up to that of the gate."""
    spent = [(1 - confidence) * (look / number) ** POWER for look in range(number + 1)]
    return tuple(1 - (after - before) for before, after in pairwise(spent))


def last_confidence(trials: int, confidence: float) -> float:
    """The confidence of the last look: what all trials together must show."""
    return confidences(len(looks(trials)), confidence)[-1]


def whole_rounds(trials: Iterable[int], cases: int) -> int:
    """How many rounds are complete, from the trial's number of each run, of so many *cases*."""
    counts: dict[int, int] = {}
    for trial in trials:
        counts[trial] = counts.get(trial, 0) + 1
    whole = 0
    while counts.get(whole + 1, 0) >= cases > 0:
        whole += 1
    return whole
