"""A comparison with a baseline, as JSON and as lines for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from looplet.evals.compare import Change, Comparison, Judged
from looplet.evals.spent import Spent

SHOWN = 20
"""Changes that the terminal names; the report file has all."""


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Counts, a word for each eval, and every change."""
    return {
        "counts": dict(sorted(comparison.counts.items())),
        "trends": {"::".join(name): trend for name, trend in sorted(comparison.trends.items())},
        "changes": [_change(change) for change in comparison.changes if change.kind != "unchanged"],
        "spent": [asdict(one) for one in comparison.spent],
        "more_is_red": comparison.more_is_red,
    }


def _change(change: Change) -> dict[str, Any]:
    module, name, case, trial = change.key
    place = {"module": module, "eval": name, "case": case, "trial": trial}
    return {**place, "kind": change.kind, "before": _judged(change.before), "after": _judged(change.after)}


def _judged(judged: Judged | None) -> dict[str, Any] | None:
    return None if judged is None else {"standing": judged.standing, "score": judged.score}


def lines(comparison: Comparison) -> list[str]:
    """The counts, each run that got worse or better, and each figure that moved beyond its tolerance."""
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(comparison.counts.items()))
    told = [
        f"  {change.kind} {_place(change)}: {show(change.before)} -> {show(change.after)}"
        for change in comparison.changes
        if change.kind in ("regressed", "fixed", "changed")
    ]
    told += [
        f"  {word_for(comparison, one)} {one.case}: {figure_text(one)}, tolerance {one.tolerance:.0%}"
        for one in comparison.beyond
    ]
    rest = [f"  … {len(told) - SHOWN} more in the report file"] if len(told) > SHOWN else []
    return [f"baseline: {counts}", *told[:SHOWN], *rest]


def _place(change: Change) -> str:
    _, name, case, trial = change.key
    return f"{name}[{case}]" if trial == 1 else f"{name}[{case}-trial{trial}]"


def word_for(comparison: Comparison, one: Spent) -> str:
    """`changed`, or `regressed` where a figure that rose beyond its tolerance is one."""
    return "regressed" if comparison.more_is_red and one.is_more else "changed"


def figure_text(one: Spent) -> str:
    """For example `tokens 1,200 -> 1,900 (+58%)`."""
    before, after = (number(figure, one.figure) for figure in (one.before, one.after))
    moved = f"{one.share:+.0%}" if one.before else "from nothing"
    return f"{one.figure} {before} -> {after} ({moved})"


def number(figure: float, name: str) -> str:
    """A figure called *name*, as short as it can be."""
    if name == "cost_usd":
        return f"{figure:.4g}"
    return f"{figure:,.0f}" if figure == int(figure) else f"{figure:,.1f}"


def show(judged: Judged | None) -> str:
    """A standing and its score, if it has one."""
    if judged is None:
        return "nothing"
    return judged.standing if judged.score is None else f"{judged.standing} {judged.score:.2f}"
