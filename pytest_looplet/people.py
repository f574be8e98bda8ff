"""`looplet_permissions` and `looplet_human`: who may do what, and what people say when they are asked."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from looplet.approval import ApprovalRequest
from looplet.errors import ConfigError
from looplet.permissions import ArgMatcher, AuditRecord, PermissionDecision, PermissionEngine, PermissionRule
from looplet.types import ToolCall

Tools: TypeAlias = str | Iterable[str] | Mapping[str, ArgMatcher | None]
"""Names of tools, `*` and `?` allowed; or names with what their arguments must be."""

Answer: TypeAlias = bool | str | Callable[["Question"], "bool | str | None"] | None
"""True or `approve`, False or `deny`, an option, None for no answer, or a function of the question."""

YES = ("approve", "allow", "yes")
NO = ("deny", "no")
NOBODY = "nobody answers: ask for the fixture looplet_human and script its answers"


@dataclass(frozen=True, slots=True)
class Question:
    """What a person was asked.

    Attributes:
        prompt: In words.
        options: What may be answered.
        tool: The tool that the question is about; empty where a tool asks through `ctx.approve`.
        args: The arguments of its call.
        answer: What was said; None if nothing was left to say, which denies.
    """

    prompt: str
    options: tuple[str, ...] = ("approve", "deny")
    tool: str = ""
    args: dict[str, Any] = field(default_factory=dict)
    answer: str | None = None


class Human:
    """What the fixture `looplet_human` gives: `looplet_human("approve", "deny")` scripts the answers.

    Answers `ctx.approve(...)` of tools and the ASK rules of `looplet_permissions`, in the order they are
    asked. A person who has nothing left to say denies.

    Attributes:
        asked: The questions so far, with their answers.
    """

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self._answers: deque[Answer] = deque()

    def __call__(self, *answers: Answer) -> Human:
        """Add answers to the script.

        Raises:
            ConfigError: Something is no answer.
        """
        for answer in answers:
            if answer is not None and not isinstance(answer, bool | str) and not callable(answer):
                raise ConfigError(f"looplet_human({answer!r}): give True, False, a text, None or a function")
        self._answers.extend(answers)
        return self

    @property
    def left(self) -> int:
        """How many answers were not asked for."""
        return len(self._answers)

    def approve(self, prompt: str, options: Sequence[str] | None = None) -> str | None:
        """The answer to a tool that asks: one of *options*, or None, which a tool takes as a refusal."""
        return self._say(Question(prompt, tuple(options or ("approve", "deny"))))

    def decide(self, call: ToolCall, rule: PermissionRule) -> PermissionDecision:
        """The answer to a permission rule that asks about *call*."""
        said = self._say(Question(rule.reason or f"{call.tool}?", tool=call.tool, args=dict(call.args)))
        return PermissionDecision.ALLOW if said in YES else PermissionDecision.DENY

    def answer(self, request: ApprovalRequest) -> str | None:
        """The answer to the question that a run stopped with (`ApprovalHook`)."""
        return self._say(
            Question(request.description, tuple(request.options), request.tool, dict(request.args))
        )

    def _say(self, question: Question) -> str | None:
        answer = self._answers.popleft() if self._answers else None
        if callable(answer):
            answer = answer(question)
        said = _worded(answer, question.options)
        self.asked.append(
            Question(question.prompt, question.options, question.tool, question.args, answer=said)
        )
        return said


def _worded(answer: bool | str | None, options: tuple[str, ...]) -> str | None:
    """*answer* in the words of the options: for a yes the one that says so, else the first; None is none."""
    if answer is None or (isinstance(answer, str) and answer in options):
        return answer
    wanted = YES if answer is True or answer in YES else NO if answer is False or answer in NO else ()
    if not wanted:
        raise ConfigError(f"looplet_human: {answer!r} is none of the options {', '.join(options)}")
    return next((option for option in options if option.lower() in wanted), wanted[0])


class Permissions(PermissionEngine):
    """What the fixture `looplet_permissions` gives: an engine that denies what no rule allows.

    `looplet_run` asks it about every call. Rules count in the order they are added; `audit` is its log.
    """

    def script(self, *, allow: Tools = (), deny: Tools = (), ask: Tools = ()) -> Permissions:
        """Add rules: first those that deny, then those that ask, then those that allow.

        Args:
            allow: Tools that may run: `"search"`, `["search", "read_*"]`, `{"pay": equals("bob", arg="to")}`.
            deny: Tools that may not.
            ask: Tools a person is asked about; see `looplet_human`.
        """
        code, line = (frame := sys._getframe(1)).f_code, frame.f_lineno
        source = f"{Path(code.co_filename).name}:{line}"
        said = {PermissionDecision.DENY: deny, PermissionDecision.ASK: ask, PermissionDecision.ALLOW: allow}
        for decision, tools in said.items():
            for name, matcher in _named(tools):
                self._add(PermissionRule(name, decision, matcher, source=source))
        return self

    @property
    def asked(self) -> list[AuditRecord]:
        """The calls that a person was asked about, or would have been."""
        return [record for record in self.audit if record.asked]

    @property
    def denied(self) -> list[AuditRecord]:
        """The calls that were denied."""
        return [record for record in self.audit if record.verdict == "deny"]


def _named(tools: Tools) -> list[tuple[str, ArgMatcher | None]]:
    if isinstance(tools, Mapping):
        return list(tools.items())
    return [(name, None) for name in ([tools] if isinstance(tools, str) else tools)]


def _nobody(call: ToolCall, rule: PermissionRule) -> PermissionDecision:
    raise TimeoutError(NOBODY)


def permissions(request: pytest.FixtureRequest) -> Permissions:
    """What the fixture gives; the person of the test, if it has one, is asked."""
    asks = "looplet_human" in request.fixturenames
    handler = request.getfixturevalue("looplet_human").decide if asks else _nobody
    # No time limit: a script answers at once, and in the caller's thread.
    return Permissions(ask_handler=handler, ask_timeout_s=None)
