"""Evals that many suites need, made by a call and kept under a name of your own.

    eval_finishes = finished()
    eval_keeps_to_its_tools = only_tools("search", "answer")
    eval_is_cheap = within(steps=8, tokens=20_000)

Each gives a verdict and, where it fails, the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from looplet.errors import ConfigError
from looplet.evals.context import EvalContext
from looplet.evals.result import EvalResult
from looplet.schema import violations

Eval: TypeAlias = Callable[[EvalContext], EvalResult]
SequenceMode: TypeAlias = Literal["strict", "unordered", "subset", "superset"]


def finished() -> Eval:
    """The agent ended by its own done call or answer."""

    def check(ctx: EvalContext) -> EvalResult:
        return _verdict(
            ctx.completed, f"the run stopped with {ctx.stop_reason or 'an unknown reason'}, not done"
        )

    return check


def no_errors() -> Eval:
    """No tool call failed or was refused."""

    def check(ctx: EvalContext) -> EvalResult:
        failed = [
            f"step {step.number} {step.tool_call.tool}: {step.tool_result.error}" for step in ctx.errors
        ]
        return _verdict(not failed, f"{len(failed)} of {ctx.step_count} calls failed", failed)

    return check


def only_tools(*names: str) -> Eval:
    """No tool but *names* was called; `done` is always allowed."""
    allowed = {*names, "done"}

    def check(ctx: EvalContext) -> EvalResult:
        others = [name for name in ctx.tool_sequence if name not in allowed]
        return _verdict(not others, f"called {', '.join(dict.fromkeys(others))}")

    return check


def tool_sequence(*names: str, mode: SequenceMode = "strict") -> Eval:
    """The tools that were called, `done` left out, against *names*.

    Args:
        names: Names of tools, one for each call.
        mode: `strict`: these calls in this order. `unordered`: these calls in any order. `superset`: at least
            these calls, in any order. `subset`: at most these calls, in any order.
    """
    if mode not in ("strict", "unordered", "subset", "superset"):
        raise ConfigError(f"tool_sequence(mode={mode!r}): one of strict, unordered, subset, superset")
    wanted = Counter(names)

    def check(ctx: EvalContext) -> EvalResult:
        called = [name for name in ctx.tool_sequence if name != "done"]
        found = Counter(called)
        holds = {
            "strict": called == list(names),
            "unordered": found == wanted,
            "superset": wanted <= found,
            "subset": found <= wanted,
        }[mode]
        return _verdict(
            holds, f"called {' '.join(called) or 'nothing'}; {mode}: {' '.join(names) or 'nothing'}"
        )

    return check


def arguments(tool: str, **expected: Any) -> Eval:
    """*tool* was called at least once with these arguments; others of the call do not matter.

    A value may be a function that is handed the argument and says whether it will do.
    """

    def check(ctx: EvalContext) -> EvalResult:
        calls = [step.tool_call.args for step in ctx.steps if step.tool_call.tool == tool]
        if any(_fits(args, expected) for args in calls):
            return _verdict(True, "")
        return _verdict(
            False, f"{tool} was never called so, in {len(calls)} calls", [repr(args) for args in calls]
        )

    return check


def within(
    *,
    steps: int | None = None,
    tokens: int | None = None,
    cost_usd: float | None = None,
    model_calls: int | None = None,
) -> Eval:
    """The run stayed within each limit that is given; a figure that is not known is an error, not a pass."""
    limits = {"steps": steps, "tokens": tokens, "cost_usd": cost_usd, "model_calls": model_calls}
    limits = {name: limit for name, limit in limits.items() if limit is not None}
    if not limits:
        raise ConfigError("within() limits nothing: give steps=, tokens=, cost_usd= or model_calls=")

    def check(ctx: EvalContext) -> EvalResult:
        figures = _figures(ctx)
        unknown = [name for name in limits if figures[name] is None]
        if unknown:
            return EvalResult(label="error", explanation=f"this run does not tell its {', '.join(unknown)}")
        known = {name: float(figure) for name in limits if (figure := figures[name]) is not None}
        over = [
            f"{name} {known[name]:g} of {limit:g}"
            for name, limit in limits.items()
            if limit is not None and known[name] > limit
        ]
        result = _verdict(not over, ", ".join(over))
        result.metrics = known
        return result

    return check


def _figures(ctx: EvalContext) -> dict[str, float | None]:
    run = ctx.trajectory
    return {
        "steps": ctx.step_count,
        "tokens": ctx.usage.total_tokens or None,
        "cost_usd": ctx.cost_usd,
        "model_calls": len(run.model_calls) if run is not None and run.model_calls else None,
    }


def output_equals(expected: Any = None, *, key: str = "answer") -> Eval:
    """The final output's *key* is *expected*, or what the case expects if that is None."""

    def check(ctx: EvalContext) -> EvalResult:
        wanted = _expected(ctx, key) if expected is None else expected
        return _verdict(
            ctx.final_output.get(key) == wanted, f"{key} is {ctx.final_output.get(key)!r}, not {wanted!r}"
        )

    return check


def output_contains(*texts: str, key: str = "answer", ignore_case: bool = True) -> Eval:
    """The final output's *key* holds each of *texts*."""

    def fold(text: str) -> str:
        return text.casefold() if ignore_case else text

    def check(ctx: EvalContext) -> EvalResult:
        output = fold(str(ctx.final_output.get(key, "")))
        missing = [text for text in texts if fold(text) not in output]
        return _verdict(not missing, f"{key} does not hold {', '.join(map(repr, missing))}")

    return check


def output_matches(schema: Mapping[str, Any]) -> Eval:
    """The final output as a whole is valid under a JSON Schema."""

    def check(ctx: EvalContext) -> EvalResult:
        wrong = violations(schema, ctx.final_output)
        return _verdict(not wrong, f"{len(wrong)} violations", wrong)

    return check


def _verdict(holds: bool, reason: str, details: Sequence[str] = ()) -> EvalResult:
    if holds:
        return EvalResult(score=1.0, label="pass")
    return EvalResult(score=0.0, label="fail", explanation=reason, details=list(details))


def _fits(args: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    for name, wanted in expected.items():
        if name not in args or not (wanted(args[name]) if callable(wanted) else args[name] == wanted):
            return False
    return True


def _expected(ctx: EvalContext, key: str) -> Any:
    """What the case expects: the whole, or its *key* if it is a mapping that has one."""
    if isinstance(ctx.expected, Mapping) and key in ctx.expected:
        return ctx.expected[key]
    return ctx.expected
