"""However a run is left, it ends through the same door."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing
from typing import Any

import pytest

from looplet.loop import LoopConfig, async_composable_loop, composable_loop
from looplet.testing import AsyncScriptedBackend, ScriptedBackend, call
from looplet.tools import BaseToolRegistry, tools_from
from looplet.types import DefaultState, ToolCall, ToolResult


def add(a: int) -> int:
    """Give it back."""
    return a


class Probe:
    """Notes how the run ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def on_event(self, payload: Any) -> None:
        if payload.event == "stop":
            self.ended.append(payload.termination_reason)

    def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
        self.ended.append("on_loop_end")
        return 0


def sync_run(probe: Probe, state: DefaultState) -> Any:
    llm = ScriptedBackend(*[call("add", a=1)] * 5)
    return composable_loop(llm, tools=tools_from([add]), hooks=[probe], state=state, config=LoopConfig())


def async_run(probe: Probe, state: DefaultState) -> Any:
    llm = AsyncScriptedBackend(*[call("add", a=1)] * 5)
    return async_composable_loop(llm, tools=tools_from([add]), hooks=[probe], state=state)


LEFT = ["stopped_by_caller", "on_loop_end"]


def test_LB_07_break() -> None:
    probe, state = Probe(), DefaultState()
    for step in sync_run(probe, state):
        if step.number == 2:
            break
    gc.collect()
    assert probe.ended == LEFT
    assert state._stop_reason == "stopped_by_caller"  # type: ignore[attr-defined]
    assert len(state.steps) == 2


def test_LB_07_close() -> None:
    probe = Probe()
    steps = sync_run(probe, DefaultState())
    next(steps)
    steps.close()
    assert probe.ended == LEFT


def test_LB_07_never_started() -> None:
    probe = Probe()
    sync_run(probe, DefaultState()).close()
    assert probe.ended == []


def test_LB_07_exception_thrown_in() -> None:
    probe = Probe()
    steps = sync_run(probe, DefaultState())
    next(steps)
    with pytest.raises(ZeroDivisionError):
        steps.throw(ZeroDivisionError())
    assert probe.ended == ["error", "on_loop_end"]


def test_LB_07_async_break_inside_aclosing() -> None:
    probe = Probe()

    async def main() -> None:
        async with aclosing(async_run(probe, DefaultState())) as steps:
            async for _ in steps:
                break

    asyncio.run(main())
    assert probe.ended == LEFT


def test_LB_07_async_cancelled_task() -> None:
    probe = Probe()
    started = asyncio.Event()

    async def consume() -> None:
        async with aclosing(async_run(probe, DefaultState())) as steps:
            async for _ in steps:
                started.set()
                await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(consume())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert probe.ended == LEFT


def test_every_on_loop_end_is_called_though_one_raises() -> None:
    class Broken:
        def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
            raise OSError("no space")

    probe = Probe()
    llm = ScriptedBackend(call("done", answer="ok"))
    with pytest.raises(OSError, match="no space"):
        list(composable_loop(llm, tools=tools_from([add], include_done=True), hooks=[Broken(), probe]))
    assert probe.ended == ["done", "on_loop_end"]


@pytest.mark.parametrize("who", ["the model", "the registry"])
def test_a_generator_exit_from_outside_ends_through_the_one_door(who: str) -> None:
    """In the engine's own generator it must not pass for a consumer that is gone."""
    ended: list[str] = []

    class Door:
        def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> None:
            ended.append(who)

    class Model:
        def generate(self, prompt: str, **options: Any) -> str:
            if who == "the model":
                raise GeneratorExit
            return '{"tool": "add", "args": {"a": 1}}'

    class Registry(BaseToolRegistry):
        def dispatch(self, call: ToolCall, *, ctx: Any = None) -> ToolResult:
            raise GeneratorExit

    assert list(composable_loop(Model(), "t", Registry(), hooks=[Door()])) == []
    assert ended == [who]
