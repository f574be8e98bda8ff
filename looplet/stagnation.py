"""A hook that notices when an agent goes round in circles: it is told so, then stopped."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from looplet.engine.observe import RunObserver
from looplet.errors import ConfigError
from looplet.hook_decision import HookDecision, InjectContext, Stop
from looplet.types import Step, ToolCall, ToolResult
from looplet.values import dumps

STAGNATION = "stagnation"
"""The stop reason."""


class StagnationHook(RunObserver):
    """Counts steps in a row that bring nothing new: a call that was made before and gave the same.

    A run that is resumed goes on counting.

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
        self._is_over = False
        self._nudge_after = nudge_after
        self._stop_after = stop_after
        self._ignore = frozenset(ignore)
        self._seen: set[tuple[str, str, str]] = set()

    def run_started(self, task: object, *, run_id: str) -> None:
        """Forget the run before."""
        self._forget_what_is_over()

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        """The count stays, until another run begins."""
        self._is_over = True

    def _forget_what_is_over(self) -> None:
        # Not where a run starts: one that is resumed has told its earlier steps by then.
        if self._is_over:
            self.unproductive, self._seen, self._is_over = 0, set(), False

    def step_taken(self, step: Step) -> None:
        """Remember a step, also those that a resumed run tells again."""
        self._forget_what_is_over()
        self._seen.add(_what(step.tool_call, step.tool_result))

    def save_state(self) -> dict[str, int]:
        """The count; the steps are told again."""
        return {"unproductive": self.unproductive}

    def load_state(self, state: Mapping[str, int]) -> None:
        """Go on from what `save_state` gave."""
        self.unproductive = state["unproductive"]

    def post_dispatch(
        self, state: Any, session_log: Any, tool_call: ToolCall, tool_result: ToolResult, step_num: int
    ) -> HookDecision | None:
        """Look at one step; gives what the model is told."""
        if tool_call.tool in self._ignore:
            return None
        step = _what(tool_call, tool_result)
        self.unproductive = self.unproductive + 1 if step in self._seen else 0
        self._seen.add(step)  # as it is here: a later hook may replace the result
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


def _what(call: ToolCall, result: ToolResult) -> tuple[str, str, str]:
    """What makes two steps the same."""
    return call.tool, dumps(dict(sorted(call.args.items()))), result.error or dumps(result.data)
