"""`looplet report merge|show|diff`: session reports joined, read and compared."""

from __future__ import annotations

import argparse
from pathlib import Path

from looplet.cli.command import NO, OK, Command
from looplet.evals.compare import Judged, Key, compare
from looplet.text import escape_terminal
from pytest_looplet.report import changes
from pytest_looplet.report.figures import headline, is_red, red_rows, totals
from pytest_looplet.report.files import write
from pytest_looplet.report.merge import merge, worse
from pytest_looplet.report.model import SessionReport
from pytest_looplet.report.rates import repeated
from pytest_looplet.report.read import read_report
from pytest_looplet.report.terminal import score_table


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser(
        "merge", help="join the reports of the parts of one session; exit 1 if it is red"
    )
    one.add_argument("reports", nargs="+", type=Path, help="JSON reports")
    one.add_argument("-o", "--output", action="append", type=Path, required=True, help=".json, .html or .md")
    one.add_argument(
        "--require-all", action="store_true", help="a required eval that no part ran is red: for CI"
    )
    one.set_defaults(do=_merge)
    one = actions.add_parser("show", help="a report in the terminal; exit 1 if its session is red")
    one.add_argument("report", type=Path, help="a JSON report")
    one.add_argument("-o", "--output", action="append", type=Path, default=[], help="write .html or .md")
    one.set_defaults(do=_show)
    one = actions.add_parser("diff", help="compare two reports, eval by eval; exit 1 if any got worse")
    one.add_argument("before", type=Path, help="a JSON report")
    one.add_argument("after", type=Path, help="a later one")
    one.add_argument("--json", action="store_true", help="print one JSON object")
    one.set_defaults(do=_diff)


def _run(options: argparse.Namespace) -> int:
    return int(options.do(options))


def _merge(options: argparse.Namespace) -> int:
    parts = [read_report(path) for path in options.reports]
    return _tell(merge(parts, require_all=options.require_all), options.output)


def _show(options: argparse.Namespace) -> int:
    return _tell(read_report(options.report), options.output)


def _tell(report: SessionReport, outputs: list[Path]) -> int:
    for path in outputs:
        write(report, path)
    for line in _lines(report):
        print(line)
    return NO if is_red(report) else OK


def _lines(report: SessionReport) -> list[str]:
    used = totals(report)
    lines = [
        headline(report),
        f"{used.runs:,} runs, {used.model_calls:,} model calls, {used.tokens:,} tokens",
    ]
    lines += score_table(report) if report.evals else []
    told = [rate.line() for rate in repeated(report.by_eval())]
    told += [f"gate {gate.eval} {'✓' if gate.passed else '✗'} {gate.text}" for gate in report.gates]
    told += [f"✗ {row.eval}[{row.case}#{row.trial}] {row.standing}: {row.reason}" for row in red_rows(report)]
    told += [f"✗ {test.test}" for test in report.tests if test.outcome == "failed"]
    told += changes.lines(report.comparison) if report.comparison is not None else []
    told += [*report.remarks, *report.problems]
    return [*lines, *map(escape_terminal, told)]


def _diff(options: argparse.Namespace) -> int:
    before, after = read_report(options.before), read_report(options.after)
    found = compare(_judged(before), _judged(after), fresh=after.fresh)
    if options.json:
        import json

        print(json.dumps(changes.as_json(found), indent=2, sort_keys=True))
    else:
        print("\n".join(map(escape_terminal, changes.lines(found))))
    return NO if worse(found) else OK


def _judged(report: SessionReport) -> dict[Key, Judged]:
    return {
        (row.module, row.eval, row.case, row.trial): Judged(row.standing, row.score) for row in report.evals
    }


COMMAND = Command("report", "join, show or compare session reports", _arguments, _run)
