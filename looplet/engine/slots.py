"""Hooks, sorted once into the slots they fill, so that a step asks only hooks that answer.

A hook is any object with at least one of these methods. The slots, their arguments and what each may
return are in `looplet.loop.LoopHook`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, NamedTuple

from looplet.engine.observe import RunObserver
from looplet.errors import ConfigError

SLOTS = (
    "pre_loop",
    "pre_prompt",
    "build_briefing",
    "build_prompt",
    "should_compact",
    "pre_dispatch",
    "check_permission",
    "post_dispatch",
    "check_done",
    "should_stop",
    "on_loop_end",
    "on_event",
)

DONE_PERMISSION = "check_done_permission"
"""The thirteenth, optional: `(tool_call, state)`, asked about the done call, which no tool slot sees."""


class Filled(NamedTuple):
    """One hook's method for one slot."""

    hook: object
    call: Callable[..., Any]

    @property
    def name(self) -> str:
        """The hook's class, for messages."""
        return type(self.hook).__name__


class Slots:
    """For each slot, the hooks that fill it, in the order they were given.

    Attributes:
        before_tool, after_tool: Whether any hook has a say there.
    """

    __slots__ = (*SLOTS, DONE_PERMISSION, "after_tool", "before_tool", "hooks")

    pre_loop: tuple[Filled, ...]
    pre_prompt: tuple[Filled, ...]
    build_briefing: tuple[Filled, ...]
    build_prompt: tuple[Filled, ...]
    should_compact: tuple[Filled, ...]
    pre_dispatch: tuple[Filled, ...]
    check_permission: tuple[Filled, ...]
    post_dispatch: tuple[Filled, ...]
    check_done: tuple[Filled, ...]
    should_stop: tuple[Filled, ...]
    on_loop_end: tuple[Filled, ...]
    on_event: tuple[Filled, ...]
    check_done_permission: tuple[Filled, ...]

    def __init__(self, hooks: Sequence[object]) -> None:
        self.hooks = tuple(hooks)
        for slot in (*SLOTS, DONE_PERMISSION):
            setattr(self, slot, ())
        for hook in self.hooks:
            self._sort(hook)
        self.before_tool = bool(self.pre_dispatch or self.check_permission or self.on_event)
        self.after_tool = bool(self.post_dispatch or self.on_event)

    def _sort(self, hook: object) -> None:
        filled = [slot for slot in (*SLOTS, DONE_PERMISSION) if hasattr(hook, slot)]
        for slot in filled:
            setattr(self, slot, (*getattr(self, slot), _fill(hook, slot)))
        if not filled and not isinstance(hook, RunObserver):  # an observer is told, and may decide nothing
            warnings.warn(
                f"{type(hook).__name__} has no recognized hook methods, so it will never be called; "
                f"a hook has at least one of: {', '.join(SLOTS)}",
                UserWarning,
                stacklevel=3,
            )


def _fill(hook: object, slot: str) -> Filled:
    method = getattr(hook, slot)
    if isinstance(hook, type) and isinstance(vars(hook).get(slot), FunctionType):
        raise TypeError(f"hooks holds the class {hook.__name__}: pass an instance, {hook.__name__}()")
    if not callable(method):
        raise ConfigError(f"{type(hook).__name__}.{slot} is not callable; a hook's slots are methods")
    return Filled(hook, method)


NO_HOOKS = Slots(())
"""The slots of a run without hooks: one for all, because filling thirteen with nothing takes its time."""
