"""What holds, what does not, and what is refused because it would prove nothing."""

import re
from dataclasses import replace
from unittest.mock import ANY

import pytest

from looplet.evals import EvalContext
from looplet.trajectory import RecordedCall, Trajectory
from looplet.types import ErrorKind, Step, ToolCall, ToolError, ToolResult, Usage
from pytest_looplet import Pattern, Unmet, call, expect


def step(number, tool, error=None, kind=ErrorKind.EXECUTION, **args):
    detail = ToolError(kind, error) if error else None
    return Step(number, ToolCall(tool, args, call_id=f"c{number}"), ToolResult(tool, "", None, error, detail))


DENIED = ErrorKind.PERMISSION_DENIED

RUN = Trajectory(
    steps=(
        step(1, "look", order="1234", deep=True),
        step(2, "pay", "not allowed", DENIED, amount=99.0),
        step(3, "look", "slow", ErrorKind.TIMEOUT, order="1234"),
        step(4, "look", order="99", __theory__="T"),
        step(5, "done", answer="refunded"),
    ),
    model_calls=(RecordedCall(1, 1, usage=Usage(80, 20)), RecordedCall(2, 4, usage=Usage(80, 20))),
    stop_reason="done",
    usage=Usage(160, 40),
    cost_usd=0.25,
    final_output={"answer": "refunded"},
    duration_ms=1500,
)
CLEAN = replace(RUN, steps=(RUN[0], RUN[4]))
ENDLESS = replace(RUN, stop_reason="budget_exhausted", final_output={})
ANSWERED = replace(RUN, steps=RUN.steps[:1])

HOLDS = {
    "called": lambda: expect(RUN).to_call("look"),
    "called with": lambda: expect(RUN).to_call("look", order="1234", deep=True),
    "called with, by matchers": lambda: expect(RUN).to_call("look", order=re.compile("^12"), deep=ANY),
    "called so often": lambda: expect(RUN).to_call("look", times=3).to_call("look", times=2, order="1234"),
    "called about so often": lambda: expect(RUN).to_call("look", times=range(2, 9)),
    "called as often as a function says": lambda: expect(RUN).to_call("look", times=lambda n: n > 2),
    "never called, said as times": lambda: expect(RUN).to_call("fly", times=0),
    "an argument called times": lambda: expect(_timed()).to_call("wait", args={"times": 3}),
    "a refused call is a call": lambda: expect(RUN).to_call("pay"),
    "not called": lambda: expect(RUN).not_to_call("fly").not_to_call("look", order="7"),
    "only called": lambda: expect(RUN).to_only_call("look", "pay"),
    "only called, and answered in text": lambda: expect(ANSWERED).to_only_call("look"),
    "in order": lambda: expect(RUN).to_call_in_order("look", "pay", "look", "look", "done"),
    "strict": lambda: expect(RUN).to_match(["look", "pay", "look", "look"]),
    "strict, done is named": lambda: expect(RUN).to_match(["look", "pay", "look", "look", "done"]),
    "strict, against itself": lambda: expect(RUN).to_match(RUN),
    "strict, with arguments": lambda: expect(CLEAN).to_match([("look", {"order": "1234"})]),
    "strict, a recorded step": lambda: expect(CLEAN).to_match([RUN[0], RUN[4]]),
    "unordered": lambda: expect(RUN).to_match(["pay", "look", "look", "look"], mode="unordered"),
    "unordered, the loose before the strict": lambda: expect(RUN).to_match(
        ["look", call("look", order="99"), "pay", call("look", deep=True)], mode="unordered"
    ),
    "subset": lambda: expect(RUN).to_match(["look", "fly", "look", "look", "pay"], mode="subset"),
    "superset": lambda: expect(RUN).to_match(["pay", call("look", order="99")], mode="superset"),
    "a pattern with a mode of its own": lambda: expect(RUN).to_match(Pattern(["pay"], mode="superset")),
    "a pattern in another mode": lambda: expect(RUN).to_match(Pattern(["pay"]), mode="superset"),
    "finished": lambda: expect(RUN).to_finish(),
    "finished otherwise": lambda: expect(ENDLESS).to_finish("budget_exhausted"),
    "finished somehow": lambda: expect(ENDLESS).to_finish(re.compile("budget|done")),
    "output field": lambda: expect(RUN).to_output(answer="refunded"),
    "output, its only field": lambda: expect(RUN).to_output("refunded").to_output(re.compile("fund")),
    "output, whole": lambda: expect(RUN).to_output({"answer": str}),
    "within": lambda: expect(RUN).to_stay_within(
        steps=5, model_calls=2, tokens=200, cost_usd=0.25, seconds=1.5, errors=2
    ),
    "no errors": lambda: expect(CLEAN).to_have_no_errors(),
    "recovered": lambda: expect(RUN).to_recover_from("timeout").to_recover_from(ErrorKind.TIMEOUT),
    "denied": lambda: expect(RUN).to_be_denied("pay").to_be_denied("pay", amount=99.0),
    "a part": lambda: expect(RUN[3:]).to_call("look").not_to_call("pay"),
    "an empty part of a run proves what it says": lambda: expect(RUN[9:]).not_to_call("pay"),
}


def _timed():
    return replace(RUN, steps=(step(1, "wait", times=3),))


@pytest.mark.parametrize("check", HOLDS.values(), ids=HOLDS)
def test_it_holds(check):
    check()


FAILS = {
    "a call that failed is no recovery": lambda: expect(replace(RUN, steps=RUN.steps[:3])).to_recover_from(
        "timeout"
    ),
    "done alone is no recovery": lambda: expect(
        replace(RUN, steps=(RUN[2], replace(RUN[4], number=4)))
    ).to_recover_from("timeout"),
    "no recovery of a run that did not finish": lambda: expect(ENDLESS).to_recover_from("timeout"),
    "denied once and let through once": lambda: expect(
        replace(RUN, steps=(RUN[1], step(2, "pay")))
    ).to_be_denied("pay"),
    "denied, but never called": lambda: expect(RUN).to_be_denied("fly"),
    "finished, but something killed it": lambda: expect(replace(RUN, error="E")).to_finish(),
    "no errors, but something killed it": lambda: expect(replace(CLEAN, error="E")).to_have_no_errors(),
    "no tokens counted": lambda: expect(replace(RUN, model_calls=())).to_stay_within(tokens=9),
    "no cost known": lambda: expect(replace(RUN, cost_usd=None)).to_stay_within(cost_usd=9),
    "a cost that is no number": lambda: expect(replace(RUN, cost_usd=float("nan"))).to_stay_within(
        cost_usd=9
    ),
    "nothing happened: not called": lambda: expect(Trajectory()).not_to_call("x"),
    "nothing happened: only called": lambda: expect(Trajectory()).to_only_call("x"),
    "nothing happened: no errors": lambda: expect(Trajectory()).to_have_no_errors(),
    "done is not named in a subset": lambda: expect(ENDLESS).to_match(
        ["look", "look", "look", "pay"], "subset"
    ),
    "a step with one more argument": lambda: expect(CLEAN).to_match([step(1, "look", order="1234"), "done"]),
    "the same calls in another order": lambda: expect(RUN).to_match(["pay", "look", "look", "look"]),
}


@pytest.mark.parametrize("check", FAILS.values(), ids=FAILS)
def test_it_does_not_hold(check):
    with pytest.raises(Unmet):
        check()


REFUSED = {
    "no limit": (lambda: expect(RUN).to_stay_within(), TypeError, "takes at least one limit"),
    "no output": (lambda: expect(RUN).to_output(), TypeError, "takes what is expected"),
    "an order of one": (lambda: expect(RUN).to_call_in_order("look"), TypeError, "at least two tools"),
    "a kind of error that is none": (
        lambda: expect(RUN).to_recover_from("bad luck"),
        ValueError,
        "kinds are",
    ),
    "a mode that is none": (
        lambda: expect(RUN).to_match(["look"], mode="loose"),
        ValueError,
        "one of strict",
    ),
    "a text as pattern": (lambda: expect(RUN).to_match("look"), TypeError, re.escape("write ['look']")),
    "a number in a pattern": (lambda: expect(RUN).to_match([7]), TypeError, "not int: 7"),
    "no trajectory": (lambda: expect(["look"]), TypeError, "takes a Trajectory, not list"),
}


@pytest.mark.parametrize(("check", "kind", "text"), REFUSED.values(), ids=REFUSED)
def test_what_would_prove_nothing_is_refused(check, kind, text):
    with pytest.raises(kind, match=text):
        check()


def test_the_failure_knows_the_run_and_the_steps():
    with pytest.raises(Unmet) as caught:
        expect(RUN).not_to_call("look")
    assert (caught.value.run, caught.value.steps) == (RUN, (1, 3, 4))


def test_what_holds_a_run_will_do():
    expect(EvalContext.from_trajectory(RUN)).to_call("look")
    with pytest.raises(TypeError, match="not EvalContext"):
        expect(EvalContext(steps=[]))


def test_a_pattern_can_be_compared():
    assert Pattern(["look", "pay", "look", "look"]) == RUN
    assert Pattern(["pay"], mode="superset") == RUN
    assert Pattern(["pay"]) != RUN
    assert Pattern(["pay"]) != ["pay"]


TEST_FILE = """
from looplet.trajectory import Trajectory
from looplet.types import Step, ToolCall, ToolResult
from pytest_looplet import Pattern, expect

def step(number, tool):
    return Step(number, ToolCall(tool, {}), ToolResult(tool, "", "ok"))

RUN = Trajectory(steps=tuple(step(n, "look") for n in range(1, 61)), stop_reason="done")

def test_expects():
    expect(RUN).to_call("look").not_to_call("look")

def test_compares():
    assert RUN == Pattern(["pay"])

def test_compares_runs():
    assert RUN == RUN[:2]
"""


def test_PP_07_a_failing_test_shows_the_line_and_the_screen_and_nothing_of_ours(pytester):
    pytester.makepyfile(TEST_FILE)
    shown = pytester.runpytest("-p", "no:asyncio", "-k", "test_expects")
    shown.assert_outcomes(failed=1)
    shown.stdout.fnmatch_lines(
        [
            '>       expect(RUN).to_call("look").not_to_call("look")',
            "E       pytest_looplet.Unmet: expected no call of look; it was called at steps 1, 2, *",
            "E       >   1  look        'ok'     0",
            "E          … * steps",
            "E       60 steps, 0 model calls, stop: done",
        ]
    )
    text = shown.stdout.str()
    assert "expectation.py" not in text
    assert "failure.py" not in text


def test_PP_07_very_verbose_shows_every_step(pytester):
    pytester.makepyfile(TEST_FILE)
    shown = pytester.runpytest("-p", "no:asyncio", "-k", "test_expects", "-vv").stdout.str()
    assert all(f"E       > {number:>3}  look        'ok'" in shown for number in range(1, 61))


def test_PP_07_an_assert_that_compares_shows_where_runs_part(pytester):
    pytester.makepyfile(TEST_FILE)
    shown = pytester.runpytest("-p", "no:asyncio", "-k", "test_compares", "-vv")
    shown.assert_outcomes(failed=2)
    shown.stdout.fnmatch_lines(
        ["E*assert <run without id: 60 steps> == Pattern(*", "E*expected exactly these calls in this order*"]
    )
    shown.stdout.fnmatch_lines(["E*the first difference is at step 3: look is only in the left run"])
