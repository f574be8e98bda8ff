"""The page: overview, filter, and the sections of all runs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

from looplet.evals.gate import Standing
from pytest_looplet.report.figures import MARKS, EvalFigures, Totals, by_eval, headline, is_red, totals
from pytest_looplet.report.html import charts
from pytest_looplet.report.html.cases import case_sections
from pytest_looplet.report.html.text import esc, number
from pytest_looplet.report.model import SessionReport
from pytest_looplet.report.rates import repeated

TRENDS = {
    "new": "+ new",
    "regressed": "▼ regressed",
    "changed": "± changed",
    "same": "= same",
    "inconclusive": "~ inconclusive",
}
FILTERS = (
    ("", "all results"),
    ("red", "not green"),
    ("failed", "failed"),
    ("error", "errors"),
    ("passed", "passed"),
    ("skipped", "skipped"),
)


def page(report: SessionReport) -> str:
    """*report* as one HTML document; what models and tools said is text in it and nothing else."""
    return "".join(_parts(report))


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What the page may do: nothing but its own style and script; no network at all."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    allowed = f"style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _parts(report: SessionReport) -> Iterator[str]:
    style, script = _asset("style.css"), _asset("script.js")
    state = "red" if is_red(report) else "green"
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>looplet: {esc(headline(report))}</title><style>{style}</style></head><body>"
        '<a class="skip" href="#cases">to the runs</a>'
        f'<header class="{state}"><p class="brand">looplet</p>'
        f'<h1><span aria-hidden="true">{"✗" if state == "red" else "✓"}</span> {esc(headline(report))}</h1>'
        f"{_tiles(totals(report))}</header><main>"
    )
    yield from _notes(report)
    if report.evals:
        yield from _overview(report)
    yield from _rules(report)
    yield from _toolbar()
    yield '<section id="cases" aria-label="Runs">'
    yield from case_sections(report)
    yield '</section><p id="none" hidden>Nothing matches.</p></main>'
    yield f"<script>{script}</script></body></html>\n"


def _tiles(used: Totals) -> str:
    if not used.runs:
        return ""
    tiles = [
        ("runs", f"{used.runs:,}"),
        ("steps", f"{used.steps:,}"),
        ("model calls", f"{used.model_calls:,}"),
        ("tokens", f"{used.tokens:,}"),
        ("USD", number(used.cost_usd, ",.4f")),
    ]
    inside = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in tiles)
    return f'<dl class="tiles">{inside}</dl>'


def _notes(report: SessionReport) -> Iterator[str]:
    notes = [f'<li class="failed">✗ {esc(text)}</li>' for text in report.problems]
    notes += [f"<li>{esc(text)}</li>" for text in report.remarks]
    if notes:
        yield f'<ul class="notes">{"".join(notes)}</ul>'


def _overview(report: SessionReport) -> Iterator[str]:
    figures = by_eval(report)
    heads = ["eval", "result", "mean score", "pass rate, 95 %"]
    heads += ["baseline"] if report.comparison is not None else []
    heads += ["gate"] if report.gates else []
    cells = "".join(f'<th scope="col">{head}</th>' for head in heads)
    yield f"<section><h2>Evals</h2><table><thead><tr>{cells}</tr></thead><tbody>"
    several = len({one.module for one in figures}) > 1
    for one in figures:
        name = f"{one.module}::{one.eval}" if several else one.eval
        data = "".join(
            f'<td data-head="{head}"><div>{cell}</div></td>'
            for head, cell in zip(heads[1:], _cells(one, report), strict=True)
        )
        yield f'<tr><th scope="row">{esc(name)}</th>{data}</tr>'
    yield "</tbody></table>"
    if trials := repeated(report.by_eval()):
        lines = "".join(f"<li>{esc(rate.line())}</li>" for rate in trials)
        yield f'<h3>Over trials</h3><ul class="notes">{lines}</ul>'
    yield "</section>"


def _rules(report: SessionReport) -> Iterator[str]:
    """Which permission rules decided something, which never did, what ran without any."""
    use = report.rule_use
    if not use:
        return
    heads = ("rule", "where", "allowed", "denied")
    cells = "".join(f'<th scope="col">{head}</th>' for head in heads)
    yield f'<section id="rules"><h2>Permissions</h2><table><thead><tr>{cells}</tr></thead><tbody>'
    for row in use.rules:
        kind = "" if row.decided else ' class="cut"'
        counts = f"{row.allowed:,}", f"{row.denied:,}" if row.decided else f"{row.denied:,} (never decided)"
        data = zip(heads[1:], (esc(row.source), *counts), strict=True)
        told = "".join(f'<td data-head="{head}"><div>{cell}</div></td>' for head, cell in data)
        yield f'<tr{kind}><th scope="row">{esc(row.rule)}</th>{told}</tr>'
    yield "</tbody></table>"
    if use.unruled:
        tools = "".join(f"<li>{esc(tool)} <b>{count:,}x</b></li>" for tool, count in use.unruled.items())
        yield f'<p>Ran without any rule:</p><ul class="notes">{tools}</ul>'
    yield "</section>"


def _cells(one: EvalFigures, report: SessionReport) -> Iterator[str]:
    names: tuple[Standing, ...] = ("passed", "noted", "failed", "error", "skipped")
    counts = " ".join(
        f'<span class="{name}" title="{name}">{one.standings[name]} {MARKS[name]}</span>'
        for name in names
        if name in one.standings
    )
    yield f"<span>{counts}</span>"
    mean = one.mean
    yield "–" if mean is None else f"<span>{charts.score_bar(mean, one.before)} {mean:.2f}</span>"
    rate = one.rate
    yield ("–" if rate is None else _rate(one, rate))
    if report.comparison is not None:
        was = "" if one.before is None else f" from {one.before:.2f}"
        yield f'<span class="trend {esc(one.trend)}">{TRENDS.get(one.trend, "–")}</span>{was}'
    if report.gates:
        gate = one.gate
        yield "–" if gate is None else f"{'✓' if gate.passed else '✗'} {esc(gate.text)}"


def _rate(one: EvalFigures, rate: tuple[float, float]) -> str:
    return f"<span>{charts.rate_bar(one.passed, one.judged, *rate)} {one.passed / one.judged:.0%}</span>"


def _toolbar() -> Iterator[str]:
    options = "".join(f'<option value="{key}">{text}</option>' for key, text in FILTERS)
    yield (
        '<form id="tools" role="search"><h2>Runs</h2>'
        '<input id="search" type="search" placeholder="search" aria-label="Search in runs" '
        'autocomplete="off">'
        f'<select id="filter" aria-label="Show">{options}</select>'
        '<button type="button" id="expand">expand</button>'
        '<button type="button" id="collapse">collapse</button>'
        '<output id="count" aria-live="polite"></output>'
        '<p class="keys"><kbd>/</kbd> search <kbd>j</kbd> <kbd>k</kbd> next, previous <kbd>Enter</kbd> open '
        "<kbd>e</kbd> open its steps <kbd>Esc</kbd> clear</p></form>"
    )
