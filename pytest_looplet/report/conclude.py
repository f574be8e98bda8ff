"""The end of a session: is it red as a whole, and what is written about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_looplet.report.model import SessionReport
from pytest_looplet.settings import settings_of

report_key = pytest.StashKey[SessionReport]()

NOTHING_JUDGED = "evals were collected and not one of them judged a run"


def conclude(session: pytest.Session, rows: Sequence[dict[str, Any]]) -> None:
    """Make the session's report; turn the session red if its evals say nothing; write the files."""
    evals = [row for row in rows if "eval" in row]
    problems = []
    if evals and not any(row["standing"] in ("passed", "noted", "failed") for row in evals):
        problems.append(NOTHING_JUDGED)
    if problems and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    report = SessionReport.of(rows, int(session.exitstatus), problems)
    session.config.stash[report_key] = report
    for path in settings_of(session.config).reports:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report.to_json(), encoding="utf-8")
