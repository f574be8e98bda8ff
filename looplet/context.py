"""A hook that keeps state and session log small as the model's window fills, without a compaction service.

It is for the text protocol, whose prompts are made of both. For message threads use `ThresholdCompactHook`
with `LoopConfig.compact_service`.
"""

from __future__ import annotations

from typing import Any

from looplet.budget import ContextBudget
from looplet.history import HistoryRecorder
from looplet.pressure import LogSize, SizedSteps
from looplet.session import SessionLog
from looplet.shrink import RESULT_BUDGET_AGGREGATE, RESULT_BUDGET_PER_RESULT, age_session_entries
from looplet.streaming import ContextPressureEvent, EventEmitter

DEFAULT_CONTEXT_WINDOW = 128_000
DEFAULT_RESULT_MAX_AGE_FULL = 3
DEFAULT_COMPACT_BUFFER = 20_000
DEFAULT_WARNING_BUFFER = 30_000
DEFAULT_BLOCKING_BUFFER = 5_000

FIXED_CHARS = 13_000
"""Characters taken for what a prompt always has."""

MOST_FAILURES = 3
"""Attempts in a row to shorten the log that came to nothing, after which no more are made."""

KEPT_RESULTS = 2
"""Results that stay when nothing else fits any more."""


class ContextPressureHook:
    """Shortens old results and log entries as the estimated prompt nears the window.

    Results older than a few steps become digests at every step; near the window the log's old entries become
    a summary, and at its end all but the last results are emptied and the model is told.

    Args:
        llm: Shortens summaries; it may say `context_window` and `reserved_output_tokens`.
        context_window: Tokens that fit; else what *llm* says, else 128,000.
        compact_buffer, warning_buffer, blocking_buffer: Tokens below the window from which the log is
            summarised, the pressure is a warning, and everything old is emptied.
        result_max_age_full: Steps whose results stay whole.
        per_result_chars, aggregate_chars: As for `trim_results`.
        must_preserve: Handed to the session log's `compact`.
        recorder: Told of every summary, as a boundary of the conversation.
        emitter: Gets a `ContextPressureEvent` when the level changes.

    Attributes:
        context_window: Tokens that fit.
    """

    def __init__(
        self,
        llm: Any,
        *,
        context_window: int | None = None,
        compact_buffer: int = DEFAULT_COMPACT_BUFFER,
        warning_buffer: int = DEFAULT_WARNING_BUFFER,
        blocking_buffer: int = DEFAULT_BLOCKING_BUFFER,
        result_max_age_full: int = DEFAULT_RESULT_MAX_AGE_FULL,
        per_result_chars: int = RESULT_BUDGET_PER_RESULT,
        aggregate_chars: int = RESULT_BUDGET_AGGREGATE,
        must_preserve: Any = None,
        recorder: HistoryRecorder | None = None,
        emitter: EventEmitter | None = None,
    ) -> None:
        self.context_window = context_window if context_window is not None else _window_of(llm)
        self._budget = ContextBudget(
            context_window=self.context_window,
            warning_at=self.context_window - warning_buffer,
            error_at=self.context_window - compact_buffer,
            compact_buffer=blocking_buffer,
        )
        self._llm = llm
        self._sizes = SizedSteps(result_max_age_full, per_result_chars, aggregate_chars)
        self._log_size = LogSize()
        self._must_preserve = must_preserve
        self._recorder = recorder
        self._emitter = emitter
        self._level = ""
        self._failures = 0
        self._calls = 0

    def pre_prompt(self, state: Any, session_log: SessionLog, context: Any, step_num: int) -> str | None:
        """Make room; gives what the model should know of it."""
        found = getattr(state, "steps", None)
        steps: list[Any] = found if isinstance(found, list) else []
        self._sizes.keep_small(steps)
        tokens = (self._sizes.chars + self._log_size.of(session_log) + FIXED_CHARS) // 4
        level = self._budget.classify(tokens)
        self._tell(level, tokens)
        if level == "blocking":
            return self._empty(steps, session_log, step_num)
        if level == "error" and self._failures < MOST_FAILURES:
            return self._summarise(session_log, step_num)
        return None

    def on_loop_end(self, state: Any, session_log: SessionLog, context: Any, llm: Any) -> int:
        """The model calls that summaries took."""
        calls, self._calls = self._calls, 0
        return calls

    def _empty(self, steps: list[Any], session_log: SessionLog, step_num: int) -> str:
        dropped = _range(session_log)
        text = age_session_entries(session_log, None, KEPT_RESULTS, self._must_preserve)
        self._sizes.clear(steps, KEPT_RESULTS)
        self._record(f"Emergency compaction at step {step_num}: {text or 'old results emptied'}", dropped)
        return "CONTEXT LIMIT: older results are gone. Use what the log says and finish soon."

    def _summarise(self, session_log: SessionLog, step_num: int) -> str | None:
        before, steps = session_log.all_entities(), _range(session_log)
        llm = self._llm if hasattr(self._llm, "generate") else None
        text = age_session_entries(session_log, llm, must_preserve=self._must_preserve)
        if text is None:
            self._failures += 1
            return None
        self._failures = 0
        self._calls += llm is not None
        self._record(f"Proactive compaction at step {step_num}: {text}", steps)
        lost = sorted(before - session_log.all_entities())
        return f"CONTEXT NOTE: no longer in the log: {', '.join(lost[:20])}" if lost else None

    def _record(self, summary: str, steps: tuple[int, int]) -> None:
        if self._recorder is not None:
            self._recorder.record_compaction_boundary(summary=summary, dropped_step_range=steps)

    def _tell(self, level: str, tokens: int) -> None:
        if self._emitter is None or level == self._level:
            return
        self._level = level
        at = {"warning": self._budget.warning_at, "error": self._budget.error_at}
        self._emitter.emit(
            ContextPressureEvent(
                level=level,
                estimated_tokens=tokens,
                threshold=at.get(level, self._budget.blocking_at),
                context_window=self.context_window,
                percent_used=100 * tokens / self.context_window,
            )
        )


ContextManagerHook = ContextPressureHook


def _window_of(llm: Any) -> int:
    window = getattr(llm, "context_window", None)
    reserved = getattr(llm, "reserved_output_tokens", 0)
    if type(window) is not int or window <= 0:
        return DEFAULT_CONTEXT_WINDOW
    return max(1, window - (reserved if type(reserved) is int and reserved > 0 else 0))


def _range(session_log: SessionLog) -> tuple[int, int]:
    numbers = [entry.step for entry in session_log.entries]
    return (min(numbers), max(numbers)) if numbers else (0, 0)
