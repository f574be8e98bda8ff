"""Threads that nobody has to wait for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

IDLE_S = 1.0
"""Seconds that a thread waits for another job before it ends."""


class _Job:
    __slots__ = ("context", "function", "future", "name")

    def __init__(self, future: Future[Any], context: Context, function: Callable[[], Any], name: str) -> None:
        self.future = future
        self.context = context
        self.function = function
        self.name = name


class _Worker:
    """A daemon thread that takes one job after the other, as long as they come."""

    def __init__(self, generation: int) -> None:
        self.inbox: SimpleQueue[_Job | None] = SimpleQueue()
        self.generation = generation
        threading.Thread(target=self._work, name="looplet-worker", daemon=True).start()

    def _work(self) -> None:
        while job := self._next():
            threading.current_thread().name = job.name
            self._run(job)
            del job  # or it would be kept alive until the next one comes

    def _next(self) -> _Job | None:
        try:
            return self.inbox.get(timeout=IDLE_S)
        except Empty:
            pass
        try:
            _idle.remove(self)
        except ValueError:  # taken in this very moment: its job is on the way
            return self.inbox.get()
        return None

    def _run(self, job: _Job) -> None:
        try:
            value = job.context.run(job.function)
        except StopIteration as error:  # no future of asyncio takes one: who waits would wait for ever
            problem = RuntimeError(f"StopIteration: {error}" if error.args else "StopIteration")
            problem.__cause__ = error
            self._rest()
            job.future.set_exception(problem)
        except BaseException as error:  # handed to whoever waits for the future
            self._rest()
            job.future.set_exception(error)
        else:
            self._rest()
            job.future.set_result(value)

    def _rest(self) -> None:
        # Before the future is set: whoever waits for it may want this thread at once.
        if self.generation == _generation:
            _idle.append(self)
        else:
            self.inbox.put(None)


_idle: list[_Worker] = []
_generation = 0


def start(function: Callable[[], T], name: str = "looplet-tool") -> Future[T]:
    """Run *function* on a daemon thread, in a copy of the caller's context.

    A daemon thread, because a call that never returns must not keep the interpreter from exiting; threads
    of `concurrent.futures` would. A thread that has finished its job takes the next one.

    Returns:
        The future of its value. Any exception, `KeyboardInterrupt` included, is the future's.
    """
    from concurrent.futures import Future  # brings logging: only for a run that needs a thread

    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    worker = _resting() or _Worker(_generation)
    worker.inbox.put(_Job(future, copy_context(), function, name))
    return future


def answer_within(seconds: float, question: Callable[[], T]) -> T:
    """What *question*, a call of a model, gives; one that hangs is left behind on its thread.

    Raises:
        TimeoutError: There was no answer in time.
    """
    future = start(question, "looplet-model")
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():
            raise  # The question's own, not ours.
        raise TimeoutError(f"the model did not answer within {seconds:g} s") from None


def retire() -> None:
    """Let no thread of today take another job: the idle ones end, the others after the job they have."""
    global _generation
    _generation += 1
    while _resting():
        pass


def _resting() -> _Worker | None:
    """An idle worker that may take a job; those that may not are sent home."""
    while True:
        try:
            worker = _idle.pop()
        except IndexError:
            return None
        if worker.generation == _generation:
            return worker
        worker.inbox.put(None)


os.register_at_fork(after_in_child=_idle.clear)  # a child process has the list but not the threads
