"""Bounds and tests against scipy and published values, and by simulation."""

import math
import random

import pytest
from hypothesis import given, strategies as st
from scipy import stats as reference

from looplet.evals import Demands
from looplet.evals.stats import (
    holm,
    interval,
    lower_bound,
    mcnemar,
    mean_lower_bound,
    pass_all_k,
    pass_at_k,
    runs_needed,
    sign_test,
    upper_bound,
)
from looplet.evals.suite import RunVerdict, judge_suite, unreachable

pytestmark = pytest.mark.slow


@given(
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.51, 0.999)
)
def test_bounds_are_those_of_clopper_and_pearson(counts, confidence):
    passed, runs = counts
    low = reference.beta.ppf(1 - confidence, passed, runs - passed + 1) if passed else 0.0
    high = reference.beta.ppf(confidence, passed + 1, runs - passed) if passed < runs else 1.0
    assert lower_bound(passed, runs, confidence) == pytest.approx(low, abs=1e-9)
    assert upper_bound(passed, runs, confidence) == pytest.approx(high, abs=1e-9)


def test_published_values():
    assert lower_bound(20, 20, 0.95) == pytest.approx(0.861, abs=0.0005)
    low, high = interval(5, 10)
    assert (round(low, 4), round(high, 4)) == (0.1871, 0.8129)
    assert interval(0, 0) == (0.0, 1.0)
    assert runs_needed(0.9, 0.95) == 29
    assert runs_needed(1.0, 0.95) is None
    assert runs_needed(0.0, 0.95) == 1


def test_a_large_suite_is_quick_and_exact():
    assert lower_bound(9_700, 10_000, 0.95) == pytest.approx(reference.beta.ppf(0.05, 9_700, 301), abs=1e-9)


@given(st.integers(0, 200), st.integers(0, 200))
def test_sign_and_mcnemar_are_exact(worse, better):
    expected = (
        reference.binomtest(worse, worse + better, 0.5, alternative="greater").pvalue
        if worse + better
        else 1.0
    )
    assert sign_test(worse, worse + better) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(better, worse) == pytest.approx(expected, rel=1e-9)


def test_holm_rejects_in_order_until_one_holds():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == {
        "a": True,
        "b": False,
        "c": False,
        "d": True,
    }
    assert holm({}) == {}


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n), st.integers(1, n))))
def test_pass_at_k_and_pass_all_k_are_the_hypergeometric_ones(numbers):
    passed, trials, k = numbers
    drawn = reference.hypergeom(trials, passed, k)
    assert pass_at_k(passed, trials, k) == pytest.approx(1 - drawn.pmf(0), abs=1e-9)
    assert pass_all_k(passed, trials, k) == pytest.approx(drawn.pmf(k), abs=1e-9)


def test_the_bound_of_a_mean_is_valid_and_reaches_the_exact_one_for_a_perfect_suite():
    assert mean_lower_bound(1.0, 20, 0.95) == pytest.approx(0.05 ** (1 / 20), abs=1e-9)
    assert mean_lower_bound(0.0, 20, 0.95) == 0.0
    chance = random.Random(1)
    broken = 0
    for _ in range(2_000):
        scores = [chance.choice((0.2, 0.6, 1.0)) for _ in range(30)]
        broken += mean_lower_bound(math.fsum(scores) / 30, 30, 0.95) > 0.6
    assert broken / 2_000 <= 0.05


@pytest.mark.parametrize("cases", [1, 8])
def test_a_gate_passes_a_suite_below_its_floor_no_more_often_than_promised(cases):
    chance = random.Random(cases)
    demands = Demands(pass_rate=0.8, confidence=0.95, trials=40)
    rates = [0.79 + (0.15 if n % 2 else -0.15) * (cases > 1) for n in range(cases)]
    opened = 0
    for _ in range(1_000):
        runs = [
            RunVerdict(str(n), "passed" if chance.random() < rates[n] else "failed")
            for n in range(cases)
            for _ in range(40 // cases)
        ]
        opened += judge_suite(runs, demands).passed
    assert opened / 1_000 <= 0.05


def runs(passed, failed=0, error=0, *, score=None):
    verdicts = [("passed", passed), ("failed", failed), ("error", error)]
    return [RunVerdict(f"c{n}", standing, score) for standing, count in verdicts for n in range(count)]


GATES = {
    "the rate is met": (runs(9, 1), {"pass_rate": 0.9}, True, "pass rate over 10 runs of 9 cases: 9 of 10"),
    "the rate is missed": (runs(8, 2), {"pass_rate": 0.9}, False, "below 0.9"),
    "met, but not surely": (
        runs(39, 1),
        {"pass_rate": 0.9, "confidence": 0.95},
        False,
        "at least 0.886; below 0.9",
    ),
    "surely met": (runs(40), {"pass_rate": 0.9, "confidence": 0.95}, True, "at least 0.927; meets 0.9"),
    "one could not be judged": (runs(9, 0, 1), {"pass_rate": 0.5}, False, "1 of 10 runs could not be judged"),
    "nothing was judged": (runs(0, 0, 3), {"pass_rate": 0.0}, False, "none of 3 runs was judged"),
    "nothing ran": ([], {"pass_rate": 0.0}, False, "none of 0 runs was judged"),
    "a rate without verdicts": (
        [RunVerdict("a", "noted", 0.5)],
        {"pass_rate": 0.5},
        False,
        "needs a verdict",
    ),
    "the mean is met": (
        [RunVerdict("a", "noted", s) for s in (0.7, 0.9)],
        {"min_mean": 0.8},
        True,
        "worst 0.700",
    ),
    "the mean is missed": (
        [RunVerdict("a", "noted", s) for s in (0.0, 0.9)],
        {"min_mean": 0.8},
        False,
        "0.450",
    ),
    "a mean without scores": ([RunVerdict("a", "noted")], {"min_mean": 0.1}, False, "needs a score"),
    "one of two missed": (runs(9, 1, score=0.5), {"pass_rate": 0.9, "min_mean": 0.6}, False, "below 0.6"),
}


@pytest.mark.parametrize(("verdicts", "demands", "passed", "text"), GATES.values(), ids=GATES)
def test_a_suite_gate(verdicts, demands, passed, text):
    found = judge_suite(verdicts, Demands(**demands))
    assert found.passed is passed
    assert text in found.text


def test_a_gate_that_its_trials_cannot_satisfy_names_the_trials_needed():
    demands = Demands(pass_rate=0.9, confidence=0.95)
    assert unreachable(demands, 1, 29) == ""
    assert "trials=29" in unreachable(demands, 1, 20)
    assert "at most 0.860" in unreachable(demands, 1, 20)
    assert "trials=8" in unreachable(demands, 4, 5)
    assert "no number of runs" in unreachable(Demands(pass_rate=1.0, confidence=0.95), 1, 10**6)
    assert unreachable(Demands(pass_rate=1.0), 1, 1) == ""
