"""The end of a session: is it red as a whole, and what is written about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from looplet.evals.compare import Comparison
from pytest_looplet.evals.plan import plan_of
from pytest_looplet.report import baseline
from pytest_looplet.report.model import SessionReport
from pytest_looplet.settings import settings_of

report_key = pytest.StashKey[SessionReport]()

NOTHING_JUDGED = "evals were collected and not one of them judged a run"


def conclude(session: pytest.Session, rows: Sequence[dict[str, Any]]) -> None:
    """Make the session's report; turn the session red if its evals say nothing; write the files."""
    settings = settings_of(session.config)
    problems, remarks = _problems(session, rows)
    report = SessionReport.of(rows, int(session.exitstatus), problems, remarks)
    if settings.baseline is not None and report.evals and not settings.accept:
        comparison = baseline.against(settings.baseline, report.evals, fresh=settings.calls_models)
        worse = _worse(comparison)
        report = replace(report, comparison=comparison, problems=(*report.problems, *worse))
    if report.problems and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        report = replace(report, exit_status=int(session.exitstatus))
    session.config.stash[report_key] = report
    accepted = (settings.baseline,) if settings.accept and settings.baseline and report.evals else ()
    for path in (*settings.reports, *accepted):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report.to_json(), encoding="utf-8")


def _worse(comparison: Comparison) -> list[str]:
    if comparison.is_of_other_cases:
        return ["the baseline is of other evals and cases: nothing could be compared"]
    return [f"{name} regressed against the baseline" for _, name in comparison.regressed]


def _problems(session: pytest.Session, rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Why the session is red beyond its items, and what else its reader should know."""
    problems: list[str] = []
    remarks: list[str] = []
    config, plan = session.config, plan_of(session.config)
    if config.getoption("collectonly", False) or config.getoption("setuponly", False):
        return problems, remarks
    judged = any(row["standing"] in ("passed", "noted", "failed") for row in rows if "eval" in row)
    if not judged and any(planned.selected for planned in plan.evals.values()):
        problems.append(NOTHING_JUDGED)
    missing = plan.unreported(rows)
    if missing and session.exitstatus == pytest.ExitCode.OK:
        problems.append(f"{len(missing)} selected evals were never reported, for example {missing[0]}")
    if left_out := plan.left_out():
        text = f"required evals were left out: {', '.join(left_out)}"
        (problems if settings_of(config).require_all else remarks).append(text)
    return problems, remarks
