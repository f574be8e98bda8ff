"""Threads that nobody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


def start(function: Callable[[], T], name: str = "looplet-tool") -> Future[T]:
    """Run *function* on a fresh daemon thread, in a copy of the caller's context.

    A daemon thread, because a call that never returns must not keep the interpreter from exiting; threads
    of a pool would.

    Returns:
        The future of its value. Any exception, `KeyboardInterrupt` included, is the future's.
    """
    from concurrent.futures import Future  # brings logging: only for a run that needs a thread

    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    context = copy_context()

    def body() -> None:
        try:
            value = context.run(function)
        except BaseException as error:  # handed to whoever waits for the future
            future.set_exception(error)
        else:
            future.set_result(value)

    threading.Thread(target=body, name=name, daemon=True).start()
    return future
