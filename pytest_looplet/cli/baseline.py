"""`looplet baseline accept|show`: what a suite accepts of its agent, and taking a report as that."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from looplet.cli.command import NO, OK, Command
from looplet.errors import ConfigError
from looplet.text import count, escape_terminal
from pytest_looplet.report.accept import Offer, accepting, not_accepted, offers
from pytest_looplet.report.accepted import variants_text
from pytest_looplet.report.baseline import accepted_in
from pytest_looplet.report.changes import number
from pytest_looplet.report.files import write
from pytest_looplet.report.model import SessionReport
from pytest_looplet.report.read import read_report
from pytest_looplet.settings import is_ci


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    text = "take a report's runs and scores as the new expectation, case by case; exit 1 if any is left"
    one = actions.add_parser("accept", help=text, description=text)
    one.add_argument("report", type=Path, help="a JSON report (--looplet-report=x.json)")
    one.add_argument("baseline", type=Path, help="the baseline; made if it is not there")
    one.add_argument("--case", action="append", default=[], metavar="ID", help="only this case; repeatable")
    one.add_argument("--ask", action="store_true", help="show each case that differs, and ask")
    one.add_argument("--add", action="store_true", help="keep what was accepted as well, as further variants")
    one.add_argument("--prune", action="store_true", help="drop what the report does not have")
    one.set_defaults(do=_accept)
    text = "each case of a baseline, its variants and what it used"
    one = actions.add_parser("show", help=text, description=text)
    one.add_argument("baseline", type=Path, help="a baseline, or another JSON report")
    one.set_defaults(do=_show)


def _run(options: argparse.Namespace) -> int:
    return int(options.do(options))


def _tell(line: str) -> None:
    print(escape_terminal(line))


def _accept(options: argparse.Namespace) -> int:
    if is_ci(os.environ):
        raise ConfigError("accepting is refused when CI is set: a person accepts, and commits the result")
    today = read_report(options.report)
    before = read_report(options.baseline) if options.baseline.exists() else None
    offered = _named(offers(today, before), options.case)
    if not offered:
        raise ConfigError(f"{options.report}: no case in it could be judged, so there is nothing to accept")
    chosen, left = [], 0
    for offer in offered:
        if offer.reasons and not _agreed(offer, options.ask):
            left += 1
            continue
        chosen.append(offer.case)
        if offer.reasons:
            _tell(f"accepted {offer.text}")
    for line in not_accepted(today):
        _tell(line)
    same = sum(not offer.reasons for offer in offered)
    if same:
        _tell(f"{count(same, 'case')} as before")
    write(accepting(today, _pruned(before, today, options.prune), chosen, add=options.add), options.baseline)
    _tell(f"wrote {options.baseline}")
    return NO if left or not_accepted(today) else OK


def _named(offered: list[Offer], names: list[str]) -> list[Offer]:
    known = {name for offer in offered for name in (offer.case, offer.case.rpartition("::")[2])}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"--case {unknown[0]}: the report has no such case that could be judged")
    wanted = set(names)
    return [offer for offer in offered if not wanted or wanted & {offer.case, offer.case.rpartition("::")[2]}]


def _agreed(offer: Offer, ask: bool) -> bool:
    if not ask:
        return True
    try:
        return input(f"{escape_terminal(offer.text)}\naccept? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _pruned(before: SessionReport | None, today: SessionReport, prune: bool) -> SessionReport | None:
    if before is None or not prune:
        return before
    keys = {(row.module, row.eval, row.case, row.trial) for row in today.evals}
    kept = tuple(row for row in before.evals if (row.module, row.eval, row.case, row.trial) in keys)
    cases = {*today.cases.values(), *(name for name in today.runs if name not in today.cases)}
    accepted = {case: one for case, one in accepted_in(before).items() if case in cases}
    return SessionReport(kept, fresh=before.fresh, planned=before.planned, accepted=accepted)


def _show(options: argparse.Namespace) -> int:
    baseline = read_report(options.baseline)
    for case, accepted in accepted_in(baseline).items():
        used = ", ".join(f"{name} {number(figure, name)}" for name, figure in accepted.figures.items())
        _tell(f"{case}: {variants_text(accepted)}; {used}")
        for row in baseline.evals:
            if f"{row.module}::{row.case}" == case:
                trial = f" in trial {row.trial}" if row.trial > 1 else ""
                score = "" if row.score is None else f" {row.score:.2f}"
                _tell(f"  {row.eval}{trial} {row.standing}{score}")
    return OK


COMMAND = Command("baseline", "accept a report as the new expectation, or show one", _arguments, _run)
