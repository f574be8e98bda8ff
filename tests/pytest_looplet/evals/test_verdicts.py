"""What evals return and raise, as pytest, the terminal, JUnit and the report file tell it."""

import json
import xml.etree.ElementTree as ET

import openai  # noqa: F401 - loading it takes longer than a test
import pytest

from looplet.testing.provider import LocalProvider, status

pytestmark = pytest.mark.slow

RETURNS = {
    "True": ("return True", "passed", None, 1.0),
    "False": ("return False", "failed", "agent", 0.0),
    "a score": ("return 0.25", "noted", None, 0.25),
    "a score of zero": ("return 0", "noted", None, 0.0),
    "a label": ("return 'formal'", "noted", None, None),
    "metrics": ("return {'tokens': 12}", "noted", None, None),
    "a failed assertion": ("assert ctx.step_count == 9", "failed", "agent", 0.0),
    "nothing": ("pass", "error", "harness", None),
    "NaN": ("return float('nan')", "error", "harness", None),
    "out of range": ("return 7", "error", "harness", None),
    "a list": ("return [1]", "error", "harness", None),
    "an exception": ("return {}['x']", "error", "harness", None),
    "a provider error": (
        "from looplet.errors import ModelError; raise ModelError('quota', kind=None)",
        "error",
        "judge",
        None,
    ),
    "a judge without a grade": (
        "from looplet.evals import JudgeFailed; raise JudgeFailed('no grade')",
        "error",
        "judge",
        None,
    ),
    "a skip": ("pytest.skip('no')", "skipped", None, None),
}


@pytest.mark.parametrize(("code", "standing", "blame", "score"), RETURNS.values(), ids=RETURNS)
def test_EV_01_EV_02_what_an_eval_says(code, standing, blame, score, suite):
    suite.evals(f"def eval_other(ctx): return True\ndef eval_a(ctx):\n    {code}")
    result = suite.run("-k", "one", "--looplet-report=r.json", "-W", "error")
    red = standing in ("failed", "error")
    assert result.ret == (1 if red else 0)
    result.assert_outcomes(
        passed=1 if red or standing == "skipped" else 2, failed=red, skipped=standing == "skipped"
    )
    rows = json.loads((suite.pytester.path / "r.json").read_text())["evals"]
    row = next(row for row in rows if row["eval"] == "eval_a")
    assert (row["standing"], row["blame"], row["score"]) == (standing, blame, score)


def test_thresholds_of_mark_option_and_ini(suite):
    suite.evals("""
        @eval_mark(threshold=0.8)
        def eval_marked(ctx): return 0.79
        def eval_named(ctx): return 0.5
        def eval_general(ctx): return 0.4
    """)
    suite.run("-k", "one").assert_outcomes(failed=1, passed=2)
    result = suite.run("-k", "one", "--looplet-threshold=0.3", "--looplet-threshold=eval_named=0.6")
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(["score 0.5 is below the threshold 0.6"])
    suite.run("-k", "one", "-o", "looplet_threshold=0.45").assert_outcomes(failed=2, passed=1)


def test_an_assertion_keeps_pytests_own_report_and_a_verdict_shows_the_steps(suite):
    suite.evals("def eval_a(ctx): return False\ndef eval_b(ctx): assert ctx.expected == 'X'; return True")
    result = suite.run("-k", "one")
    result.stdout.fnmatch_lines(
        ["the eval returned False", "*1  done  answer='HELLO'*", "E * assert 'HELLO' == 'X'", "*1  done*"]
    )


def test_xfail_is_about_the_eval(suite):
    suite.evals("""
        @pytest.mark.xfail(strict=True)
        def eval_a(ctx): return False
        @pytest.mark.xfail(strict=True)
        def eval_b(ctx): return True
    """)
    suite.run("-k", "one").assert_outcomes(xfailed=1, failed=1)


def test_the_table_shows_runs_results_mean_and_worst_in_80_columns(suite):
    suite.evals("""
        def eval_right(ctx): return ctx.expected == "HELLO"
        def eval_score(ctx): return 0.25 if ctx.expected == "BYE" else 0.75
        def eval_label(ctx): return "a" * 70
        def eval_with_a_name_that_is_far_too_long_for_any_table_of_80_columns(ctx): return True
    """)
    result = suite.run()
    result.stdout.fnmatch_lines(
        [
            "*= looplet evals =*",
            "eval * runs  result * mean  worst, or labels",
            "eval_right * 2  1 ✓ 1 ✗ * 0.50  0.00 two",
            "eval_score * 2  2 · * 0.50  0.25 two",
        ]
    )
    start = next(n for n, line in enumerate(result.outlines) if "= looplet evals =" in line)
    assert max(map(len, result.outlines[start : start + 7])) <= 80


HOSTILE = "\\x1b[2J\\r::error::pwned \\u202e ##[group] \\U0001f600 \\x00"


def test_PP_03_PP_04_text_from_an_agent_is_shown_escaped_everywhere(suite):
    suite.evals(f"""
        from looplet.evals import EvalResult
        def eval_label(ctx): return "{HOSTILE}"
        def eval_failed(ctx): return EvalResult(score=0.0, label="fail", explanation="{HOSTILE}")
        def eval_raised(ctx): raise ValueError("{HOSTILE}")
    """)
    result = suite.run("-k", "one", "--junitxml=j.xml", "--looplet-report=r.json")
    assert not set("\x1b\u202e\x00") & set(result.stdout.str())
    assert not any(line.startswith(("::", "##[")) for line in result.outlines)
    ET.parse(suite.pytester.path / "j.xml")
    json.loads((suite.pytester.path / "r.json").read_text())


def test_scores_are_junit_properties(suite):
    suite.evals("def eval_a(ctx): return 0.25")
    suite.run("-k", "one", "--junitxml=j.xml")
    found = {p.get("name"): p.get("value") for p in ET.parse(suite.pytester.path / "j.xml").iter("property")}
    assert found == {"looplet_score": "0.25", "looplet_standing": "noted"}


def test_EV_12_the_report_of_the_same_session_is_the_same(suite):
    suite.evals(
        "def eval_a(ctx): return {'score': 0.5, 'tokens': 3}\ndef eval_b(ctx): return ctx.expected == 'BYE'"
    )
    texts = []
    for options in ([], ["-p", "no:randomly"]):
        suite.run("--looplet-report=r.json", *options)
        report = json.loads((suite.pytester.path / "r.json").read_text())
        assert report.pop("timing")
        texts.append(json.dumps(report))
    assert texts[0] == texts[1]
    assert [row["case"] for row in report["evals"]] == ["one", "two", "one", "two"]
    assert report["exit_status"] == 1


# ---------------------------------------------------------------- judges

JUDGED = """
    @eval_mark("manners", threshold=0.8)
    def eval_polite(ctx, llm):
        return float(llm.generate(f"Score 0 to 1: {ctx.final_output}"))
"""


def test_a_judge_is_recorded_on_the_cassette_of_its_item_and_replayed(suite, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    suite.evals(JUDGED)
    with LocalProvider(["0.9", "0.5"]) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        result = suite.run("--looplet-record", "--looplet-judge=openai:judge")
        result.assert_outcomes(passed=1, failed=1)
    cassettes = sorted(path.name for path in (suite.folder / "cassettes" / "eval_a").iterdir())
    assert cassettes == ["eval_polite-one.looplet.yaml", "eval_polite-two.looplet.yaml"]
    suite.run().assert_outcomes(passed=1, failed=1)


def test_EV_05_a_judge_that_is_missing_is_no_pass(suite):
    suite.evals(JUDGED)
    result = suite.run("-k", "one")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no judge is configured: give --looplet-judge=*"])
    assert result.ret == 1


def test_a_judge_of_ones_own_is_a_fixture(suite):
    suite.evals(JUDGED)
    suite.agent("""
        @pytest.fixture
        def looplet_agent(): return shout
        @pytest.fixture
        def looplet_judge():
            class Judge:
                def generate(self, prompt, **_): return "0.9"
            return Judge()
    """)
    suite.run("-k", "one").assert_outcomes(passed=1)


@pytest.mark.parametrize("processes", [(), ("-p", "xdist", "-n2")], ids=["alone", "xdist"])
def test_a_failed_eval_shows_where_it_stands_what_was_expected_and_what_came(processes, suite):
    suite.evals("def eval_a(ctx): return False\ndef eval_b(ctx): assert ctx.expected == 'X'; return True")
    result = suite.run("-k", "two", *processes)
    shown = [
        "evals/eval_a.py:{} eval_{}",
        "case two (*cases.yaml:5)",
        "expected: 'BYE'",
        "final output: {{'answer': 'BYE'}}",
        "*1  done  answer='BYE'*",
        "1 step, 0 model calls, stop: done",
    ]
    result.stdout.fnmatch_lines(["the eval returned False", *(line.format(3, "a") for line in shown)])
    result.stdout.fnmatch_lines(["E * assert 'BYE' == 'X'", *(line.format(4, "b") for line in shown)])
    result.stdout.fnmatch_lines(["FAILED evals/eval_a.py::eval_a[[]two[]] - *the eval ret*"])


@pytest.mark.parametrize("returned", ["7", "float('nan')", "-1", "{'score': float('inf')}"])
def test_a_score_that_was_refused_is_in_no_mean(returned, suite):
    suite.evals(f"def eval_a(ctx): return {returned} if ctx.expected == 'BYE' else 0.5")
    result = suite.run("--looplet-report=r.json", "--junitxml=j.xml")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["eval_a * 2  1 · 1 ! (harness) * 0.50  0.50 one"])
    rows = json.loads((suite.pytester.path / "r.json").read_text())["evals"]
    assert [row["score"] for row in rows] == [0.5, None]
    assert (suite.pytester.path / "j.xml").read_text().count("looplet_score") == 1


NAMES = {
    "an eval": ("eval_politness=0.5", "did you mean eval_politeness?"),
    "a tag": ("maners=0.5", "did you mean manners?"),
    "nothing like it": ("zzz=0.5", "there are eval_politeness, manners"),
}


@pytest.mark.parametrize(("rule", "mend"), NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("processes", [(), ("-p", "xdist", "-n2")], ids=["alone", "xdist"])
def test_a_threshold_for_an_eval_that_is_not_there_is_an_error(processes, rule, mend, suite):
    suite.evals('@eval_mark("manners")\ndef eval_politeness(ctx): return 0.9')
    result = suite.run(f"--looplet-threshold={rule}", *processes)
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if processes else pytest.ExitCode.USAGE_ERROR)
    name = rule.partition("=")[0]
    line = f"*--looplet-threshold={rule}: no eval and no tag is called '{name}'; {mend}"
    (result.stdout if processes else result.stderr).fnmatch_lines([line])
    assert suite.runs == ([] if not processes else suite.runs)


def test_the_ini_file_may_name_evals_of_other_files(suite):
    suite.evals("def eval_a(ctx): return 0.9")
    ini = ("-o", "looplet_threshold=eval_b=0.5")
    assert suite.run(*ini, "evals/eval_a.py").ret == 0
    assert suite.run(*ini).ret == pytest.ExitCode.USAGE_ERROR


def test_a_threshold_goes_by_name_then_by_tag_then_for_all(suite):
    suite.evals("""
        @eval_mark("tone", "manners")
        def eval_tagged(ctx): return 0.7
        @eval_mark("tone")
        def eval_named(ctx): return 0.5
        def eval_other(ctx): return 0.3
    """)
    given = [f"--looplet-threshold={rule}" for rule in ("tone=0.6", "manners=0.75", "eval_named=0.5", "0.2")]
    result = suite.run("-k", "two", *given)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["score 0.7 is below the threshold 0.75"])


TROUBLED = """
    @pytest.fixture
    def looplet_agent(): return shout
    @pytest.fixture
    def looplet_judge(looplet_cassette):
        from looplet.backends import OpenAIBackend
        with openai.OpenAI(max_retries=0) as client:
            yield OpenAIBackend(client, model="judge")
    import openai
"""


@pytest.mark.parametrize(("failures", "passed"), [(1, True), (2, False)])
def test_trouble_of_the_judges_provider_is_tried_again_and_replays_as_it_went(
    failures, passed, suite, monkeypatch
):
    busy = status(503, "busy", headers={"x-should-retry": "true", "retry-after-ms": "1"})
    suite.agent(TROUBLED)
    suite.evals(JUDGED)
    with LocalProvider([busy] * failures + ["0.9"]) as provider:
        for name, value in provider.env.items():
            monkeypatch.setenv(name, value)
        first = suite.run("-k", "one", "--looplet-record", "--looplet-report=r.json")
    row = json.loads((suite.pytester.path / "r.json").read_text())["evals"][0]
    assert (row["standing"], row["blame"]) == (("passed", None) if passed else ("error", "judge"))
    first.assert_outcomes(passed=passed, failed=not passed)
    if passed:
        suite.run("-k", "one").assert_outcomes(passed=1)
