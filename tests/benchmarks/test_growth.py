"""What a step costs does not depend on how many steps came before it: counted, not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from looplet import DefaultState, LoopConfig, composable_loop, tool
from looplet.testing import MockLLMBackend, ScriptedChatBackend, call

SHORT, LONG = 100, 1_000
TOLERANCE = 1.1


def calls_of(work: Callable[[], object]) -> int:
    """Python and C calls that *work* makes."""
    count = 0

    def count_calls(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_calls)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@tool
def add(a: int, b: int) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": a + b}


@tool
def done(answer: str) -> dict[str, str]:
    """Finish."""
    return {"answer": answer}


def text_backend(steps: int) -> MockLLMBackend:
    adds = [f'{{"tool": "add", "args": {{"a": {i}, "b": 1}}}}' for i in range(steps)]
    return MockLLMBackend([*adds, '{"tool": "done", "args": {"answer": "ok"}}'])


def thread_backend(steps: int) -> ScriptedChatBackend:
    return ScriptedChatBackend(*[call("add", a=i, b=1) for i in range(steps)], call("done", answer="ok"))


def run(llm: object, steps: int, **config: Any) -> None:
    limits = {"state": DefaultState(max_steps=steps + 1), "config": LoopConfig(max_steps=steps + 1, **config)}
    taken = list(composable_loop(llm, "Add.", [add, done], **limits))
    assert len(taken) == steps + 1
    assert not taken[-1].tool_result.error


@pytest.mark.parametrize(
    "backend", [pytest.param(text_backend, id="text"), pytest.param(thread_backend, id="thread")]
)
def test_calls_grow_with_the_steps_and_no_faster(backend: Callable[[int], object]) -> None:
    run(backend(2), 2)  # what is imported or set up once is not counted
    llms = {steps: backend(steps) for steps in (SHORT, LONG)}
    short, long = (calls_of(lambda steps=steps: run(llms[steps], steps)) for steps in (SHORT, LONG))
    assert long <= short * LONG / SHORT * TOLERANCE


def test_the_count_sees_work_that_grows() -> None:
    def quadratic(steps: int) -> None:
        seen: list[int] = []
        for step in range(steps):
            seen.append(step)
            for item in seen:
                abs(item)

    short, long = (calls_of(lambda steps=steps: quadratic(steps)) for steps in (SHORT, LONG))
    assert long > short * LONG / SHORT * 5
