"""`expect(run)`: what a run should have done, said in a chain that reads like the expectation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, Protocol

from looplet.trajectory.record import Trajectory
from looplet.types import ErrorKind
from pytest_looplet import checks
from pytest_looplet.failure import Miss, Unmet, report
from pytest_looplet.limits import stayed_within
from pytest_looplet.pattern import Entry, Mode, Pattern
from pytest_looplet.recording import departure


class HasTrajectory(Protocol):
    """What holds a run: the context of an eval, or the exception of a run that died."""

    @property
    def trajectory(self) -> Trajectory | None:
        """The run, None if it is not known whole."""
        ...


def expect(run: Trajectory | HasTrajectory) -> Expectation:
    """Say what *run* should have done: `expect(run).to_call("search").to_finish()`.

    Every method returns the same expectation, or raises `Unmet` with one screen that shows the run.

    Args:
        run: A trajectory, or what holds one, such as the `ctx` of an eval.

    Raises:
        TypeError: *run* is neither.
    """
    __tracebackhide__ = True
    trajectory = run if isinstance(run, Trajectory) else getattr(run, "trajectory", None)
    if not isinstance(trajectory, Trajectory):
        kind = type(run).__name__
        raise TypeError(f"expect() takes a Trajectory, not {kind}; looplet_run(...) returns one")
    return Expectation(trajectory)


class Expectation:
    """What a run should have done. Made by `expect`.

    To call a tool means to ask for it: a call that was refused or that failed is a call. Arguments are
    compared by equality, so `dirty-equals` and `unittest.mock.ANY` work; a compiled regular expression
    is searched in a text, a class asks for an instance, and any other callable is asked.

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
            args: Arguments whose names are taken here, such as `times`.
            more: The other arguments.
        """
        __tracebackhide__ = True
        return self._hold(checks.called(self.run, tool, times, {**(args or {}), **more}))

    def not_to_call(self, tool: str, /, *, args: Mapping[str, Any] | None = None, **more: Any) -> Expectation:
        """The agent never called *tool*, or never with these arguments."""
        __tracebackhide__ = True
        return self._hold(checks.not_called(self.run, tool, {**(args or {}), **more}))

    def to_only_call(self, *tools: str) -> Expectation:
        """The agent called no other tool than these; the call that ended the run is not counted."""
        __tracebackhide__ = True
        return self._hold(checks.only_called(self.run, tools))

    def to_call_in_order(self, *tools: str) -> Expectation:
        """The agent called these tools in this order; other calls may stand between.

        Raises:
            TypeError: Fewer than two tools have no order.
        """
        __tracebackhide__ = True
        if len(tools) < 2:
            raise TypeError("to_call_in_order() takes at least two tools; for one there is to_call()")
        return self._hold(checks.in_order(self.run, tools))

    def to_match(
        self, pattern: Iterable[Entry] | Trajectory | Pattern, mode: Mode | None = None
    ) -> Expectation:
        """The agent's calls agree with *pattern*.

        Args:
            pattern: Tool names, `call(tool, **args)`, recorded steps, or a whole trajectory.
            mode: `strict` (the default): the same calls in the same order; `unordered`: the same in any
                order; `subset`: none besides them; `superset`: all of them and perhaps more.

        Raises:
            TypeError: An entry is none of these.
            ValueError: *mode* is none of the four.
        """
        __tracebackhide__ = True
        if not isinstance(pattern, Pattern) or mode not in (None, pattern.mode):
            pattern = Pattern(pattern, mode or "strict")
        return self._hold(pattern.miss(self.run))

    def to_match_recording(self, path: str | PathLike[str] | None = None) -> Expectation:
        """The agent did what it did when the test was recorded or last accepted.

        Tools, arguments, results, decisions, the stop reason and the output are compared; ids,
        durations and tokens are not.

        Args:
            path: Where the recorded trajectory is; beside the cassette if None.

        Raises:
            ValueError: *path* is not given and the run has no cassette.
            TraceError: The recorded trajectory cannot be read.
        """
        __tracebackhide__ = True
        return self._hold(departure(self.run, path))

    def to_finish(self, reason: object = "done") -> Expectation:
        """The run stopped for this reason: `done` is the agent's own end; any matcher will do."""
        __tracebackhide__ = True
        return self._hold(checks.finished(self.run, reason))

    def to_output(self, expected: object = ..., /, **fields: Any) -> Expectation:
        """The final output has these fields.

        Args:
            expected: The whole output, or its value where it has a single field.
            fields: Fields by name; those that are not named may be anything.

        Raises:
            TypeError: Nothing is expected.
        """
        __tracebackhide__ = True
        if expected is ... and not fields:
            raise TypeError("to_output() takes what is expected: a value, or fields by name")
        return self._hold(checks.gave_output(self.run, expected, fields))

    def to_stay_within(
        self,
        *,
        steps: int | None = None,
        model_calls: int | None = None,
        tokens: int | None = None,
        cost_usd: float | None = None,
        seconds: float | None = None,
        errors: int | None = None,
    ) -> Expectation:
        """The run spent at most this much. What cannot be known (tokens nobody counted) is too much.

        Args:
            steps: Steps taken.
            model_calls: Calls of the model.
            tokens: Input and output tokens of all model calls.
            cost_usd: US dollars; needs prices.
            seconds: From start to end; in a replay that is the time of the replay.
            errors: Steps that failed.

        Raises:
            TypeError: No limit is given.
        """
        __tracebackhide__ = True
        given = {
            "steps": steps,
            "model_calls": model_calls,
            "tokens": tokens,
            "cost_usd": cost_usd,
            "seconds": seconds,
            "errors": errors,
        }
        limits = {name: limit for name, limit in given.items() if limit is not None}
        if not limits:
            raise TypeError(f"to_stay_within() takes at least one limit: {', '.join(given)}")
        return self._hold(stayed_within(self.run, limits))

    def to_have_no_errors(self) -> Expectation:
        """No step failed and nothing killed the run."""
        __tracebackhide__ = True
        return self._hold(checks.no_errors(self.run))

    def to_recover_from(self, kind: ErrorKind | str) -> Expectation:
        """A step failed this way, a later call of a tool succeeded, and the agent finished.

        Raises:
            ValueError: *kind* is no kind of error.
        """
        __tracebackhide__ = True
        if kind not in [known.value for known in ErrorKind]:
            raise ValueError(
                f"no error is of kind {kind!r}; kinds are {', '.join(k.value for k in ErrorKind)}"
            )
        return self._hold(checks.recovered(self.run, ErrorKind(kind)))

    def to_be_denied(
        self, tool: str, /, *, args: Mapping[str, Any] | None = None, **more: Any
    ) -> Expectation:
        """The agent called *tool* with these arguments, and every such call was refused permission."""
        __tracebackhide__ = True
        return self._hold(checks.denied(self.run, tool, {**(args or {}), **more}))

    def _hold(self, miss: Miss | None) -> Expectation:
        __tracebackhide__ = True
        if miss is not None:
            raise Unmet(report(self.run, miss), self.run, miss.marked)
        return self
