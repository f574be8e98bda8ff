"""Several calls: order, what runs at once, whose context, cancellation; limits and threads."""

import asyncio
import contextvars
import subprocess
import sys
import threading
import time

import pytest

from looplet.tools import BaseToolRegistry, ToolSpec
from looplet.types import CancelToken, ErrorKind, ToolCall, ToolContext
from looplet.workers import retire, start


def batch_sync(registry, calls, ctx=None):
    return registry.dispatch_batch(calls, ctx=ctx)


def batch_async(registry, calls, ctx=None):
    return asyncio.run(registry.dispatch_batch_async(calls, ctx=ctx))


both_loops = pytest.mark.parametrize("batch", [batch_sync, batch_async])


def registry(*specs):
    made = BaseToolRegistry()
    for spec in specs:
        made.register(spec)
    return made


def safe(execute, name="safe", **more):
    return ToolSpec(name, "", {}, execute, concurrent_safe=True, **more)


def alone(execute, name="alone", **more):
    return ToolSpec(name, "", {}, execute, **more)


@both_loops
def test_no_calls(batch):
    assert batch(registry(), []) == []


@both_loops
def test_results_come_in_the_order_of_the_calls(batch):
    def wait(n):
        time.sleep(0.02 * (5 - n))
        return n

    tools = registry(safe(wait), alone(lambda n: n))
    calls = [
        ToolCall(name, {"n": n}) for n, name in enumerate(["safe", "safe", "alone", "safe", "safe", "nope"])
    ]
    results = batch(tools, calls)
    assert [r.call_id for r in results] == [c.call_id for c in calls]
    assert [r.data for r in results] == [0, 1, 2, 3, 4, None]


@both_loops
@pytest.mark.parametrize("is_async", [False, True])
def test_safe_neighbours_run_at_once(batch, is_async):
    together = threading.Barrier(3, timeout=5)

    def meet():
        return together.wait() is not None

    async def meet_async():
        return await asyncio.to_thread(meet)

    tools = registry(safe(meet_async if is_async else meet))
    assert [r.data for r in batch(tools, [ToolCall("safe")] * 3)] == [True] * 3


@both_loops
def test_others_run_alone(batch):
    running = []

    def work():
        running.append(1)
        assert len(running) == 1
        time.sleep(0.005)
        running.pop()

    assert [r.error for r in batch(registry(alone(work)), [ToolCall("alone")] * 3)] == [None] * 3


def test_at_most_ten_threads_in_the_sync_loop():
    lock = threading.Lock()
    now, most = 0, 0

    def work():
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1

    results = registry(safe(work)).dispatch_batch([ToolCall("safe") for _ in range(25)])
    assert len(results) == 25
    assert most == 10


@both_loops
def test_each_call_has_its_own_context(batch):
    tools = registry(safe(lambda ctx: ctx.session_id))
    calls = [ToolCall("safe") for _ in range(4)]
    results = batch(tools, calls, ctx=lambda call: ToolContext(session_id=call.call_id))
    assert [r.data for r in results] == [c.call_id for c in calls]


@both_loops
def test_one_context_may_be_shared(batch):
    ctx = ToolContext()
    results = batch(registry(safe(lambda ctx: ctx)), [ToolCall("safe")] * 2, ctx=ctx)
    assert all(r.data is ctx for r in results)


@both_loops
def test_TV_08_after_a_cancellation_nothing_else_starts(batch):
    token = CancelToken()
    ran = []

    def work(n):
        ran.append(n)
        token.cancel()

    tools = registry(alone(work))
    results = batch(
        tools, [ToolCall("alone", {"n": n}) for n in range(3)], ctx=ToolContext(cancel_token=token)
    )
    assert ran == [0]
    assert [r.error_kind for r in results] == [None, ErrorKind.CANCELLED, ErrorKind.CANCELLED]


@both_loops
def test_TV_08_also_among_calls_that_run_at_once(batch):
    token = CancelToken()
    ran = []

    def work():
        ran.append(1)
        token.cancel()
        time.sleep(0.01)

    results = batch(
        registry(safe(work)), [ToolCall("safe") for _ in range(60)], ctx=ToolContext(cancel_token=token)
    )
    assert len(results) == 60
    assert len(ran) == sum(1 for r in results if r.error is None) < 60


class Stop(BaseException):
    pass


@both_loops
def test_TV_02_an_interrupt_leaves_the_batch(batch):
    ran = []

    def interrupt(n):
        ran.append(n)
        if n == 1:
            raise Stop
        time.sleep(0.01)

    with pytest.raises(Stop):
        batch(registry(safe(interrupt)), [ToolCall("safe", {"n": n}) for n in range(60)])
    if batch is batch_sync:  # in the async loop all have begun
        assert len(ran) <= 20


variable = contextvars.ContextVar("variable", default="unset")


@both_loops
def test_tools_see_the_callers_context_variables(batch):
    token = variable.set("set")
    try:
        tools = registry(safe(variable.get), alone(variable.get))
        results = batch(tools, [ToolCall("safe"), ToolCall("safe"), ToolCall("alone")])
    finally:
        variable.reset(token)
    assert [r.data for r in results] == ["set"] * 3


def hang():
    threading.Event().wait(30)


async def hang_async():
    await asyncio.sleep(30)


async def hang_on():
    while True:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling() > 1:
                raise


HANGING = {"a sync body": hang, "an async body": hang_async, "one that ignores cancellation": hang_on}


@both_loops
@pytest.mark.parametrize("execute", HANGING.values(), ids=HANGING)
def test_TV_09_a_tool_that_never_returns_is_left_behind(batch, execute):
    tools = registry(alone(execute, timeout_s=0.05), alone(lambda: "next", "next"))
    began = time.monotonic()
    late, following = batch(tools, [ToolCall("alone"), ToolCall("next")])
    assert time.monotonic() - began < 5
    assert late.error_kind is ErrorKind.TIMEOUT
    assert late.error == "TimeoutError: alone gave no result within 0.05 s; the call may still be running"
    assert late.duration_ms >= 50
    assert late.error_retriable
    assert following.data == "next"


@both_loops
def test_a_timeout_of_the_tools_own_is_told_apart(batch):
    def own():
        raise TimeoutError("mine")

    [result] = batch(registry(alone(own, timeout_s=5)), [ToolCall("alone")])
    assert (result.error, result.error_kind) == ("TimeoutError: mine", ErrorKind.TIMEOUT)


def test_TV_09_a_hanging_tool_does_not_hold_the_interpreter():
    code = """
import time
from looplet.tools import tool, tools_from
from looplet.types import ToolCall

@tool(timeout_s=0.05)
def hang():
    time.sleep(60)

print(tools_from([hang]).dispatch(ToolCall("hang")).error_kind.value)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr, done.returncode) == ("timeout\n", "", 0)


async def test_a_blocking_tool_does_not_stall_the_event_loop():
    tools = registry(alone(lambda: time.sleep(0.1)))
    task = asyncio.ensure_future(tools.dispatch_async(ToolCall("alone")))
    ticks = 0
    while not task.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert ticks >= 5


async def test_leaving_an_async_dispatch_cancels_its_tool():
    seen = []

    async def work():
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    tools = registry(alone(work, timeout_s=20))
    task = asyncio.ensure_future(tools.dispatch_async(ToolCall("alone")))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert seen == ["cancelled"]


async def test_one_interrupt_cancels_the_other_tasks():
    seen = []

    async def work(n):
        if n == 0:
            raise asyncio.CancelledError
        try:
            await asyncio.sleep(30)
        finally:
            seen.append(n)

    tools = registry(safe(work))
    with pytest.raises(asyncio.CancelledError):
        await tools.dispatch_batch_async([ToolCall("safe", {"n": n}) for n in range(3)])
    await asyncio.sleep(0.01)
    assert seen == [1, 2]


def test_a_worker_gives_the_value_or_the_exception():
    assert start(lambda: 5).result(5) == 5
    with pytest.raises(KeyboardInterrupt):
        start(_interrupt).result(5)


def _interrupt():
    raise KeyboardInterrupt


def test_workers_are_daemons_and_are_used_again():
    first = start(threading.current_thread, "one").result(5)
    second = start(threading.current_thread, "two").result(5)
    assert first is second
    assert first.daemon
    assert first.name == "two"


def test_retired_workers_end():
    busy, go = threading.Event(), threading.Event()

    def wait():
        busy.set()
        go.wait(5)
        return threading.current_thread()

    future = start(wait)
    busy.wait(5)
    retire()
    go.set()
    worker = future.result(5)
    worker.join(5)
    assert not worker.is_alive()
    assert start(threading.current_thread).result(5) is not worker


def test_a_child_process_has_workers_of_its_own():
    code = """
import os
from looplet.workers import start
start(lambda: None).result(5)
pid = os.fork()
if pid == 0:
    os._exit(start(lambda: 7).result(5))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=20
    )
    assert done.stdout == "7\n"
