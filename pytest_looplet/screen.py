"""How much of a terminal a failure may take."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Screen:
    """How much a failure may show.

    Attributes:
        width: Columns; pytest puts eight more before each line.
        lines: Lines in all; None shows every step and every difference.
    """

    width: int = 92
    lines: int | None = 40


NORMAL = Screen()
SCREEN: ContextVar[Screen] = ContextVar("looplet_screen", default=NORMAL)
"""The screen in force."""


def show_all() -> Callable[[], None]:
    """From now on failures show everything; gives what undoes that."""
    token = SCREEN.set(Screen(lines=None))
    return lambda: SCREEN.reset(token)
