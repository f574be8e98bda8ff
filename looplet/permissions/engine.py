"""Which rule wins for a call."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from looplet.errors import ConfigError
from looplet.permissions.asking import Answer, answer_of, answer_of_async
from looplet.permissions.audit import AuditLog, record_of
from looplet.permissions.cover import Covers
from looplet.permissions.explain import told
from looplet.permissions.files import load_rules
from looplet.permissions.rule import (
    ArgMatcher,
    AskHandler,
    PermissionDecision,
    PermissionOutcome,
    PermissionRule,
    snapshot,
)
from looplet.redact import Redactor
from looplet.types import ToolCall


@dataclass
class PermissionEngine:
    """Rules in order; the first that matches a call decides.

    Attributes:
        rules: The rules. One that an earlier rule covers can never count, and is warned about.
        default: For calls that no rule is about: ALLOW or DENY. ASK needs a rule, and counts as DENY here.
        ask_handler: Who is asked about calls under an ASK rule; may be async. Without one they are denied.
        denials: One `{"tool", "args", "rule", "reason"}` for each denied call: a copy that later edits
            do not reach, with long values cut and secrets replaced. The oldest go when there are more
            than the audit log keeps.
        ask_timeout_s: Seconds to wait for an answer, then the call is denied. The handler runs in a
            thread of its own; with None there is no limit and it runs in the caller's.
        audit: One record for each decision.
    """

    rules: list[PermissionRule] = field(default_factory=list)
    default: PermissionDecision = PermissionDecision.DENY
    ask_handler: AskHandler | None = None
    denials: list[dict[str, Any]] = field(default_factory=list)
    ask_timeout_s: float | None = 60.0
    audit: AuditLog = field(default_factory=AuditLog)
    _covers: Covers = field(default_factory=Covers, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for number, rule in enumerate(self.rules, 1):
            if not isinstance(rule, PermissionRule):
                raise ConfigError(
                    f"PermissionEngine: rule {number} is a {type(rule).__name__}, not a PermissionRule"
                )
            self._warn_if_covered(rule, number)

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, ask_handler: AskHandler | None = None
    ) -> PermissionEngine:
        """An engine with the rules and the default of a TOML or JSON file.

        Raises:
            ConfigError: The file cannot be read, or says something that no rule file says; the text names
                the file, the line, the rule and the key.
        """
        loaded = load_rules(path)
        return cls(list(loaded.rules), loaded.default, ask_handler)

    def allow(
        self, tool: str, *, arg_matcher: ArgMatcher | None = None, reason: str = ""
    ) -> PermissionEngine:
        """Add a rule that lets calls run. Returns the engine, for the next one."""
        return self._add(PermissionRule(tool, PermissionDecision.ALLOW, arg_matcher, reason, _caller()))

    def deny(self, tool: str, *, arg_matcher: ArgMatcher | None = None, reason: str = "") -> PermissionEngine:
        """Add a rule that refuses calls. Returns the engine, for the next one."""
        return self._add(PermissionRule(tool, PermissionDecision.DENY, arg_matcher, reason, _caller()))

    def ask(self, tool: str, *, arg_matcher: ArgMatcher | None = None, reason: str = "") -> PermissionEngine:
        """Add a rule that asks a person about calls. Returns the engine, for the next one."""
        return self._add(PermissionRule(tool, PermissionDecision.ASK, arg_matcher, reason, _caller()))

    def evaluate(self, call: ToolCall, *, step: int | None = None) -> PermissionOutcome:
        """Decide about *call*. Never raises for a call, a matcher or a handler that is out of order.

        Args:
            step: The step that the call becomes, for the audit log.
        """
        return self.begin(call, step=step).outcome()

    async def evaluate_async(self, call: ToolCall, *, step: int | None = None) -> PermissionOutcome:
        """`evaluate` on an event loop, which a question does not hold up."""
        return await self.begin(call, step=step).outcome_async()

    def evaluate_done(self, call: ToolCall, *, step: int | None = None) -> PermissionOutcome:
        """Decide about the call that ends a run: only a rule counts, the default does not."""
        return self.begin(call, step=step, ends=True).outcome()

    def begin(self, call: ToolCall, *, step: int | None = None, ends: bool = False) -> Evaluation:
        """Look which rule is about *call*, and ask nobody yet.

        Args:
            step: The step that the call becomes, for the audit log.
            ends: It is the call that ends a run, about which only a rule counts.
        """
        default = PermissionDecision.ALLOW if ends else self.default
        try:
            seen = snapshot(call)
            judged: PermissionOutcome | _Question = self._judge(seen, default)
        except Exception as error:
            seen = None
            judged = _denied(None, f"the call cannot be judged ({_named(error)})", by="engine")
        return Evaluation(self, call, seen, step, judged)

    def explain(self, call: ToolCall) -> str:
        """Every rule with what it says of *call*, one a line; nobody is asked and nothing is recorded."""
        return told(self.rules, self.default, call).text

    def _add(self, rule: PermissionRule) -> PermissionEngine:
        self.rules.append(rule)
        self._warn_if_covered(rule, len(self.rules))
        return self

    def _warn_if_covered(self, rule: PermissionRule, number: int) -> None:
        earlier = self._covers.take(rule, number)
        if earlier:
            text = f"rule {number} ({rule}) never counts: rule {earlier} decides first"
            warnings.warn(f"{text}; put the narrower rule before it", stacklevel=4)

    def _recorded(self, outcome: PermissionOutcome, call: ToolCall, step: int | None) -> PermissionOutcome:
        try:
            record = record_of(outcome, call, Redactor.of_environment(), step)
            self.audit.add(record)
        except Exception as error:
            # What cannot be put on record must not happen.
            outcome = _denied(outcome.rule, f"no audit record ({_named(error)})", by="engine")
            self.denials.append({"tool": "", "args": {}, "rule": None, "reason": outcome.reason})
            return outcome
        if outcome.denied:
            name = outcome.rule.tool if outcome.rule else None
            denial = {"tool": record.tool, "args": record.args, "rule": name, "reason": record.reason}
            self.denials.append(denial)
            if len(self.denials) > self.audit.limit:
                del self.denials[: -self.audit.limit]
        return outcome

    def _judge(self, call: ToolCall, default: PermissionDecision) -> PermissionOutcome | _Question:
        unsure: tuple[PermissionRule, str] | None = None
        tool, args = call.tool.casefold(), call.args
        for rule in tuple(self.rules):
            if not rule.names(tool):
                continue
            matched, doubt = rule.judge_args(args)
            if not matched:
                unsure = unsure or ((rule, doubt) if doubt else None)
                continue
            reason = "; ".join(part for part in (rule.reason, doubt) if part)
            if rule.decision is PermissionDecision.ASK:
                return self._ask(call, rule, reason)
            if rule.decision is PermissionDecision.DEFAULT:
                return _by_default(default, rule, reason)
            return PermissionOutcome(rule.decision, rule, reason)
        missed = f"; {unsure[0]} did not, because of a doubt: {unsure[1]}" if unsure else ""
        return _by_default(default, None, f"no rule matched{missed}")

    def _ask(self, call: ToolCall, rule: PermissionRule, reason: str) -> PermissionOutcome | _Question:
        handler = self.ask_handler
        if handler is None:
            cause = "a person has to agree and nobody can be asked (no ask_handler)"
            return _denied(rule, cause, reason)
        return _Question(lambda: handler(snapshot(call), rule), rule, reason)


@dataclass(frozen=True, slots=True)
class _Question:
    """A call that a person decides about."""

    put: Callable[[], object]
    rule: PermissionRule
    reason: str

    def settled(self, answer: Answer) -> PermissionOutcome:
        """What the answer means: only a clear yes lets the call run."""
        rule, reason, said, error = self.rule, self.reason, answer.value, answer.error
        if isinstance(error, TimeoutError):
            return _denied(rule, str(error) or "the question timed out", reason, asked=True)
        if error is not None:
            return _denied(rule, f"asking failed ({_named(error)})", reason, asked=True)
        if isinstance(said, str) and said == PermissionDecision.ALLOW:
            return PermissionOutcome(PermissionDecision.ALLOW, rule, reason, asked=True, by="person")
        if isinstance(said, str) and said == PermissionDecision.DENY:
            return _denied(rule, "refused by the person asked", reason, asked=True, by="person")
        return _denied(rule, f"no usable answer ({_shown(said)})", reason, asked=True)


class Evaluation:
    """A decision on its way: made, or left to a person. Its outcome is taken once, and recorded then.

    Attributes:
        asks: Whether a person decides.
    """

    def __init__(
        self,
        engine: PermissionEngine,
        call: ToolCall,
        seen: ToolCall | None,
        step: int | None,
        judged: PermissionOutcome | _Question,
    ) -> None:
        self._engine, self._call, self._seen, self._step = engine, call, seen, step
        self._judged = judged
        self.asks = isinstance(judged, _Question)

    def outcome(self) -> PermissionOutcome:
        """What was decided; waits for the person, where one decides."""
        judged = self._judged
        if isinstance(judged, _Question):
            judged = judged.settled(answer_of(judged.put, self._engine.ask_timeout_s))
        return self._recorded(judged)

    async def outcome_async(self) -> PermissionOutcome:
        """The same on an event loop, which goes on meanwhile."""
        judged = self._judged
        if isinstance(judged, _Question):
            judged = judged.settled(await answer_of_async(judged.put, self._engine.ask_timeout_s))
        return self._recorded(judged)

    def _recorded(self, outcome: PermissionOutcome) -> PermissionOutcome:
        return self._engine._recorded(replace(outcome, call=self._seen), self._call, self._step)


def _denied(
    rule: PermissionRule | None, cause: str, reason: str = "", *, asked: bool = False, by: str = "nobody"
) -> PermissionOutcome:
    text = f"{reason}: {cause}" if reason else cause
    return PermissionOutcome(PermissionDecision.DENY, rule, text, asked=asked, by=by)


def _by_default(default: object, rule: PermissionRule | None, reason: str) -> PermissionOutcome:
    allowed = default == PermissionDecision.ALLOW
    decision = PermissionDecision.ALLOW if allowed else PermissionDecision.DENY
    return PermissionOutcome(decision, rule, reason, by="default")


def _shown(answer: object) -> str:
    try:
        return f"{answer!r:.80}"
    except Exception:
        return f"a {type(answer).__name__}"


def _named(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:200]
    except Exception:
        return type(error).__name__


def _caller() -> str:
    """Where the rule is written that is being added: file and line, without folders."""
    frame = sys._getframe(2)
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
