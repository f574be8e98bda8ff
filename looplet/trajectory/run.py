"""The loop, run to its end: a trajectory instead of an iterator of steps."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import Any

from looplet.config import LoopConfig
from looplet.loop import async_composable_loop, composable_loop
from looplet.trajectory.builder import TrajectoryBuilder
from looplet.trajectory.record import Trajectory


def run_loop(
    llm: Any,
    task: Any = None,
    tools: Any = None,
    *,
    config: LoopConfig | None = None,
    builder: TrajectoryBuilder | None = None,
    **arguments: Any,
) -> Trajectory:
    """Run an agent to its end and give its trajectory.

    Args:
        llm: The backend.
        task: What to do.
        tools: A registry, or a list of tools.
        config: Everything else; it is not changed.
        builder: What records the run. Give one to set prices, or to have the trajectory of a run that
            dies: it holds what happened up to the exception.
        arguments: Any other argument of `composable_loop`.

    Raises:
        BaseException: Whatever `composable_loop` raises. A model that fails for good raises nothing; the
            trajectory's `error` tells it.
    """
    builder = builder or TrajectoryBuilder()
    for _ in composable_loop(llm, task, tools, config=observed(config, builder), **arguments):
        pass
    return builder.trajectory


async def async_run_loop(
    llm: Any,
    task: Any = None,
    tools: Any = None,
    *,
    config: LoopConfig | None = None,
    builder: TrajectoryBuilder | None = None,
    **arguments: Any,
) -> Trajectory:
    """`run_loop` on an event loop."""
    builder = builder or TrajectoryBuilder()
    steps = async_composable_loop(llm, task, tools, config=observed(config, builder), **arguments)
    async with aclosing(steps):
        async for _ in steps:
            pass
    return builder.trajectory


def observed(config: LoopConfig | None, builder: TrajectoryBuilder) -> LoopConfig:
    """*config* with *builder* among its observers; the given one stays as it is."""
    config = config or LoopConfig()
    return replace(config, observers=[*config.observers, builder])
