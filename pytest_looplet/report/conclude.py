"""The end of a session: is it red as a whole, and what is written about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from looplet.errors import LoopletError
from looplet.text import count
from pytest_looplet.evals.plan import plan_of
from pytest_looplet.evals.thresholds import unknown_names
from pytest_looplet.recording import departures
from pytest_looplet.report import baseline
from pytest_looplet.report.effort import TAKEN, Effort, recordings, together
from pytest_looplet.report.files import write, write_summary
from pytest_looplet.report.merge import GATE_LEFT_OUT, LEFT_OUT, worse
from pytest_looplet.report.model import SessionReport
from pytest_looplet.rule_use import RuleUse, use_key
from pytest_looplet.saved import shareable
from pytest_looplet.settings import ACCEPTED_NOWHERE, settings_of

report_key = pytest.StashKey[SessionReport]()
effort_key = pytest.StashKey[Effort]()

NOTHING_JUDGED = "evals were collected and not one of them judged a run"


def conclude(session: pytest.Session, rows: Sequence[dict[str, Any]]) -> None:
    """Make the session's report; turn the session red if its evals say nothing; write the files."""
    settings = settings_of(session.config)
    problems, remarks = _problems(session, rows)
    planned = plan_of(session.config).evals.values()
    report = replace(
        SessionReport.of(rows, int(session.exitstatus), problems, remarks),
        fresh=settings.calls_models,
        planned={"::".join(p.key): len(p.cells) for p in planned},
        spared=_spared(rows),
        required=tuple(sorted("::".join(p.key) for p in planned if p.demands.required)),
        rule_use=session.config.stash.get(use_key, RuleUse()),
    )
    if settings.baseline is not None and report.evals and not settings.accept:
        report = baseline.compared(
            report,
            baseline.read(settings.baseline),
            tolerances=settings.tolerances,
            more_is_red=settings.more_is_red,
        )
        worse_now = worse(report.comparison) if report.comparison is not None else ()
        report = replace(report, problems=(*report.problems, *worse_now))
    runs = {name: shareable(run, session.config.rootpath) for name, run in report.runs.items()}
    report = replace(report, departures=departures(report.runs), runs=runs)
    if report.problems and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        report = replace(report, exit_status=int(session.exitstatus))
    session.config.stash[report_key] = report
    session.config.stash[effort_key] = _effort(session.config, rows)
    session.config.hook.pytest_looplet_report(config=session.config, report=report)
    try:
        _write(report, session.config)
    except (LoopletError, OSError) as error:
        session.config.stash[report_key] = replace(report, problems=(*report.problems, str(error)))
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def _effort(config: pytest.Config, rows: Sequence[dict[str, Any]]) -> Effort:
    """What the runs took; how long a recording took is known where it was made, from pytest's cache."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return together(rows, {})
    taken: dict[str, float] = cache.get(TAKEN, {})
    if new := recordings(rows):
        taken = taken | new
        cache.set(TAKEN, taken)
    return together(rows, taken)


def _write(report: SessionReport, config: pytest.Config) -> None:
    settings = settings_of(config)
    for path in settings.reports:
        write(report, path)
    if settings.accept and settings.baseline and report.evals:
        from pytest_looplet.accepting import accept_session

        accept_session(config, report, settings.baseline)
    write_summary(report)


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
    if config.getoption("dist", "no") != "no":  # else collection has refused it
        problems += unknown_names(config)
        settings = settings_of(config)
        if settings.accept and settings.baseline is None and plan.evals:
            problems.append(ACCEPTED_NOWHERE)
    remarks += dict.fromkeys(row["remark"] for row in rows if "remark" in row)
    for name, number in _spared(rows).items():
        remarks.append(f"{name}: {count(number, 'run')} left out, because its gate had decided")
    repeats = sum(row.get("repeats", 0) for row in rows)
    if repeats:
        remarks.append(f"{count(repeats, 'run')} of the agent repeated, because the provider had failed")
    if left_out := plan.left_out():
        text = LEFT_OUT + ", ".join(left_out)
        (problems if settings_of(config).require_all else remarks).append(text)
    gates_left_out = [f"{GATE_LEFT_OUT}{name}" for name in plan.gates_left_out()]
    (problems if settings_of(config).require_all else remarks).extend(gates_left_out)
    if settings_of(config).require_all:
        problems += [f"{file} skipped itself, and whatever it requires with it" for file in plan.skipped]
    return problems, remarks


def _spared(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Runs that were left out because the gate of their eval had decided, by `file::eval`."""
    names = (f"{row['module']}::{row['spared']}" for row in rows if "spared" in row)
    return dict(sorted(Counter(names).items()))
