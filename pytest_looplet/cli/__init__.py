"""The console script `looplet`: the commands of `python -m looplet`, and those on reports, tapes, rules."""

from __future__ import annotations

from collections.abc import Sequence

from looplet.cli import commands as standard_commands, run_command
from looplet.cli.command import Command

__all__ = ["commands", "main"]


def commands() -> list[Command]:
    """All commands."""
    from pytest_looplet.cli import baseline, cases, cassettes, evals, init, permissions, report

    return [
        init.COMMAND,
        *(command for command in standard_commands() if command.name != evals.COMMAND.name),
        evals.COMMAND,
        report.COMMAND,
        baseline.COMMAND,
        cases.COMMAND,
        cassettes.COMMAND,
        permissions.COMMAND,
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `looplet`; gives the exit code."""
    return run_command("looplet", commands(), argv)
