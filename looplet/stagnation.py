"""A hook that notices when an agent goes round in circles: it is told so, then stopped."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from looplet.errors import ConfigError
from looplet.hook_decision import HookDecision, InjectContext, Stop
from looplet.types import ToolCall, ToolResult
from looplet.values import dumps

STAGNATION = "stagnation"
"""The stop reason."""


class StagnationHook:
    """Counts steps in a row that bring nothing new: a call that was made before and gave the same.

    Args:
        nudge_after: So many of them, and the model is told in its next prompt; None never tells it.
        stop_after: So many, and the run stops with reason `stagnation`; None never stops it.
        ignore: Tools that are meant to be called again, such as one that waits for something.

    Attributes:
        unproductive: Steps in a row that brought nothing new.

    Raises:
        ConfigError: A number is not above 0.
    """

    def __init__(
        self, *, nudge_after: int | None = 2, stop_after: int | None = 4, ignore: Collection[str] = ()
    ) -> None:
        for name, number in (("nudge_after", nudge_after), ("stop_after", stop_after)):
            if number is not None and (isinstance(number, bool) or not number > 0):
                raise ConfigError(f"StagnationHook({name}={number!r}): give a number above 0, or None")
        self.unproductive = 0
        self._nudge_after = nudge_after
        self._stop_after = stop_after
        self._ignore = frozenset(ignore)
        self._seen: set[tuple[str, str, str]] = set()

    def pre_loop(self, state: Any, session_log: Any, context: Any) -> None:
        """Forget the run before."""
        self.unproductive = 0
        self._seen = set()

    def post_dispatch(
        self, state: Any, session_log: Any, tool_call: ToolCall, tool_result: ToolResult, step_num: int
    ) -> HookDecision | None:
        """Look at one step; gives what the model is told."""
        if tool_call.tool in self._ignore:
            return None
        said = tool_result.error or dumps(tool_result.data)
        step = (tool_call.tool, dumps(dict(sorted(tool_call.args.items()))), said)
        self.unproductive = self.unproductive + 1 if step in self._seen else 0
        self._seen.add(step)
        if self.unproductive != self._nudge_after:
            return None
        return InjectContext(
            f"The last {self.unproductive} calls were made before and gave the same results. "
            "Try something else, or finish with what you know."
        )

    def should_stop(self, state: Any, step_num: int, new_entities: int) -> HookDecision | bool:
        """Whether it has gone on for too long."""
        stuck = self._stop_after is not None and self.unproductive >= self._stop_after
        return Stop(STAGNATION) if stuck else False
