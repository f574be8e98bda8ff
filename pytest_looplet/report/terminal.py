"""The scores, in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from tabulate import tabulate

from looplet.text import escape_terminal, shorten
from pytest_looplet.report import changes, github
from pytest_looplet.report.conclude import effort_key, report_key
from pytest_looplet.report.effort import Effort, lines as effort_lines
from pytest_looplet.report.figures import MARKS
from pytest_looplet.report.model import EvalRow, SessionReport
from pytest_looplet.report.rates import repeated
from pytest_looplet.settings import settings_of

WIDTH = 80
LABELS_WIDTH = 24
HEADERS = ("eval", "runs", "result", "mean", "worst, or labels")
ALIGNED = ("left", "right", "left", "right", "left")


def show(terminal: pytest.TerminalReporter) -> None:
    """Print a line for each eval, and what else is wrong with the session."""
    report = terminal.config.stash.get(report_key, None)
    if report is None:
        return
    effort = terminal.config.stash.get(effort_key, Effort())
    told = [f"looplet: {line}" for line in effort_lines(effort, detailed=terminal.verbosity > 0)]
    if settings_of(terminal.config).live and effort.runs:
        terminal.section("looplet: live runs, no cassette", sep="!", yellow=True, bold=True)
    if report.evals or report.problems:
        terminal.section("looplet evals", sep="=")
        for line in score_table(report):
            terminal.write_line(line)
    for line in told if terminal.verbosity >= 0 else ():
        terminal.write_line(escape_terminal(line))
    for rate in repeated(report.by_eval()):
        terminal.write_line(escape_terminal(rate.line()))
    for gate in report.gates:
        mark = "✓" if gate.passed else "✗"
        terminal.write_line(escape_terminal(f"gate {gate.eval} {mark} {gate.text}"), red=not gate.passed)
    for line in changes.lines(report.comparison) if report.comparison is not None else ():
        terminal.write_line(escape_terminal(line))
    for remark in report.remarks:
        terminal.write_line(f"looplet: {escape_terminal(remark)}")
    for problem in report.problems:
        terminal.write_line(f"looplet: {escape_terminal(problem)}", red=True)
    for path in filter(Path.is_file, settings_of(terminal.config).reports):
        terminal.write_line(f"looplet: wrote {escape_terminal(str(path))}")


def annotate(terminal: pytest.TerminalReporter) -> None:
    """In a workflow of GitHub: annotate the lines of what is not green."""
    report = terminal.config.stash.get(report_key, None)
    if report is not None and github.wanted():
        for line in github.workflow_commands(report, terminal.config.rootpath):
            terminal.write_line(line)


def score_table(report: SessionReport) -> list[str]:
    """A line for each eval, at most 80 columns wide: runs, what they came to, mean and worst score."""
    several = len({row.module for row in report.evals}) > 1
    lines = []
    for (module, name), rows in report.by_eval().items():
        scores = [row.score for row in rows if row.score is not None]
        lines.append(
            [
                escape_terminal(f"{module}::{name}" if several else name),
                str(len(rows)),
                _result(rows),
                f"{sum(scores) / len(scores):.2f}" if scores else "",
                _worst(rows) if scores else _labels(rows),
            ]
        )
    # tabulate gives a heading two columns more than it needs, and every column a gap of two.
    others = zip(*([f"{heading}  " for heading in HEADERS[1:]], *(line[1:] for line in lines)), strict=True)
    rest = sum(max(map(len, column)) + 2 for column in others)
    for line in lines:
        line[0] = shorten(line[0], max(16, WIDTH - rest))
    table = tabulate(lines, HEADERS, tablefmt="simple", disable_numparse=True, colalign=ALIGNED)
    return table.splitlines()


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
