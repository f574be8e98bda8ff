"""`looplet cases from-run DIR`: a recorded run as a case, to be judged from now on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from looplet.cli.command import OK, Command
from looplet.errors import ConfigError, TraceError
from looplet.evals.context import EvalContext
from looplet.text import escape_terminal
from looplet.trajectory import Trajectory, files
from pytest_looplet.names import safe_name


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    text = "write a case file with the task of a run, and its answer as what is expected; read it"
    one = actions.add_parser("from-run", help="make a case of a recorded run", description=text)
    one.add_argument("recorded", metavar="run", type=Path, help="a run directory, or a trajectory's file")
    one.add_argument("-o", "--output", type=Path, default=Path("cases"), help="folder (default: cases)")
    one.add_argument("--id", help="the case's id (default: the run's name)")
    one.add_argument("--tag", action="append", default=[], help="a tag; repeatable")
    one.add_argument("--force", action="store_true", help="replace a file that is there")


def _run(options: argparse.Namespace) -> int:
    ctx = _read(options.recorded)
    task = ctx.trajectory.task if ctx.trajectory is not None else None
    if task in (None, "", {}):
        raise ConfigError(f"{options.recorded}: the run does not tell its task; a case needs one")
    identity = options.id or _name(options.recorded)
    case: dict[str, Any] = {"id": identity, "task": task}
    if ctx.final_output:
        case["expected"] = ctx.final_output
    if options.tag:
        case["tags"] = options.tag
    tools = list(dict.fromkeys(ctx.tool_sequence))
    case["metadata"] = {"made_from": options.recorded.name, "stopped": ctx.stop_reason, "tools": tools}
    file = options.output / f"{safe_name([identity])}.yaml"
    if file.exists() and not options.force:
        raise ConfigError(f"{file} is there already; --force replaces it, --id gives the case another name")
    files.write(file, yaml.safe_dump(case, sort_keys=False, allow_unicode=True, width=100))
    print(escape_terminal(f"wrote {file}; check what it expects: it is what the agent answered"))
    if not ctx.completed:
        reason = ctx.stop_reason or "an unknown reason"
        print(escape_terminal(f"the run ended with {reason}, not done: it may be no good example"))
    return OK


def _read(path: Path) -> EvalContext:
    folder = path.parent if path.name == files.NAME else path
    if folder.is_dir():
        try:
            return EvalContext.from_trajectory_dir(folder)
        except FileNotFoundError as error:
            raise TraceError(str(error)) from error
    return EvalContext.from_trajectory(Trajectory.load(path))


def _name(path: Path) -> str:
    named = path.parent if path.name == files.NAME else path
    return named.resolve().name.removesuffix(".json").removesuffix(".run")


COMMAND = Command("cases", "make cases of recorded runs", _arguments, _run)
