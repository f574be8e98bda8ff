"""A pattern of calls, and how a run agrees with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from looplet.testing.replies import Calls, call as call
from looplet.text import count, escape_terminal, shorten
from looplet.trajectory.align import Likeness, Pair, align
from looplet.trajectory.diff import side_by_side, step_text
from looplet.trajectory.record import Trajectory
from looplet.types import Step
from pytest_looplet.checks import closing
from pytest_looplet.failure import Miss
from pytest_looplet.matching import differences, shown
from pytest_looplet.pairing import pair_up
from pytest_looplet.screen import SCREEN

Mode: TypeAlias = Literal["strict", "unordered", "subset", "superset"]
"""How the calls of a run relate to those of a pattern.

`strict`: the same, in the same order. `unordered`: the same, in any order. `subset`: none that the
pattern does not have. `superset`: all that the pattern has, and perhaps more.
"""

_ASKED = {
    "strict": "exactly these calls in this order",
    "unordered": "exactly these calls in any order",
    "subset": "no calls but these",
    "superset": "at least these calls",
}


@dataclass(frozen=True)
class Wanted:
    """One call of a pattern.

    Attributes:
        tool: Name of the tool.
        args: Those of its arguments that matter.
        exact: Whether a call with more arguments is another one.
    """

    tool: str
    args: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = False

    def likeness(self, step: Step) -> Likeness:
        """2 if *step* is this call, 1 if only its arguments differ, 0 if it is another tool's."""
        given = step.tool_call
        if given.tool != self.tool:
            return 0
        more = self.exact and any(n not in self.args for n in given.args if not n.startswith("__"))
        return 1 if more or differences(self.args, given.args) else 2

    def text(self, width: int) -> str:
        """The call for people, in at most *width* columns."""
        args = " ".join(f"{name}={shown(value, width)}" for name, value in self.args.items())
        return shorten(f"{escape_terminal(self.tool)} {args}".rstrip(), width)


Entry: TypeAlias = "str | Calls | Step | tuple[str, Mapping[str, Any]]"
"""What may stand in a pattern: a tool's name, `call(tool, **args)`, a recorded step, or a name with
arguments. Arguments that are not named may be anything; those of a recorded step are all of them."""


class Pattern:
    """The calls a run should have made; `run == Pattern([...])` asks whether it did.

    Args:
        calls: The entries, or a trajectory whose calls are meant, or another pattern.
        mode: How a run relates to them.

    Raises:
        TypeError: An entry is none of what may stand in a pattern.
        ValueError: *mode* is none of the four.
    """

    __hash__ = None  # type: ignore[assignment]  # equality asks a question, it says nothing of identity

    def __init__(self, calls: Iterable[Entry] | Trajectory | Pattern, mode: Mode = "strict") -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode is {mode!r}; it must be one of {', '.join(get_args(Mode))}")
        if isinstance(calls, str):
            raise TypeError(f"a pattern is a list of calls, not the text {calls!r}; write [{calls!r}]")
        entries = calls.calls if isinstance(calls, Pattern) else calls
        self.calls: tuple[Wanted, ...] = tuple(one for entry in entries for one in _wanted(entry))
        self.mode: Mode = mode

    def __eq__(self, other: object) -> bool:
        return self.miss(other) is None if isinstance(other, Trajectory) else NotImplemented

    def __repr__(self) -> str:
        return f"Pattern([{', '.join(wanted.text(40) for wanted in self.calls)}], mode={self.mode!r})"

    def miss(self, run: Trajectory) -> Miss | None:
        """How *run* departs from this pattern, None if it does not.

        The call that ended the run counts only if the pattern names its tool; steps in which the model
        failed to call anything count always.
        """
        steps = self._counted(run)
        pairs = _in_order(self.calls, steps) if self.mode == "strict" else _any_order(self.calls, steps)
        allowed = {"subset": "-", "superset": "+"}.get(self.mode)
        pairs = [replace(pair, mark="") if pair.mark == allowed else pair for pair in pairs]
        wrong = [pair for pair in pairs if pair.mark]
        if not wrong:
            return None
        marked = [pair.actual.number for pair in wrong if pair.actual is not None]
        return Miss(f"expected {_ASKED[self.mode]}; {_summary(wrong)}", marked, _beside(pairs))

    def _counted(self, run: Trajectory) -> list[Step]:
        named = {wanted.tool for wanted in self.calls}
        end = closing(run)
        return [step for step in run.steps if step is not end or step.tool_call.tool in named]


def _beside(pairs: Sequence[Pair[Wanted, Step]]) -> list[str]:
    """An alignment as lines: expected calls on the left, calls of the run on the right."""
    context = None if SCREEN.get().lines is None else 2
    return side_by_side(pairs, ("expected", "actual"), Wanted.text, step_text, context=context)


def _wanted(entry: object) -> Iterator[Wanted]:
    if isinstance(entry, Wanted):
        yield entry
    elif isinstance(entry, str):
        yield Wanted(entry)
    elif isinstance(entry, Calls):
        yield from (Wanted(tool, args) for tool, args in entry.wanted)
    elif isinstance(entry, Step):
        args = {name: value for name, value in entry.tool_call.args.items() if not name.startswith("__")}
        yield Wanted(entry.tool_call.tool, args, exact=True)
    elif isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], Mapping):
        yield Wanted(str(entry[0]), entry[1])
    else:
        raise TypeError(f"a pattern holds tool names and call(...), not {type(entry).__name__}: {entry!r}")


def _in_order(calls: Sequence[Wanted], steps: Sequence[Step]) -> list[Pair[Wanted, Step]]:
    return align(calls, steps, Wanted.likeness)


def _any_order(calls: Sequence[Wanted], steps: Sequence[Step]) -> list[Pair[Wanted, Step]]:
    """As many calls as possible each paired with a step of its own, in the order of the pattern."""
    pairs: dict[int, Pair[Wanted, Step]] = {}
    extra: list[Step] = []
    for tool in dict.fromkeys([wanted.tool for wanted in calls] + [step.tool_call.tool for step in steps]):
        places = [place for place, wanted in enumerate(calls) if wanted.tool == tool]
        found, left = _of_one_tool([calls[p] for p in places], [s for s in steps if s.tool_call.tool == tool])
        pairs |= zip(places, found, strict=True)
        extra += left
    extra.sort(key=lambda step: step.number)
    return [*(pairs[place] for place in range(len(calls))), *(Pair(None, step, "+") for step in extra)]


def _of_one_tool(
    calls: Sequence[Wanted], steps: Sequence[Step]
) -> tuple[list[Pair[Wanted, Step]], Sequence[Step]]:
    """The pairs of one tool's calls, and the steps that are left over."""
    if any(wanted.args for wanted in calls):
        step_of = pair_up(len(calls), len(steps), lambda one, other: calls[one].likeness(steps[other]) == 2)
    else:
        step_of = {place: place for place in range(min(len(calls), len(steps)))}
    taken = set(step_of.values())
    free = deque(step for place, step in enumerate(steps) if place not in taken)
    pairs: list[Pair[Wanted, Step]] = []
    for place, wanted in enumerate(calls):
        if place in step_of:
            pairs.append(Pair(wanted, steps[step_of[place]], ""))
        elif free:
            pairs.append(Pair(wanted, free.popleft(), "~"))
        else:
            pairs.append(Pair(wanted, None, "-"))
    return pairs, free


def _summary(pairs: Sequence[Pair[Wanted, Step]]) -> str:
    """What is wrong, such as `check_stock is missing, issue_refund has other arguments at step 2`."""
    extra = [pair.actual for pair in pairs if pair.actual and pair.expected is None]
    told: list[str] = []
    for wanted in (pair.expected for pair in pairs if pair.actual is None):
        moved = next((step for step in extra if wanted and wanted.likeness(step) == 2), None)
        if wanted and moved:
            extra.remove(moved)
            told.append(f"{wanted.tool} is out of order, at step {moved.number}")
        elif wanted:
            told.append(f"{wanted.tool} is missing")
    changed = [pair.actual for pair in pairs if pair.expected and pair.actual]
    told += [f"{step.tool_call.tool} has other arguments at step {step.number}" for step in changed]
    told += [f"{step.tool_call.tool} is not expected at step {step.number}" for step in extra]
    more = [f"and {count(len(told) - 3, 'more difference')}"] if len(told) > 3 else []
    return ", ".join([*told[:3], *more])
