"""The scores, in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from tabulate import tabulate

from looplet.text import escape_terminal, shorten
from pytest_looplet.report.conclude import report_key
from pytest_looplet.report.model import EvalRow, SessionReport

WIDTH = 80
MARKS = {"passed": "✓", "noted": "·", "failed": "✗", "error": "!", "skipped": "s"}


def show(terminal: pytest.TerminalReporter) -> None:
    """Print a line for each eval, and what else is wrong with the session."""
    report = terminal.config.stash.get(report_key, None)
    if report is None or not (report.evals or report.problems):
        return
    terminal.section("looplet evals", sep="=")
    for line in score_table(report):
        terminal.write_line(line)
    for problem in report.problems:
        terminal.write_line(f"looplet: {escape_terminal(problem)}", red=True)


def score_table(report: SessionReport) -> list[str]:
    """A line for each eval, at most 80 columns wide: runs, what they came to, mean and worst score."""
    several = len({row.module for row in report.evals}) > 1
    lines = [
        _line(f"{module}::{name}" if several else name, rows)
        for (module, name), rows in report.by_eval().items()
    ]
    headers = ["eval", "runs", "result", "mean", "worst"]
    table = tabulate(
        lines,
        headers,
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left", "right", "left", "right", "right"),
    )
    return table.splitlines()


def _line(name: str, rows: Sequence[EvalRow]) -> list[str]:
    scores = [row.score for row in rows if row.score is not None]
    worst = min(
        (row for row in rows if row.score is not None), key=lambda row: row.score or 0.0, default=None
    )
    shown_worst = ""
    if worst is not None and worst.score is not None and worst.score < 1:
        shown_worst = f"{worst.score:.2f} {shorten(escape_terminal(worst.case), 16)}"
    return [
        shorten(escape_terminal(name), 34),
        str(len(rows)),
        _result(rows),
        f"{sum(scores) / len(scores):.2f}" if scores else "",
        shown_worst,
    ]


def _result(rows: Sequence[EvalRow]) -> str:
    """`5 ✓ 1 ✗`, blame beside what is not the agent's; labels where nothing was at stake."""
    labels = Counter(row.label for row in rows if row.standing == "noted" and row.score is None and row.label)
    if labels:
        return shorten(
            escape_terminal(", ".join(f"{label} {count}" for label, count in sorted(labels.items()))), 22
        )
    parts = []
    for standing, mark in MARKS.items():
        some = [row for row in rows if row.standing == standing]
        if some:
            others = sorted({row.blame for row in some if row.blame not in (None, "agent")} - {None})
            parts.append(f"{len(some)} {mark}" + (f" ({', '.join(map(str, others))})" if others else ""))
    return " ".join(parts)
