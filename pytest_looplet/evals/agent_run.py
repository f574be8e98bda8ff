"""One run of the agent for one cell, as a pytest item that nobody sees.

An item, so that `looplet_agent` and all it needs may have any scope, with pytest's own setup and teardown,
captured output and logs. Frames of this file are cut from the agent's traceback.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from looplet.evals.case import Case
from looplet.evals.context import EvalContext
from looplet.trajectory import Trajectory
from looplet.values import normal
from pytest_looplet.evals.cell import Cell
from pytest_looplet.evals.failures import HarnessFailed
from pytest_looplet.evals.module import EvalModule
from pytest_looplet.saved import save_run


class CollectorFailed(HarnessFailed):
    """A function `collect_*` raised, or returned no dict."""


def _signature(looplet_agent: Any, request: Any) -> None:
    """What a run asks of pytest."""


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
        item: AgentRun = cls.from_parent(module, name=f"agent[{cell.id}]", callobj=_signature)
        item.cell = cell
        item.asked_by = f"{module.nodeid}::{module.first_eval.get(cell.id, 'eval')}[{cell.id}]"
        return item

    def runtest(self) -> None:
        """Open the cassette of the cell, call the agent, then the collectors."""
        __tracebackhide__ = True
        request, agent = cast(Any, self.funcargs["request"]), cast(Any, self.funcargs["looplet_agent"])
        request.getfixturevalue("looplet_cassette")
        answer = agent(self.cell.case.for_agent())
        if inspect.isawaitable(answer):
            answer = request.getfixturevalue("looplet_await")(answer)
        self.trajectory = _as_trajectory(answer)
        assert isinstance(self.parent, EvalModule)
        for name, function in self.parent.collectors.items():
            self.trajectory = _with_artifacts(self.trajectory, name, function, self.cell.case, request)
        save_run(self, self.cell.id, self.trajectory)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        """The agent's own frames only."""
        if isinstance(excinfo.value, HarnessFailed):
            return str(excinfo.value)
        excinfo.traceback = excinfo.traceback.cut(path=__file__).filter(excinfo)
        return super().repr_failure(excinfo)


def _with_artifacts(
    run: Trajectory, name: str, function: Callable[..., Any], case: Case, request: pytest.FixtureRequest
) -> Trajectory:
    """*run* with what one collector found in the world."""
    ctx = EvalContext.from_trajectory(run, expected=case.expected)
    wanted = [parameter for parameter in inspect.signature(function).parameters if parameter != "ctx"]
    try:
        found = function(ctx, **{fixture: request.getfixturevalue(fixture) for fixture in wanted})
        if inspect.isawaitable(found):
            found = request.getfixturevalue("looplet_await")(found)
    except Exception as error:
        raise CollectorFailed(f"{name} raised {type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        raise CollectorFailed(f"{name} returned {type(found).__name__}; a collector returns a dict")
    return replace(run, artifacts={**run.artifacts, **cast("dict[str, Any]", normal(found))})


def _as_trajectory(answer: object) -> Trajectory:
    if isinstance(answer, Trajectory):
        return answer
    raise HarnessFailed(
        f"looplet_agent must return a Trajectory, not {type(answer).__name__}; return looplet_run(...)"
    )
