"""One run of the agent for all evals of a case, set up and torn down before any of them begins."""

import json

import pytest

from pytest_looplet.cli import main

pytestmark = pytest.mark.slow

TWO_EVALS = """
    def eval_a(ctx): return True
    def eval_b(ctx): return True
"""


def test_an_eval_has_its_own_tmp_path_and_environment(suite):
    suite.agent("""
        @pytest.fixture
        def looplet_agent(tmp_path, monkeypatch):
            monkeypatch.setenv("AGENT_WAS_HERE", "1")
            def run(case):
                (tmp_path / "left.txt").write_text("x")
                return shout(case)
            return run
    """)
    suite.evals("""
        import os
        def eval_a(ctx, tmp_path): return not list(tmp_path.iterdir()) and "AGENT_WAS_HERE" not in os.environ
        def eval_b(ctx, tmp_path): return not list(tmp_path.iterdir()) and "AGENT_WAS_HERE" not in os.environ
    """)
    suite.run().assert_outcomes(passed=4)
    assert suite.runs == ["one", "two"]


@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_the_agent_may_have_any_scope(scope, suite):
    suite.agent(f"""
        @pytest.fixture(scope="{scope}")
        def looplet_agent():
            print("SET UP")
            yield shout
            print("TORN DOWN")
    """)
    suite.evals(TWO_EVALS)
    result = suite.run("-s")
    result.assert_outcomes(passed=4)
    assert result.stdout.str().count("SET UP") == (2 if scope == "function" else 1)
    assert result.stdout.str().count("TORN DOWN") == (2 if scope == "function" else 1)


def test_an_eval_that_changes_its_context_changes_no_other(suite):
    suite.evals("""
        def eval_a(ctx):
            ctx.final_output["answer"] = ctx.steps[0].tool_call.args["answer"] = "changed"
            ctx.steps.clear()
            return True
        def eval_b(ctx): return ctx.final_output["answer"] != "changed" and ctx.step_count == 1
    """)
    suite.run().assert_outcomes(passed=4)


def test_what_is_expected_never_reaches_the_agent(suite):
    suite.agent("""
        @pytest.fixture
        def looplet_agent(looplet_case, looplet_trial):
            def run(case):
                assert case == looplet_case and looplet_trial == 1
                assert "HELLO" not in repr(case) and not hasattr(case, "expected")
                return shout(case)
            return run
    """)
    suite.evals("""
        def eval_a(ctx, looplet_case, looplet_trial):
            return looplet_case.expected == ctx.expected and looplet_trial == 1
    """)
    suite.run("-k", "one").assert_outcomes(passed=1)


ASYNCIO = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")

AWAITABLE = """
    async def run(case):
        await asyncio.sleep(0)
        return shout(case)
    import asyncio
    @pytest.fixture
    def looplet_agent(): return run
"""


def test_an_async_agent_is_awaited(suite):
    suite.agent(AWAITABLE)
    suite.evals(TWO_EVALS)
    suite.run().assert_outcomes(passed=4)


def test_an_async_agent_runs_on_the_loop_of_its_async_fixtures(suite):
    suite.agent("""
        import asyncio
        @pytest.fixture
        async def home():
            return asyncio.get_running_loop()
        @pytest.fixture
        def looplet_agent(home):
            async def run(case):
                assert asyncio.get_running_loop() is home
                return shout(case)
            return run
    """)
    suite.evals(TWO_EVALS)
    suite.run(*ASYNCIO, "-o", "asyncio_mode=auto").assert_outcomes(passed=4)


def test_the_agents_output_is_shown_with_every_eval_that_fails(suite):
    suite.agent("""
        @pytest.fixture
        def looplet_agent():
            def run(case):
                print("the agent says", case.id)
                return shout(case)
            return run
    """)
    suite.evals("def eval_a(ctx): return False\ndef eval_b(ctx): return False")
    out = suite.run("-k", "one").stdout.str()
    assert out.count("the agent says one") == 2
    assert "Captured stdout call of the agent" in out


def failing(code: str) -> str:
    return f"""
        @pytest.fixture
        def looplet_agent():
            def run(case):
                {code}
            return run
    """


TORN_DOWN = """
    @pytest.fixture
    def looplet_agent():
        yield shout
        raise OSError("disk full")
"""

AGENT_TROUBLE = {
    "the agent raises": (failing("raise ValueError('agent bug')"), "*ValueError: agent bug*", "agent"),
    "the agent asserts": (failing("assert 1 == 2"), "*assert 1 == 2*", "agent"),
    "the provider fails": (
        failing("from looplet.errors import ModelError; raise ModelError('quota', kind=None)"),
        "*quota*",
        "provider",
    ),
    "its fixture cannot be set up": (
        "@pytest.fixture\ndef looplet_agent(missing_fixture): pass",
        "*fixture 'missing_fixture' not found*",
        "harness",
    ),
    "its fixture cannot be torn down": (TORN_DOWN, "*disk full*", "harness"),
    "it returns no trajectory": (failing("return 'done'"), "*must return a Trajectory, not str*", "harness"),
    "the process ends": (failing("raise SystemExit(3)"), "*SystemExit: 3*", "agent"),
}


@pytest.mark.parametrize(("agent", "line", "blame"), AGENT_TROUBLE.values(), ids=AGENT_TROUBLE)
def test_a_run_that_failed_makes_every_eval_of_its_case_an_error(agent, line, blame, suite):
    suite.agent(agent)
    suite.evals("""
        def eval_a(ctx): return True
        @pytest.mark.xfail(strict=False)
        def eval_b(ctx): return True
    """)
    result = suite.run("-k", "one")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines([line])
    result.stdout.fnmatch_lines([f"eval_a * 1 !*{'' if blame == 'agent' else blame}*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_the_agents_traceback_holds_the_agents_frames_only(suite):
    suite.agent(failing("raise ValueError('agent bug')"))
    suite.evals("def eval_a(ctx): return True")
    out = suite.run("-k", "one").stdout.str()
    assert "agent_run.py" not in out
    assert "raise ValueError('agent bug')" in out


def test_an_agent_that_skips_skips_the_evals_of_its_case(suite):
    suite.agent("""
        @pytest.fixture
        def looplet_agent():
            def run(case):
                if case.id == "one":
                    pytest.skip("not today")
                return shout(case)
            return run
    """)
    suite.evals("""
        def eval_a(ctx): return True
        @eval_mark(required=True)
        def eval_b(ctx): return True
    """)
    result = suite.run()
    result.assert_outcomes(passed=2, skipped=1, failed=0, errors=1)
    result.stdout.fnmatch_lines(["*eval_b is required, but was skipped: *not today*"])


def test_skipped_evals_cost_no_run(suite):
    suite.evals("""
        @pytest.mark.skip
        def eval_a(ctx): return True
        @pytest.mark.xfail(run=False)
        def eval_b(ctx): return True
        @pytest.mark.skipif(True, reason="no")
        def eval_c(ctx): return True
    """)
    result = suite.run()
    result.assert_outcomes(skipped=4, xfailed=2)
    assert suite.runs == []
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["looplet: evals were collected and not one of them judged a run"])


def test_setup_only_and_setup_plan_run_no_agent(suite):
    suite.evals("def eval_a(ctx): return True")
    suite.run("--setup-plan")
    suite.run("--setup-only")
    assert suite.runs == []


def test_interrupting_the_agent_ends_the_session(suite):
    suite.agent(failing("pytest.exit('enough', 7)"))
    suite.evals(TWO_EVALS)
    assert suite.run().ret == 7


def test_two_files_run_their_cases_separately(suite):
    suite.evals("def eval_a(ctx): return True")
    suite.evals("def eval_a(ctx): return True", "eval_b.py")
    suite.run().assert_outcomes(passed=4)
    assert sorted(suite.runs) == ["one", "one", "two", "two"]


def test_trials_repeat_the_run_for_the_evals_that_want_them(suite):
    suite.evals("""
        @eval_mark(trials=3)
        def eval_a(ctx): return True
        def eval_b(ctx, looplet_trial): return looplet_trial < 3
    """)
    result = suite.run("-k", "one")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["PASSED evals/eval_a.py::eval_a[[]one-trial3[]]"])
    assert suite.runs == ["one", "one", "one"]
    suite.run("--looplet-trials=2").assert_outcomes(passed=10)


# ---------------------------------------------------------------- collectors


def test_collectors_look_at_the_world_that_the_agent_left(suite):
    suite.agent("""
        @pytest.fixture
        def looplet_agent(tmp_path):
            def run(case):
                (tmp_path / "out.txt").write_text(case.id)
                return shout(case)
            return run
    """)
    suite.evals("""
        def collect_files(ctx, tmp_path):
            return {"files": {p.name: p.read_text() for p in tmp_path.iterdir()}, "steps": ctx.step_count}
        async def collect_later(ctx):
            return {"later": ctx.artifacts["steps"] + 1}
        def eval_a(ctx, looplet_case):
            return ctx.artifacts == {"files": {"out.txt": looplet_case.id}, "steps": 1, "later": 2}
    """)
    suite.run().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("raise OSError('no db')", "*collect_db raised OSError: no db*"),
        ("return 3", "*collect_db returned int*"),
    ],
)
def test_a_collector_that_fails_makes_its_evals_errors(code, line, suite):
    suite.evals(f"def collect_db(ctx):\n    {code}\ndef eval_a(ctx): return True")
    result = suite.run("-k", "one")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([line])
    result.stdout.fnmatch_lines(["eval_a *harness*"])


# ---------------------------------------------------------------- saved runs


@pytest.fixture
def saved(suite):
    """Two run directories, of cases one and two."""
    from looplet.trajectory import Trajectory

    for name, answer in (("one", "HELLO"), ("two", "WRONG")):
        run = Trajectory(task=name, stop_reason="done", final_output={"answer": answer})
        run.save(suite.pytester.path / "saved" / name / "trajectory.json")
    return suite.pytester.path / "saved"


@pytest.mark.parametrize(
    "how", [("--looplet-runs=saved",), ("-o", "looplet_runs=saved")], ids=["option", "ini"]
)
def test_saved_runs_are_graded_without_an_agent(how, suite, saved):
    suite.evals("def eval_a(ctx): return ctx.final_output['answer'] == ctx.expected")
    result = suite.run(*how)
    result.assert_outcomes(passed=1, failed=1)
    assert suite.runs == []
    result.stdout.fnmatch_lines(["FAILED evals/eval_a.py::eval_a[[]two[]]*"])


def test_runs_that_were_saved_can_be_graded_later(suite):
    suite.cases("- {id: 'A b', task: hello, expected: HELLO}")
    suite.evals("""
        def collect_x(ctx): return {"x": 1}
        def eval_a(ctx): return ctx.final_output["answer"] == ctx.expected and ctx.artifacts == {"x": 1}
    """)
    suite.run("--looplet-save-runs=kept").assert_outcomes(passed=1)
    suite.run("--looplet-runs=kept/evals/eval_a").assert_outcomes(passed=1)
    suite.run("--looplet-runs=kept").assert_outcomes(passed=1)
    assert len(suite.runs) == 1


def test_saved_trials_are_judged_by_their_case_and_count_as_trials(suite):
    suite.cases("- {id: 'A b', task: hello, expected: HELLO}")
    suite.evals("def eval_a(ctx): return ctx.final_output['answer'] == ctx.expected")
    suite.run("--looplet-save-runs=kept", "--looplet-trials=3").assert_outcomes(passed=3)
    result = suite.run("--looplet-runs=kept")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["eval_a: pass rate 100% *over 3 runs of 1 case; pass@3 *"])
    assert main(["eval", "kept/evals/eval_a", "--evals", "evals", "--threshold", "1"]) == 0


def test_EV_04_a_saved_run_that_cannot_be_read_is_named(suite, saved):
    (saved / "one" / "trajectory.json").write_text("{")
    suite.evals("def eval_a(ctx): return True")
    result = suite.run("--looplet-runs=saved")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the saved run cannot be read: *trajectory.json*"])


def test_a_folder_without_runs_is_a_collection_error(suite):
    suite.evals("def eval_a(ctx): return True")
    result = suite.run("--looplet-runs=nowhere")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*--looplet-runs=*nowhere: the folder does not exist*"])


# ---------------------------------------------------------------- xdist

MANY = "\n".join(f"- {{id: c{n}, task: hello, expected: HELLO}}" for n in range(8))


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "dist", ["load", pytest.param("worksteal", marks=SLOW), pytest.param("loadfile", marks=SLOW)]
)
def test_PP_02_under_xdist_each_case_runs_once(dist, suite):
    suite.cases(MANY)
    suite.evals("""
        def eval_a(ctx): return True
        def eval_b(ctx): return ctx.expected == ctx.final_output["answer"]
        def eval_c(ctx): return "label"
    """)
    suite.run("--looplet-report=here.json").assert_outcomes(passed=24)
    (suite.pytester.path / "runs.log").unlink()
    result = suite.run("-p", "xdist", "-n2", f"--dist={dist}", "--looplet-report=there.json")
    result.assert_outcomes(passed=24)
    assert sorted(suite.runs) == sorted(f"c{n}" for n in range(8))
    here, there = (
        json.loads((suite.pytester.path / f"{name}.json").read_text()) for name in ("here", "there")
    )
    assert here.pop("timing").keys() == there.pop("timing").keys()
    assert json.dumps(here) == json.dumps(there)


def test_PP_02_an_agent_that_kills_its_process_costs_one_run(suite):
    suite.agent(failing("shout(case); os._exit(1)"))
    suite.evals("def eval_a(ctx): return True\ndef eval_b(ctx): return True\ndef eval_c(ctx): return True")
    result = suite.run("-p", "xdist", "-n2", "-k", "one")
    assert result.ret != 0
    assert suite.runs == ["one"]
    result.stdout.fnmatch_lines(["*The process that ran the agent for this case died*"])


@pytest.mark.parametrize("cut", ["assert False", "pytest.exit('enough')"])
def test_PP_05_a_session_that_is_cut_leaves_nothing_installed(cut, suite):
    suite.evals(f"def eval_a(ctx): {cut}")
    (suite.folder / "conftest.py").write_text(
        "import socket\n"
        "CONNECT = socket.socket.connect\n"
        "def pytest_sessionfinish():\n"
        "    print('restored:', socket.socket.connect is CONNECT)\n"
    )
    result = suite.run("-x", "-s")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*restored: True*"])


def test_an_outcome_that_cannot_be_kept_costs_its_evals_and_not_the_worker(suite):
    suite.evals("def eval_a(ctx): return True")
    (suite.folder / "conftest.py").write_text(
        "from pathlib import Path\n"
        "def pytest_collection_finish(session):\n"
        "    if hasattr(session.config, 'workerinput'):\n"
        "        Path(session.config.workerinput['looplet_share']).write_text('no folder')\n"
        "def pytest_sessionfinish(session):\n"
        "    if hasattr(session.config, 'workerinput'):\n"
        "        Path(session.config.workerinput['looplet_share']).unlink()\n"
    )
    result = suite.run("-p", "xdist", "-n1")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["the outcome of the agent's run could not be kept: *File exists*"])


TAPED = """
@pytest.fixture
def looplet_agent(looplet_run):
    return lambda case: looplet_run(case.task)
"""


@pytest.mark.parametrize("model", [(), ("--looplet-model=openai:tiny",)], ids=["no model", "a model"])
def test_a_case_without_a_cassette_is_not_recorded_and_the_command_has_a_line(model, suite, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    suite.agent(TAPED)
    suite.evals("def eval_a(ctx): return True\n\ndef eval_b(ctx): return True")
    result = suite.run("-k", "one", *model)
    result.assert_outcomes(errors=2)
    (heads, commands) = (
        [line for line in result.outlines if line.startswith(start)]
        for start in (
            "case one is not recorded: no cassette",
            ("pytest --looplet-", "record it: pytest --looplet-"),
        )
    )
    assert len(heads) == len(commands) == 2
    assert all("agent-one.looplet.yaml does not exist" in head for head in heads)
    assert all("evals/eval_a.py::eval_" in command for command in commands)
    assert "failed (" not in result.stdout.str()
    result.stdout.fnmatch_lines(["eval_a *1 ! (drift)*"])
