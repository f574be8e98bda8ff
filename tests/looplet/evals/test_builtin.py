"""The built-in evals, each with a run that passes and one that does not."""

import pytest

from looplet.errors import ConfigError
from looplet.evals import EvalContext
from looplet.evals.builtin import (
    arguments,
    finished,
    no_errors,
    only_tools,
    output_contains,
    output_equals,
    output_matches,
    tool_sequence,
    within,
)
from looplet.types import Step, ToolCall, ToolResult, Usage


def run(*tools, stop="done", output=None, expected=None, usage=None, cost=None, failed=()):
    steps = [
        Step(n, ToolCall(name, {"n": n}), ToolResult(name, "", None, "boom" if name in failed else None))
        for n, name in enumerate(tools, 1)
    ]
    return EvalContext(
        steps,
        final_output=output or {},
        expected=expected,
        stop_reason=stop,
        usage=usage or Usage(),
        cost_usd=cost,
    )


SCHEMA = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "string"}}}

CHECKS = {
    "finished": (finished(), run(), "pass"),
    "not finished": (finished(), run(stop="max_steps"), "the run stopped with max_steps, not done"),
    "no errors": (no_errors(), run("a", "b"), "pass"),
    "an error": (no_errors(), run("a", "b", failed={"b"}), "1 of 2 calls failed"),
    "allowed tools": (only_tools("a"), run("a", "done"), "pass"),
    "another tool": (only_tools("a"), run("a", "b", "b"), "called b"),
    "strict": (tool_sequence("a", "b"), run("a", "b", "done"), "pass"),
    "strict, swapped": (tool_sequence("a", "b"), run("b", "a"), "called b a; strict: a b"),
    "unordered": (tool_sequence("a", "b", mode="unordered"), run("b", "a"), "pass"),
    "unordered, twice": (tool_sequence("a", mode="unordered"), run("a", "a"), "called a a; unordered: a"),
    "superset": (tool_sequence("a", mode="superset"), run("b", "a", "a"), "pass"),
    "superset, missing": (tool_sequence("a", mode="superset"), run("b"), "called b; superset: a"),
    "subset": (tool_sequence("a", "b", mode="subset"), run("b"), "pass"),
    "subset, too many": (tool_sequence("a", mode="subset"), run("a", "a"), "called a a; subset: a"),
    "arguments": (arguments("a", n=2), run("b", "a"), "pass"),
    "arguments by function": (arguments("a", n=lambda n: n > 1), run("b", "a"), "pass"),
    "other arguments": (arguments("a", n=3), run("b", "a"), "a was never called so, in 1 calls"),
    "never called": (arguments("a"), run("b"), "a was never called so, in 0 calls"),
    "within": (within(steps=2, tokens=15), run("a", usage=Usage(10, 5)), "pass"),
    "over": (within(steps=1, tokens=15), run("a", "b", usage=Usage(10, 5)), "steps 2 of 1"),
    "an unknown figure": (within(cost_usd=1), run("a"), "this run does not tell its cost_usd"),
    "unknown tokens": (within(tokens=1), run("a"), "this run does not tell its tokens"),
    "equal": (output_equals("x"), run(output={"answer": "x"}), "pass"),
    "equal to the case": (output_equals(), run(output={"answer": "x"}, expected={"answer": "x"}), "pass"),
    "not equal": (output_equals(), run(output={"answer": "x"}, expected="y"), "answer is 'x', not 'y'"),
    "contains": (output_contains("Paid"), run(output={"answer": "it is paid"}), "pass"),
    "contains, by case": (
        output_contains("Paid", ignore_case=False),
        run(output={"answer": "it is paid"}),
        "answer does not hold 'Paid'",
    ),
    "matches": (output_matches(SCHEMA), run(output={"answer": "x"}), "pass"),
    "does not match": (output_matches(SCHEMA), run(output={"answer": 3}), "1 violations"),
}


@pytest.mark.parametrize(("check", "ctx", "said"), CHECKS.values(), ids=CHECKS)
def test_a_built_in_eval(check, ctx, said):
    result = check(ctx)
    assert said == (result.explanation or result.label)
    assert result.label in ("pass", "fail", "error")


def test_a_check_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="limits nothing"):
        within()
    with pytest.raises(ConfigError, match="one of strict"):
        tool_sequence("a", mode="loose")
