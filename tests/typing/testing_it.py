"""What type checkers see of evals and of the plugin. Never run: mypy --strict and pyright read it."""

from typing import Any, assert_type

from looplet import EvalContext, EvalResult, Trajectory, eval_mark, eval_run, eval_run_batch
from looplet.evals import rubric
from looplet.evals.builtin import finished, within
from pytest_looplet import Cassette, Expectation, Pattern, call, expect, from_cassette, use_cassette


@eval_mark("tone", threshold=0.8)
def eval_tone(ctx: EvalContext, llm: object) -> EvalResult:
    """A judged eval keeps its type under the mark."""
    return rubric(ctx, ["It is polite."], llm)


def judge(run: Trajectory) -> None:
    """Evals over a run, and what is expected of it."""
    ctx = EvalContext.from_trajectory(run, expected="x")
    assert_type(eval_tone(ctx, None), EvalResult)
    assert_type(eval_run([eval_tone, finished(), within(steps=3)], ctx), list[EvalResult])
    assert_type(eval_run_batch([eval_tone], [ctx]), list[dict[str, Any]])
    assert_type(ctx.tool_sequence, list[str])
    assert_type(ctx.cost_usd, float | None)

    assert_type(expect(run), Expectation)
    assert_type(expect(run).to_call("look", times=1, id="7").not_to_call("delete").to_finish(), Expectation)
    assert_type(expect(run).to_stay_within(steps=3, tokens=100), Expectation)
    assert_type(Pattern(["look", call("pay", amount=1.0)]) == run, bool)
    assert_type(from_cassette("x.looplet.yaml"), Trajectory)


def record() -> None:
    """A cassette outside of a test."""
    with use_cassette("x.looplet.yaml", mode="missing") as cassette:
        assert_type(cassette, Cassette)
