"""Two sessions compared: exactly in a replay, by exact tests on fresh samples."""

import random

import pytest

from looplet.evals.compare import Judged, compare

pytestmark = pytest.mark.slow

PASS, FAIL, ERROR, SKIP = (Judged(standing) for standing in ("passed", "failed", "error", "skipped"))

PAIRS = {
    "fixed": (FAIL, PASS, "fixed", "changed"),
    "regressed": (PASS, FAIL, "regressed", "regressed"),
    "unchanged": (PASS, PASS, "unchanged", "same"),
    "still failing": (FAIL, FAIL, "unchanged", "same"),
    "another score": (Judged("noted", 0.5), Judged("noted", 0.4), "changed", "changed"),
    "new": (None, PASS, "new", "same"),
    "missing": (PASS, None, "missing", "same"),
    "not judged today": (PASS, ERROR, "unjudged", "same"),
    "not judged then": (SKIP, FAIL, "unjudged", "same"),
}


@pytest.mark.parametrize(("before", "after", "kind", "trend"), PAIRS.values(), ids=PAIRS)
def test_in_a_replay_any_pass_that_became_a_fail_has_regressed(before, after, kind, trend):
    key = ("f.py", "eval_a", "c", 1)
    found = compare({key: before} if before else {}, {key: after} if after else {}, fresh=False)
    assert [change.kind for change in found.changes] == [kind]
    assert found.trends == {("f.py", "eval_a"): trend}
    assert found.is_of_other_cases == (kind in ("new", "missing"))


def session(name, outcomes, trials=1):
    return {
        ("f.py", name, f"c{n // trials}", n % trials + 1): PASS if good else FAIL
        for n, good in enumerate(outcomes)
    }


FRESH = {
    "nothing differs": ([1] * 10, [1] * 10, "same"),
    "one of ten got worse": ([1] * 10, [0] + [1] * 9, "inconclusive"),
    "five of ten got worse": ([1] * 10, [0] * 5 + [1] * 5, "regressed"),
    "as many better as worse": ([1, 0] * 10, [0, 1] * 10, "inconclusive"),
    "all got better": ([0] * 10, [1] * 10, "changed"),
}


@pytest.mark.parametrize(("before", "after", "trend"), FRESH.values(), ids=FRESH)
def test_on_fresh_samples_only_what_chance_does_not_explain_counts(before, after, trend):
    found = compare(session("eval_a", before), session("eval_a", after), fresh=True)
    assert found.trends == {("f.py", "eval_a"): trend}
    assert found.regressed == ([("f.py", "eval_a")] if trend == "regressed" else [])


def test_several_trials_are_compared_by_the_rates_of_their_cases():
    before, after = [1, 1, 1, 1] * 6, [1, 1, 0, 0] * 6
    assert compare(session("e", before, 4), session("e", after, 4), fresh=True).regressed
    # Ten runs of one case are one case: they cannot regress by themselves.
    assert not compare(session("e", [1] * 10, 10), session("e", [0] * 10, 10), fresh=True).regressed


@pytest.mark.parametrize("evals", [1, 8])
def test_an_unchanged_agent_is_called_regressed_no_more_often_than_promised(evals):
    chance = random.Random(evals)

    def sample():
        return {
            key: value
            for e in range(evals)
            for key, value in session(f"eval_{e}", [chance.random() < 0.7 for _ in range(40)]).items()
        }

    called = sum(bool(compare(sample(), sample(), fresh=True).regressed) for _ in range(400))
    assert called / 400 <= 0.05
