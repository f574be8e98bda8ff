"""Gates over a suite, required evals, and sessions that were narrowed: nothing passes by accident."""

import json

import pytest

from pytest_looplet.cli import main

pytestmark = pytest.mark.slow

MANY = "\n".join(
    f"- {{id: c{n}, task: {'x' * (n + 1)}}}" for n in range(10)
)  # five of ten have an odd length


def gate_lines(result):
    return [line for line in result.outlines if line.startswith("gate ")]


GATES = {
    "a rate that is met": ("pass_rate=0.5", "len(ctx.task['description']) % 2 == 1", True),
    "a rate that is missed": ("pass_rate=0.6", "len(ctx.task['description']) % 2 == 1", False),
    "a mean that is met": ("min_mean=0.5", "0.5", True),
    "a mean that is missed": ("min_mean=0.51", "0.5", False),
    "a mean of verdicts": ("min_mean=0.5", "len(ctx.task['description']) % 2 == 1", True),
    "a threshold beside a rate": ("pass_rate=0.7, threshold=0.4", "len(ctx.task['description']) / 10", True),
    "a rate of scores without verdicts": ("pass_rate=0.1", "0.9", False),
    "a rate that is surely met": ("pass_rate=0.7, confidence=0.95", "True", True),
}


@pytest.mark.parametrize(("demands", "value", "opens"), GATES.values(), ids=GATES)
def test_a_suite_gate_is_an_item_that_decides(demands, value, opens, suite):
    suite.cases(MANY)
    suite.evals(f"@eval_mark({demands})\ndef eval_x(ctx): return {value}")
    result = suite.run()
    assert result.ret == (0 if opens else 1)
    outcomes = result.parseoutcomes()
    assert sum(outcomes.values()) == 11
    assert outcomes.get("failed", 0) == (0 if opens else 1)
    result.stdout.fnmatch_lines([f"gate eval_x {'✓' if opens else '✗'} *"])
    result.stdout.fnmatch_lines([f"{'PASSED' if opens else 'FAILED'} evals/eval_a.py::gate[[]x[]]*"])


def test_failed_runs_below_a_gate_are_shown_and_tolerated(suite):
    suite.cases(MANY)
    suite.evals("""
        @eval_mark(pass_rate=0.5)
        def eval_x(ctx):
            assert len(ctx.task["description"]) % 2 == 1
            return True
    """)
    result = suite.run()
    result.assert_outcomes(passed=6, xfailed=5)
    result.stdout.fnmatch_lines(["eval_x * 10  5 ✓ 5 ✗ *"])
    result.stdout.fnmatch_lines(
        ["gate eval_x ✓ pass rate over 10 runs of 10 cases: 5 of 10, 0.500; meets 0.5"]
    )


def test_a_run_that_could_not_be_judged_keeps_the_gate_shut(suite):
    suite.cases(MANY)
    suite.evals("""
        @eval_mark(pass_rate=0.1)
        def eval_x(ctx):
            if ctx.task["description"] == "xxx":
                raise OSError("no disk")
            return True
    """)
    result = suite.run()
    result.assert_outcomes(passed=9, failed=2)
    result.stdout.fnmatch_lines(["gate eval_x ✗ 1 of 10 runs could not be judged; *"])


def test_a_gate_that_its_trials_cannot_satisfy_is_a_collection_error(suite):
    suite.evals("@eval_mark(pass_rate=0.9, confidence=0.95, trials=10)\ndef eval_x(ctx): return True")
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*eval_x: the gate can never open: 20 runs*it takes 29 runs: trials=15*"])


def test_trials_and_a_gate_with_confidence(suite):
    suite.evals("@eval_mark(pass_rate=0.9, confidence=0.95, trials=15)\ndef eval_x(ctx): return True")
    result = suite.run()
    result.assert_outcomes(passed=31)
    result.stdout.fnmatch_lines(
        ["gate eval_x ✓ *30 of 30, 1.000; at confidence 0.95 at least 0.904; meets 0.9"]
    )


@pytest.mark.parametrize("processes", [(), ("-p", "xdist", "-n2")], ids=["alone", "xdist"])
def test_PP_02_gates_are_the_same_under_xdist(processes, suite):
    suite.cases(MANY)
    suite.evals("""
        @eval_mark(pass_rate=0.5)
        def eval_x(ctx): return len(ctx.task["description"]) % 2 == 1
        @eval_mark(min_mean=0.9)
        def eval_y(ctx): return 0.5
    """)
    result = suite.run(*processes, "--looplet-report=r.json", "--junitxml=j.xml")
    result.assert_outcomes(passed=16, xfailed=5, failed=1)
    assert result.ret == 1
    gates = json.loads((suite.pytester.path / "r.json").read_text())["gates"]
    assert [(gate["eval"], gate["passed"]) for gate in gates] == [("eval_x", True), ("eval_y", False)]
    assert (
        gate_lines(result)[0] == "gate eval_x ✓ pass rate over 10 runs of 10 cases: 5 of 10, 0.500; meets 0.5"
    )
    junit = (suite.pytester.path / "j.xml").read_text()
    assert junit.count('name="gate[') == 2
    assert "below 0.9" in junit


def test_a_narrowed_session_says_so_and_is_not_red(suite):
    suite.cases(MANY)
    suite.evals("""
        @eval_mark(pass_rate=0.9)
        def eval_x(ctx): return len(ctx.task["description"]) < 3
        @eval_mark(required=True)
        def eval_safe(ctx): return True
    """)
    result = suite.run("-k", "c1 or gate")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(
        ["looplet: required evals were left out: evals/eval_a.py::eval_safe (1 of 10 runs)"]
    )
    assert result.ret == 0
    result = suite.run("-k", "c1 or gate", "--looplet-require-all")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["looplet: required evals were left out: *eval_safe*"])


def test_a_gate_selected_without_its_runs_is_red(suite):
    suite.evals("@eval_mark(pass_rate=0.9)\ndef eval_x(ctx): return True")
    result = suite.run("-k", "gate")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no run of eval_x was judged in this session*"])


@pytest.mark.parametrize("processes", [(), ("-p", "xdist", "-n1")], ids=["alone", "xdist"])
def test_PP_08_a_gate_that_a_mark_skips_is_skipped_with_its_runs(processes, suite):
    suite.evals("""
        @eval_mark("slow", pass_rate=0.9)
        def eval_x(ctx): return True
        def eval_y(ctx): return True
    """)
    (suite.pytester.path / "conftest.py").write_text(
        (suite.pytester.path / "conftest.py").read_text()
        + "\ndef pytest_collection_modifyitems(items):\n"
        + "    for item in items:\n"
        + "        if 'slow' in item.keywords:\n"
        + "            item.add_marker(pytest.mark.skip(reason='slow'))\n"
    )
    result = suite.run(*processes)
    result.assert_outcomes(passed=2, skipped=3)
    assert result.ret == 0


def test_PP_06_the_gate_of_a_required_eval_is_missed_until_a_part_of_the_session_has_it(suite):
    suite.evals("@eval_mark(required=True, pass_rate=0.5)\ndef eval_x(ctx): return True")
    assert suite.run("-k", "one", "--looplet-report=one.json").ret == 0
    assert suite.run("-k", "two", "--looplet-report=two.json").ret == 0
    parts = [str(suite.pytester.path / name) for name in ("one.json", "two.json")]
    merge = ["report", "merge", *parts, "-o", str(suite.pytester.path / "all.json"), "--require-all"]
    assert main(merge) == 1
    suite.run("-k", "one or gate", "--looplet-report=one.json")
    assert main(merge) == 0


@pytest.mark.parametrize("processes", [(), ("-p", "xdist", "-n1")], ids=["alone", "xdist"])
def test_PP_02_a_fixture_that_cannot_be_torn_down_behind_the_last_gate_is_red(processes, suite):
    suite.evals("""
        @pytest.fixture(scope="session")
        def db():
            yield
            raise OSError("no disk")
        @eval_mark(min_mean=0.5)
        def eval_x(ctx, db): return 1
    """)
    result = suite.run(*processes)
    result.assert_outcomes(passed=3, errors=1)
    assert result.ret == 1


def test_tags_select_gates_too(suite):
    suite.evals("""
        @eval_mark("slow-ish", pass_rate=0.9)
        def eval_x(ctx): return True
        def eval_y(ctx): return True
    """)
    suite.run("-m", "slow-ish").assert_outcomes(passed=3)


def test_evals_that_were_never_reported_turn_a_green_session_red(suite):
    suite.evals("def eval_x(ctx): return True")
    (suite.pytester.path / "conftest.py").write_text(
        (suite.pytester.path / "conftest.py").read_text()
        + "\n@pytest.hookimpl(tryfirst=True)\n"
        + "def pytest_runtest_protocol(item, nextitem):\n    return True if 'two' in item.name else None\n"
    )
    result = suite.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["looplet: 1 selected evals were never reported, for example *eval_x[[]two[]]"]
    )


def test_an_eval_whose_fixture_cannot_be_torn_down_is_no_pass(suite):
    suite.evals("""
        @pytest.fixture
        def db():
            yield
            raise OSError("no db")
        def eval_x(ctx, db): return True
    """)
    result = suite.run("--looplet-report=r.json")
    assert result.ret == 1
    rows = json.loads((suite.pytester.path / "r.json").read_text())["evals"]
    assert [(row["standing"], row["blame"]) for row in rows] == [("error", "harness")] * 2


def test_an_eval_that_ran_again_counts_once_as_it_went_the_last_time(suite):
    (suite.pytester.path / "conftest.py").write_text(
        (suite.pytester.path / "conftest.py").read_text()
        + "\ndef pytest_runtest_protocol(item, nextitem):\n"
        + "    from _pytest.runner import runtestprotocol\n"
        + "    for _ in range(2):\n"
        + "        runtestprotocol(item, nextitem=nextitem, log=True)\n"
        + "    return True\n"
    )
    suite.evals("""
        seen = []
        @eval_mark(pass_rate=1.0)
        def eval_x(ctx):
            seen.append(1)
            return len(seen) % 2 == 0
    """)
    result = suite.run()
    result.stdout.fnmatch_lines(["gate eval_x ✓ pass rate over 2 runs of 2 cases: 2 of 2, 1.000; meets 1"])
