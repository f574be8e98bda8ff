"""What a person sees when an expectation is not met: one screen, in plain text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from looplet.text import columns, count, escape_terminal, shorten
from looplet.trajectory.record import Trajectory
from looplet.trajectory.table import step_table
from pytest_looplet.names import from_here
from pytest_looplet.screen import SCREEN


class Unmet(AssertionError):
    """An expectation about a trajectory that does not hold; the text is the whole screen.

    Attributes:
        run: The trajectory that was looked at.
        steps: Numbers of the offending steps.
    """

    __module__ = "pytest_looplet"  # where it is imported from, and what pytest prints before the text

    def __init__(self, text: str, run: Trajectory | None = None, steps: Collection[int] = ()) -> None:
        super().__init__(text)
        self.run = run
        self.steps = tuple(steps)


@dataclass(frozen=True, slots=True)
class Miss:
    """Why an expectation is not met.

    Attributes:
        sentence: What was expected and what happened instead, in one sentence.
        marked: Numbers of the offending steps.
        details: Lines that say more, the most telling first.
    """

    sentence: str
    marked: Sequence[int] = ()
    details: Sequence[str] = ()


MANY = 20
"""Lines of a table that has to leave steps out anyway."""


def report(run: Trajectory, miss: Miss | str, *, indent: int = 0) -> str:
    """The screen for one unmet expectation: sentence, details, steps, totals, where to look next.

    Args:
        run: The trajectory that is shown.
        miss: What is missed; a text is a miss that no single step is to blame for.
        indent: Columns that something else puts before each line.
    """
    miss = Miss(miss) if isinstance(miss, str) else miss
    screen = SCREEN.get()
    width = screen.width - indent
    head = _wrapped(miss.sentence, width)
    foot = [*(line for line in totals(run, width) if line not in miss.sentence), *_paths(run, width)]
    details, rows = miss.details, None
    if screen.lines is not None:
        room = screen.lines - len(head) - len(foot)
        # A short table is shown whole; a long one leaves the larger part of the screen to the details.
        details = first_lines(details, max(room // 2, room - len(run.steps) - 1))
        rows = room - len(details) - 1
        rows = rows if len(run.steps) <= rows else min(rows, MANY)
    table = step_table(run, width=width, max_rows=rows, marked=miss.marked) if run.steps else []
    return "\n".join([*head, *(shorten(line, width) for line in details), *table, *foot])


def first_lines(lines: Sequence[str], limit: int) -> list[str]:
    """At most *limit* lines; the last tells how many are left out and how to see them."""
    if len(lines) <= limit:
        return list(lines)
    return [*lines[: limit - 1], f"… {len(lines) - limit + 1:,} more lines; -vv shows all"]


def few(lines: Sequence[str]) -> list[str]:
    """A handful of lines that say nearly the same; all of them where the screen has no limit."""
    return list(lines) if SCREEN.get().lines is None else first_lines(lines, 8)


def totals(run: Trajectory, width: int) -> Iterator[str]:
    """Lines that sum the run up: steps, model calls, tokens, cost, stop reason, and what killed it."""
    parts = [count(len(run.steps), "step"), count(len(run.model_calls), "model call")]
    if any(call.usage for call in run.model_calls):
        parts.append(f"{run.usage.total_tokens:,} tokens")
    if run.cost_usd is not None:
        parts.append(f"${run.cost_usd:,.4f}")
    parts.append(f"stop: {escape_terminal(run.stop_reason) or 'not seen'}")
    yield shorten(", ".join(parts), width)
    if run.error is not None:
        yield shorten(f"the run died: {escape_terminal(run.error)}", width)


def _paths(run: Trajectory, width: int) -> Iterator[str]:
    # A path and a command are never cut: they are there to be copied.
    for key, label in (("cassette", "cassette "), ("run_dir", "run "), ("rerecord", "meant to change it? ")):
        if value := run.metadata.get(key):
            text = escape_terminal(from_here(str(value)))
            if columns(label) + columns(text) > width:
                yield label.rstrip()
                label = "  "
            yield f"{label}{text}"


def _wrapped(sentence: str, width: int) -> list[str]:
    """The sentence in lines; the first has room for the name of the exception before it."""
    name = " " * len(f"{Unmet.__module__}.{Unmet.__qualname__}: ")
    lines = wrap(escape_terminal(sentence), width, initial_indent=name, break_on_hyphens=False)
    return [line.strip() for line in first_lines(lines, 6)]
