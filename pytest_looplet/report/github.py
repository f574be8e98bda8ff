"""GitHub annotations: what is wrong, at the line of the eval or test in a pull request."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from looplet.text import escape_terminal
from pytest_looplet.report.figures import red_rows
from pytest_looplet.report.model import SessionReport

MOST = 10
"""Annotations of one level that GitHub shows for a step."""


def wanted() -> bool:
    """Whether this session runs in a workflow of GitHub."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def workflow_commands(
    report: SessionReport, root: Path, environ: Mapping[str, str] = os.environ
) -> list[str]:
    """Workflow commands, one a line, for what is not green; at most ten of each level.

    Args:
        report: The session.
        root: What the report's paths are relative to.
        environ: Names the checkout (`GITHUB_WORKSPACE`), to which GitHub's paths are relative.
    """
    workspace = Path(environ.get("GITHUB_WORKSPACE") or root)
    base = os.path.relpath(root, workspace)
    kept: dict[str, list[str]] = {"error": [], "warning": []}
    for level, file, line, title, text in _found(report):
        path = Path(os.path.normpath(Path(base, file))).as_posix()
        place = f"file={_value(path)}" + (f",line={line}" if line else "")
        kept[level].append(f"::{level} {place},title={_value(title)}::{_data(text)}")
    return [*kept["error"][:MOST], *kept["warning"][:MOST]]


def _found(report: SessionReport) -> Iterator[tuple[str, str, int, str, str]]:
    """Level, file, line, title and text of each."""
    lines = {(row.module, row.eval): row.line for row in report.evals}
    gated = {(gate.module, gate.eval) for gate in report.gates}
    for gate in report.gates:
        if not gate.passed:
            yield "error", gate.module, lines.get((gate.module, gate.eval), 0), f"gate {gate.eval}", gate.text
    for row in red_rows(report):
        tolerated = row.standing == "failed" and (row.module, row.eval) in gated
        title = f"{row.eval}[{row.case}]" + (f" trial {row.trial}" if row.trial > 1 else "")
        yield "warning" if tolerated else "error", row.module, row.line, title, row.reason or row.standing
    for test in report.tests:
        if test.outcome == "failed":
            file, _, name = test.test.partition("::")
            why = "; ".join(run["error"] for run in test.runs if run.get("error"))
            yield "error", file, test.line, name, why or "failed; the log and the report say why"


def _data(text: str) -> str:
    """*text* as the message of a command: one line, whatever is in it."""
    return escape_terminal(text, lines=True).replace("%", "%25").replace("\n", "%0A")


def _value(text: str) -> str:
    """*text* as a property of a command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
