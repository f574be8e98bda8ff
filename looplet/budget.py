"""How full the model's window is, and the hook that asks for a compaction in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from looplet.conversation import Conversation
from looplet.errors import ConfigError
from looplet.session import SessionLog

BudgetTier: TypeAlias = Literal["ok", "warning", "error", "blocking"]
"""How full the window is, from harmless to no room for another reply."""

_ORDER: tuple[BudgetTier, ...] = ("ok", "warning", "error", "blocking")


@dataclass
class ContextBudget:
    """A model's window and the points at which it is getting full. All in tokens.

    Attributes:
        context_window: What fits.
        warning_at: From here on it is worth mentioning.
        error_at: From here on something must be done.
        compact_buffer: Room that must stay for a reply.
    """

    context_window: int = 200_000
    warning_at: int = 120_000
    error_at: int = 160_000
    compact_buffer: int = 13_000

    @property
    def blocking_at(self) -> int:
        """From here on no reply fits."""
        return self.context_window - self.compact_buffer

    def classify(self, estimated_tokens: int) -> BudgetTier:
        """The tier of a prompt of that size."""
        if estimated_tokens >= self.blocking_at:
            return "blocking"
        if estimated_tokens >= self.error_at:
            return "error"
        return "warning" if estimated_tokens >= self.warning_at else "ok"


def classify_tier(
    budget: ContextBudget,
    *,
    session_log: SessionLog,
    conversation: Conversation | None = None,
    extra_estimate: int = 0,
) -> tuple[BudgetTier, int]:
    """The tier of a history, and its estimated tokens.

    Args:
        conversation: What is measured; without it the rendered log is, at four characters a token.
        extra_estimate: Tokens to add: system prompt, tool schemas.
    """
    own = conversation.token_estimate if conversation is not None else len(session_log.render()) // 4
    tokens = max(1, own) + extra_estimate
    return budget.classify(tokens), tokens


class ThresholdCompactHook:
    """Asks for a compaction once the history is too large.

    Needs `LoopConfig.compact_service`.

    Args:
        budget: The window and its thresholds.
        fire_tier: From which tier on: "warning" or "error".
    """

    def __init__(self, budget: ContextBudget, *, fire_tier: Literal["warning", "error"] = "error") -> None:
        if fire_tier not in ("warning", "error"):
            raise ConfigError(f'fire_tier={fire_tier!r}: give "warning" or "error"')
        self.budget = budget
        self.fire_tier = fire_tier
        self._fired: list[int] = []

    @property
    def fired_at(self) -> list[int]:
        """The steps before which it asked."""
        return list(self._fired)

    def should_compact(
        self, state: Any, session_log: SessionLog, conversation: Conversation, step_num: int
    ) -> bool:
        """Whether the history has reached the tier."""
        tier, _ = classify_tier(self.budget, session_log=session_log, conversation=conversation)
        fire = _ORDER.index(tier) >= _ORDER.index(self.fire_tier)
        if fire:
            self._fired.append(step_num)
        return fire


class BudgetTelemetry:
    """Measures the session log before each step.

    Attributes:
        samples: `(step, tier, tokens)` for each step.
    """

    def __init__(self, budget: ContextBudget) -> None:
        self.budget = budget
        self.samples: list[tuple[int, BudgetTier, int]] = []

    def pre_prompt(self, state: Any, session_log: SessionLog, context: Any, step_num: int) -> None:
        """Take a sample."""
        tier, tokens = classify_tier(self.budget, session_log=session_log)
        self.samples.append((step_num, tier, tokens))

    @property
    def peak_tier(self) -> BudgetTier:
        """The fullest so far; `ok` before the first sample."""
        peak: BudgetTier = "ok"
        for _, tier, _ in self.samples:
            if _ORDER.index(tier) > _ORDER.index(peak):
                peak = tier
        return peak
