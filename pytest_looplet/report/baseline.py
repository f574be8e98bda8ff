"""The report of an accepted session, and how today's compares with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from looplet.errors import TraceError
from looplet.evals.compare import Comparison, Judged, Key, compare
from looplet.trajectory import Trajectory
from looplet.trajectory.diff import difference
from pytest_looplet.report.model import SCHEMA, EvalRow


def read(path: Path) -> dict[Key, Judged]:
    """What an accepted report says of each eval and run.

    Raises:
        pytest.UsageError: it is not there, or is no report of ours.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise pytest.UsageError(
            f"--looplet-baseline={path}: there is no such file; make it with --looplet-accept"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise pytest.UsageError(f"--looplet-baseline={path}: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise pytest.UsageError(f"--looplet-baseline={path}: expected schema {SCHEMA}, found {found}")
    return _judged(content["evals"])


def against(path: Path, rows: Iterable[EvalRow], *, fresh: bool) -> Comparison:
    """Today's *rows* against the accepted report at *path*."""
    today = {(row.module, row.eval, row.case, row.trial): Judged(row.standing, row.score) for row in rows}
    return compare(read(path), today, fresh=fresh)


def differences(path: Path, runs: Mapping[str, Trajectory]) -> dict[str, tuple[str, ...]]:
    """How each of *runs* behaved otherwise than its accepted run in the report at *path*, in lines."""
    if not runs:
        return {}
    accepted = json.loads(path.read_bytes()).get("runs", {})
    found: dict[str, tuple[str, ...]] = {}
    for name, run in runs.items():
        if name in accepted:
            try:
                before = Trajectory.from_json(json.dumps(accepted[name]), source=f"{path}: the run {name}")
            except TraceError as error:
                found[name] = (str(error),)
            else:
                found[name] = tuple(difference(before, run, names=("baseline", "this")))
    return {name: lines for name, lines in found.items() if lines}


def _judged(evals: Iterable[Mapping[str, Any]]) -> dict[Key, Judged]:
    return {
        (row["module"], row["eval"], row["case"], row["trial"]): Judged(row["standing"], row["score"])
        for row in evals
    }
