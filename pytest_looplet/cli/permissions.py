"""`looplet permissions explain RULES CALL`: which rule decides about a call."""

from __future__ import annotations

import argparse
import json

from looplet.cli.command import NO, OK, Command
from looplet.errors import ConfigError
from looplet.permissions.explain import explain


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser("explain", help="which rule decides about a call; exit 1 unless it is allowed")
    one.add_argument("rules", help="a TOML or JSON file of rules")
    one.add_argument("call", help='the call as JSON: {"tool": "bash", "args": {"command": "ls"}}')


def _run(options: argparse.Namespace) -> int:
    try:
        call = json.loads(options.call)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the call is no JSON: {error}") from error
    found = explain(options.rules, call)
    print(found.text)
    print(f"-> {found.verdict}")
    return OK if found.verdict == "allow" else NO


COMMAND = Command("permissions", "explain what a file of rules decides", _arguments, _run)
