"""The commands that need the standard library only: `python -m looplet show|diff|replay|eval|checkpoints`.

The console script `looplet` (in `pytest_looplet.cli`) has these and those that need pytest or YAML, under one
parser. Exit codes: 0 ok, 1 the answer is no (a gate failed, runs differ, nothing to show), 2 a wrong command
line, 3 an input that cannot be read, 4 our own fault. `show` and `eval` give 1 for an unreadable input,
as they always did.
"""

from __future__ import annotations

from collections.abc import Sequence

from looplet.cli.command import INTERNAL, NO, OK, UNREADABLE, USAGE, Command, fail, run_command

__all__ = [
    "INTERNAL",
    "NO",
    "OK",
    "UNREADABLE",
    "USAGE",
    "Command",
    "commands",
    "fail",
    "main",
    "run_command",
]


def commands() -> list[Command]:
    """The commands of this package."""
    from looplet.cli import checkpoints, diff, evals, replay, show

    return [show.COMMAND, diff.COMMAND, replay.COMMAND, evals.COMMAND, checkpoints.COMMAND]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m looplet`; gives the exit code."""
    return run_command("looplet", commands(), argv)
