"""What turns one result into pass or fail, so that nothing passes by accident."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal, TypeAlias

from looplet.evals.marks import NO_DEMANDS, Demands
from looplet.evals.result import EvalResult

Standing: TypeAlias = Literal["passed", "failed", "error", "skipped", "noted"]
"""`noted` is a result that gates nothing: a score without a threshold, a label, metrics."""


LARGEST = sys.float_info.max
"""Beyond it lie infinity and integers that no float can hold; NaN is not below it either."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a result means for the session.

    Attributes:
        standing: See `Standing`.
        reason: Why, in one line; empty where it passed.
    """

    standing: Standing
    reason: str = ""

    @property
    def green(self) -> bool:
        """Whether the session may be green with it."""
        return self.standing in ("passed", "noted")


def verdict(result: EvalResult, demands: Demands = NO_DEMANDS, *, threshold: float | None = None) -> Verdict:
    """Judge one result.

    Args:
        result: What the eval said.
        demands: What the eval's mark asks for.
        threshold: Least score where the mark names none.
    Returns:
        `error` for a result that says nothing, for a score that is no number from 0 to 1 and for a missing
        score that a threshold needs; `failed` below the threshold or labelled `fail`; else `passed`, or
        `noted` if nothing was at stake.
    """
    if result.label in ("error", "skipped"):
        why = result.explanation or "no reason given"
        if result.label == "skipped" and not demands.required:
            return Verdict("skipped", why)
        return Verdict("error", why if result.label == "error" else f"required, but skipped: {why}")
    if flaw := _flaw(result):
        return Verdict("error", flaw)
    limit = demands.threshold if demands.threshold is not None else threshold
    if demands.threshold is not None and result.score is None:
        return Verdict("error", f"threshold={demands.threshold} needs a score; the eval gave none")
    if result.label == "fail":
        return Verdict("failed", result.explanation or "the eval returned False")
    if limit is not None and result.score is not None and result.score < limit:
        return Verdict("failed", f"score {result.score:.4g} is below the threshold {limit:.4g}")
    is_gated = result.label == "pass" or (limit is not None and result.score is not None)
    return Verdict("passed" if is_gated else "noted")


def _flaw(result: EvalResult) -> str:
    """Why *result* cannot be judged at all; empty if it can."""
    if result.score is None and not (result.label or "").strip() and not result.metrics:
        if not result.explanation or result.explanation == "None":
            return (
                "the eval returned nothing; end it with `return True`, a score from 0 to 1, a label or dict"
            )
        return f"the eval returned neither score, label nor metrics: {result.explanation[:200]}"
    if result.score is not None and not 0 <= result.score <= 1:
        return f"the score must be a number from 0 to 1, not {result.score!r}"
    for key, number in result.metrics.items():
        if not abs(number) <= LARGEST:
            return f"metric {key!r} is {number!r}; metrics must be finite numbers"
    return ""
