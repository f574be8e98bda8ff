"""A run is held against the trajectory that was saved when its test was recorded."""

import json
import textwrap

import openai  # noqa: F401 - loading it takes longer than a test
import pytest

# Loaded here once, because an inner session forgets what it loaded, and YAML's C part does not.
import pytest_looplet.provider
import pytest_looplet.run
import pytest_looplet.tapes  # noqa: F401
from looplet.errors import TraceError
from looplet.testing import call
from looplet.testing.provider import LocalProvider
from looplet.trajectory import Trajectory
from looplet.types import Step, ToolCall, ToolResult
from pytest_looplet import Unmet, expect
from pytest_looplet.recording import accept_all, accepted_path

TEST_FILE = """
from looplet import tool
from pytest_looplet import expect

@tool
def look(order_id: str) -> dict:
    return {"status": "shipped"}

def test_agent(looplet_run):
    run = looplet_run("Where is order 7?", tools=[look])
    expect(run).to_match_recording()
"""


def run_with(status="shipped", number=1, **metadata):
    step = Step(
        1, ToolCall("look", {"order": "7"}), ToolResult("look", "", {"status": status}, duration_ms=number)
    )
    return Trajectory(
        run_id=f"r{number}", steps=(step,), stop_reason="done", duration_ms=number, metadata=metadata
    )


@pytest.fixture
def accepted(tmp_path):
    path = tmp_path / "look.run.json"
    expect(run_with(recorded=True)).to_match_recording(path)
    return path


def test_a_run_that_did_the_same_matches(accepted):
    expect(run_with(number=2)).to_match_recording(accepted)


def test_a_tool_that_answers_otherwise_is_shown(accepted):
    with pytest.raises(Unmet) as caught:
        expect(run_with("lost")).to_match_recording(accepted)
    told = " ".join(str(caught.value).split())
    assert "the first difference is at step 1: look differs" in told
    assert "result.status: 'shipped' → 'lost'" in told


def test_it_is_rewritten_only_where_runs_are_accepted(accepted):
    before = accepted.read_text()
    with pytest.raises(Unmet):
        expect(run_with("lost")).to_match_recording(accepted)
    assert accepted.read_text() == before
    told = []
    undo = accept_all(told.append)
    try:
        expect(run_with("lost")).to_match_recording(accepted)
        expect(run_with("lost")).to_match_recording(accepted)
    finally:
        undo()
    assert told == [f"{accepted}: the first difference is at step 1: look differs"]
    expect(run_with("lost")).to_match_recording(accepted)


def test_what_is_saved_is_the_same_for_two_runs_that_did_the_same(accepted):
    before = accepted.read_bytes()
    expect(run_with(number=9, recorded=True)).to_match_recording(accepted)
    assert accepted.read_bytes() == before


def test_there_is_none(tmp_path):
    with pytest.raises(Unmet) as caught:
        expect(run_with(rerecord="pytest --looplet-record 'x'")).to_match_recording(tmp_path / "none.json")
    told = " ".join(str(caught.value).split())
    assert "there is none in" in told
    assert "none.json. Record it: pytest --looplet-record 'x'" in told


def test_it_cannot_be_read(accepted):
    accepted.write_text("{")
    with pytest.raises(TraceError, match=r"look\.run\.json"):
        expect(run_with()).to_match_recording(accepted)


def test_it_stands_beside_the_cassette():
    path = accepted_path(run_with(cassette="a/cassettes/test_x/test_y.looplet.yaml"))
    assert path.as_posix() == "a/cassettes/test_x/test_y.run.json"
    with pytest.raises(ValueError, match="say where its recording is"):
        expect(run_with()).to_match_recording()


def test_recording_writes_it_and_replay_compares(pytester, monkeypatch):
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(test_agent=textwrap.dedent(TEST_FILE))
    script = [call("look", order_id="7"), call("done", answer="It is shipped.")]
    with LocalProvider(script) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        recorded = pytester.runpytest("--looplet-record", "--looplet-model=openai:tiny", "-p", "no:asyncio")
        recorded.assert_outcomes(passed=1)
    saved = pytester.path / "cassettes" / "test_agent" / "test_agent.run.json"
    assert [step["tool_call"]["tool"] for step in json.loads(saved.read_text())["steps"]] == ["look", "done"]
    pytester.runpytest("-p", "no:asyncio").assert_outcomes(passed=1)
    file = pytester.path / "test_agent.py"
    file.write_text(file.read_text().replace("to_match_recording()", "not_to_call('look')"))
    shown = pytester.runpytest("-p", "no:asyncio")
    shown.stdout.fnmatch_lines(
        [
            "E*cassette cassettes/test_agent/test_agent.looplet.yaml",
            "E*meant to change it? pytest --looplet-record test_agent.py::test_agent",
        ]
    )


ACCEPTED = """
from dataclasses import replace
from looplet.trajectory import Trajectory
from pytest_looplet import expect

def run(status):
    return Trajectory(stop_reason=status, metadata={"cassette": "cassettes/test_a/test_look.looplet.yaml"})

def test_look():
    expect(run("STATUS")).to_match_recording()

def test_other():
    expect(run("done")).to_match_recording("other.run.json")
"""


@pytest.mark.parametrize("workers", [[], ["-p", "xdist", "-n2"]], ids=["alone", "xdist"])
def test_accepting_rewrites_recordings_and_tells_why(workers, pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    options = ["-p", "pytest_looplet.plugin", "-p", "no:cacheprovider"]

    def run(status, *more):
        pytester.makepyfile(test_a=ACCEPTED.replace("STATUS", status))
        return pytester.runpytest(*options, *more)

    run("done", "--looplet-accept", *workers).assert_outcomes(passed=2)
    run("done").assert_outcomes(passed=2)
    run("max_steps").assert_outcomes(passed=1, failed=1)
    result = run("max_steps", "--looplet-accept", *workers)
    result.assert_outcomes(passed=2)
    lines = [line for line in result.outlines if ".run.json" in line]
    assert lines == ["cassettes/test_a/test_look.run.json: stop_reason: 'done' → 'max_steps'"]
    run("max_steps").assert_outcomes(passed=2)
    monkeypatch.setenv("CI", "true")
    refused = run("max_steps", "--looplet-accept")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR


def test_a_damaged_recording_is_replaced_by_a_new_one(accepted):
    accepted.write_text("{")
    expect(run_with(recorded=True)).to_match_recording(accepted)
    expect(run_with()).to_match_recording(accepted)
