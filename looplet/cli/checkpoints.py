"""`looplet checkpoints show DIR`: what a run's journal holds and where a resume would go on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from looplet.checkpoint.disk import read_regular
from looplet.checkpoint.journal import NAME
from looplet.checkpoint.lines import parse
from looplet.checkpoint.restore import RESUMABLE, stop_reason
from looplet.cli.command import OK, Command
from looplet.errors import CheckpointError
from looplet.text import escape_terminal
from looplet.values import dumps


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["show"], help="what to do")
    parser.add_argument("directory", help="the checkpoint_dir of a run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _checkpoints(options: argparse.Namespace) -> int:
    path = Path(options.directory) / NAME
    if not path.exists():
        raise CheckpointError(f"{options.directory} holds no {NAME}: no run was journalled there")
    try:
        data = read_regular(str(path))
    except OSError as problem:
        raise CheckpointError(f"{path} cannot be read: {problem}") from problem
    records, end = parse(data, path)
    if not records:
        raise CheckpointError(f"{path} is empty: the run never began")
    try:
        facts = _facts(records, end)
    except (KeyError, TypeError, AttributeError) as problem:
        raise CheckpointError(f"{path} is no journal: a record has another shape: {problem!r}") from problem
    if options.json:
        print(dumps(facts))
        return OK
    for name, value in facts.items():
        print(escape_terminal(f"{name + ':':<13}{value}"))
    return OK


def _facts(records: list[dict[str, Any]], size: int) -> dict[str, Any]:
    begin = records[0]
    steps = [one for one in records if one["kind"] == "step"]
    started = {one["call"]["id"]: one["call"]["tool"] for one in records if one["kind"] == "start"}
    # The step of a call that a resume settled brings the call with it.
    over = {
        one.get("id", one.get("call", {}).get("id")) for one in records if one["kind"] in ("step", "finish")
    }
    reason = stop_reason(records)
    return {
        "run": begin["run_id"],
        "task": str(begin["task"]),
        "tools": ", ".join(begin["agent"].get("tools", {})),
        "steps": len(steps),
        "model calls": sum(one["kind"] == "call" for one in records),
        "stopped": reason or "no: the process ended in the middle",
        "in doubt": ", ".join(tool for call, tool in started.items() if call not in over) or "nothing",
        "resumable": "yes" if reason in RESUMABLE else 'only with LoopConfig(resume="force")',
        "bytes": size,
    }


COMMAND = Command("checkpoints", "look into a run's checkpoint folder", _arguments, _checkpoints)
