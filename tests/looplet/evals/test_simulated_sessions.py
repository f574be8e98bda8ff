"""What gates and baselines promise, over ten thousand simulated sessions each: the figures they are built on.

The functions are those that sessions use; only the runs are drawn, from agents whose true rates are known.
"""

import random

import pytest

from looplet.evals import Demands
from looplet.evals.compare import LEVEL, Judged, compare
from looplet.evals.sequential import confidences, last_confidence, looks, whole_rounds
from looplet.evals.suite import RunVerdict, decided, judge_suite, unreachable

pytestmark = pytest.mark.slow

SESSIONS = 10_000
FLOOR = 0.8
BELOW = 0.799
GATE = Demands(pass_rate=FLOOR, confidence=0.95, trials=12)
EARLY = Demands(pass_rate=FLOOR, confidence=0.95, trials=12, early_stop=True)
RATES = {
    "every case the same": [BELOW] * 4,
    "cases of very different rates": [BELOW + difference for difference in (0.2, 0.1, -0.1, -0.2)],
    "one case": [BELOW],
}


def draw(chance, rates, trials=12):
    """The runs of one session, round by round."""
    verdicts = ("failed", "passed")
    return [
        RunVerdict(str(case), verdicts[passed := chance.random() < rate], float(passed), trial)
        for trial in range(1, trials + 1)
        for case, rate in enumerate(rates)
    ]


def share_that_opens(demands, rates, *, trials=12):
    chance, opened = random.Random(20_26), 0
    for _ in range(SESSIONS):
        runs = draw(chance, rates, trials)
        opened += judge_suite(runs, demands, planned=len(runs)).passed
    return opened / SESSIONS


@pytest.mark.parametrize("rates", list(RATES.values())[:2], ids=list(RATES)[:2])
@pytest.mark.parametrize("demands", [GATE, EARLY], ids=["all trials", "early stopping"])
def test_a_gate_opens_for_a_suite_below_its_floor_no_more_often_than_promised(demands, rates):
    assert 0 < share_that_opens(demands, rates) <= 0.05


def test_early_stopping_by_an_unadjusted_bound_would_break_the_promise():
    """The same looks, each with the whole error: this is what the sharing is for."""
    chance, opened = random.Random(20_26), 0
    for _ in range(SESSIONS // 4):
        runs = draw(chance, RATES["every case the same"])
        looked = [[run for run in runs if run.trial <= look] for look in looks(12)]
        opened += any(judge_suite(seen, GATE).passed for seen in looked)
    assert opened / (SESSIONS // 4) > 0.05


def test_a_mean_with_early_stopping_keeps_its_promise():
    demands = Demands(min_mean=FLOOR, confidence=0.95, trials=12, early_stop=True)
    assert share_that_opens(demands, RATES["every case the same"]) <= 0.05


def test_early_stopping_saves_runs_where_the_answer_is_clear():
    for rate, most in ((1.0, 48 * 0.85), (0.3, 48 * 0.6)):
        chance, used = random.Random(1), 0
        for _ in range(200):
            runs = draw(chance, [rate] * 4)
            found = next(
                found
                for after in range(1, 13)
                if (found := decided([run for run in runs if run.trial <= after], EARLY, 48))
            )
            used += found.after * 4
        assert used / 200 < most


def test_the_decision_is_the_same_whatever_came_after_it():
    chance = random.Random(3)
    for _ in range(200):
        runs = draw(chance, [0.95] * 4)
        whole = decided(runs, EARLY, 48)
        assert whole is not None
        cut = decided([run for run in runs if run.trial <= whole.after], EARLY, 48)
        assert cut is not None
        assert (cut.after, cut.verdict.passed) == (whole.after, whole.verdict.passed)
        chance.shuffle(runs)
        assert decided(runs, EARLY, 48) == whole


def test_what_was_judged_after_the_decision_is_told_and_does_not_count():
    runs = [RunVerdict("0", "failed" if trial <= 4 else "passed", trial=trial) for trial in range(1, 9)]
    early = judge_suite(runs[:4], EARLY, planned=12)
    late = judge_suite(runs, EARLY, planned=12)
    found = decided(runs, EARLY, 12)
    assert not late.passed
    assert late.text.removesuffix(f", {8 - found.after} later runs do not count") in early.text


@pytest.mark.parametrize("trials", [1, 2, 3, 5, 12, 40, 1000])
def test_the_looks_share_the_error_and_the_last_sees_all(trials):
    points = looks(trials)
    assert points[-1] == trials
    assert list(points) == sorted(set(points))
    shares = [1 - level for level in confidences(len(points), 0.95)]
    assert sum(shares) == pytest.approx(0.05)
    assert shares == sorted(shares)
    assert last_confidence(trials, 0.95) == pytest.approx(1 - shares[-1])


def test_only_whole_rounds_count():
    assert whole_rounds([1, 1, 2, 2, 3], 2) == 2
    assert whole_rounds([2, 2], 2) == 0
    assert whole_rounds([], 2) == 0
    assert whole_rounds([1], 0) == 0


def test_early_stopping_asks_for_more_runs_and_says_how_many():
    assert unreachable(Demands(pass_rate=0.9, confidence=0.95), 1, 29) == ""
    flaw = unreachable(Demands(pass_rate=0.9, confidence=0.95, early_stop=True), 1, 29)
    assert "it takes 39 runs: trials=39" in flaw
    assert unreachable(Demands(pass_rate=0.9, confidence=0.95, early_stop=True), 1, 39) == ""


# ---------------------------------------------------------------- baselines

SUITES = {
    "three evals, eight cases, one trial": (3, 8, 1),
    "two evals, five cases, three trials": (2, 5, 3),
    "one eval, twenty cases": (1, 20, 1),
}


@pytest.mark.parametrize("rate", [0.5, 0.9])
@pytest.mark.parametrize(("evals", "cases", "trials"), SUITES.values(), ids=SUITES)
def test_an_unchanged_agent_is_called_regressed_no_more_often_than_promised(evals, cases, trials, rate):
    chance = random.Random(20_26)
    keys = [("f", f"eval_{e}", f"c{c}", t) for e in range(evals) for c in range(cases) for t in range(trials)]
    judged = (Judged("failed", 0.0), Judged("passed", 1.0))
    red = 0
    for _ in range(SESSIONS):
        before, after = ({key: judged[chance.random() < rate] for key in keys} for _ in range(2))
        red += bool(compare(before, after, fresh=True).regressed)
    assert red / SESSIONS <= LEVEL


def test_an_agent_that_got_worse_is_called_regressed():
    chance, red = random.Random(1), 0
    keys = [("f", "eval_x", f"c{number}", 1) for number in range(30)]
    judged = (Judged("failed", 0.0), Judged("passed", 1.0))
    for _ in range(200):
        before = {key: judged[chance.random() < 0.95] for key in keys}
        after = {key: judged[chance.random() < 0.5] for key in keys}
        red += bool(compare(before, after, fresh=True).regressed)
    assert red / 200 > 0.9
