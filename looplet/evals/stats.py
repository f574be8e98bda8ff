"""The statistics of gates and comparisons: exact where they can be, conservative where they cannot.

A probability here is a share from 0 to 1, a confidence the probability that a bound holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

STEPS = 60
"""Halvings of an interval: more than a float can tell apart."""


@lru_cache(4096)
def lower_bound(passed: int, runs: int, confidence: float) -> float:
    """The least pass rate that *passed* of *runs* leaves possible: one-sided, after Clopper and Pearson.

    It holds also where the runs are of different cases with different rates of their own; it is then a
    bound on their mean (Hoeffding 1956).
    """
    if passed == 0:
        return 0.0
    return _crossing(lambda rate: at_least(passed, runs, rate), 1 - confidence)


def upper_bound(passed: int, runs: int, confidence: float) -> float:
    """The largest pass rate that *passed* of *runs* leaves possible, one-sided."""
    return 1 - lower_bound(runs - passed, runs, confidence)


def interval(passed: int, runs: int, confidence: float = 0.95) -> tuple[float, float]:
    """Both bounds of the pass rate, the error shared evenly; `(0, 1)` for no runs at all."""
    if runs == 0:
        return 0.0, 1.0
    each = 1 - (1 - confidence) / 2
    return lower_bound(passed, runs, each), upper_bound(passed, runs, each)


@lru_cache(4096)
def mean_lower_bound(mean: float, runs: int, confidence: float) -> float:
    """The least true mean that a *mean* of *runs* scores from 0 to 1 leaves possible, one-sided.

    Chernoff's bound in its Kullback-Leibler form: valid for scores of any distribution within 0 and 1.
    """
    if runs == 0 or mean <= 0:
        return 0.0
    limit = -math.log(1 - confidence) / runs
    low, high = 0.0, mean
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _divergence(mean, middle) > limit:
            low = middle
        else:
            high = middle
    return low


def runs_needed(floor: float, confidence: float) -> int | None:
    """How many runs without a single failure it takes to be sure of *floor*; None if no number does."""
    if floor >= 1:
        return None
    return 1 if floor <= 0 else math.ceil(math.log(1 - confidence) / math.log(floor) - 1e-9)


def pass_at_k(passed: int, trials: int, k: int) -> float:
    """How likely at least one of *k* trials passes, estimated without bias from *passed* of *trials*."""
    return 1 - math.comb(trials - passed, k) / math.comb(trials, k)


def pass_all_k(passed: int, trials: int, k: int) -> float:
    """How likely all of *k* trials pass, estimated without bias from *passed* of *trials*."""
    return math.comb(passed, k) / math.comb(trials, k)


def mcnemar(fixed: int, broken: int) -> float:
    """How likely *broken* or more of the cases that changed are, if nothing changed: exact, one-sided."""
    return sign_test(broken, fixed + broken)


def sign_test(worse: int, changed: int) -> float:
    """How likely *worse* or more of *changed* pairs are, if worse and better are equally likely."""
    return 1.0 if worse == 0 else at_least(worse, changed, 0.5)


def holm(values: Mapping[str, float], level: float = 0.05) -> dict[str, bool]:
    """Which of several p-values are significant when the error of all together is *level* (Holm 1979)."""
    significant = dict.fromkeys(values, False)
    for place, (name, value) in enumerate(sorted(values.items(), key=lambda pair: pair[1])):
        if value > level / (len(values) - place):
            break
        significant[name] = True
    return significant


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean, summed without loss."""
    return math.fsum(values) / len(values)


# ---------------------------------------------------------------- the binomial distribution


@lru_cache(4096)
def at_least(passed: int, runs: int, rate: float) -> float:
    """How likely *passed* or more of *runs* are at *rate*."""
    if rate <= 0:
        return 1.0 if passed <= 0 else 0.0
    if rate >= 1:
        return 1.0
    # The shorter tail is summed, so that a small probability keeps its digits.
    if passed > runs / 2:
        return _sum(range(passed, runs + 1), runs, rate)
    return max(0.0, 1 - _sum(range(passed), runs, rate))


def _sum(counts: Sequence[int], runs: int, rate: float) -> float:
    whole = math.lgamma(runs + 1)
    yes, no = math.log(rate), math.log1p(-rate)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(runs - k + 1) + k * yes + (runs - k) * no)
        for k in counts
    )


def _crossing(rising: Callable[[float], float], level: float) -> float:
    """Where *rising*, a function of a rate, reaches *level*; rounded down."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if rising(middle) < level:
            low = middle
        else:
            high = middle
    return low


def _divergence(one: float, other: float) -> float:
    """Kullback-Leibler divergence between two coins."""
    if other <= 0:
        return math.inf
    left = one * math.log(one / other) if one > 0 else 0.0
    if one >= 1:
        return left
    return left + (1 - one) * math.log((1 - one) / (1 - other)) if other < 1 else math.inf
