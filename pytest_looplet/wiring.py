"""What the fixtures that a test asks for do to the runs of `looplet_run`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from looplet.clock import use_clock
from looplet.config import LoopConfig
from looplet.tools import BaseToolRegistry, tool, tools_from
from looplet.tools.decorator import done
from looplet.trajectory import TrajectoryBuilder

if TYPE_CHECKING:
    from pytest_looplet.toolbench import ToolBench


def asked_for(request: pytest.FixtureRequest, name: str) -> Any:
    """The value of the fixture *name* if the test asks for it, also by way of another fixture; else None."""
    return request.getfixturevalue(name) if name in request.fixturenames else None


def clock_of(request: pytest.FixtureRequest) -> AbstractContextManager[object]:
    """Puts the clock of the test in force.

    The fixture has done so already, but a runner of async tests may have made its context before.
    """
    clock = asked_for(request, "looplet_clock")
    return nullcontext() if clock is None else use_clock(clock)


def wired(
    request: pytest.FixtureRequest,
    builder: TrajectoryBuilder,
    *,
    tools: Any,
    hooks: list[Any],
    config: LoopConfig,
) -> dict[str, Any]:
    """Tools, hooks and config of a run, with what the fixtures of its test add to them.

    Args:
        request: The request of the test.
        builder: Records the run, and is told of faults.
        tools: What `looplet_run` was given; None if nothing.
        hooks, config: The same; they are not changed.
    """
    bench: ToolBench | None = asked_for(request, "looplet_tools")
    if bench is not None:
        bench = bench if tools is None or tools is bench else bench.around(tools, done_tool=config.done_tool)
        config = replace(config, observers=[*config.observers, bench.watch(builder.decided)])
    permissions = asked_for(request, "looplet_permissions")
    if permissions is not None:
        from looplet.permissions import PermissionHook

        hooks = [PermissionHook(permissions), *hooks]
    human = asked_for(request, "looplet_human")
    if human is not None and config.approval_handler is None:
        config = replace(config, approval_handler=human.approve)
    workspace = asked_for(request, "looplet_workspace")
    if workspace is not None:
        folder = str(workspace.path)
        config = replace(config, workspace_root=folder, cwd=config.cwd or folder)
    registry = bench if bench is not None else with_done(tools, config.done_tool)
    return {"tools": registry, "hooks": hooks, "config": config}


def with_done(tools: Any, done_tool: str) -> BaseToolRegistry:
    """*tools* as a registry that can finish: `done(answer: str)` is added where nothing is called so.

    A registry that lacks it is copied and not changed.
    """
    if not isinstance(tools, BaseToolRegistry):
        return tools_from(list(tools or ()), include_done=done_tool == "done")
    if done_tool != "done" or "done" in tools.tool_names:
        return tools
    registry = tools.copy()
    registry.register(tool(done))
    return registry
