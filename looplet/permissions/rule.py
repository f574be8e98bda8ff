"""What a rule says about a call, and what an outcome is."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from looplet.errors import ConfigError
from looplet.permissions.globs import glob
from looplet.permissions.matcher import Described, Unsure
from looplet.types import ToolCall


class PermissionDecision(str, Enum):  # noqa: UP042 - str() of a member is part of the interface
    """What a rule says about a call."""

    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"
    DEFAULT = "default"


ArgMatcher: TypeAlias = Callable[[dict[str, Any]], bool]
"""Looks at a copy of a call's arguments; True means that the rule is about this call.

One that cannot tell raises `Unsure`.
"""

_TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TOOL_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]{1,64}")
_NARROWING = (PermissionDecision.DENY, PermissionDecision.ASK)


@dataclass(frozen=True, slots=True)
class PermissionRule:
    """One rule: for these calls, this decision.

    Attributes:
        tool: A tool's name, in any case; `*` stands for any text and `?` for any one character.
        decision: What to do; DEFAULT leaves it to the engine's default.
        arg_matcher: Narrows the rule to calls with certain arguments.
        reason: Told to the model when the rule denies.
        source: Where the rule is written, as `rules.toml:12`; for people, decides nothing.
    """

    tool: str
    decision: PermissionDecision
    arg_matcher: ArgMatcher | None = None
    reason: str = ""
    source: str = field(default="", compare=False)
    _names: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.tool, str) or not _TOOL_PATTERN.fullmatch(self.tool):
            raise ConfigError(
                f"PermissionRule: tool is a name of letters, digits and '_.-', with '*' and '?' for any text "
                f"and any character, not {self.tool!r:.80}"
            )
        try:
            object.__setattr__(self, "decision", PermissionDecision(self.decision))
        except ValueError:
            known = ", ".join(decision.value for decision in PermissionDecision)
            text = f"PermissionRule for {self.tool!r}: decision is one of {known}, not {self.decision!r}"
            raise ConfigError(text) from None
        if self.arg_matcher is not None and not callable(self.arg_matcher):
            raise ConfigError(f"PermissionRule for {self.tool!r}: arg_matcher is no function")
        object.__setattr__(self, "_names", glob(self.tool.casefold()))

    def matches(self, call: ToolCall) -> bool:
        """Whether the rule is about *call*.

        A matcher that raises or returns no bool leaves a doubt, which never widens access: rules that
        deny or ask then match, rules that allow do not.
        """
        return self.judge(call)[0]

    def judge(self, call: ToolCall) -> tuple[bool, str]:
        """Whether the rule is about *call*, and what was in doubt about that, or an empty text."""
        if not self._names(call.tool.casefold()):
            return False, ""
        return self.judge_args(call.args)

    def names(self, folded_tool: str) -> bool:
        """Whether the rule is about a tool, whose name is given case-folded."""
        return self._names(folded_tool)

    def judge_args(self, args: dict[str, Any]) -> tuple[bool, str]:
        """As `judge`, for a call of a tool that the rule names."""
        matcher = self.arg_matcher
        if matcher is None:
            return True, ""
        try:
            # Our own matchers only look; anybody else's gets a copy, so that it cannot change the call.
            answer: object = matcher(args if isinstance(matcher, Described) else copied(args))
        except (Exception, SystemExit, GeneratorExit) as problem:
            return self.decision in _NARROWING, _told(problem)
        if answer is True or answer is False:
            return answer, ""
        return self.decision in _NARROWING, f"the matcher gave {type(answer).__name__}, not a bool"

    def __str__(self) -> str:
        return f"{self.decision.value} {self.tool}{_described(self.arg_matcher)}"


def _described(matcher: ArgMatcher | None) -> str:
    if matcher is None:
        return ""
    text = str(matcher) if isinstance(matcher, Described) else "some arguments"
    return f" ({text})"


def _told(problem: BaseException) -> str:
    try:
        text = str(problem)
    except Exception:
        return type(problem).__name__
    return text if isinstance(problem, Unsure) and text else f"{type(problem).__name__}: {text}"[:200]


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
        asked: Whether a person was asked.
        by: Who answered: `rule`, `default`, `person`, `nobody` where a person had to be asked and gave
            no usable answer, or `engine` for a call that no rule may see.
    """

    decision: PermissionDecision
    rule: PermissionRule | None = None
    reason: str = ""
    call: ToolCall | None = None
    asked: bool = False
    by: str = "rule"

    @property
    def allowed(self) -> bool:
        """Whether the call may run."""
        return self.decision is PermissionDecision.ALLOW

    @property
    def denied(self) -> bool:
        """Whether the call may not run."""
        return not self.allowed


def snapshot(call: ToolCall) -> ToolCall:
    """A copy of *call* that nobody else holds.

    Raises:
        TypeError: The name can be no tool's, or the arguments are no JSON object.
    """
    if not isinstance(call.tool, str) or not _TOOL_NAME.fullmatch(call.tool):
        raise TypeError(f"{call.tool!r:.80} cannot be the name of a tool")
    return ToolCall(call.tool, copied(call.args), call.reasoning, call.call_id)


ATOMS = (str, int, float, bool, type(None))


def copied(args: dict[str, Any]) -> dict[str, Any]:
    """A copy that shares nothing that can change. Raises `TypeError` for what is no JSON object."""
    if not isinstance(args, dict) or not all(isinstance(name, str) for name in args):
        raise TypeError("arguments are not an object with text names")
    if all(type(value) in ATOMS for value in args.values()):
        return dict(args)
    return deepcopy(args)
