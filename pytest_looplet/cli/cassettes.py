"""`looplet cassettes list|show|check|scan|redact|migrate|prune`: looking after recorded calls."""

from __future__ import annotations

import argparse
from pathlib import Path
from shutil import get_terminal_size

from looplet.cli.command import NO, OK, Command
from looplet.errors import ConfigError
from looplet.text import count, escape_terminal
from looplet.values import dumps
from pytest_looplet.cassette import upkeep
from pytest_looplet.cassette.errors import CassetteUnreadable
from pytest_looplet.cli.calls import as_json, call_lines, head_lines
from pytest_looplet.cli.tests import state_of
from pytest_looplet.housekeeping import State, age_days

WIDTH, LEAST_WIDTH = 120, 80
"""Columns where there is no terminal that tells them, and those that are used of a narrower one."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, do, text in (
        ("list", _list, "calls, models, size and age of each cassette"),
        ("show", _show, "the calls on each cassette"),
        ("check", _check, "which cannot be read or belong to no test; exit 1 if any"),
        ("scan", _scan, "what looks like a secret; exit 1 if anything does"),
        ("redact", _redact, "take out what looks like a secret"),
        ("migrate", _migrate, "bring files up to today's format"),
        ("prune", _prune, "cassettes that no test uses; deletes them with --yes"),
    ):
        one = actions.add_parser(name, help=text, description=text)
        one.add_argument(
            "paths", nargs="*", type=Path, default=[Path()], help="files or folders (default: .)"
        )
        if name == "prune":
            one.add_argument(
                "--used",
                type=Path,
                help="a file with the path of each cassette in use, one a line; else pytest is asked",
            )
            one.add_argument("--yes", action="store_true", help="delete them")
        if name == "show":
            one.add_argument("--json", action="store_true", help="one JSON list, every body whole")
        if name == "check":
            one.add_argument(
                "--replay", action="store_true", help="run the tests, and tell what is never played"
            )
        one.set_defaults(do=do)


def _run(options: argparse.Namespace) -> int:
    missing = [path for path in options.paths if not path.exists()]
    if missing:
        raise ConfigError(f"{missing[0]}: there is no such file or folder")
    return int(options.do(options, upkeep.cassettes_in(options.paths)))


def _tell(line: str) -> None:
    print(escape_terminal(line))


def _list(options: argparse.Namespace, files: list[Path]) -> int:
    for path in files:
        one = upkeep.summary(path)
        tokens = f"{one.input_tokens:,}+{one.output_tokens:,} tokens"
        models = ", ".join(one.models) or "no model"
        size = f"{one.size:,} bytes, {age_days(path):.0f} days"
        _tell(f"{path}: {count(one.calls, 'call')}, {tokens}, {models}, {size}")
    _tell(count(len(files), "cassette"))
    return OK


def _show(options: argparse.Namespace, files: list[Path]) -> int:
    if options.json:
        print(dumps([as_json(upkeep.summary(path), upkeep.read(path).interactions) for path in files]))
        return OK
    for place, path in enumerate(files):
        if place:
            print()
        width = max(LEAST_WIDTH, get_terminal_size((WIDTH, 0)).columns)
        calls = call_lines(upkeep.read(path).interactions, width)
        print("\n".join([*head_lines(upkeep.summary(path), age_days(path)), *calls]))
    return OK


def _check(options: argparse.Namespace, files: list[Path]) -> int:
    bad = 0
    for path in files:
        try:
            upkeep.read(path)
        except CassetteUnreadable as problem:
            bad += 1
            _tell(str(problem))
    state = state_of(options.paths, run=options.replay)
    found = [*_none_of(files, state), *(_never_played(files, state) if options.replay else ())]
    for line in found:
        _tell(line)
    _tell(f"{count(len(files), 'cassette')}, {bad} cannot be read, {count(len(found), 'finding')}")
    return NO if bad or found else OK


def _none_of(files: list[Path], state: State) -> list[str]:
    orphaned = {Path(path).resolve() for path in state.orphaned}
    return [f"{path}: belongs to no test" for path in files if path.resolve() in orphaned]


def _never_played(files: list[Path], state: State) -> list[str]:
    unplayed = {Path(path).resolve(): left for path, left in state.used.items()}
    orphaned = {Path(path).resolve() for path in state.orphaned}
    told = []
    for path in files:
        if path.resolve() not in unplayed.keys() | orphaned:
            told.append(f"{path}: was not played")
        elif left := unplayed.get(path.resolve(), 0):
            told.append(f"{path}: {count(left, 'call')} not played")
    return told


def _scan(options: argparse.Namespace, files: list[Path]) -> int:
    found = [leak for path in files for leak in upkeep.leaks(path)]
    for leak in found:
        _tell(f"{leak.path}:{leak.line}: looks like {leak.kind}")
    _tell(f"{count(len(files), 'cassette')}, {count(len(found), 'finding')}")
    return NO if found else OK


def _redact(options: argparse.Namespace, files: list[Path]) -> int:
    changed = [path for path in files if upkeep.rewrite(path, upkeep.redacted(upkeep.read(path)))]
    return _changed(changed, files)


def _migrate(options: argparse.Namespace, files: list[Path]) -> int:
    return _changed([path for path in files if upkeep.rewrite(path, upkeep.read(path))], files)


def _changed(changed: list[Path], files: list[Path]) -> int:
    for path in changed:
        _tell(f"{path}: rewritten")
    _tell(f"{len(changed)} of {count(len(files), 'cassette')} rewritten")
    return OK


def _prune(options: argparse.Namespace, files: list[Path]) -> int:
    if options.used is None:
        orphaned = {Path(path).resolve() for path in state_of(options.paths).orphaned}
        left = [path for path in files if path.resolve() in orphaned]
    else:
        lines = options.used.read_text(encoding="utf-8").splitlines()
        left = upkeep.orphans(files, [Path(line) for line in lines if line.strip()])
    for path in left:
        if options.yes:
            path.unlink()
        _tell(f"{path}: {'deleted' if options.yes else 'belongs to no test'}")
    _tell(f"{len(left)} of {count(len(files), 'cassette')} in no use")
    return OK if options.yes or not left else NO


COMMAND = Command("cassettes", "look after recorded calls", _arguments, _run)
