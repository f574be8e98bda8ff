"""`looplet eval RUNS`: grade saved runs without pytest."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from looplet.cli.command import Command

if TYPE_CHECKING:
    from looplet.evals.cli import Expectations


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        help="RUNS [--evals PATH] [--threshold X] [--include TAG …]; see --help",
    )
    parser.prefix_chars = "+"  # Options are for the command behind this one.


def command(expectations: Expectations | None = None) -> Command:
    """The command; *expectations* reads the cases that say what is expected."""

    def grade(options: argparse.Namespace) -> int:
        from looplet.evals.cli import eval_cli

        return eval_cli(options.arguments, expectations=expectations)

    return Command("eval", "grade saved runs with eval_* functions", _arguments, grade)


COMMAND = command()
