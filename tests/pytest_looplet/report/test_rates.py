"""Pass rates over trials, in every form of a report."""

import json
from pathlib import Path

import jsonschema
import pytest
from scipy import stats as reference

from looplet.evals.stats import pass_all_k, pass_at_k
from pytest_looplet.report.files import render
from pytest_looplet.report.model import EvalRow, SessionReport
from pytest_looplet.report.rates import rates, repeated

SCHEMA = Path(__file__).parents[3] / "docs" / "schemas" / "report.schema.json"
PASSED = {"steady": 4, "flaky": 3, "broken": 0}


@pytest.fixture
def trials():
    """Three cases in four trials; in one more trial the provider failed."""
    rows = [
        EvalRow("f.py", "eval_a", case, trial, "passed" if trial <= passed else "failed", score=1.0)
        for case, passed in PASSED.items()
        for trial in range(1, 5)
    ]
    rows.append(EvalRow("f.py", "eval_a", "steady", 5, "error", "provider"))
    rows += [EvalRow("f.py", "eval_tone", case, 1, "noted", score=0.5) for case in PASSED]
    rows += [EvalRow("f.py", "eval_once", case, 1, "passed", score=1.0) for case in PASSED]
    return SessionReport(tuple(rows))


LINE = (
    "eval_a: pass rate 58% (28% to 85%) over 12 runs of 3 cases; pass@4 67%, pass^4 33%; "
    "flaky: flaky 3/4; broken: broken 0/4"
)


def test_what_several_trials_show_in_one_line(trials):
    assert [rate.line() for rate in repeated(trials.by_eval())] == [LINE]


def test_every_form_of_the_report_has_it(trials):
    assert LINE.replace("^", "^") in render(trials, ".html")
    assert "### Over trials" in render(trials, ".md")
    assert "pass^4 33%" in render(trials, ".md")
    content = json.loads(render(trials, ".json"))
    told = content["rates"]["f.py::eval_a"]
    assert (told["passed"], told["judged"], told["flaky"], told["broken"]) == (7, 12, ["flaky"], ["broken"])
    assert told["pass_at_k"]["1"] == told["pass_all_k"]["1"] == pytest.approx(7 / 12)
    assert told["pass_all_k"]["2"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert "pass_at_k" not in content["rates"]["f.py::eval_once"]
    assert "f.py::eval_tone" not in content["rates"]
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(content)


def test_the_interval_is_the_exact_one_and_trouble_of_others_is_not_in_it(trials):
    rate = next(rates(trials.by_eval()))
    exact = reference.binomtest(7, 12).proportion_ci(0.95, method="exact")
    assert (rate.low, rate.high) == pytest.approx((exact.low, exact.high))
    assert rate.cases["steady"] == (4, 4)


def test_pass_at_k_is_the_mean_of_the_cases(trials):
    rate = next(rates(trials.by_eval()))
    for k in range(1, 5):
        at_least_one, all_of_them = rate.at(k)
        assert at_least_one == pytest.approx(sum(pass_at_k(p, 4, k) for p in PASSED.values()) / 3)
        assert all_of_them == pytest.approx(sum(pass_all_k(p, 4, k) for p in PASSED.values()) / 3)
