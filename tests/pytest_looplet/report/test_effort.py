"""What the terminal says about the work of a session: sums, time saved by replay, slow tools, live runs."""

import pytest

# Loaded here once: what an inner session loads goes with it, and half of a package would be loaded again.
import pytest_looplet.run
import pytest_looplet.scripts
import pytest_looplet.tapes  # noqa: F401
from looplet.testing import call
from looplet.testing.provider import LocalProvider
from looplet.trajectory import Trajectory
from looplet.types import Step, ToolCall, ToolResult, Usage
from pytest_looplet.report.effort import Effort, effort_of, lines, recordings, together

pytestmark = pytest.mark.slow


def run_of(ms=1_000.0, cassette="a.yaml", recorded=False, cost=None):
    steps = tuple(
        Step(n, ToolCall(tool, {}), ToolResult(tool, "", None, duration_ms=took))
        for n, (tool, took) in enumerate([("search", 300.0), ("search", 150.0), ("look", 2.0)], 1)
    )
    known = {"cassette": cassette, "recorded": recorded}
    return Trajectory(steps=steps, usage=Usage(1_000, 200), cost_usd=cost, duration_ms=ms, metadata=known)


def row(*runs):
    return {"nodeid": "test_a.py::test_a", "efforts": [effort_of(run) for run in runs]}


def test_all_runs_together():
    effort = together([row(run_of(), run_of(cassette="b.yaml"))], {"a.yaml": 41.0})
    assert list(lines(effort)) == [
        "2 runs, 6 steps, 0 model calls, 2,400 tokens",
        "1 run replayed in 1.00 s, recorded in 41 s: 40 s saved",
        "slowest tools: search 0.90 s in 4 calls",
    ]
    assert list(lines(effort, detailed=True))[-1].endswith("search 0.90 s in 4 calls, look 0.00 s in 2 calls")


def test_a_run_counts_once_however_many_evals_judge_it():
    judged = {
        "eval": "eval_a",
        "module": "e.py",
        "case": "one",
        "trial": 1,
        "effort": effort_of(run_of(cost=1)),
    }
    effort = together(
        [judged, {**judged, "eval": "eval_b"}, {**judged, "trial": 2}, row(run_of(cost=0.5))], {}
    )
    assert (effort.runs, effort.cost_usd) == (3, 2.5)
    assert next(lines(effort)).endswith("tokens, $2.5000")


def test_nothing_is_said_of_time_that_nobody_measured_or_that_was_not_saved():
    assert "replayed" not in " ".join(lines(together([row(run_of())], {})))
    assert "replayed" not in " ".join(lines(together([row(run_of())], {"a.yaml": 0.5})))
    recorded = row(run_of(5_000, recorded=True), run_of(1_000, recorded=True))
    assert recordings([recorded]) == {"a.yaml": 6.0}
    assert together([recorded], {"a.yaml": 6.0}).replayed == 0
    assert list(lines(Effort())) == []


TESTS = """
import time
from looplet import tool

@tool
def look(order_id: str) -> dict:
    time.sleep(PAUSE)
    return {"status": "shipped"}

def test_agent(looplet_run):
    assert looplet_run("Where is order 7?", tools=[look]).completed
"""


def test_a_replay_tells_what_its_recording_took(pytester, monkeypatch):
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    file = pytester.makepyfile(test_agent=TESTS.replace("PAUSE", "0.3"))
    options = ["-p", "pytest_looplet.plugin"]
    script = [call("look", order_id="7"), call("done", answer="It is shipped.")]
    with LocalProvider(script * 2) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        recorded = pytester.runpytest(*options, "--looplet-record", "--looplet-model=openai:tiny")
        recorded.assert_outcomes(passed=1)
        recorded.stdout.fnmatch_lines(["looplet: slowest tools: look 0.3? s in 1 call"])
        recorded.stdout.no_fnmatch_line("*replayed*")
        live = pytester.runpytest(*options, "--looplet-live", "--looplet-model=openai:tiny")
        live.stdout.fnmatch_lines(["!!!* looplet: live runs, no cassette *!!!"])
    file.write_text(TESTS.replace("PAUSE", "0"))
    replayed = pytester.runpytest(*options)
    replayed.stdout.fnmatch_lines(["looplet: 1 run replayed in 0.?? s, recorded in * s: 0.?? s saved"])
    replayed.stdout.fnmatch_lines(["looplet: 1 run, 2 steps, 2 model calls, * tokens"])
    replayed.stdout.no_fnmatch_line("*slowest*")
    replayed.stdout.no_fnmatch_line("*live runs*")
    pytester.runpytest(*options, "-q").stdout.no_fnmatch_line("*replayed*")
    pytester.runpytest(*options, "-v").stdout.fnmatch_lines(["looplet: slowest tools: look *, done *"])
