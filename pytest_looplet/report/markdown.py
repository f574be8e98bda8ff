"""A report as Markdown, for the summary of a CI step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from looplet.text import shorten, visible
from pytest_looplet.report.changes import lines as change_lines
from pytest_looplet.report.figures import MARKS, EvalFigures, by_eval, headline, is_red, red_rows, totals
from pytest_looplet.report.model import SessionReport
from pytest_looplet.report.rates import repeated
from pytest_looplet.rule_use import lines as rule_lines

SHOWN = 50
"""Rows of a table of failures; the rest is counted."""

REASON = 300
"""Characters of a reason."""

ARROWS = {"regressed": "▼", "changed": "▲", "same": "=", "inconclusive": "~"}
_MARKUP = re.compile(r"[\\`*{}\[\]<>&|~$#@!]|(?<!\w)_|_(?!\w)|:(?=:|//|\w+:)|(?<=:):")


def markdown(report: SessionReport) -> str:
    """*report* in GitHub's Markdown; whatever models and tools said stays text, in its own cell."""
    return "\n".join(_parts(report)) + "\n"


def cell(text: str) -> str:
    """*text* as one table cell that shows it as it is."""
    flat = visible(text).replace("\n", " ").replace("\t", " ")
    return _MARKUP.sub(lambda match: f"&#{ord(match.group())};", flat)


def _parts(report: SessionReport) -> Iterator[str]:
    yield f"## {'✗' if is_red(report) else '✓'} looplet: {headline(report)}"
    yield ""
    used = totals(report)
    if used.runs:
        cost = f", ${used.cost_usd:.4f}" if used.cost_usd is not None else ""
        made = f"{used.runs:,} runs, {used.steps:,} steps, {used.model_calls:,} model calls"
        yield f"{made}, {used.tokens:,} tokens{cost}"
        yield ""
    for problem in report.problems:
        yield f"- **{cell(problem)}**"
    for remark in report.remarks:
        yield f"- {cell(remark)}"
    if report.problems or report.remarks:
        yield ""
    if report.evals:
        heads = ("eval", "runs", "result", "mean", "pass rate, 95 %", "baseline", "gate")
        yield from _table(heads, [_eval_cells(one) for one in by_eval(report)])
    if trials := repeated(report.by_eval()):
        yield "### Over trials"
        yield ""
        yield from (f"- {cell(rate.line())}" for rate in trials)
        yield ""
    yield from _failures(report)
    if rules := rule_lines(report.rule_use):
        yield "### Permissions"
        yield ""
        yield from (f"- {cell(line)}" for line in rules)
        yield ""
    if report.comparison is not None:
        yield "### Against the baseline"
        yield ""
        yield from (f"- {cell(line.strip())}" for line in change_lines(report.comparison))
        yield ""


def _eval_cells(one: EvalFigures) -> tuple[str, ...]:
    standings = " ".join(f"{one.standings[name]} {MARKS[name]}" for name in MARKS if name in one.standings)
    rate = ""
    if one.rate is not None:
        low, high = one.rate
        rate = f"{one.passed / one.judged:.0%} ({low:.0%} to {high:.0%})"
    gate = "" if one.gate is None else f"{'✓' if one.gate.passed else '✗'} {cell(one.gate.text)}"
    mean = "" if one.mean is None else f"{one.mean:.2f}"
    trend = f"{ARROWS.get(one.trend, '')} {one.trend}".strip()
    before = "" if one.before is None else f" from {one.before:.2f}"
    return cell(one.eval), str(one.runs), standings, mean, rate, trend + before, gate


def _failures(report: SessionReport) -> Iterator[str]:
    rows = [
        (cell(f"{row.eval}[{row.case}]"), str(row.trial), row.standing, row.blame or "", _reason(row.reason))
        for row in red_rows(report)
    ]
    rows += [
        (cell(test.test), "", "failed", "", _reason("; ".join(run.get("error") or "" for run in test.runs)))
        for test in report.tests
        if test.outcome == "failed"
    ]
    if not rows:
        return
    yield "### Not green"
    yield ""
    yield from _table(("where", "trial", "result", "at fault", "why"), rows[:SHOWN])
    if len(rows) > SHOWN:
        yield f"… and {len(rows) - SHOWN:,} more in the report file"
        yield ""


def _reason(text: str) -> str:
    return cell(shorten(visible(text).replace("\n", " "), REASON))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
