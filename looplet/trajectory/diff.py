"""Two runs of one agent side by side: where they part, step by step, and what else differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from looplet.text import clip, columns, count, escape_terminal
from looplet.trajectory.align import Likeness, Pair, align, focus
from looplet.trajectory.changes import changes
from looplet.trajectory.record import Trajectory
from looplet.trajectory.table import call_text, grid, result_text
from looplet.types import Step

A = TypeVar("A")
B = TypeVar("B")

FACTS = ("task", "stop_reason", "final_output", "error", "artifacts")
"""What two runs of one agent must agree in, besides their steps."""

WIDTH = 84
"""Columns for the two sides of a comparison together."""

MOST = 4
"""Changes that are shown of one step or fact."""

_LINE = 82
_VALUE = 34


def difference(
    expected: Trajectory,
    actual: Trajectory,
    *,
    names: tuple[str, str] = ("expected", "actual"),
    context: int | None = 2,
) -> list[str]:
    """How *actual* behaved otherwise than *expected*, in lines; none if it behaved the same.

    Steps are compared by tool, arguments and outcome. Ids, durations, tokens and prompts are no
    behaviour.

    Args:
        expected: One run.
        actual: The other run.
        names: What the two are called.
        context: Equal steps shown around each difference; all of them if None.
    """
    pairs = align(expected.steps, actual.steps, likeness)
    facts = [*_facts(expected, actual)]
    if not any(pair.mark for pair in pairs):
        return facts
    beside = side_by_side(pairs, names, step_text, step_text, context=context, more=_changes)
    return [*_parting(pairs, names), *facts, *beside]


def likeness(one: Step, other: Step) -> Likeness:
    """2 if two steps did the same with the same outcome, 1 if they called the same tool, else 0."""
    if one.tool_call.tool != other.tool_call.tool:
        return 0
    return 2 if _behaviour(one) == _behaviour(other) else 1


def side_by_side(
    pairs: Sequence[Pair[A, B]],
    names: tuple[str, str],
    left: Callable[[A, int], str],
    right: Callable[[B, int], str],
    *,
    width: int = WIDTH,
    context: int | None = 2,
    more: Callable[[Pair[A, B]], Iterator[str]] = lambda pair: iter(()),
) -> list[str]:
    """An alignment as lines of a table; equal pairs far from a difference are only counted.

    Args:
        pairs: The alignment.
        names: What the two sides are called.
        left: Text of an entry of the first sequence in so many columns.
        right: The same for the second sequence.
        width: Columns for both sides together, shared by need.
        context: Equal pairs shown around each difference; all of them if None.
        more: Lines that follow the line of a pair.
    """
    entries = focus(pairs, context)
    known = [entry for entry in entries if isinstance(entry, Pair)]
    wide = [_sides(pair, left, right, width, width) for pair in known]
    need = [max(columns(cell) for cell in side) for side in zip(*wide, strict=True)] or [0, 0]
    room = min(need[0], max(width - need[1], width // 2))
    rows = [(pair.mark, *_sides(pair, left, right, room, width - room)) for pair in known]
    lines = iter(grid([("", *names), *rows], "<<<"))
    shown = [next(lines)]
    for entry in entries:
        if isinstance(entry, Pair):
            shown += [next(lines), *more(entry)]
        else:
            shown.append(f"   … {entry:,} the same")
    return shown


def step_text(step: Step, width: int) -> str:
    """A step in one line: its number and its call."""
    number = f"{step.number} "
    return number + call_text(step.tool_call.tool, step.tool_call.args, width - len(number))


def _sides(
    pair: Pair[A, B], left: Callable[[A, int], str], right: Callable[[B, int], str], first: int, second: int
) -> tuple[str, str]:
    one, other = pair.expected, pair.actual
    return ("" if one is None else left(one, first), "" if other is None else right(other, second))


def _behaviour(step: Step) -> tuple[Any, ...]:
    result = step.tool_result
    return step.tool_call.args, result.data, result.error, result.error_kind


def _changes(pair: Pair[Step, Step]) -> Iterator[str]:
    """What changed in a step that calls the same tool."""
    if pair.mark != "~" or pair.expected is None or pair.actual is None:
        return
    before, after = pair.expected, pair.actual
    found = [*changes(before.tool_call.args, after.tool_call.args, "")]
    if before.tool_result.error == after.tool_result.error:
        found += changes(before.tool_result.data, after.tool_result.data, "result")
    else:
        outcomes = (result_text(step.tool_result, _VALUE) for step in (before, after))
        yield f"      result: {' → '.join(outcomes)}"
    yield from (f"      {clip(escape_terminal(change.text(_LINE)), _LINE)}" for change in found[:MOST])
    if len(found) > MOST:
        yield f"      … {count(len(found) - MOST, 'more change')}"


def _parting(pairs: Sequence[Pair[Step, Step]], names: tuple[str, str]) -> Iterator[str]:
    """Where the runs part, and how often they differ."""
    wrong = [pair for pair in pairs if pair.mark]
    what = {"-": f"is only in the {names[0]} run", "+": f"is only in the {names[1]} run"}
    step = wrong[0].actual or wrong[0].expected
    if step is not None:
        name, how = clip(escape_terminal(step.tool_call.tool), _VALUE), what.get(wrong[0].mark, "differs")
        yield f"the first difference is at step {step.number}: {name} {how}"
    if len(wrong) > 1:
        yield f"{count(len(wrong), 'step')} of {len(pairs):,} differ"


def _facts(expected: Trajectory, actual: Trajectory) -> Iterator[str]:
    facts = [(name, getattr(expected, name), getattr(actual, name)) for name in FACTS]
    for name, before, after in (*facts, ("decisions", _decisions(expected), _decisions(actual))):
        for change in islice(changes(before, after, name), MOST):
            yield clip(escape_terminal(change.text(_LINE)), _LINE)


def _decisions(run: Trajectory) -> list[str]:
    """What hooks and rules decided, one line each."""
    return [f"{d.verdict} {d.tool} at step {d.step}, by {d.by}" for d in run.decisions]
