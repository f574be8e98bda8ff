"""The report of an accepted session, and how today's compares with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from looplet.evals.compare import Judged, Key, compare
from looplet.evals.spent import TOLERANCES, compare_spent, figures_of
from pytest_looplet.report.accepted import Accepted, accepted_of, by_case
from pytest_looplet.report.model import EvalRow, SessionReport
from pytest_looplet.report.read import ReportUnreadable, read_report


def read(path: Path) -> SessionReport:
    """The accepted report in the file *path*.

    Raises:
        pytest.UsageError: it is not there, or is no report of ours.
    """
    if not path.exists():
        raise pytest.UsageError(
            f"--looplet-baseline={path}: there is no such file; make it with --looplet-accept"
        )
    try:
        return read_report(path)
    except ReportUnreadable as error:
        raise pytest.UsageError(f"--looplet-baseline={error}") from error


def compared(
    report: SessionReport,
    baseline: SessionReport,
    *,
    tolerances: Mapping[str, float] = TOLERANCES,
    more_is_red: bool = False,
) -> SessionReport:
    """*report* with its comparison with *baseline*, and with how its runs behaved otherwise.

    Args:
        report: Today's session.
        baseline: The accepted one.
        tolerances: The share by which steps, tokens and cost of a case may move.
        more_is_red: Whether one that rose beyond that is a regression.
    """
    accepted, runs = accepted_in(baseline), by_case(report.runs, report.cases)
    found = compare(judged(baseline.evals), judged(report.evals), fresh=report.fresh)
    spent = compare_spent(
        {case: one.figures for case, one in accepted.items()},
        {case: figures_of(some) for case, some in runs.items()},
        tolerances,
    )
    differences = {
        name: lines
        for name, run in report.runs.items()
        if (known := accepted.get(report.cases.get(name, name))) is not None
        and (lines := known.departure(run))
    }
    found = replace(found, spent=spent, more_is_red=more_is_red)
    return replace(report, comparison=found, differences=differences)


def judged(rows: Iterable[EvalRow]) -> dict[Key, Judged]:
    """What each eval of each run came to."""
    return {(row.module, row.eval, row.case, row.trial): Judged(row.standing, row.score) for row in rows}


def accepted_in(baseline: SessionReport) -> dict[str, Accepted]:
    """What is accepted of each case; of an ordinary report, what its runs did."""
    if baseline.accepted:
        return dict(baseline.accepted)
    return {case: accepted_of(runs) for case, runs in by_case(baseline.runs, baseline.cases).items()}
