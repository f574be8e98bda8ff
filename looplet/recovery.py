"""Recipes for what goes wrong in a run: a scenario, what to do about it, and how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias


class FailureScenario(Enum):
    """What can go wrong; the value is the name in lower case."""

    PARSE_ERROR = "parse_error"
    PROMPT_TOO_LONG = "prompt_too_long"
    TOOL_ERROR = "tool_error"
    EMPTY_RESULT = "empty_result"
    REPEATED_TOOL = "repeated_tool"
    STAGNATION = "stagnation"
    LLM_ERROR = "llm_error"
    TIMEOUT = "timeout"


@dataclass
class RecoveryAction:
    """What to do about a failure.

    Attributes:
        action_type: `modify_prompt`, `inject_guidance`, `retry`, `skip`, `abort`, or a word of your own.
        payload: Anything the action needs.
        message: Text for the model.
    """

    action_type: str
    payload: dict[str, Any] = field(default_factory=dict)
    message: str = ""


RecoveryHandler: TypeAlias = Callable[[dict[str, Any]], RecoveryAction]
"""Looks at the context of a failure and says what to do."""


@dataclass
class RecoveryRecipe:
    """What to do in one scenario.

    Attributes:
        scenario: When it applies.
        handler: Says what to do.
        max_attempts: How often it may be tried before `reset`.
        description: For people.
    """

    scenario: FailureScenario
    handler: RecoveryHandler
    max_attempts: int = 3
    description: str = ""


class RecoveryRegistry:
    """One recipe for each scenario, and how often each was tried."""

    def __init__(self) -> None:
        self._recipes: dict[FailureScenario, RecoveryRecipe] = {}
        self._attempts: dict[FailureScenario, int] = {}

    def register(self, recipe: RecoveryRecipe) -> None:
        """Use *recipe* for its scenario, in place of an earlier one."""
        self._recipes[recipe.scenario] = recipe

    def attempt_recovery(
        self, scenario: FailureScenario, context: Mapping[str, Any] | None = None
    ) -> RecoveryAction | None:
        """What to do now; None where there is no recipe or it was tried often enough. Counts the attempt."""
        recipe = self._recipes.get(scenario)
        tried = self._attempts.get(scenario, 0)
        if recipe is None or tried >= recipe.max_attempts:
            return None
        self._attempts[scenario] = tried + 1
        return recipe.handler(dict(context or {}))

    def reset(self) -> None:
        """Forget all attempts."""
        self._attempts.clear()

    def get_attempts(self, scenario: FailureScenario) -> int:
        """How often *scenario* was tried since the last `reset`."""
        return self._attempts.get(scenario, 0)


_DEFAULTS: dict[FailureScenario, tuple[str, int, str]] = {
    FailureScenario.PARSE_ERROR: (
        "modify_prompt",
        2,
        'Reply with one JSON object only: {"tool": "<tool_name>", "args": {...}, "reasoning": "..."}',
    ),
    FailureScenario.PROMPT_TOO_LONG: (
        "inject_guidance",
        3,
        "The context is nearly full. Ask for less at a time and finish with what you have.",
    ),
    FailureScenario.TOOL_ERROR: ("retry", 3, "The tool failed. Check its arguments, or try another one."),
    FailureScenario.EMPTY_RESULT: (
        "inject_guidance",
        3,
        "The last call found nothing. Widen the search or look somewhere else.",
    ),
    FailureScenario.REPEATED_TOOL: (
        "inject_guidance",
        3,
        "You made this call before and have its result. Do something else.",
    ),
    FailureScenario.STAGNATION: (
        "inject_guidance",
        3,
        "The last steps brought nothing new. Change your approach, or finish.",
    ),
    FailureScenario.LLM_ERROR: ("retry", 3, "The model did not answer; asking again."),
    FailureScenario.TIMEOUT: ("skip", 3, "The call took too long and was given up."),
}
"""Scenario: (action, attempts, message)."""


def build_default_registry() -> RecoveryRegistry:
    """A registry with a recipe for every scenario."""
    registry = RecoveryRegistry()
    for scenario, (action, attempts, message) in _DEFAULTS.items():
        registry.register(RecoveryRecipe(scenario, _always(action, message), attempts, message))
    return registry


def _always(action: str, message: str) -> RecoveryHandler:
    return lambda context: RecoveryAction(action, message=message)
