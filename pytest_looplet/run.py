"""`looplet_run`: run an agent inside a test and hand its trajectory over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from looplet.config import LoopConfig
from looplet.tools import BaseToolRegistry, tools_from
from looplet.trajectory import Trajectory, TrajectoryBuilder
from looplet.trajectory.run import async_run_loop, run_loop
from looplet.types import AgentState
from pytest_looplet.cassette import Cassette
from pytest_looplet.ledger import note_run, record
from pytest_looplet.run_failed import RunFailed
from pytest_looplet.saved import save_run
from pytest_looplet.tapes import rerecord_command

OWN_BACKENDS = "looplet.testing"
"""Backends from here say what a test scripted: no cassette is needed for them."""


class LoopletRun:
    """What the fixture `looplet_run` gives: call it to run an agent to its end.

    Args:
        request: The request of the test that asked for the fixture.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._cassette: Cassette | None = None

    def __call__(
        self,
        task: Any,
        *,
        llm: Any = None,
        tools: Any = None,
        hooks: Sequence[Any] | None = None,
        config: LoopConfig | None = None,
        state: AgentState | None = None,
        check: bool = True,
        **config_fields: Any,
    ) -> Trajectory:
        """Run the loop to its end.

        Args:
            task: What the agent is asked.
            llm: The backend; `looplet_backend` if None.
            tools: A registry or a list of tools; `done(answer: str)` is added if it has no done tool.
            hooks, config, state: As for `composable_loop`.
            check: Raise for a run that died; else its trajectory comes back with `error` set.
            config_fields: Fields of `LoopConfig` that replace those of *config*.

        Raises:
            RunFailed: the run died; the exception carries its trajectory.
        """
        builder, arguments = self._prepare(llm, task, tools, hooks, config, state, config_fields)
        run_loop(builder=builder, **arguments)
        return self._finish(builder, check)

    async def async_(
        self,
        task: Any,
        *,
        llm: Any = None,
        tools: Any = None,
        hooks: Sequence[Any] | None = None,
        config: LoopConfig | None = None,
        state: AgentState | None = None,
        check: bool = True,
        **config_fields: Any,
    ) -> Trajectory:
        """The same on the running event loop."""
        builder, arguments = self._prepare(llm, task, tools, hooks, config, state, config_fields)
        await async_run_loop(builder=builder, **arguments)
        return self._finish(builder, check)

    def _prepare(
        self,
        llm: Any,
        task: Any,
        tools: Any,
        hooks: Sequence[Any] | None,
        config: LoopConfig | None,
        state: AgentState | None,
        config_fields: dict[str, Any],
    ) -> tuple[TrajectoryBuilder, dict[str, Any]]:
        config = replace(config or LoopConfig(), **config_fields)
        metadata: dict[str, Any] = {"test": self._request.node.nodeid}
        if llm is None:
            llm = self._request.getfixturevalue("looplet_backend")
        if not type(llm).__module__.startswith(OWN_BACKENDS):
            cassette = self._request.getfixturevalue("looplet_cassette")
            if cassette is not None:
                metadata["cassette"] = str(cassette.path)
                metadata["rerecord"] = rerecord_command(self._request.node)
                self._cassette = cassette
        arguments = {
            "llm": llm,
            "task": task,
            "tools": with_done(tools, config.done_tool),
            "hooks": hooks,
            "config": config,
            "state": state,
        }
        return TrajectoryBuilder(metadata=metadata), arguments

    def _finish(self, builder: TrajectoryBuilder, check: bool) -> Trajectory:
        trajectory = builder.trajectory
        if self._cassette is not None and self._cassette.recorded:
            trajectory = trajectory.with_metadata(recorded=True)
        node = self._request.node
        note_run(node, trajectory)
        if not hasattr(node, "asked_by"):  # the run of an eval's agent is saved whole, when it has ended
            save_run(node, node.nodeid.split("::", 1)[-1].replace("::", "."), trajectory)
        if check and trajectory.error is not None:
            raise RunFailed(trajectory)
        return trajectory


def make(request: pytest.FixtureRequest) -> LoopletRun:
    """What the fixture gives; from now on the session's report knows of its runs."""
    record(request.config)
    return LoopletRun(request)


def with_done(tools: Any, done_tool: str) -> BaseToolRegistry:
    """*tools* as a registry that can finish: `done(answer: str)` is added where nothing is called so."""
    if isinstance(tools, BaseToolRegistry):
        return tools
    return tools_from(list(tools or ()), include_done=done_tool == "done")
