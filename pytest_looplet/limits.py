"""What a run may cost: limits on steps, calls, tokens, money, time and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from looplet.text import count
from looplet.trajectory.call import RecordedCall
from looplet.trajectory.record import Trajectory
from pytest_looplet.failure import Miss


@dataclass(frozen=True, slots=True)
class Spent:
    """How much a run spent of something.

    Attributes:
        amount: What was spent, None if it cannot be known.
        text: The amount for people, or why it cannot be known.
    """

    amount: float | None
    text: str


def stayed_within(run: Trajectory, limits: Mapping[str, float]) -> Miss | None:
    """No limit is exceeded; a limit on what cannot be known is missed, because it protects nothing."""
    over = {name: spent for name, limit in limits.items() if _exceeds(spent := SPENT[name](run), limit)}
    if not over:
        return None
    allowed = ", ".join(_LIMIT[name](limits[name]) for name in over)
    happened = "; ".join(spent.text for spent in over.values())
    return Miss(
        f"expected at most {allowed}; {happened}",
        [*_beyond(run, limits, over)],
        [*_crossed(run, limits, over)],
    )


def _exceeds(spent: Spent, limit: float) -> bool:
    return spent.amount is None or not spent.amount <= limit


def _steps(run: Trajectory) -> Spent:
    return Spent(len(run.steps), f"the run took {count(len(run.steps), 'step')}")


def _model_calls(run: Trajectory) -> Spent:
    return Spent(len(run.model_calls), f"it made {count(len(run.model_calls), 'model call')}")


def _tokens(run: Trajectory) -> Spent:
    uncounted = [call for call in run.model_calls if call.usage is None and call.error is None]
    if uncounted or not run.model_calls:
        of = count(len(run.model_calls), "model call")
        return Spent(None, f"tokens are not known: {len(uncounted)} of {of} reported no usage")
    return Spent(run.usage.total_tokens, f"it used {run.usage.total_tokens:,} tokens")


def _cost_usd(run: Trajectory) -> Spent:
    if run.cost_usd is None:
        models = ", ".join(sorted({call.model for call in run.model_calls if call.model})) or "its model"
        return Spent(None, f"the cost is not known: it needs a price for {models} and tokens of every call")
    return Spent(run.cost_usd, f"it cost ${run.cost_usd:,.4f}")


def _seconds(run: Trajectory) -> Spent:
    return Spent(run.duration_ms / 1000, f"it took {run.duration_ms / 1000:,.2f} s")


def _errors(run: Trajectory) -> Spent:
    return Spent(len(run.errors), f"{count(len(run.errors), 'step')} failed")


SPENT: Mapping[str, Callable[[Trajectory], Spent]] = {
    "steps": _steps,
    "model_calls": _model_calls,
    "tokens": _tokens,
    "cost_usd": _cost_usd,
    "seconds": _seconds,
    "errors": _errors,
}
"""What can be limited, and how much of it a run spent."""

_LIMIT: Mapping[str, Callable[[float], str]] = {
    "steps": lambda limit: count(int(limit), "step"),
    "model_calls": lambda limit: count(int(limit), "model call"),
    "tokens": lambda limit: count(int(limit), "token"),
    "cost_usd": lambda limit: f"${limit:,.4f}",
    "seconds": lambda limit: f"{limit:,g} s",
    "errors": lambda limit: count(int(limit), "error"),
}


def _beyond(run: Trajectory, limits: Mapping[str, float], over: Mapping[str, Spent]) -> Iterator[int]:
    """Numbers of the steps that are too many."""
    if "steps" in over:
        yield from (step.number for step in run.steps[int(limits["steps"]) :])
    if "errors" in over:
        yield from (step.number for step in run.errors[int(limits["errors"]) :])


def _crossed(run: Trajectory, limits: Mapping[str, float], over: Mapping[str, Spent]) -> Iterator[str]:
    """Where the limit of tokens was passed."""
    if "tokens" not in over or over["tokens"].amount is None:
        return
    for call, total in zip(run.model_calls, accumulate(map(_call_tokens, run.model_calls)), strict=True):
        if total > limits["tokens"]:
            yield f"model call {call.number}, for step {call.step}, brought it to {total:,} tokens"
            return


def _call_tokens(call: RecordedCall) -> int:
    return call.usage.total_tokens if call.usage else 0
