"""The sections of a page: one for each run that evals judged, one for each test that ran agents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from looplet.evals.compare import Change, Key
from looplet.text import count
from pytest_looplet.report.changes import figure_text
from pytest_looplet.report.figures import MARKS
from pytest_looplet.report.html.run import run_html
from pytest_looplet.report.html.text import block, esc
from pytest_looplet.report.model import EvalRow, SessionReport, TestRow

OPEN = 1
"""Red sections that are open from the start."""

ORDER = ("error", "failed", "skipped", "passed", "noted")
"""Standings from the worst; a section has that of its worst eval."""

ARROWS = {"regressed": "▼ regressed", "fixed": "▲ fixed", "changed": "± changed", "new": "+ new"}


def case_sections(report: SessionReport) -> Iterator[str]:
    """A section for each run, in the report's order."""
    changes = {c.key: c for c in report.comparison.changes} if report.comparison is not None else {}
    opened = 0
    by_run: dict[str, list[EvalRow]] = {}
    for row in report.evals:
        by_run.setdefault(row.run, []).append(row)
    for number, (name, rows) in enumerate(by_run.items(), 1):
        worst = min((row.standing for row in rows), key=ORDER.index)
        is_open = worst in ("error", "failed") and opened < OPEN
        opened += is_open
        yield _head(number, _title(rows[0]), worst, _chips(rows), is_open)
        yield from _evals(rows, changes)
        yield from _beyond(report, rows[0])
        yield from _run(report, name)
        yield "</details>"
    for number, test in enumerate(report.tests, len(by_run) + 1):
        is_open = test.outcome == "failed" and opened < OPEN
        opened += is_open
        yield _head(number, test.test, test.outcome, count(len(test.runs), "run"), is_open)
        yield from _test(report, test)
        yield "</details>"


def _head(number: int, title: str, standing: str, more: str, is_open: bool) -> str:
    mark = next((mark for name, mark in MARKS.items() if name == standing), "?")
    return (
        f'<details class="case {esc(standing)}" id="case-{number}" data-standing="{esc(standing)}"'
        f'{" open" if is_open else ""}><summary><span class="mark">{mark}</span> '
        f'<span class="sr">{esc(standing)}</span> <b>{esc(title)}</b> '
        f'<span class="more">{esc(more)}</span></summary>'
    )


def _title(row: EvalRow) -> str:
    file = row.module.rpartition("/")[2]
    return f"{file} · {row.case}" + (f" · trial {row.trial}" if row.trial > 1 else "")


def _chips(rows: Sequence[EvalRow]) -> str:
    return "  ".join(
        f"{MARKS[row.standing]} {row.eval.removeprefix('eval_')}"
        + ("" if row.score is None else f" {row.score:.2f}")
        for row in rows
    )


def _evals(rows: Sequence[EvalRow], changes: dict[Key, Change]) -> Iterator[str]:
    yield '<ul class="evals">'
    for row in rows:
        said = [
            row.standing,
            "" if row.score is None else f"{row.score:.2f}",
            row.label or "",
            f"at fault: {row.blame}" if row.blame else "",
            *(f"{name} {figure:g}" for name, figure in sorted(row.metrics.items())),
            _change(changes.get((row.module, row.eval, row.case, row.trial))),
        ]
        why = block(row.reason) if row.reason else ""
        yield (
            f'<li class="{row.standing}"><span class="mark">{MARKS[row.standing]}</span> '
            f"<b>{esc(row.eval)}</b> "
            f"{esc(' · '.join(filter(None, said)))}{why}</li>"
        )
    yield "</ul>"


def _change(change: Change | None) -> str:
    if change is None or change.kind not in ARROWS:
        return ""
    before = change.before
    was = "" if before is None else f" from {before.standing}"
    score = "" if before is None or before.score is None else f" {before.score:.2f}"
    return ARROWS[change.kind] + was + score


def _beyond(report: SessionReport, row: EvalRow) -> Iterator[str]:
    """The figures of the case of *row* that moved beyond their tolerance."""
    if report.comparison is None:
        return
    for one in report.comparison.beyond:
        if one.case == f"{row.module}::{row.case}":
            mark = "▲" if one.is_more else "▼"
            yield f'<p class="beyond">{mark} {esc(figure_text(one))}, tolerance {one.tolerance:.0%}</p>'


def _run(report: SessionReport, name: str) -> Iterator[str]:
    run = report.runs.get(name)
    if run is None:
        yield '<p class="cut">its trajectory was not kept</p>'
    else:
        changes = {
            "Changes against the baseline": report.differences.get(name, ()),
            "Changes against the recording": report.departures.get(name, ()),
        }
        yield from run_html(run, changes)


def _test(report: SessionReport, test: TestRow) -> Iterator[str]:
    for number, figures in enumerate(test.runs, 1):
        if len(test.runs) > 1:
            yield f"<h3>Run {number}</h3>"
        if figures.get("error"):
            yield f'<p class="error">✗ {esc(figures["error"])}</p>'
        yield from _run(report, f"{test.test}#{number}")
