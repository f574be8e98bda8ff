"""Running a tool's body where it has to be waited for: threads, deadlines, coroutines.

Imports asyncio, so it is imported when the first call needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from time import perf_counter
from typing import Any, TypeVar
from weakref import WeakSet

from looplet.tools.dispatch import Collected, Outcome, Ready, is_awaited, run_body
from looplet.workers import start

THREADS = 10
"""Calls of one batch that run at once in the sync loop."""

BRIEF_S = 0.0005
"""Seconds. A sync body that is over sooner is waited for where it is: the event loop stands still so long."""

_slow: WeakSet[Any] = WeakSet()
"""Code of sync bodies that took longer when they last ran: a first guess for tools that were made anew."""

T = TypeVar("T")


def run_with_limit(ready: Ready) -> Outcome | None:
    """Run a tool on a thread of its own; None once its `timeout_s` is over."""
    future = start(lambda: settled(run_body(ready)))
    try:
        return future.result(ready.spec.timeout_s)
    except FutureTimeoutError:  # a body's own is in its outcome
        return None


def settled(outcome: Outcome) -> Outcome:
    """*outcome* with what had to be awaited awaited, for a caller that is not async itself."""
    if not is_awaited(outcome[0]):
        return outcome
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(awaited(outcome))
    return start(lambda: asyncio.run(awaited(outcome))).result()


async def awaited(outcome: Outcome) -> Outcome:
    """*outcome* with what has to be awaited awaited."""
    data, _ = outcome
    if not is_awaited(data):
        return outcome
    try:
        return await _value_of(data), None
    except (Exception, SystemExit, GeneratorExit) as error:
        return None, error


async def _value_of(data: Any) -> Any:
    if hasattr(type(data), "__await__"):
        data = await data
    if not hasattr(type(data), "__aiter__"):
        return data
    found = Collected()
    async for item in data:
        if not found.take(item):
            break
    return found.items


async def run_async(ready: Ready) -> Outcome | None:
    """Run a tool without stalling the event loop; None once its `timeout_s` is over.

    A sync body runs on a thread of its own, an async one as a task.
    """
    body = awaited(run_body(ready)) if ready.spec.is_async else _on_thread(ready)
    return await (body if ready.spec.timeout_s is None else _within(body, ready.spec.timeout_s))


async def _on_thread(ready: Ready) -> Outcome:
    door, code = ready.spec.door(), _code_of(ready.spec.execute)

    def work() -> Outcome:
        begun = perf_counter()
        outcome = run_body(ready)
        door.brief = perf_counter() - begun < BRIEF_S
        (_slow.discard if door.brief else _slow.add)(code)
        return outcome

    brief = code not in _slow if door.brief is None else door.brief
    future = start(work)
    if brief:
        # What the loop could do meanwhile is worth less than the turn it takes to hear of the end.
        try:
            outcome = future.result(BRIEF_S)
        except FutureTimeoutError:
            outcome = await asyncio.wrap_future(future)
    else:
        outcome = await asyncio.wrap_future(future)
    return await awaited(outcome) if is_awaited(outcome[0]) else outcome


def _code_of(execute: Any) -> object:
    """What functions that do the same have in common: their code, or their class where there is none."""
    inner = execute.func if isinstance(execute, partial) else execute
    return getattr(inner, "__code__", type(inner))


async def _within(body: Awaitable[Outcome], timeout_s: float) -> Outcome | None:
    task = asyncio.ensure_future(body)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    except BaseException:
        task.cancel()
        raise
    if done:
        return task.result()
    # Not waited for: a body that swallows the cancellation would hold the loop for ever.
    task.cancel()
    return None


async def on_thread(function: Callable[[], T]) -> T:
    """The value of *function*, run on a thread of its own."""
    return await asyncio.wrap_future(start(function))


def at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """The values of *jobs* in their order, run on at most ten threads."""
    results: dict[int, T] = {}
    numbers = iter(range(len(jobs)))

    def work() -> None:
        for number in numbers:
            try:
                results[number] = jobs[number]()
            except BaseException:
                list(numbers)  # nothing else starts
                raise

    for future in [start(work) for _ in range(min(THREADS, len(jobs)))]:
        future.result()
    return [results[number] for number in range(len(jobs))]


async def at_once_async(jobs: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """The values of *jobs* in their order, run as tasks; the first failure cancels the others."""
    tasks = [asyncio.ensure_future(job()) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        raise
