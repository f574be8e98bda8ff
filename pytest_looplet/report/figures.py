"""What the reports for people count: one line for each eval, one for the session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from looplet.evals.gate import Standing
from looplet.evals.stats import interval
from looplet.text import count
from pytest_looplet.report.model import EvalRow, GateRow, SessionReport

CONFIDENCE = 0.95

MARKS: dict[Standing, str] = {"passed": "✓", "noted": "·", "failed": "✗", "error": "!", "skipped": "s"}
"""A sign for each standing."""


@dataclass(frozen=True, slots=True)
class EvalFigures:
    """One eval over all its runs.

    Attributes:
        module, eval: Which eval.
        runs: How many runs it judged or should have.
        standings: How many of each standing.
        mean: Mean score, None without scores.
        passed, judged: Runs the agent passed, of those that say something about it.
        rate: Bounds of the pass rate with 95 % confidence, None if nothing was judged.
        before: Mean score in the baseline over the runs of both, None without one.
        trend: The baseline's word: same, changed, regressed or inconclusive; `new` if it does not know the
            eval; empty without a baseline.
        gate: Its suite gate, if it has one.
    """

    module: str
    eval: str
    runs: int
    standings: dict[Standing, int]
    mean: float | None
    passed: int
    judged: int
    rate: tuple[float, float] | None
    before: float | None
    trend: str
    gate: GateRow | None


def by_eval(report: SessionReport) -> list[EvalFigures]:
    """The figures of each eval, in the report's order."""
    before = _means_before(report)
    trends = report.comparison.trends if report.comparison is not None else {}
    gates = {(gate.module, gate.eval): gate for gate in report.gates}
    found = []
    for key, rows in report.by_eval().items():
        standings: dict[Standing, int] = dict(Counter(row.standing for row in rows))
        passed = standings.get("passed", 0)  # a run that was only noted neither passed nor failed
        judged = passed + standings.get("failed", 0)
        found.append(
            EvalFigures(
                *key,
                len(rows),
                standings,
                _mean([row.score for row in rows]),
                passed,
                judged,
                interval(passed, judged, CONFIDENCE) if judged else None,
                before.get(key),
                trends.get(key, "") if key in before or report.comparison is None else "new",
                gates.get(key),
            )
        )
    return found


def _means_before(report: SessionReport) -> dict[tuple[str, str], float | None]:
    scores: dict[tuple[str, str], list[float | None]] = {}
    for change in report.comparison.changes if report.comparison is not None else ():
        if change.before is not None:
            scores.setdefault(change.key[:2], []).append(change.before.score)
    return {key: _mean(some) for key, some in scores.items()}


def _mean(scores: list[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def is_red(report: SessionReport) -> bool:
    """Whether the session is."""
    return report.exit_status not in (0, 5) or bool(report.problems)


def headline(report: SessionReport) -> str:
    """What the session came to, such as `8 of 10 evals green, 1 of 1 test passed`."""
    parts = []
    if report.evals:
        green = sum(row.green for row in report.evals)
        parts.append(f"{green:,} of {count(len(report.evals), 'eval')} green")
    if report.tests:
        passed = sum(row.outcome == "passed" for row in report.tests)
        parts.append(f"{passed:,} of {count(len(report.tests), 'test')} passed")
    return ", ".join(parts) or "nothing was judged"


@dataclass(frozen=True, slots=True)
class Totals:
    """What the runs of a session used together; `cost_usd` is None where one is not known."""

    runs: int = 0
    steps: int = 0
    model_calls: int = 0
    tokens: int = 0
    cost_usd: float | None = None


def totals(report: SessionReport) -> Totals:
    """The sums over all trajectories, or over the figures of the tests where those were not kept."""
    used = list(_used(report))
    costs = [cost for *_, cost in used]
    known = [cost for cost in costs if cost is not None]
    return Totals(
        len(used),
        sum(steps for steps, _, _, _ in used),
        sum(calls for _, calls, _, _ in used),
        sum(tokens for _, _, tokens, _ in used),
        sum(known) if known and len(known) == len(costs) else None,
    )


def _used(report: SessionReport) -> Iterator[tuple[int, int, int, float | None]]:
    if report.runs:
        for run in report.runs.values():
            yield len(run.steps), len(run.model_calls), run.usage.total_tokens, run.cost_usd
        return
    for test in report.tests:
        for figures in test.runs:
            yield figures["steps"], figures["model_calls"], figures["tokens"], figures["cost_usd"]


def red_rows(report: SessionReport) -> list[EvalRow]:
    """The evals that are not green, the skipped ones aside."""
    return [row for row in report.evals if row.standing in ("failed", "error")]
