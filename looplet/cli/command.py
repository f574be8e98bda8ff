"""What a command is, how one is run, and the exit codes of all of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import NamedTuple, TextIO

from looplet.errors import LoopletError

OK, NO, USAGE, UNREADABLE, INTERNAL = range(5)
_EXIT_CODES = (
    "exit codes: 0 fine, 1 no (a difference, a finding, a gate that failed), 2 a wrong command line, "
    "3 something that cannot be read or is not there, 4 a fault of looplet itself"
)


class Command(NamedTuple):
    """One subcommand: what it is for, its arguments, and what it does."""

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def run_command(prog: str, known: Sequence[Command], argv: Sequence[str] | None) -> int:
    """Parse *argv* and run the command that it names; errors go to stderr in one line.

    Raises:
        SystemExit: With 2, for a command line that cannot be parsed.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description="Look at, compare, replay and grade agent runs.", epilog=_EXIT_CODES
    )
    chosen = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in known:
        one = chosen.add_parser(command.name, help=command.help, description=command.help)
        command.arguments(one)
        one.set_defaults(run=command.run)
    options = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a pipe or an old console may have no sign for what we print
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(options.run(options))
    except BrokenPipeError:
        return OK  # whoever read us has seen enough
    except (LoopletError, OSError, ValueError) as problem:
        fail(str(problem))
        return UNREADABLE
    except Exception as problem:
        _own_up(problem)
        return INTERNAL


def _own_up(problem: Exception) -> None:
    import traceback  # slow to import, and not needed when all is well

    from looplet.text import escape_terminal

    for line in "".join(traceback.format_exception(problem)).splitlines():
        print(f"  {escape_terminal(line)}", file=sys.stderr)
    fail("this is a fault of looplet and not of your files; please report it with the lines above")


def fail(message: str, out: TextIO | None = None) -> None:
    """Print `error: …` as one line that nothing in it can break or colour."""
    from looplet.text import escape_terminal

    print(f"error: {escape_terminal(message)}", file=out or sys.stderr)
