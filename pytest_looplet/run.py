"""`looplet_run`: run an agent inside a test and hand its trajectory over."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, Protocol

import pytest

from looplet.config import LoopConfig
from looplet.engine.observe import ModelCall
from looplet.errors import ConfigError, ModelError
from looplet.trajectory import Trajectory, TrajectoryBuilder
from looplet.trajectory.run import async_run_loop, run_loop
from looplet.types import AgentState, DefaultState, Step
from pytest_looplet.cassette import Cassette
from pytest_looplet.cut_short import StepsFile
from pytest_looplet.ledger import note_run, record
from pytest_looplet.rule_use import note_use, use_of
from pytest_looplet.run_failed import RunFailed, failure_key
from pytest_looplet.running import node_of
from pytest_looplet.saved import save_run
from pytest_looplet.settings import settings_of
from pytest_looplet.tapes import rerecord_command
from pytest_looplet.wiring import clock_of, wired

OWN_BACKENDS = "looplet.testing"
"""Backends from here say what a test scripted: no cassette is needed for them."""


ARGUMENTS = ("agent", "llm", "tools", "hooks", "config", "state", "check")
"""What looplet_run takes beside fields of LoopConfig."""


class Agent(Protocol):
    """A prepared agent, such as an `AgentPreset`."""

    config: LoopConfig
    hooks: Sequence[Any]
    tools: Any
    state: Any


class LoopletRun:
    """What the fixture `looplet_run` gives: call it to run an agent to its end.

    Args:
        request: The request of the test that asked for the fixture.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        # Runs that go on at once share this object; each has a node of its own.
        self._last: dict[pytest.Item, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def __call__(
        self,
        task: Any,
        *,
        agent: Agent | None = None,
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
            agent: A prepared agent with `config`, `hooks`, `tools` and `state`; what is given beside it takes
                the place of its own, hooks are added. Its state is copied, so that it can run again.
            llm: The backend; `looplet_backend` if None.
            tools: A registry or a list of tools; `done(answer: str)` is added if it has no done tool. If
                None, those of `looplet_tools` where the test asks for it.
            hooks, config, state: As for `composable_loop`.
            check: Raise for a run that died; else its trajectory comes back with `error` set.
            config_fields: Fields of `LoopConfig` that replace those of *config*.

        Raises:
            RunFailed: the run died; the exception carries its trajectory.
        """
        with self._lock:  # pytest sets up one fixture at a time
            builder, arguments = self._prepare(task, agent, llm, tools, hooks, config, state, config_fields)
        with clock_of(self._request):
            run_loop(builder=builder, **arguments)
        return self._finish(builder, check)

    async def async_(
        self,
        task: Any,
        *,
        agent: Agent | None = None,
        llm: Any = None,
        tools: Any = None,
        hooks: Sequence[Any] | None = None,
        config: LoopConfig | None = None,
        state: AgentState | None = None,
        check: bool = True,
        **config_fields: Any,
    ) -> Trajectory:
        """The same on the running event loop."""
        with self._lock:  # pytest sets up one fixture at a time
            builder, arguments = self._prepare(task, agent, llm, tools, hooks, config, state, config_fields)
        with clock_of(self._request):
            await async_run_loop(builder=builder, **arguments)
        return self._finish(builder, check)

    def resume(self, **changes: Any) -> Trajectory:
        """Go on with the last run from its `checkpoint_dir`, as another process would.

        Args:
            changes: Arguments of the call that differ from those of the last run: `llm`, most often.

        Raises:
            ConfigError: nothing ran yet, or the last run wrote no checkpoints.
            RunFailed: the run died.
        """
        arguments = self._again(changes)
        return self(arguments.pop("task"), **arguments)

    async def async_resume(self, **changes: Any) -> Trajectory:
        """`resume` on the running event loop."""
        arguments = self._again(changes)
        return await self.async_(arguments.pop("task"), **arguments)

    def _again(self, changes: dict[str, Any]) -> dict[str, Any]:
        last = self._last.get(node_of(self._request))
        if last is None:
            raise ConfigError("looplet_run.resume: there is no run yet; call looplet_run(...) before it")
        # Not the state: a new process has none, and the checkpoint brings it back.
        arguments = {**last, "state": None, **changes}
        config = arguments["config"] or getattr(arguments["agent"], "config", None) or LoopConfig()
        if not (arguments.get("checkpoint_dir") or config.checkpoint_dir):
            raise ConfigError(
                "looplet_run.resume: the last run wrote no checkpoints; run it with checkpoint_dir=tmp_path"
            )
        return arguments

    def _prepare(
        self,
        task: Any,
        agent: Agent | None,
        llm: Any,
        tools: Any,
        hooks: Sequence[Any] | None,
        config: LoopConfig | None,
        state: AgentState | None,
        config_fields: dict[str, Any],
    ) -> tuple[_Builder, dict[str, Any]]:
        _check_names(config_fields)
        node = node_of(self._request)
        self._last[node] = {"task": task, "agent": agent, "llm": llm, "tools": tools, "hooks": hooks}
        self._last[node] |= {"config": config, **config_fields}
        if agent is not None:
            config = config or agent.config
            tools = agent.tools if tools is None else tools
            hooks = [*(agent.hooks or ()), *(hooks or ())]
            state = _fresh(agent.state, config_fields) if state is None else state
        config = replace(config or LoopConfig(), **config_fields)
        if llm is None:
            llm = self._request.getfixturevalue("looplet_backend")
        cassette = self._cassette(llm)
        builder = _Builder(
            cassette, metadata=_metadata(node, cassette), prices=settings_of(self._request.config).prices
        )
        arguments = wired(self._request, builder, tools=tools, hooks=list(hooks or ()), config=config)
        builder.hooks, builder.done_tool = arguments["hooks"], config.done_tool
        if not hasattr(node, "asked_by"):
            builder.steps_file = StepsFile(node, _saved_name(node), builder)
        return builder, {"llm": llm, "task": task, "state": state, **arguments}

    def _cassette(self, llm: Any) -> Cassette | None:
        """The cassette that the run plays or records; None for a scripted model, and in a live session."""
        if type(llm).__module__.startswith(OWN_BACKENDS):
            return None
        cassette: Cassette | None = self._request.getfixturevalue("looplet_cassette")
        return cassette

    def _finish(self, builder: _Builder, check: bool) -> Trajectory:
        trajectory, cassette = builder.trajectory, builder.cassette
        if cassette is not None and cassette.recorded:
            trajectory = trajectory.with_metadata(recorded=True)
        if cassette is not None and cassette.drift_expected:
            trajectory = trajectory.with_metadata(expected_drift=cassette.drift_expected)
        node = node_of(self._request)
        note_run(node, trajectory)
        note_use(self._request.config, use_of(builder.hooks, trajectory, done_tool=builder.done_tool))
        if not hasattr(node, "asked_by"):  # the run of an eval's agent is saved whole, when it has ended
            save_run(node, _saved_name(node), trajectory)
            if builder.steps_file is not None:
                builder.steps_file.remove()
        if trajectory.error is not None:
            if builder.failure is not None:
                node.stash[failure_key] = builder.failure
            if check:
                raise RunFailed(trajectory, builder.failure) from builder.failure
        return trajectory


class _Builder(TrajectoryBuilder):
    """Records a run, and keeps how its last model call failed and who watched it."""

    def __init__(self, cassette: Cassette | None, **options: Any) -> None:
        super().__init__(**options)
        self.cassette = cassette
        self.failure: ModelError | None = None
        self.hooks: Sequence[object] = ()
        self.done_tool = "done"
        self.steps_file: StepsFile | None = None

    def run_started(self, task: object, *, run_id: str) -> None:
        """Keep the task and the id, also on disk where runs are saved."""
        super().run_started(task, run_id=run_id)
        if self.steps_file is not None:
            self.steps_file.begin()

    def step_taken(self, step: Step) -> None:
        """Keep the step, also on disk where runs are saved: the process may die in the next one."""
        super().step_taken(step)
        if self.steps_file is not None:
            self.steps_file.add()

    def model_called(self, call: ModelCall) -> None:
        """Keep the call."""
        super().model_called(call)
        self.failure = call.error


def _saved_name(node: pytest.Item) -> str:
    return node.nodeid.split("::", 1)[-1].replace("::", ".")


def _metadata(node: pytest.Item, cassette: Cassette | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"test": node.nodeid}
    if cassette is not None:
        metadata["cassette"] = str(cassette.path)
        metadata["rerecord"] = rerecord_command(node)
    return metadata


def _check_names(config_fields: dict[str, Any]) -> None:
    """Refuse keywords that are neither arguments of ours nor fields of a config.

    Raises:
        TypeError: the text names the nearest one that exists.
    """
    known = [field.name for field in fields(LoopConfig)]
    for name in config_fields:
        if name not in known:
            near = get_close_matches(name, [*known, *ARGUMENTS], n=1)
            hint = f"did you mean {near[0]!r}?" if near else "it is no argument and no field of LoopConfig"
            raise TypeError(f"looplet_run: unknown keyword {name!r}; {hint}")


def _fresh(state: Any, config_fields: dict[str, Any]) -> Any:
    """A copy of a prepared agent's state, with the step budget that was given instead of the agent's own."""
    state = deepcopy(state)
    if "max_steps" in config_fields and isinstance(state, DefaultState):
        state.max_steps = config_fields["max_steps"]
    return state


def make(request: pytest.FixtureRequest) -> LoopletRun:
    """What the fixture gives; from now on the session's report knows of its runs."""
    record(request.config)
    return LoopletRun(request)
