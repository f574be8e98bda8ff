"""A model or a tool that hangs: an error after its limit, and the run goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest

from looplet import (
    BaseToolRegistry,
    CancelToken,
    DefaultState,
    LoopConfig,
    ToolSpec,
    async_composable_loop,
    composable_loop,
)
from looplet.testing import AsyncScriptedBackend, ScriptedBackend, call, rate_limit
from looplet.types import ErrorKind

SOON = 0.05
HANG, DONE = call("hang"), call("done", answer="ok")


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging thread waits for, so that none outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def tools(hang: Any, timeout_s: float | None = SOON) -> BaseToolRegistry:
    registry = BaseToolRegistry()
    registry.register(ToolSpec("hang", "Hang.", {}, hang, timeout_s=timeout_s))
    registry.register(ToolSpec("done", "Finish.", {"answer": "str"}, lambda *, answer: {"answer": answer}))
    return registry


class Ran:
    """A run to its end: steps, stop reason, seconds."""

    def __init__(self, **arguments: Any) -> None:
        state = arguments.setdefault("state", DefaultState())
        started = time.monotonic()
        if isinstance(arguments["llm"], (AsyncScriptedBackend, AsyncHanging)):
            self.steps = asyncio.run(self._collect(arguments))
        else:
            self.steps = list(composable_loop(**arguments))
        self.seconds = time.monotonic() - started
        self.reason = state._stop_reason

    @staticmethod
    async def _collect(arguments: Any) -> list[Any]:
        async with aclosing(async_composable_loop(**arguments)) as steps:
            return [step async for step in steps]

    @property
    def names(self) -> list[str]:
        return [step.tool_call.tool for step in self.steps]


# ------------------------------------------------------------------ tools


@pytest.mark.parametrize("backend", [ScriptedBackend, AsyncScriptedBackend], ids=["sync", "async"])
@pytest.mark.parametrize("body", ["sync", "async"])
def test_TV_09_a_hung_tool_is_a_timeout_and_the_run_goes_on(
    backend: Any, body: str, gate: threading.Event
) -> None:
    async def sleep() -> None:
        await asyncio.sleep(30)

    hang = gate.wait if body == "sync" else sleep
    ran = Ran(llm=backend(HANG, DONE), tools=tools(hang))
    result = ran.steps[0].tool_result
    assert (ran.names, ran.reason) == (["hang", "done"], "done")
    assert (result.error_kind, result.error_retriable) == (ErrorKind.TIMEOUT, True)
    assert "hang" in result.error
    assert "0.05 s" in result.error
    assert "may still be running" in result.error
    assert result.call_id == ran.steps[0].tool_call.call_id
    assert ran.seconds < 1


@pytest.mark.parametrize("backend", [ScriptedBackend, AsyncScriptedBackend], ids=["sync", "async"])
def test_a_tool_within_its_limit_is_not_touched(backend: Any) -> None:
    ran = Ran(llm=backend(HANG, DONE), tools=tools(lambda: {"quick": True}, timeout_s=5))
    assert ran.steps[0].tool_result.data == {"quick": True}


# ------------------------------------------------------------------ models


class Hanging:
    """A text backend whose first answers never come."""

    def __init__(self, gate: threading.Event, *, times: int = 99) -> None:
        self.gate, self.times, self.asked = gate, times, 0

    def generate(self, prompt: str, **options: Any) -> str:
        self.asked += 1
        if self.asked <= self.times:
            self.gate.wait(30)
        return '{"tool": "done", "args": {"answer": "ok"}}'


class AsyncHanging:
    """The same for the async loop."""

    def __init__(self, gate: threading.Event, *, times: int = 99) -> None:
        self.times, self.asked = times, 0

    async def generate(self, prompt: str, **options: Any) -> str:
        self.asked += 1
        if self.asked <= self.times:
            await asyncio.sleep(30)
        return '{"tool": "done", "args": {"answer": "ok"}}'


@pytest.mark.parametrize("kind", [Hanging, AsyncHanging])
def test_LB_12_a_hung_model_is_a_timeout(kind: Any, gate: threading.Event) -> None:
    llm = kind(gate)
    # The deadline leaves no time for the pause before another attempt.
    ran = Ran(llm=llm, tools=tools(print), config=LoopConfig(llm_timeout_s=SOON, deadline_s=0.9))
    (last,) = ran.steps
    assert (ran.names, ran.reason, llm.asked) == (["__llm_error__"], "llm_error", 1)
    assert last.tool_result.error_kind is ErrorKind.TIMEOUT
    assert "did not answer within 0.05 s" in last.tool_result.error
    assert ran.seconds < 0.5


def test_a_model_that_hangs_once_is_asked_again(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("looplet.scaffolding.time.sleep", pauses.append)
    llm = Hanging(gate, times=1)
    ran = Ran(llm=llm, tools=tools(print), config=LoopConfig(llm_timeout_s=SOON))
    assert (ran.names, ran.reason, llm.asked) == (["done"], "done", 2)
    assert sum(pauses) >= 1


# ------------------------------------------------------------------ the whole run


@pytest.mark.parametrize("kind", [Hanging, AsyncHanging])
def test_the_deadline_ends_a_hung_model_call(kind: Any, gate: threading.Event) -> None:
    llm = kind(gate)
    ran = Ran(llm=llm, tools=tools(print), config=LoopConfig(deadline_s=SOON))
    assert (ran.names, ran.reason, llm.asked) == (["__llm_error__"], "deadline", 1)
    assert ran.seconds < 1


@pytest.mark.parametrize("backend", [ScriptedBackend, AsyncScriptedBackend], ids=["sync", "async"])
def test_the_deadline_is_looked_at_between_steps(backend: Any) -> None:
    ran = Ran(
        llm=backend(*[HANG] * 9),
        tools=tools(lambda: time.sleep(0.03), timeout_s=None),
        config=LoopConfig(deadline_s=SOON),
    )
    assert ran.reason == "deadline"
    assert 1 <= len(ran.steps) <= 2


@pytest.mark.parametrize("backend", [ScriptedBackend, AsyncScriptedBackend], ids=["sync", "async"])
def test_no_retry_is_begun_that_the_deadline_would_cut(backend: Any) -> None:
    ran = Ran(llm=backend(rate_limit(), DONE), tools=tools(print), config=LoopConfig(deadline_s=0.3))
    assert ran.names == ["__llm_error__"]
    assert ran.steps[0].tool_result.error_kind is ErrorKind.RATE_LIMIT
    assert ran.seconds < 0.5


@pytest.mark.parametrize("backend", [ScriptedBackend, AsyncScriptedBackend], ids=["sync", "async"])
def test_LB_15_cancelling_ends_a_pause_between_attempts(backend: Any) -> None:
    token = CancelToken()
    timer = threading.Timer(0.05, token.cancel)
    timer.start()
    problem = rate_limit()
    problem.retry_after_s = 20.0
    ran = Ran(llm=backend(problem, DONE), tools=tools(print), config=LoopConfig(cancel_token=token))
    timer.join()
    assert (ran.names, ran.reason) == ([], "cancelled")
    assert ran.seconds < 0.5


@pytest.mark.parametrize("backend", [ScriptedBackend, AsyncScriptedBackend], ids=["sync", "async"])
def test_LB_15_cancelling_during_a_tool_keeps_its_step(backend: Any) -> None:
    token = CancelToken()
    ran = Ran(
        llm=backend(HANG, DONE),
        tools=tools(token.cancel, timeout_s=None),
        config=LoopConfig(cancel_token=token),
    )
    assert (ran.names, ran.reason) == (["hang"], "cancelled")
