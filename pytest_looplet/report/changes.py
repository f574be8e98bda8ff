"""A comparison with a baseline, as JSON and as lines for people."""

from __future__ import annotations

from typing import Any

from looplet.evals.compare import Change, Comparison, Judged

SHOWN = 20
"""Changes that the terminal names; the report file has all."""


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Counts, a word for each eval, and every change."""
    return {
        "counts": dict(sorted(comparison.counts.items())),
        "trends": {"::".join(name): trend for name, trend in sorted(comparison.trends.items())},
        "changes": [_change(change) for change in comparison.changes if change.kind != "unchanged"],
    }


def _change(change: Change) -> dict[str, Any]:
    module, name, case, trial = change.key
    place = {"module": module, "eval": name, "case": case, "trial": trial}
    return {**place, "kind": change.kind, "before": _judged(change.before), "after": _judged(change.after)}


def _judged(judged: Judged | None) -> dict[str, Any] | None:
    return None if judged is None else {"standing": judged.standing, "score": judged.score}


def lines(comparison: Comparison) -> list[str]:
    """The counts, and each run that got worse or better."""
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(comparison.counts.items()))
    told = [
        f"  {change.kind} {change.key[1]}[{change.key[2]}]: {_show(change.before)} -> {_show(change.after)}"
        for change in comparison.changes
        if change.kind in ("regressed", "fixed", "changed")
    ]
    rest = [f"  … {len(told) - SHOWN} more in the report file"] if len(told) > SHOWN else []
    return [f"baseline: {counts}", *told[:SHOWN], *rest]


def _show(judged: Judged | None) -> str:
    if judged is None:
        return "nothing"
    return judged.standing if judged.score is None else f"{judged.standing} {judged.score:.2f}"
