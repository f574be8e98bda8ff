"""Which rule wins for a call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any

from looplet.errors import ConfigError
from looplet.permissions.audit import shown
from looplet.permissions.rule import (
    ArgMatcher,
    AskHandler,
    PermissionDecision,
    PermissionOutcome,
    PermissionRule,
    snapshot,
)
from looplet.types import ToolCall


@dataclass
class PermissionEngine:
    """Rules in order; the first that matches a call decides.

    Attributes:
        rules: The rules. One that an earlier rule covers can never count, and is warned about.
        default: For calls that no rule is about: ALLOW or DENY. ASK needs a rule, and counts as DENY here.
        ask_handler: Who is asked about calls under an ASK rule. Without one they are denied.
        denials: One `{"tool", "args", "rule", "reason"}` for each denied call: a copy that later edits
            do not reach, with long values cut and secrets replaced.
        ask_timeout_s: Seconds to wait for an answer, then the call is denied. The handler runs in a
            thread of its own; with None there is no limit and it runs in the caller's.
    """

    rules: list[PermissionRule] = field(default_factory=list)
    default: PermissionDecision = PermissionDecision.DENY
    ask_handler: AskHandler | None = None
    denials: list[dict[str, Any]] = field(default_factory=list)
    ask_timeout_s: float | None = 60.0
    _first: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for number, rule in enumerate(self.rules, 1):
            if not isinstance(rule, PermissionRule):
                raise ConfigError(
                    f"PermissionEngine: rule {number} is a {type(rule).__name__}, not a PermissionRule"
                )
            self._warn_if_covered(rule, number)

    def allow(
        self, tool: str, *, arg_matcher: ArgMatcher | None = None, reason: str = ""
    ) -> PermissionEngine:
        """Add a rule that lets calls run. Returns the engine, for the next one."""
        return self._add(PermissionRule(tool, PermissionDecision.ALLOW, arg_matcher, reason))

    def deny(self, tool: str, *, arg_matcher: ArgMatcher | None = None, reason: str = "") -> PermissionEngine:
        """Add a rule that refuses calls. Returns the engine, for the next one."""
        return self._add(PermissionRule(tool, PermissionDecision.DENY, arg_matcher, reason))

    def ask(self, tool: str, *, arg_matcher: ArgMatcher | None = None, reason: str = "") -> PermissionEngine:
        """Add a rule that asks a person about calls. Returns the engine, for the next one."""
        return self._add(PermissionRule(tool, PermissionDecision.ASK, arg_matcher, reason))

    def evaluate(self, call: ToolCall) -> PermissionOutcome:
        """Decide about *call*. Never raises for a call, a matcher or a handler that is out of order."""
        return self._evaluate(call, self.default)

    def evaluate_done(self, call: ToolCall) -> PermissionOutcome:
        """Decide about the call that ends a run: only a rule counts, the default does not."""
        return self._evaluate(call, PermissionDecision.ALLOW)

    def explain(self, call: ToolCall) -> str:
        """Every rule with what it says of *call*, one a line; nobody is asked and nothing is recorded."""
        lines, decided, first = [], False, dict[str, int]()
        for number, rule in enumerate(self.rules, 1):
            earlier = _covered_by(rule, number, first)
            decides = not decided and rule.matches(call)
            decided = decided or decides
            never = f"; never can, because rule {earlier} covers it" if earlier else ""
            lines.append(f"{number}. {rule}: {'decides' if decides else 'does not decide'}{never}")
        default = getattr(self.default, "value", self.default)
        return "\n".join([*lines, f"default {default}: {'is not reached' if decided else 'decides'}"])

    def _add(self, rule: PermissionRule) -> PermissionEngine:
        self.rules.append(rule)
        self._warn_if_covered(rule, len(self.rules))
        return self

    def _warn_if_covered(self, rule: PermissionRule, number: int) -> None:
        earlier = _covered_by(rule, number, self._first)
        if earlier:
            text = f"rule {number} ({rule}) never counts: rule {earlier} decides first"
            warnings.warn(f"{text}; put the narrower rule before it", stacklevel=4)

    def _evaluate(self, call: ToolCall, default: PermissionDecision) -> PermissionOutcome:
        try:
            seen = snapshot(call)
            outcome = replace(self._judge(seen, default), call=seen)
        except Exception as error:
            outcome = _denied(None, f"the call cannot be judged ({_named(error)})")
        if outcome.denied:
            self.denials.append(_record(outcome, call))
        return outcome

    def _judge(self, call: ToolCall, default: PermissionDecision) -> PermissionOutcome:
        for rule in tuple(self.rules):
            if not rule.matches(call):
                continue
            if rule.decision is PermissionDecision.ASK:
                return self._ask(call, rule)
            if rule.decision is PermissionDecision.DEFAULT:
                return _by_default(default, rule, rule.reason)
            return PermissionOutcome(rule.decision, rule, rule.reason)
        return _by_default(default, None, "no rule matched")

    def _ask(self, call: ToolCall, rule: PermissionRule) -> PermissionOutcome:
        handler = self.ask_handler
        if handler is None:
            return _denied(rule, "a person has to agree and nobody can be asked (no ask_handler)")
        try:
            answer = _answer(lambda: handler(snapshot(call), rule), self.ask_timeout_s)
        except TimeoutError as error:
            return _denied(rule, str(error) or "the question timed out")
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            return _denied(rule, f"asking failed ({_named(error)})")
        if isinstance(answer, str) and answer == PermissionDecision.ALLOW:
            return PermissionOutcome(PermissionDecision.ALLOW, rule, rule.reason)
        if isinstance(answer, str) and answer == PermissionDecision.DENY:
            return _denied(rule, "refused by the person asked")
        return _denied(rule, f"no usable answer ({answer!r:.80})")


def _denied(rule: PermissionRule | None, cause: str) -> PermissionOutcome:
    reason = f"{rule.reason}: {cause}" if rule and rule.reason else cause
    return PermissionOutcome(PermissionDecision.DENY, rule, reason)


def _by_default(default: object, rule: PermissionRule | None, reason: str) -> PermissionOutcome:
    allowed = default == PermissionDecision.ALLOW
    decision = PermissionDecision.ALLOW if allowed else PermissionDecision.DENY
    return PermissionOutcome(decision, rule, reason)


def _answer(question: Callable[[], object], timeout_s: float | None) -> object:
    """What *question* returns or raises, at most *timeout_s* seconds from now."""
    if timeout_s is None:
        return question()
    box: list[tuple[object, BaseException | None]] = []

    def run() -> None:
        try:
            box.append((question(), None))
        except BaseException as error:
            box.append((None, error))

    # A daemon: a person who never answers must not keep the interpreter from ending.
    thread = Thread(target=copy_context().run, args=(run,), name="looplet-ask", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not box:
        raise TimeoutError(f"no answer within {timeout_s:g} s")
    answer, error = box[0]
    if error is not None:
        raise error
    return answer


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _record(outcome: PermissionOutcome, call: ToolCall) -> dict[str, Any]:
    seen = outcome.call
    tool = seen.tool if seen else str(getattr(call, "tool", ""))
    rule = outcome.rule.tool if outcome.rule else None
    return {"tool": tool, "args": shown(seen.args) if seen else {}, "rule": rule, "reason": outcome.reason}


def _covered_by(rule: PermissionRule, number: int, first: dict[str, int]) -> int | None:
    """The number of the earlier rule that decides all that *rule* is about.

    *first* holds, for each tool, the first rule without an argument matcher; *rule* is entered.
    """
    tool = rule.tool.casefold()
    earlier = min((first[name] for name in (tool, "*") if name in first), default=None)
    if rule.arg_matcher is None:
        first.setdefault(tool, number)
    return earlier
