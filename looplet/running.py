"""Which call the code that asks is the body of, and of which run it is a call."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, TypeAlias

from looplet.types import ToolCall

Inside: TypeAlias = tuple[Any, ToolCall | None]
"""A run, None for a call that a run did not make; and the call whose tool runs here."""

inside: ContextVar[Inside] = ContextVar("looplet_inside", default=(None, None))
"""Set around tools, and nothing but None outside of them. Threads of looplet inherit it."""


def running_call() -> ToolCall | None:
    """The call whose tool runs here, None outside of tools."""
    return inside.get()[1]
