"""`--looplet-concurrency`: cases at once in one process, with the files and results of one after another."""

import json
import threading
import time
from types import SimpleNamespace

import openai  # noqa: F401 - loading it takes longer than a test
import pytest

import pytest_looplet.evals.perform
import pytest_looplet.run  # noqa: F401 - what an inner session loads goes with it
from looplet.evals.case import Case
from looplet.testing.provider import LocalProvider, status
from pytest_looplet.evals.cell import Cell
from pytest_looplet.evals.outcome import Outcome
from pytest_looplet.evals.results import MOST_LOCKED, Results

pytestmark = pytest.mark.slow

CASES = "\n".join(f"- {{id: c{n}, task: task {n}, expected: answer {n}}}" for n in range(6))
EVALS = """
    def collect_case(ctx): return {"said": ctx.final_output["answer"]}
    def eval_right(ctx): return ctx.final_output["answer"] == ctx.expected
    def eval_seen(ctx): return ctx.artifacts["said"] == ctx.expected
"""

SYNC = """
    @pytest.fixture
    def looplet_agent(looplet_run):
        return lambda case: looplet_run(case.task, tools=[])
"""
ASYNC = """
    from looplet.backends import AsyncOpenAIBackend
    @pytest.fixture
    def looplet_agent(looplet_run):
        async def run(case):
            async with openai.AsyncOpenAI() as client:
                model = AsyncOpenAIBackend(client, model="m")
                return await looplet_run.async_(case.task, llm=model, tools=[])
        return run
    import openai
"""
CAPTURED = """
    @pytest.fixture
    def looplet_agent(looplet_capture):
        def run(case):
            with looplet_capture(task=case.task) as run:
                ask = [{"role": "user", "content": case.task}]
                with openai.OpenAI() as client:
                    said = client.chat.completions.create(model="m", messages=ask)
            return dataclasses.replace(run, final_output={"answer": said.choices[0].message.content})
        return run
    import dataclasses
    import openai
"""
MIXED = """
    from looplet.backends import AsyncOpenAIBackend
    @pytest.fixture
    def looplet_agent(looplet_run):
        async def run(case):
            if case.id in ("c1", "c4"):  # a sync client, on the event loop, while others wait for replies
                await asyncio.sleep(0.5)
                return looplet_run(case.task, tools=[])
            async with openai.AsyncOpenAI() as client:
                model = AsyncOpenAIBackend(client, model="m")
                return await looplet_run.async_(case.task, llm=model, tools=[])
        return run
    import asyncio
    import openai
"""
AGENTS = {"sync": SYNC, "async": ASYNC, "any SDK": CAPTURED}


class Model:
    """Answers `task 3` with `answer 3`, after a while, and counts how many ask at once."""

    def __init__(self, delay_s=0.15, fails=()):
        self.now = self.most = self.calls = 0
        self._delay_s = delay_s
        self._fails = list(fails)
        self._lock = threading.Lock()

    def __call__(self, request):
        with self._lock:
            self.now += 1
            self.calls += 1
            self.most = max(self.most, self.now)
            failure = self._fails.pop(0) if self._fails else None
        time.sleep(self._delay_s)
        with self._lock:
            self.now -= 1
        number = request.body["messages"][-1]["content"]
        text = number if isinstance(number, str) else number[0]["text"]
        return failure or f"answer {text.rpartition('task ')[2][:1]}"


@pytest.fixture
def ask(suite, monkeypatch):
    """Runs the suite against a model; gives pytest's result."""

    def run(model, *options):
        with LocalProvider(model) as provider:
            for name, value in provider.env.items():
                monkeypatch.setenv(name, value)
            return suite.run("--looplet-model=openai:m", *options)

    suite.cases(CASES)
    suite.evals(EVALS)
    return run


def cassettes(suite):
    return {path.name: path.read_bytes() for path in suite.folder.rglob("*.looplet.yaml")}


def report(suite, name="r.json"):
    content = json.loads((suite.pytester.path / name).read_text())
    content.pop("timing")
    return content


@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
def test_cases_at_once_write_the_same_cassettes_and_come_to_the_same_report(agent, ask, suite):
    suite.agent(agent)
    one = Model(delay_s=0.01)
    ask(one, "--looplet-record", "--looplet-report=r.json").assert_outcomes(passed=12)
    assert one.most == 1
    written, told = cassettes(suite), report(suite)
    for path in suite.folder.rglob("*.looplet.yaml"):
        path.unlink()
    many = Model()
    ask(many, "--looplet-record", "--looplet-concurrency=4", "--looplet-report=r.json").assert_outcomes(
        passed=12
    )
    assert 2 <= many.most <= 4
    assert many.calls == 6
    assert cassettes(suite) == written
    assert len(written) == 6
    assert report(suite) == told
    none = Model()
    ask(none, "--looplet-concurrency=4").assert_outcomes(passed=12)
    assert none.calls == 0


@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
def test_cases_at_once_in_a_live_session(agent, ask, suite):
    suite.agent(agent)
    model = Model()
    ask(model, "--looplet-live", "-o", "looplet_concurrency=6").assert_outcomes(passed=12)
    assert 2 <= model.most <= 6
    assert model.calls == 6
    assert cassettes(suite) == {}


@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
@pytest.mark.parametrize("how", ["--looplet-live", "--looplet-record"])
def test_one_provider_has_a_limit_of_its_own(how, agent, ask, suite):
    suite.agent(agent)
    model = Model(delay_s=0.05)
    limits = ("--looplet-concurrency=6", "--looplet-concurrency=127.0.0.1=2")
    ask(model, how, *limits).assert_outcomes(passed=12)
    assert model.most == 2


def test_a_sync_call_on_the_event_loop_does_not_wait_for_calls_that_need_the_loop(suite, monkeypatch):
    suite.cases(CASES)
    suite.evals(EVALS)
    suite.agent(MIXED)
    model = Model(delay_s=0.4)
    options = ("--looplet-live", "--looplet-concurrency=6", "--looplet-concurrency=127.0.0.1=1")
    with LocalProvider(model) as provider:
        for name, value in provider.env.items():
            monkeypatch.setenv(name, value)
        plugin = ("-p", "pytest_looplet.plugin", "-p", "no:cacheprovider", "--looplet-model=openai:m")
        result = suite.pytester.runpytest_subprocess(*plugin, *options, timeout=60)
    result.assert_outcomes(passed=12)
    assert model.most <= 2  # one more than the limit, for the one loop


def test_under_xdist_each_case_runs_once(ask, suite):
    suite.agent(SYNC)
    model = Model()
    result = ask(model, "-p", "xdist", "-n2", "--looplet-record", "--looplet-concurrency=6")
    result.assert_outcomes(passed=12)
    assert model.calls == 6
    assert model.most >= 2
    assert len(cassettes(suite)) == 6


def test_trials_at_once_have_a_cassette_each(ask, suite):
    suite.agent(SYNC)
    options = ("--looplet-record", "--looplet-concurrency=8", "--looplet-trials=2", "-k", "c1 or c2")
    ask(Model(), *options).assert_outcomes(passed=8)
    names = ["agent-c1-trial2", "agent-c1", "agent-c2-trial2", "agent-c2"]
    assert sorted(cassettes(suite)) == sorted(f"{name}.looplet.yaml" for name in names)


def test_one_case_that_fails_spoils_no_other(ask, suite):
    suite.agent("""
        @pytest.fixture
        def looplet_agent(looplet_run):
            def run(case):
                print("case", case.id)
                if case.id == "c1":
                    raise ValueError("agent bug")
                if case.id == "c2":
                    return "no trajectory"
                if case.id == "c3":
                    pytest.skip("not today")
                return looplet_run(case.task, tools=[])
            return run
    """)
    result = ask(Model(), "--looplet-record", "--looplet-concurrency=6")
    result.assert_outcomes(passed=6, errors=4, skipped=2)
    result.stdout.fnmatch_lines(["*ValueError: agent bug"])
    result.stdout.fnmatch_lines(["*looplet_agent must return a Trajectory, not str; *"])
    result.stdout.fnmatch_lines(["*Captured stdout call, of 6 cases at once of the agent*"])
    assert "at_once.py" not in result.stdout.str()
    assert len(cassettes(suite)) == 3


def test_an_agent_that_cannot_be_set_up_fails_all_its_cases(ask, suite):
    suite.agent("@pytest.fixture\ndef looplet_agent(): raise OSError('no disk')")
    ask(Model(), "--looplet-record", "--looplet-concurrency=6").assert_outcomes(errors=12)


def test_ending_the_session_from_a_case_ends_it(ask, suite):
    suite.agent("@pytest.fixture\ndef looplet_agent(): return lambda case: pytest.exit('enough', 7)")
    assert ask(Model(), "--looplet-record", "--looplet-concurrency=6").ret == 7


def test_an_agent_with_a_fixture_that_serves_one_case_runs_them_one_after_another_and_says_so(ask, suite):
    suite.agent("""
        @pytest.fixture
        def looplet_agent(looplet_run, tmp_path):
            return lambda case: looplet_run(case.task, tools=[])
    """)
    model = Model(delay_s=0.01)
    result = ask(model, "--looplet-record", "--looplet-concurrency=6")
    result.assert_outcomes(passed=12)
    assert model.most == 1
    line = "looplet: evals/eval_a.py: cases ran one after another, because tmp_path can serve one case at *"
    result.stdout.fnmatch_lines([line])


def test_skipped_evals_cost_no_run_here_either(ask, suite):
    suite.agent(SYNC)
    suite.evals(
        "@pytest.mark.skipif(True, reason='no')\ndef eval_a(ctx): return True\n" + "def test_b(): pass"
    )
    model = Model()
    ask(model, "--looplet-record", "--looplet-concurrency=6").assert_outcomes(skipped=6, passed=1)
    assert model.calls == 0


@pytest.mark.parametrize("value", ["0", "x", "a=0", "-1"])
def test_what_is_no_number_is_refused(value, suite):
    suite.evals("def eval_a(ctx): return True")
    result = suite.run(f"--looplet-concurrency={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--looplet-concurrency=*no whole number from 1*"])


# ---------------------------------------------------------------- trouble of the provider

BUSY = status(503, "busy", headers={"x-should-retry": "true", "retry-after-ms": "1"})
REFUSED = status(401, "wrong key")


def patient(agent, check=True):
    """*agent*, whose client itself does not ask again."""
    return agent.replace("OpenAI()", "OpenAI(max_retries=0)").replace("tools=[]", f"tools=[], check={check}")


SYNC_OWN = """
    @pytest.fixture
    def looplet_backend():
        from openai import OpenAI
        from looplet.backends import OpenAIBackend
        with OpenAI() as client:
            yield OpenAIBackend(client, model="m")
""" + SYNC.lstrip("\n")
IMPATIENT = {
    "raises": patient(SYNC_OWN),
    "returns the run": patient(SYNC_OWN, check=False),
    "async": patient(ASYNC, check=False),
    "any SDK": patient(CAPTURED),
}
AT_ONCE = pytest.mark.parametrize("at_once", [(), ("--looplet-concurrency=4",)], ids=["in turn", "at once"])


@AT_ONCE
@pytest.mark.parametrize("agent", IMPATIENT.values(), ids=IMPATIENT)
def test_a_run_that_died_of_its_provider_is_repeated_and_counts_as_it_went_then(agent, at_once, ask, suite):
    suite.agent(agent)
    chosen = ("-k", "c0 or c1")
    result = ask(Model(0.01, [BUSY]), "--looplet-record", *chosen, *at_once)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["looplet: 1 run of the agent repeated, because the provider had failed"])
    assert len(cassettes(suite)) == 2
    assert not list(suite.folder.rglob("*.partial"))
    ask(Model(), *chosen).assert_outcomes(passed=4)


@AT_ONCE
@pytest.mark.parametrize("agent", IMPATIENT.values(), ids=IMPATIENT)
def test_trouble_of_the_provider_never_lowers_a_pass_rate(agent, at_once, ask, suite):
    suite.agent(agent)
    suite.evals("""
        @eval_mark(pass_rate=1.0)
        def eval_right(ctx): return ctx.final_output["answer"] == ctx.expected
    """)
    model = Model(0.01, [BUSY, BUSY])
    result = ask(model, "--looplet-live", "-k", "c0 or gate", "--looplet-report=r.json", *at_once)
    assert model.calls == 2
    result.assert_outcomes(errors=1, skipped=1)
    result.stdout.fnmatch_lines(["eval_right * 1  1 ! (provider)*"])
    row = report(suite)["evals"][0]
    assert (row["standing"], row["blame"], row["score"]) == ("error", "provider", None)


@pytest.mark.parametrize(("retries", "calls"), [("0", 1), ("1", 2), ("3", 4)])
def test_how_often_is_a_setting(retries, calls, ask, suite):
    suite.agent(patient(SYNC_OWN))
    model = Model(0.01, [BUSY] * 9)
    ask(model, "--looplet-live", "-k", "c0", "-o", f"looplet_provider_retries={retries}")
    assert model.calls == calls


def test_what_no_second_try_can_mend_is_not_tried_again(ask, suite):
    suite.agent(patient(SYNC_OWN))
    model = Model(0.01, [REFUSED] * 2)
    ask(model, "--looplet-live", "-k", "c0").assert_outcomes(errors=2)
    assert model.calls == 1


def test_PP_08_a_plugin_that_awaits_the_report_of_the_set_up_gets_it(ask, suite):
    suite.agent(SYNC)
    (suite.folder / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.hookimpl(wrapper=True)\n"
        "def pytest_runtest_makereport(item, call):\n"
        "    report = yield\n"
        "    if report.when == 'setup':\n"
        "        item.began = True\n"
        "    assert item.began\n"
        "    return report\n"
    )
    ask(Model(), "--looplet-record", "--looplet-concurrency=6").assert_outcomes(passed=12)


def test_few_cases_at_a_time_are_locked_against_other_processes(tmp_path):
    results, ran = Results(tmp_path), []

    def run(some):
        ran.append(len(some))
        return {cell.id: Outcome("ok") for cell in some}

    file = SimpleNamespace(nodeid="evals/eval_a.py")
    cells = [Cell(Case(f"c{n}", "task")) for n in range(MOST_LOCKED + 20)]
    for _ in range(3):
        results.ensure_all(file, cells, run)
    assert ran == [MOST_LOCKED, 20]
