"""Which rule decides about a call, and why: for people, before anything runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looplet.errors import ConfigError
from looplet.permissions.cover import Covers
from looplet.permissions.files import load_rules
from looplet.permissions.rule import PermissionDecision, PermissionRule, snapshot
from looplet.text import escape_terminal
from looplet.types import ToolCall


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would be decided about a call; nobody is asked.

    Attributes:
        verdict: `allow`, `deny`, or `ask` where a person would decide.
        rule: The rule that decides, or None for the default.
        text: Every rule with what it says of the call, one a line, safe to print.
    """

    verdict: str
    rule: PermissionRule | None
    text: str


def told(rules: Sequence[PermissionRule], default: object, call: ToolCall) -> Explanation:
    """What *rules* and *default* say of *call*."""
    lines: list[str] = []
    decider: PermissionRule | None = None
    try:
        seen = snapshot(call)
    except Exception as problem:
        text = escape_terminal(f"denied before any rule: {problem}")
        return Explanation("deny", None, text)
    covers = Covers()
    for number, rule in enumerate(rules, 1):
        earlier = covers.take(rule, number)
        matched, doubt = rule.judge(seen)
        decides = decider is None and matched
        decider = rule if decides else decider
        lines.append(_line(number, rule, decides, doubt, earlier))
    name = getattr(default, "value", default)
    lines.append(f"default {name}: {'decides' if decider is None else 'is not reached'}")
    verdict = decider.decision if decider is not None else PermissionDecision.DEFAULT
    if verdict is PermissionDecision.DEFAULT:
        verdict = default if default is PermissionDecision.ALLOW else PermissionDecision.DENY
    return Explanation(verdict.value, decider, "\n".join(escape_terminal(line) for line in lines))


def _line(number: int, rule: PermissionRule, decides: bool, doubt: str, earlier: int | None) -> str:
    source = f" [{rule.source}]" if rule.source else ""
    because = f", because of a doubt: {doubt}" if doubt else ""
    never = f"; never can, because rule {earlier} covers it" if earlier else ""
    return f"{number}. {rule}{source}: {'decides' if decides else 'does not decide'}{because}{never}"


def explain(rules_file: str | os.PathLike[str], call: ToolCall | Mapping[str, Any]) -> Explanation:
    """Which rule of a file decides about *call*, and what every other rule says.

    Args:
        rules_file: A TOML or JSON rule file.
        call: A call, or `{"tool": name, "args": {…}}`.

    Raises:
        ConfigError: The file is wrong, or *call* is no call.
    """
    if not isinstance(call, ToolCall):
        if not isinstance(call, Mapping) or set(call) - {"tool", "args"} or "tool" not in call:
            raise ConfigError('a call is {"tool": name, "args": {…}}')
        call = ToolCall(call["tool"], call.get("args", {}))
    loaded = load_rules(rules_file)
    return told(loaded.rules, loaded.default, call)
