"""The end of a session: is it red as a whole, and what is written about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_looplet.evals.plan import plan_of
from pytest_looplet.report.model import SessionReport
from pytest_looplet.settings import settings_of

report_key = pytest.StashKey[SessionReport]()

NOTHING_JUDGED = "evals were collected and not one of them judged a run"


def conclude(session: pytest.Session, rows: Sequence[dict[str, Any]]) -> None:
    """Make the session's report; turn the session red if its evals say nothing; write the files."""
    problems, remarks = _problems(session, rows)
    if problems and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    report = SessionReport.of(rows, int(session.exitstatus), problems, remarks)
    session.config.stash[report_key] = report
    for path in settings_of(session.config).reports:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report.to_json(), encoding="utf-8")


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
