"""A question to a model that is no step of the run: it has no more time than those of the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from looplet.engine.ask import timeout_of
from looplet.engine.hooks import waited_for
from looplet.engine.scope import current_run


def ask_aside(question: Callable[[], Any]) -> Any:
    """What *question* gives, awaited if it has to be.

    Inside a run it gets as long as a question of that run does; then it is left behind on its thread.

    Raises:
        TimeoutError: There was no answer in time.
    """
    run = current_run()
    seconds = None if run is None else timeout_of(run)
    if seconds is None:
        return _answer(question)
    from looplet.workers import answer_within

    return answer_within(seconds, lambda: _answer(question))


def _answer(question: Callable[[], Any]) -> Any:
    answer = question()
    return waited_for(answer) if hasattr(answer, "__await__") else answer
