"""Asking a person, with an end to the waiting."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from threading import Thread


def answer_of(question: Callable[[], object], timeout_s: float | None) -> object:
    """What *question* returns or raises, at most *timeout_s* seconds from now.

    Args:
        question: Runs in a thread of its own; without a limit in the caller's.
        timeout_s: Seconds to wait, or None.

    Raises:
        TimeoutError: No answer in time; the question may still be standing.
    """
    if timeout_s is None:
        return question()
    box: list[tuple[object, BaseException | None]] = []

    def run() -> None:
        try:
            box.append((question(), None))
        except BaseException as error:
            box.append((None, error))

    # A daemon: a person who never answers must not keep the interpreter from ending.
    thread = Thread(target=copy_context().run, args=(run,), name="looplet-ask", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not box:
        raise TimeoutError(f"no answer within {timeout_s:g} s")
    answer, error = box[0]
    if error is not None:
        raise error
    return answer
