"""The fixtures a test asks for, with scripted models and with recorded ones over real HTTP."""

import textwrap

import openai  # noqa: F401 - loading it takes longer than a test
import pytest

# Loaded here once, and not in each inner session again.
import pytest_looplet.provider
import pytest_looplet.run
import pytest_looplet.scripts
import pytest_looplet.tapes  # noqa: F401
from looplet.testing import call
from looplet.testing.provider import LocalProvider
from pytest_looplet.names import safe_name

pytestmark = pytest.mark.slow

HEAD = """
import pytest
from looplet import tool
from looplet.testing import bad_request, call
from pytest_looplet import RunFailed, expect

@tool
def look(order_id: str) -> dict:
    \"\"\"Look an order up.\"\"\"
    return {"status": "shipped"}
"""

SCRIPT = [call("look", order_id="7"), call("done", answer="It is shipped.")]


class Suite:
    """Writes a test file and runs it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.cassettes = pytester.path / "cassettes" / "test_agent"

    def test(self, code: str) -> None:
        self.pytester.makepyfile(test_agent=HEAD + textwrap.dedent(code))

    def change(self, old: str, new: str) -> None:
        file = self.pytester.path / "test_agent.py"
        file.write_text(file.read_text().replace(old, new))

    def run(self, *options: str) -> pytest.RunResult:
        plugins = ("-p", "pytest_looplet.plugin", "-p", "no:cacheprovider")
        return self.pytester.runpytest_inprocess(*plugins, "-rA", "-Werror", *options)

    def record(self, *options: str, script=SCRIPT) -> pytest.RunResult:
        with LocalProvider(script) as provider, pytest.MonkeyPatch.context() as patch:
            for name, value in provider.env.items():
                patch.setenv(name, value)
            return self.run("--looplet-record", "--looplet-model=openai:tiny", *options)


@pytest.fixture
def suite(pytester, monkeypatch):
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return Suite(pytester)


# ---------------------------------------------------------------- scripted


def test_a_scripted_run_gives_a_trajectory(suite):
    suite.test("""
        def test_agent(looplet_run, looplet_script):
            llm = looplet_script(call("look", order_id="7"), call("done", answer="shipped"))
            run = looplet_run("Where is order 7?", llm=llm, tools=[look], max_steps=5)
            expect(run).to_call("look", order_id="7")
            expect(run).to_finish()
            assert run.final_output == {"answer": "shipped"}
            assert run.task == "Where is order 7?"

        def test_again_in_one_test(looplet_run, looplet_script):
            for _ in range(2):
                run = looplet_run("x", llm=looplet_script(call("done", answer="ok")), tools=[])
                assert run.tools == ["done"]
    """)
    suite.run().assert_outcomes(passed=2)
    assert not suite.cassettes.parent.exists()


def test_a_run_on_the_event_loop(suite):
    suite.test("""
        import asyncio

        def test_agent(looplet_run, looplet_script):
            async def go(llm):
                return await looplet_run.async_("x", llm=llm, tools=[look])
            done = call("done", answer="ok")
            for llm in (looplet_script(done), looplet_script.async_(done)):
                assert asyncio.run(go(llm)).final_output == {"answer": "ok"}
    """)
    suite.run().assert_outcomes(passed=1)


def test_a_run_that_died_raises_and_carries_its_trajectory(suite):
    suite.test("""
        LOOK = call("look", order_id="7")
        def test_raises(looplet_run, looplet_script):
            with pytest.raises(RunFailed, match="the run died") as caught:
                looplet_run("x", llm=looplet_script(LOOK, bad_request()), tools=[look])
            assert caught.value.trajectory.tools[0] == "look"

        def test_unchecked(looplet_run, looplet_script):
            run = looplet_run("x", llm=looplet_script(bad_request()), tools=[look], check=False)
            assert run.error and run.stop_reason != "done"

        def test_dry(looplet_run, looplet_script):
            expect(looplet_run("x", llm=looplet_script(LOOK), tools=[look])).not_to_call("pay")
    """)
    result = suite.run()
    result.assert_outcomes(passed=2, failed=1)
    out = result.stdout.str()
    assert "the run died" in out or "scripted" in out
    assert "looplet/engine" not in out


def test_replies_that_are_left_over_fail_a_test_that_passed(suite):
    suite.test("""
        def test_left(looplet_run, looplet_script):
            looplet_run("x", llm=looplet_script(call("done", answer="ok"), "more"), tools=[])
        def test_failed(looplet_run, looplet_script):
            looplet_script("never")
            assert 1 == 2
    """)
    result = suite.run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*1 of 2 scripted replies were never asked for*", "E * assert 1 == 2"])


def test_runs_are_in_the_report_file(suite):
    suite.test("""
        def test_agent(looplet_run, looplet_script):
            looplet_run("x", llm=looplet_script(call("done", answer="ok")), tools=[])
    """)
    suite.run("--looplet-report=out/report.json")
    import json

    report = json.loads((suite.pytester.path / "out" / "report.json").read_text())
    assert report["schema"] == "looplet-session-report/1"
    (test,) = report["tests"]
    assert (test["test"], test["outcome"]) == ("test_agent.py::test_agent", "passed")
    assert (test["runs"][0]["steps"], test["runs"][0]["stop_reason"]) == (1, "done")


# ---------------------------------------------------------------- recorded

AGENT = """
    def test_agent(looplet_run):
        run = looplet_run("Where is order 7?", tools=[look])
        expect(run).to_call("look", order_id="7")
        assert run.final_output == {"answer": "It is shipped."}
"""


def test_record_once_then_replay_without_key_and_network(suite):
    suite.test(AGENT)
    suite.record().assert_outcomes(passed=1)
    (cassette,) = suite.cassettes.iterdir()
    assert cassette.name == "test_agent.looplet.yaml"
    recorded = cassette.read_bytes()
    suite.run().assert_outcomes(passed=1)
    suite.record().assert_outcomes(passed=1)
    assert cassette.read_bytes() == recorded


def test_the_model_of_a_replay_comes_from_the_cassette(suite):
    suite.test("""
        def test_agent(looplet_run, looplet_backend, looplet_cassette):
            assert looplet_backend.model == "tiny"
            looplet_run("Where is order 7?", tools=[look])
            assert looplet_cassette.calls == 2
            assert looplet_cassette.mode in ("replay", "rewrite")
    """)
    suite.record().assert_outcomes(passed=1)
    suite.run().assert_outcomes(passed=1)


def test_recording_without_a_model_says_what_to_give(suite):
    suite.test(AGENT)
    result = suite.run("--looplet-record")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no model is configured: give --looplet-model=openai:gpt-4o-mini*"])


def test_a_request_that_differs_fails_with_step_tool_and_command(suite):
    suite.test(AGENT)
    suite.record()
    suite.change('"status": "shipped"', '"status": "lost"')
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *model call 2 differs from the recording*",
            "E *result of step 1, look*",
            "E *tool look at step 1",
            "E *pytest --looplet-record test_agent.py::test_agent",
        ]
    )
    assert "site-packages" not in result.stdout.str()


@pytest.mark.parametrize("catch", ["except Exception", "except BaseException"])
def test_a_drift_that_the_agent_swallows_is_red_all_the_same(catch, suite):
    suite.test(f"""
        def test_agent(looplet_run):
            try:
                looplet_run(TASK, tools=[look])
            {catch}:
                pass
        TASK = "one"
    """)
    suite.record(script=[call("done", answer="x")])
    suite.change('"one"', '"two"')
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*model call 1 differs from the recording*"])


def test_a_missing_cassette_fails_and_says_how_to_record(suite):
    suite.test(AGENT)
    result = suite.run("--looplet-model=openai:tiny")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pytest --looplet-record test_agent.py::test_agent*"])


UNUSED = {"error": {"failed": 1}, "warn": {"failed": 1}, "ignore": {"passed": 1}}


@pytest.mark.parametrize(("policy", "outcome"), UNUSED.items(), ids=UNUSED)
def test_recorded_calls_that_were_not_made(policy, outcome, suite):
    suite.test("""
        TASKS = ["a", "b"]
        def test_agent(looplet_run):
            for task in TASKS:
                looplet_run(task, tools=[look])
    """)
    suite.record(script=[call("done", answer="x")] * 2).assert_outcomes(passed=1)
    suite.change('["a", "b"]', '["a"]')
    result = suite.run("-o", f"looplet_unused={policy}")  # a warning is an error here
    result.assert_outcomes(**outcome)
    if policy != "ignore":
        result.stdout.fnmatch_lines(["*1 of 2 recorded calls were not made*"])
    assert "ledger.py" not in result.stdout.str() or policy == "warn"


def test_CA_07_a_recording_that_was_cut_replaces_nothing_and_a_failed_assertion_does(suite):
    suite.test(AGENT)
    suite.record()
    (cassette,) = suite.cassettes.iterdir()
    good = cassette.read_text()
    source = suite.pytester.path / "test_agent.py"
    original = source.read_text()
    source.write_text(original.replace("expect(run)", "raise OSError('cut')\n    expect(run)"))
    suite.record(script=[call("done", answer="other")]).assert_outcomes(failed=1)
    assert cassette.read_text() == good
    source.write_text(original)
    suite.record(script=[call("done", answer="other")]).assert_outcomes(failed=1)
    assert "other" in cassette.read_text()


def test_live_needs_no_cassette_and_writes_none(suite):
    suite.test(AGENT)
    with LocalProvider(SCRIPT) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        suite.run("--looplet-live", "--looplet-model=openai:tiny").assert_outcomes(passed=1)
    assert not suite.cassettes.exists()


def test_a_live_test_is_skipped_elsewhere_with_its_reason(suite):
    suite.test("""
        @pytest.mark.looplet(live=True)
        def test_agent(looplet_run):
            looplet_run("x", tools=[look])
    """)
    result = suite.run("--looplet-model=openai:tiny")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*run it with --looplet-live"])


def test_a_shared_cassette_is_replayed_and_not_recorded(suite):
    suite.test(AGENT)
    suite.record()
    before = (suite.cassettes / "test_agent.looplet.yaml").read_bytes()
    twice = textwrap.dedent(AGENT) + textwrap.dedent(AGENT).replace("def test_agent(", "def test_again(")
    suite.test("pytestmark = pytest.mark.looplet(cassette='test_agent/test_agent.looplet.yaml')\n" + twice)
    suite.run().assert_outcomes(passed=2)
    for options in ((), ("--looplet-mode=missing",), ("--looplet-mode=tail",)):
        result = suite.run(*options, "--looplet-model=openai:x") if options else suite.record()
        result.assert_outcomes(failed=2)
        result.stdout.fnmatch_lines(
            [
                f"*test_agent.py::{name}: the cassette * is shared and can be replayed, not recorded*"
                for name in ("test_agent", "test_again")
            ]
        )
    assert (suite.cassettes / "test_agent.looplet.yaml").read_bytes() == before


# ---------------------------------------------------------------- keys


def test_stand_in_keys_are_lent_in_replay_and_taken_back(suite):
    suite.test("""
        import os, openai
        client = openai.OpenAI()  # at import, as many agents do
        def test_key():
            assert os.environ["OPENAI_API_KEY"].startswith("not-a-key") and os.environ["ANTHROPIC_API_KEY"]
    """)
    import os

    suite.run("-o", "looplet_model=openai:tiny").assert_outcomes(passed=1)
    assert "OPENAI_API_KEY" not in os.environ
    result = suite.run("--looplet-record", "--looplet-model=openai:tiny")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED


# ---------------------------------------------------------------- options and marker

WRONG_OPTIONS = {
    "an unknown mode": (["--looplet-mode=later"], "*--looplet-mode: 'later' is none of replay, rewrite*"),
    "live and recording": (["--looplet-live", "--looplet-record"], "*--looplet-live writes no cassette*"),
    "two recording options": (
        ["--looplet-record", "--looplet-mode=tail"],
        "*--looplet-mode=tail says otherwise*",
    ),
    "an unknown drift class": (["--looplet-drift=mood=warn"], "*'mood' is none of prompt, history*"),
    "an unknown policy": (["--looplet-drift=prompt=maybe"], "*'maybe' is none of fail, warn*"),
    "a threshold in percent": (["--looplet-threshold=80"], "*'80' is no number from 0 to 1*"),
    "no trials": (["-o", "looplet_trials=0"], "*'0' is no whole number from 1*"),
    "a provider nobody knows": (
        ["--looplet-model=foo:bar"],
        "ERROR: --looplet-model=foo:bar: unknown provider 'foo'; there are openai, anthropic, ollama",
    ),
    "a judge nobody knows": (
        ["--looplet-judge=foo:bar"],
        "ERROR: --looplet-judge=foo:bar: unknown provider*",
    ),
    "a model without a provider": (["--looplet-model=gpt"], "*name it as provider:model*"),
    "a report nobody can write": (["--looplet-report=x.doc"], "*end*.json*"),
}


@pytest.mark.parametrize(("options", "line"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_a_wrong_option_is_a_usage_error(options, line, suite):
    suite.test("def test_plain(): pass")
    result = suite.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])


def test_in_CI_only_an_option_by_name_records(suite, monkeypatch):
    monkeypatch.setenv("CI", "true")
    suite.test("""
        from pytest_looplet.settings import settings_of
        def test_mode(request):
            print("MODE", settings_of(request.config).mode)
    """)
    for options, mode in (
        (["-o", "looplet_mode=rewrite"], "replay"),
        (["--looplet-mode=missing"], "missing"),
        (["--looplet-record"], "rewrite"),
    ):
        suite.run("-s", *options).stdout.fnmatch_lines([f"*MODE {mode}"])


WRONG_MARKS = {
    "an unknown argument": ("casette='x'", "*unknown argument 'casette'; did you mean 'cassette'[?]"),
    "no names": ("'x'", "*give arguments by name*"),
    "a wrong match": ("match='loose'", "*match must be 'strict' or 'sequence', not 'loose'*"),
    "live as text": ("live='yes'", "*live must be True or False*"),
    "an unknown drift class": ("drift={'mood': 'warn'}", "*drift must be a dict of prompt*"),
    "a model without a provider": ("model='gpt'", "*model must be 'provider:name'*"),
}


@pytest.mark.parametrize(("arguments", "line"), WRONG_MARKS.values(), ids=WRONG_MARKS)
def test_a_wrong_marker_is_a_collection_error(arguments, line, suite):
    suite.test(f"@pytest.mark.looplet({arguments})\ndef test_plain(): pass")
    result = suite.run("--strict-markers")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([line])


def test_markers_of_module_class_and_function_add_up(suite):
    suite.test("""
        from pytest_looplet.marker import marked
        pytestmark = pytest.mark.looplet(model="openai:a", match="sequence")

        @pytest.mark.looplet(model="openai:b")
        class TestIt:
            @pytest.mark.looplet(drift={"prompt": "warn"})
            def test_it(self, request):
                both = marked(request.node)
                assert (both.model, both.match, both.drift) == ("openai:b", "sequence", {"prompt": "warn"})
    """)
    suite.run().assert_outcomes(passed=1)


def test_two_tests_never_share_a_cassette_by_the_name_of_it():
    ids = [["test_a[x]"], ["test_a[X]"], ["test_a[x y]"], ["test_a[x-y]"], ["test_a[x/y]"], ["test_a"]]
    ids += [["TestA", "test_a"], ["test_a[ü]"], ["test_a[]"], ["test_a[" + "x" * 300 + "]"], ["test_a[..]"]]
    names = [safe_name(parts) for parts in ids]
    assert len({name.lower() for name in names}) == len(ids)
    assert safe_name(["test_a[gpt-4o]"]) == "test_a-gpt-4o"
    for name in names:
        assert name.isascii()
        assert not set(name) & set('/\\:*?"<>|[] ')
        assert len(name) <= 120


# ---------------------------------------------------------------- saved runs, installation


def test_every_run_is_saved_when_asked_for(suite):
    suite.test("""
        @pytest.mark.parametrize("order", ["7", "8"])
        def test_agent(looplet_run, looplet_script, order):
            for _ in range(2):
                looplet_run(order, llm=looplet_script(call("done", answer=order)), tools=[])
    """)
    suite.run("--looplet-save-runs=saved").assert_outcomes(passed=2)
    names = sorted(path.name for path in (suite.pytester.path / "saved" / "test_agent").iterdir())
    assert names == ["test_agent-7", "test_agent-7-2", "test_agent-8", "test_agent-8-2"]
    from looplet.trajectory import Trajectory

    assert Trajectory.load(suite.pytester.path / "saved" / "test_agent" / "test_agent-8").task == "8"


def test_another_distribution_with_our_package_is_a_usage_error(suite, monkeypatch):
    other = suite.pytester.path / "site" / "looplet-0.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: looplet\nVersion: 0.0.1\n")
    monkeypatch.syspath_prepend(other.parent)
    suite.test("def test_plain(): pass")
    result = suite.run("--looplet-model=openai:tiny")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*looplet 0.0.1 is installed beside pytest-looplet*pip uninstall looplet*"])
