"""What a run and those who watch or steer it from outside its slots know of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from looplet.running import inside

if TYPE_CHECKING:
    from looplet.engine.observe import RunObserver
    from looplet.engine.run import Run
    from looplet.types import ToolCall


def current_run() -> Run | None:
    """The run whose tool runs here, or whose history is made shorter here; None outside of runs."""
    run: Run | None = inside.get()[0]
    return run


@runtime_checkable
class Nesting(Protocol):
    """An observer that wants to hear of runs inside its own. Others are not told: numbers would collide."""

    def for_child(self) -> RunObserver:
        """The observer of one run that a tool of this run starts."""
        ...


@runtime_checkable
class Resuming(Protocol):
    """A hook that decides how a run goes on which stopped to wait."""

    def take_up(self, run: Run) -> None:
        """The run is restored and about to go on: give it the call it waited with, or let it wait on."""
        ...

    def approver_of(self, call: ToolCall) -> Callable[..., Any] | None:
        """Who answers `ctx.approve` inside *call*, if this hook has the answer."""
        ...
