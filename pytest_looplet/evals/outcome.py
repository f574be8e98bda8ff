"""What one run of the agent came to, as plain data that every eval of its case reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import pytest

from looplet.backends import failure_of
from looplet.errors import ModelError
from looplet.evals.judge import JudgeFailed
from looplet.trajectory import Trajectory
from looplet.types import ErrorKind
from pytest_looplet.cassette.errors import NotRecorded, ReplayStopped, UnplayedInteractions
from pytest_looplet.evals.failures import HarnessFailed
from pytest_looplet.run_failed import RunFailed

Blame: TypeAlias = Literal["agent", "tool", "provider", "judge", "harness", "drift"]
"""Who is at fault when an eval is not green; only `agent` counts against the agent's pass rate."""

CLIENTS = ("openai", "anthropic", "httpx", "httpx2", "httpcore", "httpcore2")
"""Packages whose exceptions tell how a call to a provider went, for agents that use them directly."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of the agent, JSON values only, so that it can cross to another process.

    Attributes:
        status: `ok`, `failed` or `skipped`.
        blame: Who is at fault if it is not `ok`.
        reason: Why, in one line.
        text: The whole report, traceback included; of a case that was not recorded, what records it.
        sections: Captured output and logs: title and text.
        trajectory: The run as JSON, also of a run that died where that much is known.
        duration_ms: Milliseconds the agent took.
        retriable: Whether the provider failed, and may not when it is asked again.
        pause_s: Seconds that it asked us to wait before.
        repeats: How often the run was repeated because the provider had failed.
        recorded: False where a replay found no cassette.
    """

    status: Literal["ok", "failed", "skipped"]
    blame: Blame | None = None
    reason: str = ""
    text: str = ""
    sections: tuple[tuple[str, str], ...] = ()
    trajectory: str | None = None
    duration_ms: float = 0.0
    retriable: bool = False
    pause_s: float = 0.0
    repeats: int = 0
    recorded: bool = True

    def then(self, later: Outcome) -> Outcome:
        """This outcome after a later phase came to *later*: the first failure stands, the rest adds up."""
        if self.status != "ok":
            return replace(self, sections=later.sections)
        return replace(
            later,
            trajectory=later.trajectory or self.trajectory,
            duration_ms=later.duration_ms or self.duration_ms,
            repeats=later.repeats or self.repeats,
        )

    def to_json(self) -> str:
        """As a JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """What `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        fields["sections"] = tuple((title, content) for title, content in fields["sections"])
        return cls(**fields)


def outcome_of(
    call: pytest.CallInfo[Any], report: pytest.TestReport, trajectory: Trajectory | None
) -> Outcome:
    """The outcome of one phase of a run."""
    sections = tuple(report.sections)
    stored = trajectory.to_json() if trajectory is not None else None
    lasted_ms = call.duration * 1000 if call.when == "call" else 0.0
    if call.excinfo is None:
        return Outcome("ok", sections=sections, trajectory=stored, duration_ms=lasted_ms)
    error = call.excinfo.value
    if isinstance(error, RunFailed) and stored is None:
        stored = error.trajectory.to_json()
    reason = " ".join(call.excinfo.exconly(tryshort=True).split())[:500]
    if isinstance(error, pytest.skip.Exception):
        return Outcome("skipped", reason=error.msg or reason, text=error.msg or reason, sections=sections)
    failure, missing = provider_failure(error), _missing(error)
    return Outcome(
        "failed",
        blame=blame_of(error, call.when),
        reason=reason,
        text=str(missing) if missing is not None else report.longreprtext,
        sections=sections,
        trajectory=stored,
        duration_ms=lasted_ms,
        retriable=failure is not None and failure.retriable,
        pause_s=failure.retry_after_s or 0.0 if failure is not None else 0.0,
        recorded=missing is None,
    )


def _missing(error: BaseException | None) -> NotRecorded | None:
    while error is not None and not isinstance(error, NotRecorded):
        error = error.__cause__
    return error


def blame_of(error: BaseException | None, phase: str) -> Blame:
    """Who is at fault for *error*, raised in *phase*; the causes of an exception are asked as well."""
    while error is not None:
        if isinstance(error, (ReplayStopped, UnplayedInteractions)):
            return "drift"
        if isinstance(error, JudgeFailed):
            return "judge"
        if _failure_of(error) is not None:
            return "provider"
        if isinstance(error, HarnessFailed):
            return "harness"
        error = error.__cause__
    return "agent" if phase == "call" else "harness"


def provider_failure(error: BaseException | None) -> ModelError | None:
    """The failure of a provider that *error* is or was caused by, if it is one."""
    while error is not None:
        if isinstance(error, (ReplayStopped, UnplayedInteractions)):
            return None
        if (failure := _failure_of(error)) is not None:
            return failure
        error = error.__cause__
    return None


def _failure_of(error: BaseException) -> ModelError | None:
    """*error* as what a provider did; None where it is of another kind, or the agent asked for too much."""
    if not isinstance(error, ModelError) and type(error).__module__.partition(".")[0] not in CLIENTS:
        return None
    failure = failure_of(error)
    return None if failure.kind is ErrorKind.CONTEXT_OVERFLOW else failure
