"""Two sessions of the same evals, case by case: what got better, what got worse, and what is only noise."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from looplet.evals.gate import Standing
from looplet.evals.spent import Spent
from looplet.evals.stats import holm, sign_test

Key: TypeAlias = tuple[str, str, str, int]
"""File, eval, case and trial."""

ChangeKind: TypeAlias = Literal["fixed", "regressed", "changed", "new", "missing", "unjudged", "unchanged"]
Trend: TypeAlias = Literal["same", "changed", "regressed", "inconclusive"]

LEVEL = 0.05
"""The chance that an agent that did not change is called regressed, over all evals of a session together."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One eval of one run, as a session left it.

    Attributes:
        standing: What it came to.
        score: Its score, if it has one.
    """

    standing: Standing
    score: float | None = None

    @property
    def is_judged(self) -> bool:
        """Whether it says something about the agent."""
        return self.standing in ("passed", "failed", "noted")


@dataclass(frozen=True, slots=True)
class Change:
    """How one eval of one run differs from the baseline."""

    key: Key
    kind: ChangeKind
    before: Judged | None
    after: Judged | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A session against its baseline.

    Attributes:
        changes: One for each eval and run of either, in order.
        trends: One word for each eval, by file and name.
        spent: Steps, tokens and cost of each case of both, as means over its runs.
        more_is_red: Whether a figure that rose beyond its tolerance is a regression.
    """

    changes: tuple[Change, ...]
    trends: Mapping[tuple[str, str], Trend]
    spent: tuple[Spent, ...] = ()
    more_is_red: bool = False

    @property
    def counts(self) -> dict[ChangeKind, int]:
        """How many changes there are of each kind."""
        return dict(Counter(change.kind for change in self.changes))

    @property
    def regressed(self) -> list[tuple[str, str]]:
        """The evals that got worse, beyond what chance explains."""
        return [name for name, trend in self.trends.items() if trend == "regressed"]

    @property
    def beyond(self) -> list[Spent]:
        """The figures that moved by more than they may."""
        return [one for one in self.spent if one.is_beyond]

    @property
    def is_of_other_cases(self) -> bool:
        """Whether the two sessions have nothing in common."""
        return bool(self.changes) and all(change.kind in ("new", "missing") for change in self.changes)


def compare(before: Mapping[Key, Judged], after: Mapping[Key, Judged], *, fresh: bool) -> Comparison:
    """Compare *after* with *before*, pair by pair.

    Args:
        before, after: What each eval of each run came to.
        fresh: The models were really asked, so that chance plays a part. Then an eval has regressed when an
            exact test over its cases says so: McNemar's for one trial a case, the sign test on the rates of
            the cases for several, with Holm's correction over evals. In a replay nothing is left to chance,
            and any pass that became a fail has regressed.
    """
    keys = sorted({*before, *after})
    changes = tuple(
        Change(key, _kind(before.get(key), after.get(key)), before.get(key), after.get(key)) for key in keys
    )
    by_eval: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes:
        by_eval[change.key[:2]].append(change)
    if fresh:
        return Comparison(changes, _tested(by_eval))
    return Comparison(changes, {name: _replayed(some) for name, some in by_eval.items()})


def _kind(before: Judged | None, after: Judged | None) -> ChangeKind:
    if before is None:
        return "new"
    if after is None:
        return "missing"
    if not (before.is_judged and after.is_judged):
        return "unjudged"
    if (before.standing == "failed") != (after.standing == "failed"):
        return "fixed" if before.standing == "failed" else "regressed"
    return "unchanged" if before == after else "changed"


def _replayed(changes: Iterable[Change]) -> Trend:
    kinds = {change.kind for change in changes}
    if "regressed" in kinds:
        return "regressed"
    return "changed" if kinds & {"fixed", "changed"} else "same"


def _tested(by_eval: Mapping[tuple[str, str], list[Change]]) -> dict[tuple[str, str], Trend]:
    worse, better = {}, {}
    for name, changes in by_eval.items():
        down, up = _directions(changes)
        worse[name], better[name] = (down, down + up), (up, down + up)
    down_is_real = holm({str(name): sign_test(*counts) for name, counts in worse.items()}, LEVEL)
    up_is_real = holm({str(name): sign_test(*counts) for name, counts in better.items()}, LEVEL)
    return {name: _trend(down_is_real[str(name)], up_is_real[str(name)], worse[name]) for name in by_eval}


def _trend(is_worse: bool, is_better: bool, counts: tuple[int, int]) -> Trend:
    if is_worse:
        return "regressed"
    if is_better:
        return "changed"
    return "inconclusive" if counts[1] else "same"


def _directions(changes: Iterable[Change]) -> tuple[int, int]:
    """In how many cases the pass rate fell, and in how many it rose; runs of one side only do not count."""
    rates: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for change in changes:
        if change.before and change.after and change.before.is_judged and change.after.is_judged:
            pair = (change.before.standing != "failed", change.after.standing != "failed")
            rates[change.key[2]].append(pair)
    gains = [sum(after - before for before, after in pairs) for pairs in rates.values()]
    return sum(gain < 0 for gain in gains), sum(gain > 0 for gain in gains)
