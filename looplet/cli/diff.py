"""`looplet diff RUN_A RUN_B`: where two runs part, step by step."""

from __future__ import annotations

import argparse

from looplet.cli.command import NO, OK, Command
from looplet.trajectory import Trajectory
from looplet.trajectory.diff import difference
from looplet.values import dumps


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_a", help="a run directory or trajectory file")
    parser.add_argument("run_b", help="the other one")
    parser.add_argument("--all", action="store_true", help="show equal steps too")
    parser.add_argument("--json", action="store_true", help="print the differing lines as a JSON list")


def _diff(options: argparse.Namespace) -> int:
    one, other = Trajectory.load(options.run_a), Trajectory.load(options.run_b)
    lines = difference(one, other, names=("a", "b"), context=None if options.all else 2)
    if options.json:
        print(dumps(lines))
    else:
        print("\n".join(lines) if lines else f"the same behaviour: {len(one)} steps")
    return NO if lines else OK


COMMAND = Command("diff", "compare two runs step by step; exit 1 if they differ", _arguments, _diff)
