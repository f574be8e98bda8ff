"""Which run is executing the tool that is asking: for tools that start a run of their own."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from looplet.engine.observe import RunObserver
    from looplet.engine.run import Run

current_run: ContextVar[Run | None] = ContextVar("looplet_current_run", default=None)
"""The run whose tool runs here, None outside of tools. Set by the drivers; threads of looplet inherit it."""


@runtime_checkable
class Nesting(Protocol):
    """An observer that wants to hear of runs inside its own. Others are not told: numbers would collide."""

    def for_child(self) -> RunObserver:
        """The observer of one run that a tool of this run starts."""
        ...
