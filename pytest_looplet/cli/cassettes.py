"""`looplet cassettes list|show|check|scan|redact|migrate|prune`: looking after recorded calls."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from looplet.cli.command import NO, OK, Command
from looplet.errors import ConfigError
from looplet.text import count, escape_terminal, shorten
from pytest_looplet.cassette import upkeep
from pytest_looplet.cassette.errors import CassetteUnreadable

WIDTH = 96


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, do, text in (
        ("list", _list, "calls, models and size of each cassette"),
        ("show", _show, "the calls on each cassette"),
        ("check", _check, "whether each can be read; exit 1 if not"),
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
                required=True,
                help="a file with the path of each cassette in use, one a line",
            )
            one.add_argument("--yes", action="store_true", help="delete them")
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
        _tell(f"{path}: {count(one.calls, 'call')}, {tokens}, {models}, {one.size:,} bytes")
    _tell(count(len(files), "cassette"))
    return OK


def _show(options: argparse.Namespace, files: list[Path]) -> int:
    for path in files:
        _tell(str(path))
        for number, one in enumerate(upkeep.read(path).interactions, 1):
            body = json.dumps(one.body.json, ensure_ascii=False) if one.body is not None else ""
            reply = one.reply.body.decode("utf-8", "replace") if one.reply is not None else "no reply"
            _tell(shorten(escape_terminal(f"  {number}. {one.model or ''} > {body}"), WIDTH))
            _tell(shorten(escape_terminal(f"     < {reply}"), WIDTH))
    return OK


def _check(options: argparse.Namespace, files: list[Path]) -> int:
    bad = 0
    for path in files:
        try:
            upkeep.read(path)
        except CassetteUnreadable as problem:
            bad += 1
            _tell(str(problem))
    _tell(f"{count(len(files), 'cassette')}, {bad} cannot be read")
    return NO if bad else OK


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
    used = [Path(line) for line in options.used.read_text(encoding="utf-8").splitlines() if line.strip()]
    left = upkeep.orphans(files, used)
    for path in left:
        if options.yes:
            path.unlink()
        _tell(f"{path}: {'deleted' if options.yes else 'belongs to no test'}")
    _tell(f"{len(left)} of {count(len(files), 'cassette')} in no use")
    return OK if options.yes or not left else NO


COMMAND = Command("cassettes", "look after recorded calls", _arguments, _run)
