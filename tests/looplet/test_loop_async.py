"""The async loop: what may be sync in it, what may be async in the sync one, and how it is left."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
import time
import warnings
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from looplet import Deny, LoopConfig, MockLLMBackend, ToolSpec, async_composable_loop, composable_loop
from looplet.testing import (
    AsyncScriptedBackend,
    AsyncScriptedChatBackend,
    ScriptedBackend,
    ScriptedChatBackend,
    call,
    calls,
)
from looplet.tools import tools_from

ADD, DONE = call("add", a=1), call("done", answer="ok")


def add(a: int) -> int:
    """Add one."""
    return a + 1


async def slow_add(a: int) -> int:
    """Add one, later."""
    await asyncio.sleep(0)
    return a + 1


async def count(upto: int) -> AsyncIterator[int]:
    """Count."""
    for number in range(upto):
        yield number


async def collect(steps: Any) -> list[str]:
    async with aclosing(steps):
        return [f"{s.tool_call.tool}={s.tool_result.data or s.tool_result.error}" async for s in steps]


def tools(*functions: Any) -> Any:
    return tools_from(list(functions), include_done=True)


# ------------------------------------------------------------------ sync parts in the async loop


@pytest.mark.parametrize("kind", [ScriptedBackend, ScriptedChatBackend])
def test_a_sync_backend_runs_beside_the_event_loop(kind: Any) -> None:
    threads: list[int] = []

    def reply(request: Any) -> Any:
        threads.append(threading.get_ident())
        return ADD

    llm = kind(reply, DONE)
    seen = asyncio.run(collect(async_composable_loop(llm, tools=tools(add))))
    assert [line.split("=")[0] for line in seen] == ["add", "done"]
    assert threads != [threading.get_ident()]


def test_sync_tools_do_not_hold_up_the_event_loop() -> None:
    beats: list[int] = []
    go = threading.Event()

    def wait() -> bool:
        """Wait until the event loop has done something else."""
        return go.wait(2)

    async def main() -> list[str]:
        async def beat() -> None:
            beats.append(1)
            go.set()

        llm = AsyncScriptedBackend(call("wait"), DONE)
        task = asyncio.create_task(collect(async_composable_loop(llm, tools=tools(wait))))
        await asyncio.sleep(0)
        await beat()
        return await task

    assert asyncio.run(main())[0] == "wait=True"
    assert beats == [1]


class _Slow:
    def __call__(self) -> str:
        time.sleep(0.02)
        return "slept"


@pytest.mark.parametrize(
    "body",
    [
        _Slow().__call__,
        _Slow(),
        functools.partial(_Slow.__call__, _Slow()),
        functools.partial(time.sleep, 0.02),
    ],
    ids=["a method", "an object", "a partial", "a partial of a builtin"],
)
def test_a_tool_that_takes_its_time_is_waited_for_beside_the_event_loop(body: Any) -> None:
    async def main() -> int:
        beats = 0
        naps = tools(ToolSpec("nap", "Sleep a little.", {}, body))
        llm = AsyncScriptedBackend(*[call("nap")] * 4, DONE)
        run = asyncio.create_task(collect(async_composable_loop(llm, tools=naps)))
        while not run.done():
            beats += 1
            await asyncio.sleep(0.001)
        assert len(run.result()) == 5
        return beats

    assert asyncio.run(main()) >= 10  # of 80; of a tool that held the event loop it would be 5


def test_a_run_whose_model_never_waits_leaves_the_event_loop_its_turns() -> None:
    async def main() -> list[int]:
        beats, seen = [0], []

        async def beat() -> None:
            while True:
                beats[0] += 1
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        llm = AsyncScriptedBackend(*[ADD] * 12, DONE)
        async for _ in async_composable_loop(llm, tools=tools(add)):
            seen.append(beats[0])
        beating.cancel()
        return seen

    seen = asyncio.run(main())
    assert len(set(seen)) > len(seen) // 2  # a step may take longer than an instant on a busy machine


def test_async_tools_of_a_batch_run_at_once() -> None:
    meet: list[asyncio.Event] = []

    async def first() -> str:
        """Wait for the other."""
        await meet[0].wait()
        return "first"

    async def second() -> str:
        """Let the other go on."""
        meet[0].set()
        return "second"

    async def main() -> list[str]:
        meet.append(asyncio.Event())
        both = tools(first, second)
        for name in ("first", "second"):
            both._tools[name].concurrent_safe = True
        llm = AsyncScriptedChatBackend(calls(call("first"), call("second")), DONE)
        config = LoopConfig(concurrent_dispatch=True)
        return await asyncio.wait_for(collect(async_composable_loop(llm, tools=both, config=config)), 2)

    assert asyncio.run(main())[:2] == ["first=first", "second=second"]


# ------------------------------------------------------------------ async parts in the sync loop


def test_async_tools_in_the_sync_loop() -> None:
    llm = ScriptedBackend(call("slow_add", a=1), call("count", upto=3), DONE)
    results = [s.tool_result.data for s in composable_loop(llm, tools=tools(slow_add, count))]
    assert results[:2] == [2, [0, 1, 2]]


def test_async_tools_in_the_sync_loop_inside_a_running_event_loop() -> None:
    async def main() -> list[Any]:
        llm = ScriptedBackend(call("slow_add", a=1), DONE)
        return [s.tool_result.data for s in composable_loop(llm, tools=tools(slow_add))]

    assert asyncio.run(main())[0] == 2


class AsyncHook:
    """A hook whose slots are all async."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def pre_loop(self, state: Any, session_log: Any, context: Any) -> None:
        self.seen.append("pre_loop")

    async def pre_prompt(self, state: Any, session_log: Any, context: Any, step_num: int) -> str:
        return "careful"

    async def pre_dispatch(self, state: Any, session_log: Any, tool_call: Any, step_num: int) -> None:
        self.seen.append("pre_dispatch")

    async def check_permission(self, tool_call: Any, state: Any) -> Any:
        await asyncio.sleep(0)
        return Deny("no") if tool_call.args["a"] == 13 else None

    async def check_done(self, state: Any, session_log: Any, context: Any, step_num: int) -> str | None:
        return "not yet" if step_num == 3 else None

    async def should_stop(self, state: Any, step_num: int, new_entities: int) -> bool:
        return False

    async def on_event(self, payload: Any) -> None:
        if payload.event == "stop":
            self.seen.append(payload.termination_reason)

    async def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
        self.seen.append("on_loop_end")
        return 0


SCRIPT = (ADD, call("add", a=13), DONE, DONE)
EXPECTED = ["add=2", "add=no", "done={'rejected': True, 'reason': 'not yet'}", "done={'answer': 'ok'}"]
SEEN = ["pre_loop", "pre_dispatch", "pre_dispatch", "done", "on_loop_end"]


def test_async_hooks_in_the_async_loop() -> None:
    hook, llm = AsyncHook(), AsyncScriptedBackend(*SCRIPT)
    got = asyncio.run(collect(async_composable_loop(llm, tools=tools(add), hooks=[hook])))
    assert (got[:3], hook.seen) == (EXPECTED[:3], SEEN)
    assert "careful" in llm.requests[0].prompt


def test_async_hooks_in_the_sync_loop() -> None:
    hook, llm = AsyncHook(), ScriptedBackend(*SCRIPT)
    steps = list(composable_loop(llm, tools=tools(add), hooks=[hook]))
    got = [f"{s.tool_call.tool}={s.tool_result.data or s.tool_result.error}" for s in steps]
    assert (got[:3], hook.seen) == (EXPECTED[:3], SEEN)
    assert "careful" in llm.requests[0].prompt


def test_an_async_hook_that_raises_denies() -> None:
    class Broken:
        async def check_permission(self, tool_call: Any, state: Any) -> bool:
            raise KeyError("policy")

    llm = AsyncScriptedBackend(ADD, DONE)
    first, _ = asyncio.run(collect(async_composable_loop(llm, tools=tools(add), hooks=[Broken()])))
    assert "Broken.check_permission raised KeyError" in first


def test_an_async_backend_in_the_sync_loop_is_refused_with_the_mend() -> None:
    with pytest.raises(TypeError, match="async_composable_loop"):
        next(composable_loop(AsyncScriptedBackend(DONE), tools=tools(add)))


# ------------------------------------------------------------------ leaving


class End:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def on_event(self, payload: Any) -> None:
        if payload.event == "stop":
            self.reasons.append(payload.termination_reason)


def run_of(end: End) -> AsyncGenerator[Any, None]:
    return async_composable_loop(AsyncScriptedBackend(*[ADD] * 9), tools=tools(add), hooks=[end])


def test_a_run_left_behind_is_warned_about_and_still_ends() -> None:
    end = End()

    async def main() -> None:
        async for step in run_of(end):
            if step.number == 2:
                break
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0.001)
            if end.reasons:
                break

    with pytest.warns(ResourceWarning, match="aclosing"):
        asyncio.run(main())
    assert end.reasons == ["stopped_by_caller"]


async def closed(steps: Any) -> None:
    await anext(steps)
    await steps.aclose()


async def inside_aclosing(steps: Any) -> None:
    async with aclosing(steps):
        async for _ in steps:
            break


async def to_the_end(steps: Any) -> None:
    async for _ in steps:
        pass


async def never_begun(steps: Any) -> None:
    await steps.aclose()
    assert [step async for step in steps] == []


async def not_touched(steps: Any) -> None:
    del steps


@pytest.mark.parametrize("use", [closed, inside_aclosing, to_the_end, never_begun, not_touched])
def test_a_run_that_is_left_properly_is_not_warned_about(use: Any) -> None:
    end = End()
    llm = MockLLMBackend(
        ['{"tool": "add", "args": {"a": 1}}'] * 2 + ['{"tool": "done", "args": {"answer": ""}}']
    )

    async def main() -> None:
        await use(async_composable_loop(llm, tools=tools(add), hooks=[end]))
        gc.collect()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
    assert len(end.reasons) == (0 if use in (never_begun, not_touched) else 1)


def test_an_exception_thrown_into_it_leaves_through_the_door() -> None:
    end = End()

    async def main() -> None:
        steps = run_of(end)
        await anext(steps)
        with pytest.raises(ZeroDivisionError):
            await steps.athrow(ZeroDivisionError())
        with pytest.raises(StopAsyncIteration):
            await anext(steps)

    asyncio.run(main())
    assert end.reasons == ["error"]


def test_a_wrong_argument_is_told_at_the_first_step_and_once() -> None:
    async def main() -> None:
        steps = async_composable_loop(AsyncScriptedBackend(), tools=None)
        with pytest.raises(ValueError, match="tools is required"):
            await anext(steps)
        assert [step async for step in steps] == []

    asyncio.run(main())


def test_a_sync_model_whose_replies_have_run_out_does_not_hang_the_run() -> None:
    class Recorded:
        def __init__(self) -> None:
            self.replies = iter(['{"tool": "done"}'])  # which lacks the answer, so that the run goes on

        def generate(self, prompt: str, **options: Any) -> str:
            return next(self.replies)  # StopIteration, which no future of asyncio takes

    async def run() -> list[Any]:
        steps = async_composable_loop(Recorded(), "t", tools_from([], include_done=True))
        return [step async for step in steps]

    steps = asyncio.run(asyncio.wait_for(run(), 5))
    assert steps[-1].tool_call.tool == "__llm_error__"
    assert "StopIteration" in steps[-1].tool_result.error
