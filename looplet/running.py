"""Which call the code that asks is the body of, and of which run it is a call."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

from looplet.types import ToolCall

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

Inside: TypeAlias = tuple[Any, ToolCall | None]
"""A run, None for a call that a run did not make; and the call whose tool runs here."""

inside: ContextVar[Inside] = ContextVar("looplet_inside", default=(None, None))
"""Set around tools and, without a call, around compactions; None outside. Threads of looplet inherit it."""


home: ContextVar[AbstractEventLoop | None] = ContextVar("looplet_home", default=None)
"""On a thread that an async run waits for while its history is made shorter: the event loop of the run."""


def running_call() -> ToolCall | None:
    """The call whose tool runs here, None outside of tools."""
    return inside.get()[1]
