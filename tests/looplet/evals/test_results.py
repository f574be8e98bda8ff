"""What an eval returns, what its mark demands, and what that means for a session."""

import json
import math
from decimal import Decimal

import pytest

from looplet.errors import ConfigError
from looplet.evals import EvalResult, demands_of, eval_mark, marks_of, verdict


class Unshowable:
    def __str__(self):
        raise RuntimeError("no words")


RETURNS = {
    "true": (True, {"score": 1.0, "label": "pass"}),
    "false": (False, {"score": 0.0, "label": "fail"}),
    "an integer": (1, {"score": 1.0}),
    "zero": (0.0, {"score": 0.0}),
    "a number out of range": (7.5, {"score": 7.5}),
    "a text": ("fine", {"label": "fine"}),
    "a dict with a score": ({"score": 0.5, "f1": 0.9}, {"score": 0.5, "metrics": {"score": 0.5, "f1": 0.9}}),
    "a dict with a score of zero": (
        {"score": 0.0, "f1": 0.9},
        {"score": 0.0, "metrics": {"score": 0.0, "f1": 0.9}},
    ),
    "a dict with accuracy only": ({"accuracy": 0.0}, {"score": 0.0, "metrics": {"accuracy": 0.0}}),
    "a dict without a score": ({"tokens": 12}, {"metrics": {"tokens": 12.0}}),
    "a dict with a bool": ({"ok": True}, {"metrics": {"ok": 1.0}}),
    "a dict with a text": (
        {"score": 1, "why": "ok"},
        {"score": 1.0, "metrics": {"score": 1.0}, "details": ["why: ok"]},
    ),
    "nothing": (None, {"explanation": "None"}),
    "a list": ([1], {"explanation": "[1]"}),
    "a text and a key that cannot be shown": (
        {"score": 1, "why": Unshowable(), Unshowable(): 0.5},
        {
            "score": 1.0,
            "metrics": {"score": 1.0, "a Unshowable that cannot be shown (RuntimeError)": 0.5},
            "details": ["why: a Unshowable that cannot be shown (RuntimeError)"],
        },
    ),
}


@pytest.mark.parametrize(("value", "fields"), RETURNS.values(), ids=RETURNS)
def test_EV_06_a_returned_value_becomes_a_result(value, fields):
    assert EvalResult.from_return(value, name="e").to_dict() == {"name": "e"} | fields


def test_a_result_is_kept_and_named_only_if_it_has_no_name():
    given = EvalResult(score=0.3)
    assert EvalResult.from_return(given, name="e") is given
    assert given.name == "e"
    assert EvalResult.from_return(EvalResult(name="mine"), name="e").name == "mine"


def test_pretty_shows_score_label_metrics_and_five_details():
    result = EvalResult("test", 0.85, "ok", {"score": 0.85, "p": 0.5}, list("abcdefg"), "ex")
    assert result.pretty() == f"{'test':<40} 0.85 ok p=0.50 ex\n  a\n  b\n  c\n  d\n  e"


STANDINGS = {
    "true": (True, {}, "passed"),
    "false": (False, {}, "failed"),
    "a score nobody asks about": (0.1, {}, "noted"),
    "a score above": (0.8, {"threshold": 0.8}, "passed"),
    "a score below": (0.79, {"threshold": 0.8}, "failed"),
    "zero below": (0.0, {"threshold": 0.1}, "failed"),
    "a label": ("formal", {}, "noted"),
    "the label fail": ("fail", {}, "failed"),
    "metrics": ({"tokens": 900}, {}, "noted"),
    "nothing": (None, {}, "error"),
    "a list": ([True], {}, "error"),
    "an empty dict": ({}, {}, "error"),
    "an empty result": (EvalResult(), {}, "error"),
    "NaN": (math.nan, {}, "error"),
    "infinity": (math.inf, {}, "error"),
    "an integer beyond every float": (10**400, {}, "error"),
    "a negative one": (-(10**400), {}, "error"),
    "one in a dict": ({"score": 10**400}, {}, "error"),
    "an object that cannot be shown": (Unshowable(), {}, "error"),
    "a set": ({1}, {}, "error"),
    "bytes": (b"pass", {}, "error"),
    "above one": (1.01, {}, "error"),
    "below zero": (-0.01, {}, "error"),
    "a score of NaN in a dict": ({"score": math.nan}, {}, "error"),
    "a metric of NaN": ({"score": 0.5, "cost": math.nan}, {}, "error"),
    "an empty text": ("", {}, "error"),
    "a text of blanks": (" \n", {}, "error"),
    "a score that is a text": ({"score": "0.2", "tokens": 3}, {}, "error"),
    "a score that is nothing": ({"score": None, "tokens": 3}, {}, "error"),
    "a score that is a Decimal": (EvalResult(score=Decimal("0.5")), {}, "error"),
    "a score that is a text, in a result": (EvalResult(score="0.9"), {}, "error"),
    "a metric that is no number": (
        EvalResult(score=1.0, metrics={"cost": Decimal(1)}),
        {},
        "error",
    ),
    "a metric without a name": (EvalResult(score=1.0, metrics={1: 1.0}), {}, "error"),
    "no metrics": (EvalResult(score=1.0, metrics=None), {}, "error"),
    "a metric beyond every float": (EvalResult(score=1.0, metrics={"n": 10**400}), {}, "error"),
    "a label that is no text": (EvalResult(score=1.0, label=5), {}, "error"),
    "details that are no lines": (EvalResult(score=1.0, details=[None]), {}, "error"),
    "an explanation that is no text": (EvalResult(score=1.0, explanation={}), {}, "error"),
    "a duration of NaN": (EvalResult(score=1.0, duration_ms=math.nan), {}, "error"),
    "a pass below the threshold": (EvalResult(score=0.1, label="pass"), {"threshold": 0.5}, "failed"),
    "a fail above the threshold": (EvalResult(score=0.9, label="fail"), {"threshold": 0.5}, "failed"),
    "no score where a threshold waits": ("good", {"threshold": 0.5}, "error"),
    "skipped": (EvalResult(label="skipped"), {}, "skipped"),
    "skipped though required": (EvalResult(label="skipped"), {"required": True}, "error"),
    "an error": (EvalResult(label="error", explanation="boom"), {}, "error"),
}


@pytest.mark.parametrize(("value", "demands", "standing"), STANDINGS.values(), ids=STANDINGS)
def test_EV_02_a_verdict_never_passes_what_says_nothing(value, demands, standing):
    @eval_mark(**demands)
    def eval_x(ctx): ...

    found = verdict(EvalResult.from_return(value, name="eval_x"), demands_of(eval_x))
    assert found.standing == standing
    assert found.green == (standing in ("passed", "noted"))
    assert bool(found.reason) == (standing not in ("passed", "noted"))


def test_EV_02_a_result_that_no_report_could_hold_becomes_one_that_says_so():
    given = EvalResult("mine", Decimal("0.5"), label=5, metrics={"n": 10**400})
    found = EvalResult.from_return(given, name="e")
    assert found.name == "mine"
    assert found.label == "error"
    assert "score must be a number, not Decimal('0.5')" in found.explanation
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_threshold_of_the_session_holds_where_the_mark_names_none():
    result = EvalResult(score=0.5)
    assert verdict(result, threshold=0.6).standing == "failed"
    assert verdict(EvalResult(label="formal"), threshold=0.6).standing == "noted"


WRONG_MARKS = {
    "a threshold in percent": ({"threshold": 80}, r"threshold=80.*0 to 1"),
    "a threshold that is a bool": ({"threshold": True}, r"threshold=True"),
    "a mean below zero": ({"min_mean": -0.1}, r"min_mean=-0.1"),
    "no trials": ({"trials": 0}, r"trials=0"),
    "certainty": ({"pass_rate": 0.9, "confidence": 1}, r"confidence=1.*between"),
    "a misspelt demand": ({"treshold": 0.8}, r"unknown demand 'treshold'; did you mean 'threshold'\?"),
    "no demand at all": ({"x": 1}, r"unknown demand 'x'; there are threshold, "),
    "confidence about nothing": ({"confidence": 0.95}, r"needs pass_rate= or min_mean="),
}


@pytest.mark.parametrize(("keywords", "message"), WRONG_MARKS.values(), ids=WRONG_MARKS)
def test_a_mark_that_nothing_could_meet_is_refused(keywords, message):
    with pytest.raises(ConfigError, match=message):
        eval_mark(**keywords)


def test_a_mark_without_brackets_is_refused():
    with pytest.raises(ConfigError, match="brackets"):

        @eval_mark
        def eval_x(ctx): ...


def test_marks_add_up_and_demands_are_kept():
    @eval_mark("a")
    @eval_mark("b", threshold=0.5)
    def eval_x(ctx): ...

    assert eval_x._eval_marks == {"a", "b"}
    assert marks_of(eval_x) == {"a", "b"}
    assert demands_of(eval_x).threshold == 0.5
