"""Asking a person, with an end to the waiting, and without holding up an event loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import copy_context
from threading import Thread
from typing import Any, NamedTuple

from looplet.workers import start


class Answer(NamedTuple):
    """What came of a question: a value, or why there is none."""

    value: Any = None
    error: BaseException | None = None


def answer_of(question: Callable[[], object], timeout_s: float | None) -> Answer:
    """What *question* gives, at most *timeout_s* seconds from now; what it raises is the answer's error.

    Args:
        question: Runs in a thread of its own; without a limit in the caller's. May be async.
        timeout_s: Seconds to wait, or None. The error of an answer that is late is a `TimeoutError`, and
            the question may still be standing.
    """
    if timeout_s is None:
        answer = _tried(question)
        return answer if not hasattr(answer.value, "__await__") else _in_thread(lambda: answer.value, None)
    return _in_thread(question, timeout_s)


def _in_thread(question: Callable[[], object], timeout_s: float | None) -> Answer:
    box: list[Answer] = []

    def run() -> None:
        try:
            box.append(Answer(awaited(question())))
        except BaseException as error:
            box.append(Answer(error=error))

    # A daemon: a person who never answers must not keep the interpreter from ending.
    thread = Thread(target=copy_context().run, args=(run,), name="looplet-ask", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return box[0] if box else _late(timeout_s)


def awaited(value: Any) -> object:
    """*value*, or what it gives if it is awaitable; not for threads with a running event loop."""
    if not hasattr(value, "__await__"):
        return value
    import asyncio

    async def wait() -> object:
        return await value

    return asyncio.run(wait())


async def answer_of_async(question: Callable[[], object], timeout_s: float | None) -> Answer:
    """`answer_of` on the running event loop, which goes on meanwhile: awaited if async, else in a thread."""
    import asyncio

    async def answer() -> Answer:
        value = await asyncio.wrap_future(start(lambda: _tried(question), "looplet-ask"))
        try:
            return Answer(await value.value) if hasattr(value.value, "__await__") else value
        except _NO_ANSWER as error:
            return Answer(error=error)

    try:
        return await asyncio.wait_for(answer(), timeout_s)
    except TimeoutError:
        return _late(timeout_s)


_NO_ANSWER = (Exception, KeyboardInterrupt, SystemExit, GeneratorExit)


def _tried(question: Callable[[], object]) -> Answer:
    try:
        return Answer(question())
    except _NO_ANSWER as error:
        return Answer(error=error)


def _late(timeout_s: float | None) -> Answer:
    return Answer(error=TimeoutError(f"no answer within {timeout_s or 0:g} s"))


def on_event_loop() -> bool:
    """Whether the caller runs on an event loop, which a question would hold up."""
    if "asyncio" not in sys.modules:
        return False
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
