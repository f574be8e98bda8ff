"""The scores, in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from tabulate import tabulate

from looplet.text import escape_terminal, shorten
from pytest_looplet.report.conclude import report_key
from pytest_looplet.report.model import EvalRow, SessionReport

LABELS_WIDTH = 24
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
    headers = ["eval", "runs", "result", "mean", "worst score, or labels"]
    table = tabulate(
        lines,
        headers,
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left", "right", "left", "right", "left"),
    )
    return table.splitlines()


def _line(name: str, rows: Sequence[EvalRow]) -> list[str]:
    scores = [row.score for row in rows if row.score is not None]
    return [
        shorten(escape_terminal(name), 32),
        str(len(rows)),
        _result(rows),
        f"{sum(scores) / len(scores):.2f}" if scores else "",
        _worst(rows) if scores else _labels(rows),
    ]


def _result(rows: Sequence[EvalRow]) -> str:
    """`5 ✓ 1 ✗`, with who is at fault where it is not the agent."""
    parts = []
    for standing, mark in MARKS.items():
        some = [row for row in rows if row.standing == standing]
        if some:
            others = sorted({row.blame for row in some if row.blame and row.blame != "agent"})
            parts.append(f"{len(some)} {mark}" + (f" ({', '.join(others)})" if others else ""))
    return " ".join(parts)


def _worst(rows: Sequence[EvalRow]) -> str:
    """The lowest score and its case; nothing where all are 1."""
    scored = [(row.score, row.case) for row in rows if row.score is not None]
    score, case = min(scored, key=lambda pair: pair[0])
    return f"{score:.2f} {shorten(escape_terminal(case), 18)}" if score < 1 else ""


def _labels(rows: Sequence[EvalRow]) -> str:
    """How often each label was given, the most frequent first."""
    counted = Counter(row.label for row in rows if row.label).most_common()
    text = escape_terminal(", ".join(f"{label} {count}" for label, count in counted))
    return text if len(text) <= LABELS_WIDTH else f"{text[: LABELS_WIDTH - 1]}…"
