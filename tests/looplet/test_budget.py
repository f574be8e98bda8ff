"""How full the window is, and the hook that asks for a compaction in time."""

from __future__ import annotations

import pytest

from looplet import ConfigError, ContextBudget, Conversation, SessionLog, ThresholdCompactHook
from looplet.budget import BudgetTelemetry, classify_tier
from looplet.conversation import Message, MessageRole

BUDGET = ContextBudget(context_window=100, warning_at=60, error_at=80, compact_buffer=10)
TIERS = {0: "ok", 59: "ok", 60: "warning", 80: "error", 89: "error", 90: "blocking", 1000: "blocking"}


@pytest.mark.parametrize(("tokens", "tier"), TIERS.items())
def test_tiers(tokens, tier):
    assert BUDGET.classify(tokens) == tier


def test_defaults():
    budget = ContextBudget()
    assert (budget.context_window, budget.blocking_at) == (200_000, 187_000)


def talk(tokens):
    return Conversation([Message(MessageRole.USER, "x" * tokens * 4)])


def test_a_conversation_is_measured_before_a_log():
    log = SessionLog()
    assert classify_tier(BUDGET, session_log=log) == ("ok", 1)
    assert classify_tier(BUDGET, session_log=log, conversation=talk(70)) == ("warning", 70)
    assert classify_tier(BUDGET, session_log=log, conversation=talk(70), extra_estimate=15) == ("error", 85)


@pytest.mark.parametrize(("tier", "fires"), [("error", [False, True, True]), ("warning", [True, True, True])])
def test_from_which_tier_on_it_asks(tier, fires):
    hook = ThresholdCompactHook(BUDGET, fire_tier=tier)
    sizes = (70, 85, 95)
    asked = [hook.should_compact(None, SessionLog(), talk(size), step) for step, size in enumerate(sizes, 1)]
    assert asked == fires
    assert hook.fired_at == [step for step, fired in enumerate(fires, 1) if fired]


def test_a_tier_that_is_none():
    with pytest.raises(ConfigError, match="warning"):
        ThresholdCompactHook(BUDGET, fire_tier="ok")


def test_samples_of_the_log():
    telemetry = BudgetTelemetry(BUDGET)
    assert telemetry.peak_tier == "ok"
    log = SessionLog()
    for step in range(1, 8):
        log.record(step, "theory", "look", "x" * 60)
        telemetry.pre_prompt(None, log, None, step)
    telemetry.pre_prompt(None, SessionLog(), None, 8)
    assert [sample[0] for sample in telemetry.samples] == list(range(1, 9))
    assert telemetry.peak_tier == "blocking"
