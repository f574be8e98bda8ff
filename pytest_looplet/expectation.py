"""`expect(run)`: what a run should have done, said in a chain that reads like the expectation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from looplet.trajectory.record import Trajectory
from looplet.types import Step
from pytest_looplet.failure import Unmet, count, report
from pytest_looplet.matching import differences, matches, shown, times_match, times_text


def expect(run: Trajectory) -> Expectation:
    """Say what *run* should have done: `expect(run).to_call("search").to_finish()`.

    Every method returns the same expectation, or raises `Unmet` with one screen that shows the run.
    """
    __tracebackhide__ = True
    if not isinstance(run, Trajectory):
        raise TypeError(f"expect() takes a Trajectory, not {type(run).__name__}; looplet_run returns one")
    return Expectation(run)


class Expectation:
    """What a run should have done. Made by `expect`.

    "To call" a tool means to ask for it: a call that was refused or that failed is a call.

    Attributes:
        run: The trajectory that is looked at.
    """

    def __init__(self, run: Trajectory) -> None:
        self.run = run

    def to_call(
        self, tool: str, /, *, times: object = None, args: Mapping[str, Any] | None = None, **more: Any
    ) -> Expectation:
        """The agent called *tool* with these arguments; arguments that are not named may be anything.

        Args:
            tool: Name of the tool.
            times: How many calls match: a number, a range or a matcher. At least one if None.
            args: Arguments whose names are not free here, such as `times`.
            more: Arguments, compared by equality; regular expressions, classes and callables work too.
        """
        __tracebackhide__ = True
        wanted = {**(args or {}), **more}
        called = self.run.calls(tool)
        fitting = [step for step in called if not differences(wanted, step.tool_call.args)]
        if times_match(times, len(fitting)) if times is not None else fitting:
            return self
        asked = f"expected a call of {_wanted(tool, wanted)}"
        if times is not None:
            asked = f"expected {_wanted(tool, wanted)} to be called {times_text(times)}"
        if not called:
            return self._fail(f"{asked}; it was never called{_nearest(tool, self.run.tools)}")
        if times is not None and fitting:
            return self._fail(f"{asked}; it was called {times_text(len(fitting))}", marked=fitting)
        details = [f"step {s.number}: {'; '.join(differences(wanted, s.tool_call.args))}" for s in called]
        happened = f"{tool} was called {times_text(len(called))}, with other arguments"
        return self._fail(f"{asked}; {happened}", marked=called, details=details)

    def not_to_call(self, tool: str, /, *, args: Mapping[str, Any] | None = None, **more: Any) -> Expectation:
        """The agent never called *tool*, or never with these arguments. A refused call is a call."""
        __tracebackhide__ = True
        self._something_happened()
        wanted = {**(args or {}), **more}
        called = [s for s in self.run.calls(tool) if not differences(wanted, s.tool_call.args)]
        if not called:
            return self
        where = _steps(called)
        return self._fail(
            f"expected no call of {_wanted(tool, wanted)}; it was called {where}", marked=called
        )

    def to_call_in_order(self, *tools: str) -> Expectation:
        """The agent called these tools in this order; other calls may stand between."""
        __tracebackhide__ = True
        position, before = 0, ""
        names = self.run.tools
        for tool in tools:
            if tool in names[position:]:
                position = names.index(tool, position) + 1
                before = tool
                continue
            return self._out_of_order(tools, tool, before, position)
        return self

    def to_finish(self, reason: object = "done") -> Expectation:
        """The run ended for this reason: `done` is the agent's own end; any matcher will do."""
        __tracebackhide__ = True
        died = self.run.error is not None and reason == "done"
        if matches(reason, self.run.stop_reason) and not died:
            return self
        ended = (
            f"it stopped with {self.run.stop_reason!r}" if self.run.stop_reason else "its end was not seen"
        )
        last = self.run.steps[-1:] if not self.run.completed else ()
        return self._fail(f"expected the run to finish with {shown(reason, 40)}; {ended}", marked=last)

    def _out_of_order(self, tools: Sequence[str], tool: str, before: str, position: int) -> NoReturn:
        __tracebackhide__ = True
        order = ", ".join(tools)
        early = [step for step in self.run.steps[:position] if step.tool_call.tool == tool]
        if not early:
            nearest = _nearest(tool, self.run.tools)
            self._fail(f"expected the calls {order} in this order; {tool} was never called{nearest}")
        late = f"expected {before} before {tool}; {tool} came first, at step {early[0].number}"
        self._fail(late, marked=early)

    def _something_happened(self) -> None:
        """A run that never began must not prove that something was not done."""
        __tracebackhide__ = True
        run = self.run
        if not run.steps and not run.model_calls and not run.completed:
            self._fail("expected a run, to see what it did not do; this one has no model call and no step")

    def _fail(self, sentence: str, *, marked: Iterable[Step] = (), details: Sequence[str] = ()) -> NoReturn:
        __tracebackhide__ = True
        numbers: Collection[int] = [step.number for step in marked]
        raise Unmet(report(self.run, sentence, details=details, marked=numbers), self.run, numbers)


def _wanted(tool: str, args: Mapping[str, Any]) -> str:
    parts = " ".join(f"{name}={shown(value, 60)}" for name, value in args.items())
    return f"{tool} with {parts}" if parts else tool


def _steps(steps: Sequence[Step]) -> str:
    numbers = ", ".join(str(step.number) for step in steps[:10])
    more = f" and {count(len(steps) - 10, 'more')[:-1]}" if len(steps) > 10 else ""
    return f"at step {numbers}" if len(steps) == 1 else f"at steps {numbers}{more}"


def _nearest(tool: str, names: Sequence[str]) -> str:
    """A hint for a misspelt name."""
    from difflib import get_close_matches

    near = get_close_matches(tool, set(names), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
