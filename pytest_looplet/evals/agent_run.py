"""One run of the agent for one cell, as a pytest item that nobody sees.

An item, so that `looplet_agent` and all it needs may have any scope, with pytest's own setup and teardown,
captured output and logs. Frames of this file are cut from the agent's traceback.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from looplet.evals.context import EvalContext
from looplet.trajectory import Trajectory
from looplet.values import normal
from pytest_looplet.evals.cell import Cell
from pytest_looplet.evals.failures import HarnessFailed
from pytest_looplet.evals.module import EvalModule
from pytest_looplet.evals.outcome import provider_failure
from pytest_looplet.run_failed import RunFailed, failure_key
from pytest_looplet.saved import save_run

HIDDEN = (Path(__file__), Path(__file__).with_name("at_once.py"))
"""Files whose frames say nothing about the agent."""


class CollectorFailed(HarnessFailed):
    """A function `collect_*` raised, or returned no dict."""


def signature(looplet_agent: Any, request: Any) -> None:
    """What a run asks of pytest."""


fixtures_key = pytest.StashKey[Any]()
"""On a file of evals: pytest's own note of the fixtures that a run needs."""


class AgentRun(pytest.Function):
    """Runs the agent of a file of evals on one case.

    Attributes:
        cell: The case and the trial.
        asked_by: Node id of an eval that needs this run: what a person can hand to pytest.
        trajectory: What the agent did; None until it has run.
    """

    cell: Cell
    asked_by: str
    trajectory: Trajectory | None = None

    @classmethod
    def of(cls, module: EvalModule, cell: Cell) -> AgentRun:
        """The run of *cell* for the evals of *module*."""
        known = module.stash.get(fixtures_key, None)  # the same for all: what `signature` asks for
        item: AgentRun = cls.from_parent(
            module, name=f"agent[{cell.id}]", callobj=signature, fixtureinfo=known
        )
        module.stash[fixtures_key] = item._fixtureinfo
        item.cell = cell
        item.asked_by = f"{module.nodeid}::{module.first_eval.get(cell.id, 'eval')}[{cell.id}]"
        return item

    def again(self) -> AgentRun:
        """A fresh run of the same cell."""
        assert isinstance(self.parent, EvalModule)
        return AgentRun.of(self.parent, self.cell)

    def runtest(self) -> None:
        """Open the cassette of the cell, call the agent, then the collectors."""
        __tracebackhide__ = True
        request, agent = cast(Any, self.funcargs["request"]), cast(Any, self.funcargs["looplet_agent"])
        request.getfixturevalue("looplet_cassette")
        answer = agent(self.cell.case.for_agent())
        if inspect.isawaitable(answer):
            answer = request.getfixturevalue("looplet_await")(answer)
        self.take(answer)
        for name, function in self.collectors.items():
            found = call_collector(name, function, self.seen, request.getfixturevalue)
            if inspect.isawaitable(found):
                found = _awaited(name, found, request.getfixturevalue("looplet_await"))
            self.add(name, found)
        self.save()

    @property
    def collectors(self) -> dict[str, Callable[..., Any]]:
        """The collectors of the file."""
        assert isinstance(self.parent, EvalModule)
        return self.parent.collectors

    def take(self, answer: object) -> None:
        """Keep what the agent returned.

        Raises:
            HarnessFailed: it is no trajectory.
            RunFailed: it is that of a run which died of its provider: nothing in it says what the agent can.
        """
        if not isinstance(answer, Trajectory):
            raise HarnessFailed(
                f"looplet_agent must return a Trajectory, not {type(answer).__name__}; "
                "return looplet_run(...)"
            )
        self.trajectory = answer
        failure = self.stash.get(failure_key, None)
        if answer.error is not None and failure is not None and provider_failure(failure) is not None:
            raise RunFailed(answer) from failure

    @property
    def seen(self) -> EvalContext:
        """The run as a collector sees it."""
        assert self.trajectory is not None
        return EvalContext.from_trajectory(self.trajectory, expected=self.cell.case.expected)

    def add(self, name: str, found: object) -> None:
        """Put what the collector *name* found in the world into the run.

        Raises:
            CollectorFailed: it is no dict.
        """
        assert self.trajectory is not None
        if not isinstance(found, dict):
            raise CollectorFailed(f"{name} returned {type(found).__name__}; a collector returns a dict")
        more = cast("dict[str, Any]", normal(found))
        self.trajectory = replace(self.trajectory, artifacts={**self.trajectory.artifacts, **more})

    def save(self) -> None:
        """Write the run, if the session keeps runs."""
        assert self.trajectory is not None
        save_run(self, self.cell.id, self.trajectory)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        """The agent's own frames only."""
        if isinstance(excinfo.value, HarnessFailed):
            return str(excinfo.value)
        cut = excinfo.traceback.cut(path=__file__).filter(excinfo)
        excinfo.traceback = cut.filter(lambda entry: entry.path not in HIDDEN)
        return super().repr_failure(excinfo)


def call_collector(
    name: str, function: Callable[..., Any], ctx: EvalContext, fixture: Callable[[str], Any]
) -> Any:
    """What the collector *function* returns.

    Args:
        name: How it is called.
        function: The collector.
        ctx: The run.
        fixture: Gives the value of a fixture.

    Raises:
        CollectorFailed: it raised.
    """
    try:
        return function(ctx, **{wanted: fixture(wanted) for wanted in fixtures_of(function)})
    except Exception as error:
        raise failed(name, error) from error


def fixtures_of(collector: Callable[..., Any]) -> list[str]:
    """Names of the fixtures that *collector* asks for."""
    return [name for name in inspect.signature(collector).parameters if name != "ctx"]


def failed(name: str, error: Exception) -> CollectorFailed:
    """The error of the evals whose collector *name* raised *error*."""
    return CollectorFailed(f"{name} raised {type(error).__name__}: {error}")


def _awaited(name: str, found: Any, run: Callable[[Any], Any]) -> Any:
    try:
        return run(found)
    except Exception as error:
        raise failed(name, error) from error
