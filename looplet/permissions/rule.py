"""What a rule says about a call, and what an outcome is."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from looplet.errors import ConfigError
from looplet.types import ToolCall


class PermissionDecision(str, Enum):  # noqa: UP042 - str() of a member is part of the interface
    """What a rule says about a call."""

    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"
    DEFAULT = "default"


ArgMatcher: TypeAlias = Callable[[dict[str, Any]], bool]
"""Looks at a copy of a call's arguments; True means that the rule is about this call."""


@dataclass(frozen=True, slots=True)
class PermissionRule:
    """One rule: for these calls, this decision.

    Attributes:
        tool: A tool's name, in any case, or `*` for every tool.
        decision: What to do; DEFAULT leaves it to the engine's default.
        arg_matcher: Narrows the rule to calls with certain arguments.
        reason: Told to the model when the rule denies.
    """

    tool: str
    decision: PermissionDecision
    arg_matcher: ArgMatcher | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.tool, str) or not self.tool:
            raise ConfigError(f"PermissionRule: tool is a name or '*', not {self.tool!r}")
        try:
            object.__setattr__(self, "decision", PermissionDecision(self.decision))
        except ValueError:
            known = ", ".join(decision.value for decision in PermissionDecision)
            text = f"PermissionRule for {self.tool!r}: decision is one of {known}, not {self.decision!r}"
            raise ConfigError(text) from None

    def matches(self, call: ToolCall) -> bool:
        """Whether the rule is about *call*.

        A matcher that raises or returns no bool leaves a doubt, which never widens access: rules that
        deny or ask then match, rules that allow do not.
        """
        if self.tool != "*" and self.tool.casefold() != call.tool.casefold():
            return False
        if self.arg_matcher is None:
            return True
        try:
            answer: object = self.arg_matcher(copied(call.args))
        except Exception:
            answer = None
        if isinstance(answer, bool):
            return answer
        return self.decision in (PermissionDecision.DENY, PermissionDecision.ASK)

    def __str__(self) -> str:
        return f"{self.decision.value} {self.tool}" + (" (some arguments)" if self.arg_matcher else "")


AskHandler: TypeAlias = Callable[[ToolCall, PermissionRule], "PermissionDecision | str | None"]
"""Asks a person about a call; ALLOW or `"allow"` lets it run, everything else does not."""


@dataclass(frozen=True, slots=True)
class PermissionOutcome:
    """What was decided about one call.

    Attributes:
        decision: ALLOW or DENY, nothing else.
        rule: The rule that decided, or None for the engine's default.
        reason: Why, in words; for the model and the log.
        call: The copy of the call that was judged; None where no copy could be made.
    """

    decision: PermissionDecision
    rule: PermissionRule | None = None
    reason: str = ""
    call: ToolCall | None = None

    @property
    def allowed(self) -> bool:
        """Whether the call may run."""
        return self.decision is PermissionDecision.ALLOW

    @property
    def denied(self) -> bool:
        """Whether the call may not run."""
        return not self.allowed


def snapshot(call: ToolCall) -> ToolCall:
    """A copy of *call* that nobody else holds. Raises `TypeError` for arguments that are no JSON object."""
    if not isinstance(call.tool, str):
        raise TypeError("the tool's name is not text")
    return ToolCall(call.tool, copied(call.args), call.reasoning, call.call_id)


ATOMS = (str, int, float, bool, type(None))


def copied(args: dict[str, Any]) -> dict[str, Any]:
    """A copy that shares nothing that can change. Raises `TypeError` for what is no JSON object."""
    if not isinstance(args, dict) or not all(isinstance(name, str) for name in args):
        raise TypeError("arguments are not an object with text names")
    if all(type(value) in ATOMS for value in args.values()):
        return dict(args)
    return deepcopy(args)
