"""A session against an accepted one."""

import json

import pytest

EVALS = "def eval_a(ctx): return ctx.final_output['answer'] in {}"


def accept(suite, answers="('HELLO', 'BYE')", *options):
    suite.evals(EVALS.format(answers))
    return suite.run("--looplet-baseline=base.json", "--looplet-accept", *options)


def test_what_got_worse_is_named_and_red(suite):
    assert accept(suite).ret == 0
    suite.evals("@eval_mark(pass_rate=0.5)\n" + EVALS.format("('HELLO',)"))
    result = suite.run("--looplet-baseline=base.json", "--looplet-report=r.json")
    assert result.ret == 1
    result.assert_outcomes(passed=2, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "baseline: 1 regressed, 1 unchanged",
            "  regressed eval_a[[]two[]]: passed 1.00 -> failed 0.00",
            "looplet: eval_a regressed against the baseline",
        ]
    )
    report = json.loads((suite.pytester.path / "r.json").read_text())
    assert report["baseline"]["trends"] == {"evals/eval_a.py::eval_a": "regressed"}
    assert report["exit_status"] == 1


def test_each_trial_that_got_worse_is_told_apart(suite):
    assert accept(suite, "('HELLO', 'BYE')", "--looplet-trials=2").ret == 0
    suite.evals(EVALS.format("('HELLO',)"))
    result = suite.run("--looplet-baseline=base.json", "--looplet-trials=2")
    result.stdout.fnmatch_lines(["  regressed eval_a[[]two[]]: *", "  regressed eval_a[[]two-trial2[]]: *"])


def test_what_got_better_new_and_missing_is_told_and_not_red(suite):
    assert accept(suite, "('HELLO',)").ret == 1
    suite.cases("- {id: two, task: bye}\n- {id: three, task: bye}")
    suite.evals(EVALS.format("('HELLO', 'BYE')"))
    result = suite.run("-o", "looplet_baseline=base.json")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["baseline: 1 fixed, 1 missing, 1 new"])


def test_a_baseline_of_other_cases_says_so(suite):
    accept(suite)
    suite.cases("- {id: other, task: bye}")
    result = suite.run("--looplet-baseline=base.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["looplet: the baseline is of other evals and cases: nothing could be compared"]
    )


WRONG = {
    "no such file": (None, [], "*there is no such file; make it with --looplet-accept*"),
    "no JSON": ("{", [], "*--looplet-baseline=*base.json*"),
    "another schema": ('{"schema": "x"}', [], "*expected schema looplet-session-report/1, found x*"),
    "accepting nowhere": ("{}", ["-o", "looplet_baseline="], "*give --looplet-baseline=FILE*"),
    "accepting over what is no baseline": ("{}", ["--looplet-baseline=base.json"], "*found None*"),
    "a tolerance that is none": (
        "{}",
        ["--looplet-tolerance=tokens=much"],
        "*give a share, such as tokens=20%*",
    ),
    "a tolerance of an unknown figure": (
        "{}",
        ["--looplet-tolerance=time=1"],
        "*'time' is none of steps, tokens*",
    ),
    "a word that is none": ("{}", ["-o", "looplet_beyond_tolerance=maybe"], "*none of report, fail*"),
}


@pytest.mark.parametrize(("content", "options", "line"), WRONG.values(), ids=WRONG)
def test_a_baseline_that_cannot_be_used_is_red(content, options, line, suite):
    suite.evals(EVALS.format("('HELLO', 'BYE')"))
    if content:
        (suite.pytester.path / "base.json").write_text(content)
    options = [*options, "--looplet-accept"] if options else ["--looplet-baseline=base.json"]
    result = suite.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])


def test_accepting_nowhere_is_red_under_xdist_too(suite):
    suite.evals(EVALS.format("('HELLO', 'BYE')"))
    result = suite.run("-p", "xdist", "-n1", "--looplet-accept")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["looplet: *give --looplet-baseline=FILE"])


def test_accepting_is_refused_in_CI(suite, monkeypatch):
    monkeypatch.setenv("CI", "1")
    result = accept(suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--looplet-accept is refused when CI is set*"])


# ---------------------------------------------------------------- what is accepted, case by case


def accepted(result):
    """The lines of the section that tells what was accepted."""
    lines = result.outlines
    start = next(at for at, line in enumerate(lines) if "looplet accepted" in line)
    return [line for line in lines[start + 1 :] if not line.startswith(("=", "PASSED", "FAILED", "XFAIL"))]


def test_accepting_names_each_case_and_the_reason(suite):
    first = accept(suite)
    assert accepted(first)[:3] == [
        "accepted evals/eval_a.py::one: new",
        "accepted evals/eval_a.py::two: new",
        f"wrote {suite.pytester.path / 'base.json'}",
    ]
    suite.agent("""
        @pytest.fixture
        def looplet_agent():
            return lambda case: shout(case)[:0] if case.id == "two" else shout(case)
    """)
    again = accept(suite, "('HELLO',)")
    assert accepted(again)[:2] == [
        "accepted evals/eval_a.py::two: eval_a passed 1.00 -> failed 0.00; "
        "the first difference is at step 1: done is only in the baseline run; steps 1 -> 0 (-100%)",
        "1 case as before",
    ]
    compared = suite.run("--looplet-baseline=base.json")
    compared.stdout.fnmatch_lines(["baseline: 2 unchanged"])


def test_what_this_session_did_not_run_stays_accepted(suite):
    accept(suite)
    suite.evals(EVALS.format("('HELLO',)"))
    narrowed = suite.run("--looplet-baseline=base.json", "--looplet-accept", "-k", "one")
    assert accepted(narrowed)[0] == "1 case as before"
    suite.run("--looplet-baseline=base.json").stdout.fnmatch_lines(["baseline: 1 regressed, 1 unchanged"])


def test_what_is_no_longer_there_is_dropped_and_told(suite):
    accept(suite)
    suite.cases("- {id: one, task: hello}")
    lines = accepted(suite.run("--looplet-baseline=base.json", "--looplet-accept"))
    assert "dropped evals/eval_a.py::eval_a[two]: no longer collected" in lines
    suite.run("--looplet-baseline=base.json").stdout.fnmatch_lines(["baseline: 1 unchanged"])


def test_what_could_not_be_judged_is_not_accepted(suite):
    accept(suite)
    suite.evals("def eval_a(ctx): return 1 / 0")
    lines = accepted(suite.run("--looplet-baseline=base.json", "--looplet-accept"))
    assert "evals/eval_a.py::eval_a[one] was not accepted: error (harness)" in lines
    suite.evals(EVALS.format("('HELLO', 'BYE')"))
    suite.run("--looplet-baseline=base.json").stdout.fnmatch_lines(["baseline: 2 unchanged"])


@pytest.mark.slow
def test_the_baseline_of_the_same_session_is_the_same_file_also_from_workers(suite):
    accept(suite)
    path = suite.pytester.path / "base.json"
    before = path.read_bytes()
    path.unlink()
    told = accepted(accept(suite, "('HELLO', 'BYE')", "-p", "xdist", "-n2"))
    assert path.read_bytes() == before
    assert told[0] == "accepted evals/eval_a.py::one: new"
    suite.cases("- {id: one, task: hello}")
    again = accepted(accept(suite, "('HELLO', 'BYE')", "-p", "xdist", "-n2"))
    assert again[0] == "dropped evals/eval_a.py::eval_a[two]: no longer collected"


# ---------------------------------------------------------------- variants of a trajectory

MOODY = """
    @pytest.fixture
    def looplet_agent(looplet_trial):
        return lambda case: shout(case)[:0] if looplet_trial in {} else shout(case)
"""


def differences(suite):
    return json.loads((suite.pytester.path / "r.json").read_text())["baseline"]["differences"]


def test_a_case_may_have_several_accepted_trajectories(suite):
    suite.evals("def eval_a(ctx): return True")
    suite.agent(MOODY.format("(3,)"))
    options = ["--looplet-baseline=base.json", "--looplet-trials=3"]
    suite.run(*options, "--looplet-accept")
    known = json.loads((suite.pytester.path / "base.json").read_text())["accepted"]["evals/eval_a.py::one"]
    assert [(len(one["run"]["steps"]), one["seen"]) for one in known["variants"]] == [(1, 2), (0, 1)]
    suite.agent(MOODY.format("(1, 2)"))
    suite.run(*options, "--looplet-report=r.json")
    assert differences(suite) == {}
    suite.agent("""
        @pytest.fixture
        def looplet_agent():
            from dataclasses import replace
            return lambda case: shout(case) if case.id == "one" else replace(shout(case), stop_reason="lost")
    """)
    suite.run(*options, "--looplet-report=r.json")
    found = differences(suite)
    assert sorted(found) == [f"evals/eval_a.py::two#{trial}" for trial in (1, 2, 3)]
    assert found["evals/eval_a.py::two#1"][0] == (
        "like none of the 2 accepted variants; of the nearest, seen in 2 of 3 runs:"
    )


# ---------------------------------------------------------------- steps, tokens and cost

SPENDING = """
    @pytest.fixture
    def looplet_agent():
        from dataclasses import replace
        from looplet.types import Usage
        return lambda case: replace(shout(case), usage=Usage({}, 10), cost_usd={})
"""


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [
        ([], 0, "  changed evals/eval_a.py::one: tokens 100 -> 150 (+50%), tolerance 25%"),
        (["--looplet-tolerance=tokens=60%"], 0, "baseline: 2 unchanged"),
        (["-o", "looplet_beyond_tolerance=fail"], 1, "looplet: tokens of evals/eval_a.py::one regressed *"),
        (["-o", "looplet_beyond_tolerance=fail", "--looplet-tolerance=0.6"], 0, "baseline: 2 unchanged"),
    ],
    ids=["told", "tolerated", "red", "all tolerated"],
)
def test_tokens_beyond_their_tolerance(options, status, line, suite):
    suite.agent(SPENDING.format(90, 0.01))
    accept(suite)
    suite.agent(SPENDING.format(140, 0.011))
    result = suite.run("--looplet-baseline=base.json", *options)
    assert result.ret == status
    result.stdout.fnmatch_lines([line])
    told = [text for text in result.outlines if ", tolerance" in text]
    assert bool(told) == ("2 unchanged" not in line)


def test_what_is_not_known_of_both_is_not_compared(suite):
    suite.agent(SPENDING.format(90, None))
    accept(suite)
    suite.agent(SPENDING.format(90, 5.0))
    result = suite.run("--looplet-baseline=base.json", "-o", "looplet_beyond_tolerance=fail")
    assert result.ret == 0
