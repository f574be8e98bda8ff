"""What `assert run == other` shows: where two trajectories part, or where a run leaves a pattern."""

from __future__ import annotations

from looplet.text import clip, count
from looplet.trajectory.diff import difference
from looplet.trajectory.record import Trajectory
from pytest_looplet.failure import first_lines, report
from pytest_looplet.pattern import Pattern
from pytest_looplet.screen import SCREEN


def explain_comparison(op: str, left: object, right: object) -> list[str] | None:
    """Lines for `pytest_assertrepr_compare`; None where the comparison is not about a trajectory."""
    if op != "==":
        return None
    if isinstance(left, Trajectory) and isinstance(right, Trajectory):
        return _two_runs(left, right)
    run, pattern = (left, right) if isinstance(left, Trajectory) else (right, left)
    if isinstance(run, Trajectory) and isinstance(pattern, Pattern):
        miss = pattern.miss(run)
        head = clip(f"{_name(run)} == {pattern!r}", SCREEN.get().width)
        return [head, *report(run, miss, indent=2).split("\n")] if miss else None
    return None


def _two_runs(left: Trajectory, right: Trajectory) -> list[str]:
    screen = SCREEN.get()
    context = None if screen.lines is None else 2
    lines = difference(left, right, names=("left", "right"), context=context) or _same(left, right)
    head = f"{_name(left)} == {_name(right)}"
    return [head, *(lines if screen.lines is None else first_lines(lines, screen.lines - 1))]


def _same(left: Trajectory, right: Trajectory) -> list[str]:
    names = [name for name in Trajectory.__dataclass_fields__ if getattr(left, name) != getattr(right, name)]
    return [
        f"the runs did the same, but differ in {', '.join(names)}",
        "to compare what they did: expect(run).to_match(other)",
    ]


def _name(run: Trajectory) -> str:
    return f"<run {run.run_id or 'without id'}: {count(len(run.steps), 'step')}>"
