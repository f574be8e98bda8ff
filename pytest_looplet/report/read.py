"""A report file as a report again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from looplet.errors import LoopletError
from looplet.evals.compare import Change, Comparison, Judged, Key
from looplet.evals.marks import Demands
from looplet.evals.spent import Spent
from looplet.trajectory import Trajectory
from looplet.values import bounded
from pytest_looplet.report.accepted import accepted_from
from pytest_looplet.report.model import SCHEMA, EvalRow, GateRow, SessionReport, TestRow
from pytest_looplet.report.timeless import timed
from pytest_looplet.rule_use import RuleUse

R = TypeVar("R", EvalRow, TestRow, GateRow)
T = TypeVar("T")

_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "Standing": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "dict[str, float]": (dict,),
    "dict[str, Any]": (dict,),
    "tuple[dict[str, Any], ...]": (list, tuple),
}
"""What JSON holds for a field of a row, by its annotation."""

WORDS = ("standing", "blame", "outcome")
"""Fields of a row that hold one of our own words; they are shown as they are."""


class ReportUnreadable(LoopletError):
    """A file is no session report; the text names it and the reason."""


def read_report(path: Path) -> SessionReport:
    """The report in the JSON file *path*.

    Raises:
        ReportUnreadable: it is missing, damaged, or no report of ours.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ReportUnreadable(f"{path}: there is no such file; write it with --looplet-report") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ReportUnreadable(f"{path}: {error}") from error
    found = content.get("schema") if isinstance(content, dict) else type(content).__name__
    if found != SCHEMA:
        raise ReportUnreadable(f"{path}: expected schema {SCHEMA}, found {found}")
    try:
        return report_from(content)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ReportUnreadable(f"{path}: damaged, {type(error).__name__}: {error}") from error


def report_from(content: Mapping[str, Any]) -> SessionReport:
    """The report that `SessionReport.to_json` wrote as *content*.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, TraceError: it is not such a report.
    """
    timing = content["timing"]
    evals = tuple(_row(EvalRow, row, duration_ms=_eval_ms(row, timing)) for row in content["evals"])
    tests = tuple(_row(TestRow, row, runs=_runs(row, timing)) for row in content["tests"])
    baseline = content.get("baseline")
    return SessionReport(
        evals,
        tests,
        int(content["exit_status"]),
        _all(str, content["problems"]),
        _all(str, content["remarks"]),
        tuple(_gate(row) for row in content["gates"]),
        _comparison(baseline, evals) if baseline is not None else None,
        bool(content.get("fresh", False)),
        _counts(content.get("planned", {})),
        _all(str, content.get("required", ())),
        _counts(content.get("spared", {})),
        {name: _trajectory(name, run, timing) for name, run in content.get("runs", {}).items()},
        {name: tuple(lines) for name, lines in (baseline or {}).get("differences", {}).items()},
        {name: tuple(lines) for name, lines in content.get("departures", {}).items()},
        {case: accepted_from(one, f"the case {case}") for case, one in content.get("accepted", {}).items()},
        RuleUse.from_dict(content.get("permissions", {"rules": [], "unruled": {}})),
    )


def _row(kind: type[R], content: Mapping[str, Any], **more: Any) -> R:
    known = {f.name: str(f.type) for f in fields(kind)}
    given = {name: value for name, value in content.items() if name in known}
    for name, value in given.items():
        if not _fits(value, known[name]) or (name in WORDS and value and not value.isidentifier()):
            raise TypeError(f"{name} of a row is {bounded(repr(value), 60)}")
    return kind(**given | more)


def _all(kind: type[T], values: Iterable[Any]) -> tuple[T, ...]:
    for value in values:
        if not isinstance(value, kind):
            raise TypeError(f"found {bounded(repr(value), 60)} where each is of type {kind.__name__}")
    return tuple(values)


def _counts(content: Mapping[str, Any]) -> dict[str, int]:
    return dict(zip(content, _all(int, content.values()), strict=True))


def _gate(content: Mapping[str, Any]) -> GateRow:
    gate = _row(GateRow, content)
    Demands(**gate.demands)  # they are judged by again when reports are merged
    return gate


def _fits(value: object, annotation: str) -> bool:
    if annotation == "dict[str, float]" and isinstance(value, dict):
        return all(isinstance(number, (int, float)) for number in value.values())
    return isinstance(value, _KINDS[annotation])


def _eval_ms(row: Mapping[str, Any], timing: Mapping[str, Any]) -> float:
    return float(timing.get(f"{row['module']}::{row['eval']}[{row['case']}#{row['trial']}]", 0.0))


def _runs(row: Mapping[str, Any], timing: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    lasted = [*timing.get(row["test"], ()), *[0.0] * len(row["runs"])]
    return tuple({**run, "duration_ms": ms} for run, ms in zip(row["runs"], lasted, strict=False))


def _trajectory(name: str, content: object, timing: Mapping[str, Any]) -> Trajectory:
    run = Trajectory.from_json(json.dumps(content), source=f"the run {name}")
    return timed(run, timing.get("runs", {}).get(name, {}))


def _comparison(content: Mapping[str, Any], evals: tuple[EvalRow, ...]) -> Comparison:
    """The comparison; what did not change is not in the file, and is as it was."""
    changes: dict[Key, Change] = {}
    for row in evals:
        judged = Judged(row.standing, row.score)
        key = (row.module, row.eval, row.case, row.trial)
        changes[key] = Change(key, "unchanged", judged, judged)
    for change in content["changes"]:
        key = (change["module"], change["eval"], change["case"], change["trial"])
        changes[key] = Change(key, change["kind"], _judged(change["before"]), _judged(change["after"]))
    # Neither a file's node id nor a function's name ends or begins with a colon.
    trends = {
        (name.rpartition("::")[0], name.rpartition("::")[2]): t for name, t in content["trends"].items()
    }
    spent = tuple(Spent(**one) for one in content.get("spent", ()))
    ordered = tuple(changes[key] for key in sorted(changes))
    return Comparison(ordered, trends, spent, bool(content.get("more_is_red", False)))


def _judged(content: Mapping[str, Any] | None) -> Judged | None:
    return None if content is None else Judged(content["standing"], content["score"])
