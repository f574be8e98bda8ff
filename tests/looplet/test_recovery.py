"""Recovery recipes and how often they may be tried."""

from __future__ import annotations

import pytest

from looplet.recovery import (
    FailureScenario,
    RecoveryAction,
    RecoveryRecipe,
    RecoveryRegistry,
    build_default_registry,
)


def test_the_eight_scenarios():
    assert {s.name for s in FailureScenario} == {
        "PARSE_ERROR",
        "PROMPT_TOO_LONG",
        "TOOL_ERROR",
        "EMPTY_RESULT",
        "REPEATED_TOOL",
        "STAGNATION",
        "LLM_ERROR",
        "TIMEOUT",
    }
    assert all(s.value == s.name.lower() for s in FailureScenario)


def test_a_recipe_is_tried_so_often_and_again_after_a_reset():
    registry = RecoveryRegistry()
    seen = []
    handler = lambda context: seen.append(context) or RecoveryAction("retry", message="again")  # noqa: E731
    registry.register(RecoveryRecipe(FailureScenario.TIMEOUT, handler, max_attempts=2))
    results = [registry.attempt_recovery(FailureScenario.TIMEOUT, {"n": n}) for n in range(4)]
    assert [bool(action) for action in results] == [True, True, False, False]
    assert seen == [{"n": 0}, {"n": 1}]
    assert registry.get_attempts(FailureScenario.TIMEOUT) == 2
    registry.reset()
    assert registry.get_attempts(FailureScenario.TIMEOUT) == 0
    assert registry.attempt_recovery(FailureScenario.TIMEOUT, {}) == RecoveryAction("retry", {}, "again")


def test_no_recipe_no_action():
    registry = RecoveryRegistry()
    assert registry.attempt_recovery(FailureScenario.STAGNATION, {}) is None
    assert registry.get_attempts(FailureScenario.STAGNATION) == 0


@pytest.mark.parametrize(
    ("scenario", "action", "attempts"),
    [
        (FailureScenario.PARSE_ERROR, "modify_prompt", 2),
        (FailureScenario.PROMPT_TOO_LONG, "inject_guidance", 3),
        (FailureScenario.TOOL_ERROR, "retry", 3),
        (FailureScenario.EMPTY_RESULT, "inject_guidance", 3),
        (FailureScenario.REPEATED_TOOL, "inject_guidance", 3),
        (FailureScenario.STAGNATION, "inject_guidance", 3),
        (FailureScenario.LLM_ERROR, "retry", 3),
        (FailureScenario.TIMEOUT, "skip", 3),
    ],
)
def test_the_default_registry(scenario, action, attempts):
    registry = build_default_registry()
    actions = [registry.attempt_recovery(scenario, {}) for _ in range(attempts + 1)]
    assert [a.action_type for a in actions[:-1]] == [action] * attempts
    assert all(a.message for a in actions[:-1])
    assert actions[-1] is None
