"""What a person sees when an expectation is not met: one screen, in plain text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from textwrap import wrap

from looplet.text import escape_terminal, shorten
from looplet.trajectory.record import Trajectory
from looplet.trajectory.table import step_table


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
class Screen:
    """How much a failure may show.

    Attributes:
        width: Columns; pytest puts four more before each line.
        lines: Lines in all; None shows every step and every difference.
    """

    width: int = 96
    lines: int | None = 40


NORMAL = Screen()
SCREEN: ContextVar[Screen] = ContextVar("looplet_screen", default=NORMAL)
"""The screen in force; the plugin widens it for `-vv`."""


def report(
    run: Trajectory, sentence: str, *, details: Sequence[str] = (), marked: Collection[int] = ()
) -> str:
    """The screen for one failed expectation.

    Args:
        run: The trajectory that was looked at.
        sentence: What was expected and what happened instead.
        details: Lines between the sentence and the table, the most telling first.
        marked: Numbers of the offending steps.
    """
    screen = SCREEN.get()
    head = _wrapped(sentence, screen.width)
    foot = [*totals(run), *_paths(run)]
    room = None if screen.lines is None else screen.lines - len(head) - len(foot) - 1
    if room is not None and details:
        details = first_lines(details, max(6, room - min(len(run.steps), 12)))
        room -= len(details)
    table = step_table(run, width=screen.width, max_rows=room, marked=marked) if run.steps else []
    return "\n".join([*head, *details, *table, *foot])


def first_lines(lines: Sequence[str], limit: int) -> list[str]:
    """At most *limit* lines; the last tells how many are left out and how to see them."""
    if len(lines) <= limit:
        return list(lines)
    return [*lines[: limit - 1], f"… {len(lines) - limit + 1:,} more lines; -vv shows all"]


def totals(run: Trajectory) -> Iterator[str]:
    """Lines that sum the run up: steps, model calls, tokens, cost, stop reason, and what killed it."""
    parts = [count(len(run.steps), "step"), count(len(run.model_calls), "model call")]
    if any(call.usage for call in run.model_calls):
        parts.append(f"{run.usage.total_tokens:,} tokens")
    if run.cost_usd is not None:
        parts.append(f"${run.cost_usd:,.4f}")
    parts.append(f"stop: {escape_terminal(run.stop_reason) or 'not seen'}")
    yield shorten(", ".join(parts), SCREEN.get().width)
    if run.error is not None:
        yield shorten(f"the run died: {escape_terminal(run.error)}", SCREEN.get().width)


def count(number: int, noun: str) -> str:
    """A number with its noun, such as `1 step` or `1,200 steps`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _paths(run: Trajectory) -> Iterator[str]:
    # A path and a command are never cut: they are there to be copied.
    for key, label in (("cassette", "cassette"), ("run_dir", "run"), ("rerecord", "meant to change it?")):
        if value := run.metadata.get(key):
            yield f"{label} {escape_terminal(str(value))}"


def _wrapped(sentence: str, width: int) -> list[str]:
    """The sentence in lines; the first has room for the name of the exception before it."""
    name = " " * len(f"{Unmet.__module__}.{Unmet.__qualname__}: ")
    lines = wrap(escape_terminal(sentence), width, initial_indent=name, break_on_hyphens=False)
    return [line.strip() for line in first_lines(lines, 6)]
