"""What the runs of a case used, before and now: steps, tokens and cost, held against a tolerance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from looplet.trajectory import Trajectory

TOLERANCES: Mapping[str, float] = {"steps": 0.25, "tokens": 0.25, "cost_usd": 0.25}
"""The figures that are compared, and the share by which each may move before it is told."""


@dataclass(frozen=True, slots=True)
class Spent:
    """One figure of one case, as a mean over its runs.

    Attributes:
        case: The case, as `file::id`.
        figure: `steps`, `tokens` or `cost_usd`.
        before: What was accepted.
        after: What it is now.
        tolerance: The share of *before* by which it may move.
    """

    case: str
    figure: str
    before: float
    after: float
    tolerance: float

    @property
    def share(self) -> float:
        """By which share of what it was it moved; above 0 it is more."""
        if self.after == self.before:
            return 0.0
        return (self.after - self.before) / self.before if self.before else float("inf")

    @property
    def is_beyond(self) -> bool:
        """Whether it moved by more than it may, up or down."""
        return abs(self.share) > self.tolerance + 1e-9

    @property
    def is_more(self) -> bool:
        """Whether it rose by more than it may."""
        return self.is_beyond and self.after > self.before


def figures_of(runs: Iterable[Trajectory]) -> dict[str, float]:
    """The mean of each figure over *runs*; one that is unknown of any run is left out."""
    some = list(runs)
    if not some:
        return {}
    sums: dict[str, float] = {"steps": sum(len(run.steps) for run in some)}
    if all(run.usage.total_tokens for run in some):
        sums["tokens"] = sum(run.usage.total_tokens for run in some)
    costs = [run.cost_usd for run in some if run.cost_usd is not None]
    if len(costs) == len(some):
        sums["cost_usd"] = sum(costs)
    return {name: round(total / len(some), 9) for name, total in sums.items()}


def compare_spent(
    before: Mapping[str, Mapping[str, float]],
    after: Mapping[str, Mapping[str, float]],
    tolerances: Mapping[str, float] = TOLERANCES,
) -> tuple[Spent, ...]:
    """Every figure that is known of a case in both, case by case.

    Args:
        before, after: Figures by case, as of `figures_of`.
        tolerances: The share by which each figure may move.
    """
    return tuple(
        Spent(case, name, before[case][name], after[case][name], tolerance)
        for case in sorted(before)
        for name, tolerance in sorted(tolerances.items())
        if name in before[case] and name in after.get(case, {})
    )
