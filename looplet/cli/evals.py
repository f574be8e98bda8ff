"""`looplet eval RUNS`: grade saved runs without pytest."""

from __future__ import annotations

import argparse

from looplet.cli.command import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        help="RUNS [--evals PATH] [--threshold X] [--include TAG …]; see --help",
    )
    parser.prefix_chars = "+"  # Options are for the command behind this one.


def _eval(options: argparse.Namespace) -> int:
    from looplet.evals import eval_cli

    return eval_cli(options.arguments)


COMMAND = Command("eval", "grade saved runs with eval_* functions", _arguments, _eval)
