"""A session against an accepted one."""

import json

import pytest

EVALS = "def eval_a(ctx): return ctx.final_output['answer'] in {}"


def accept(suite, answers="('HELLO', 'BYE')"):
    suite.evals(EVALS.format(answers))
    return suite.run("--looplet-baseline=base.json", "--looplet-accept")


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


def test_accepting_is_refused_in_CI(suite, monkeypatch):
    monkeypatch.setenv("CI", "1")
    result = accept(suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--looplet-accept is refused when CI is set*"])
