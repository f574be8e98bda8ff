"""Gates that may decide before all trials have run: what is left out is said, and is not missing."""

import json

import pytest

pytestmark = pytest.mark.slow

EVALS = """
    @eval_mark(pass_rate=0.9, confidence=0.95, trials=30, early_stop=True, required=True)
    def eval_x(ctx, looplet_trial): return {value}
    {more}
"""
EACH = pytest.mark.parametrize("processes", [(), ("-p", "xdist", "-n2")], ids=["alone", "xdist"])


def report(suite):
    return json.loads((suite.pytester.path / "r.json").read_text())


@EACH
@pytest.mark.parametrize("value", ["True", "False"])
def test_a_gate_that_has_decided_spares_the_trials_that_are_left(value, processes, suite):
    suite.evals(EVALS.format(value=value, more=""))
    result = suite.run("--looplet-report=r.json", "--looplet-require-all", *processes)
    assert result.ret == (0 if value == "True" else 1)
    content = report(suite)
    left_out = content["spared"]["evals/eval_a.py::eval_x"]
    assert len(content["evals"]) + left_out == 60
    assert len(suite.runs) == len(content["evals"])
    if processes:  # a worker has begun some more before it hears of the decision
        assert left_out >= (1 if value == "True" else 30)
    else:
        assert left_out >= (8 if value == "True" else 48)
    gate = content["gates"][0]
    assert gate["passed"] is (value == "True")
    assert "of 30 trials" in gate["text"]
    remark = f"looplet: evals/eval_a.py::eval_x: {left_out} runs left out, because its gate had decided"
    result.stdout.fnmatch_lines([remark])
    assert "missing" not in result.stdout.str()
    assert "never reported" not in result.stdout.str()


def test_a_run_is_made_where_another_eval_needs_it(suite):
    suite.evals(EVALS.format(value="False", more="@eval_mark(trials=30)\n    def eval_y(ctx): return True"))
    suite.run("--looplet-report=r.json")
    assert len(suite.runs) == 60
    rows = [row["eval"] for row in report(suite)["evals"]]
    assert rows.count("eval_y") == 60
    assert rows.count("eval_x") < 20


def test_a_gate_that_cannot_tell_runs_all_trials(suite):
    suite.evals(EVALS.format(value="(looplet_trial, ctx.expected) != (1, 'BYE')", more=""))
    result = suite.run("--looplet-report=r.json")
    assert len(suite.runs) == 60
    assert report(suite)["spared"] == {}
    assert "59 of 60" in report(suite)["gates"][0]["text"]
    assert result.ret == 0


def test_a_run_that_could_not_be_judged_leaves_the_decision_to_the_end(suite):
    suite.evals(EVALS.format(value="True if looplet_trial != 2 else 1 / 0", more=""))
    suite.run("--looplet-report=r.json")
    assert len(suite.runs) == 60
    assert "2 of 60 runs could not be judged" in report(suite)["gates"][0]["text"]


def test_a_narrowed_session_decides_nothing(suite):
    suite.evals(EVALS.format(value="False", more=""))
    suite.run("-k", "one")
    assert len(suite.runs) == 30


def test_early_stop_asks_for_a_confidence_and_for_trials_enough(suite):
    suite.evals("@eval_mark(pass_rate=0.9, early_stop=True)\ndef eval_x(ctx): return True")
    suite.run().stdout.fnmatch_lines(["*eval_mark(early_stop=True) needs confidence=*"])
    suite.evals(EVALS.format(value="True", more="").replace("trials=30", "trials=15"))
    suite.run().stdout.fnmatch_lines(["*the gate can never open: 30 runs*it takes 39 runs: trials=20*"])
