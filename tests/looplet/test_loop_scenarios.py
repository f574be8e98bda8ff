"""The scenario table, through the sync and the async loop; both must do the same."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from looplet.clock import fixed_clock
from looplet.loop import async_composable_loop, composable_loop
from looplet.testing import (
    AsyncScriptedBackend,
    AsyncScriptedChatBackend,
    AsyncScriptedToolBackend,
    ScriptedBackend,
    ScriptedChatBackend,
    ScriptedToolBackend,
)
from looplet.trajectory import Trajectory, TrajectoryBuilder
from tests.looplet.scenarios import TABLE, Scenario, Tools

SYNC = {"text": ScriptedBackend, "native": ScriptedToolBackend, "thread": ScriptedChatBackend}
ASYNC = {"text": AsyncScriptedBackend, "native": AsyncScriptedToolBackend, "thread": AsyncScriptedChatBackend}


class Outcome:
    """What a run of a scenario came to."""

    def __init__(self) -> None:
        self.tools: Tools
        self.builder = TrajectoryBuilder()
        self.llm: Any = None
        self.error: BaseException | None = None

    @property
    def trajectory(self) -> Trajectory:
        return self.builder.trajectory

    @property
    def lines(self) -> list[str]:
        steps = [(s.number, s.tool_result.tool, s.tool_result.error) for s in self.trajectory.steps]
        return [f"{n} {'✗' if error else '✓'} {tool}: {error or ''}" for n, tool, error in steps]


def arguments(scenario: Scenario, outcome: Outcome, backends: dict[str, Any]) -> dict[str, Any]:
    outcome.tools = Tools(with_done=scenario.done)
    outcome.llm = backends[scenario.wire](*scenario.replies)
    config = scenario.settings(outcome.tools)
    config.observers = [outcome.builder]
    if scenario.wire == "native":
        config.use_native_tools = True
    return {
        "llm": outcome.llm,
        "task": {"goal": "test"},
        "tools": outcome.tools.registry,
        "hooks": scenario.hooks(outcome.tools),
        "config": config,
        "state": scenario.state(),
    }


def run_sync(scenario: Scenario) -> Outcome:
    outcome = Outcome()
    with fixed_clock():
        try:
            for _ in composable_loop(**arguments(scenario, outcome, SYNC)):
                pass
        except Exception as problem:
            outcome.error = problem
    return outcome


def run_async(scenario: Scenario) -> Outcome:
    outcome = Outcome()

    async def main() -> None:
        async with aclosing(async_composable_loop(**arguments(scenario, outcome, ASYNC))) as steps:
            async for _ in steps:
                pass

    with fixed_clock():
        try:
            asyncio.run(main())
        except Exception as problem:
            outcome.error = problem
    return outcome


def matches(line: str, pattern: str) -> bool:
    head, _, part = pattern.partition(": ")
    return line.startswith(f"{head}: ") and part in line


@pytest.mark.filterwarnings("ignore:the provider refuses tools")
@pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])
@pytest.mark.parametrize("name", TABLE)
def test_the_loop(name: str, run: Any) -> None:
    scenario = TABLE[name]
    outcome = run(scenario)
    assert type(outcome.error) is (scenario.raises or type(None)), outcome.error
    lines = outcome.lines
    assert len(lines) == len(scenario.steps), lines
    for line, pattern in zip(lines, scenario.steps, strict=True):
        assert matches(line, pattern), (line, pattern)
    assert outcome.trajectory.stop_reason == scenario.stop
    if scenario.ran is not None:
        assert outcome.tools.names == list(scenario.ran)
    if scenario.asked is not None:
        assert len(outcome.llm.requests) == scenario.asked


@pytest.mark.filterwarnings("ignore:the provider refuses tools")
@pytest.mark.parametrize("name", TABLE)
def test_sync_and_async_give_one_trajectory(name: str) -> None:
    assert run_sync(TABLE[name]).trajectory == run_async(TABLE[name]).trajectory
