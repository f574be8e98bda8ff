"""A test whose process dies: what it had done is on disk and in the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from looplet.trajectory import Trajectory

pytestmark = pytest.mark.slow

DEATHS = {"killed": "os.kill(os.getpid(), signal.SIGKILL)", "left": "os._exit(3)"}
TESTS = """
import os, signal
from looplet import tool
from looplet.testing import ScriptedChatBackend, call

@tool
def add(a: int) -> int:
    "Add."
    if a == 4:
        {die}
    return a

def go(looplet_run, *numbers):
    script = [call("add", a=n) for n in numbers]
    looplet_run("count", tools=[add], llm=ScriptedChatBackend(*script, call("done", answer="ok")))

def test_dies(looplet_run):
    go(looplet_run, 1)
    go(looplet_run, 1, 2, 3, 4, 5)

def test_lives(looplet_run):
    go(looplet_run, 1)
"""
OPTIONS = ("-p", "no:asyncio", "-p", "no:cacheprovider", "--looplet-save-runs=runs")


def saved(folder: Path) -> dict[str, tuple[int, str | None]]:
    """Steps and error of each saved run, by its folder."""
    runs = {path.parent.name: Trajectory.load(path) for path in folder.rglob("trajectory.json")}
    return {name: (len(run.steps), run.error) for name, run in runs.items()}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
def test_PP_09_a_worker_dies(pytester: pytest.Pytester, death: str) -> None:
    pytester.makepyfile(test_a=TESTS.format(die=death))
    result = pytester.runpytest_subprocess(*OPTIONS, "-n1", "--looplet-report=report.json")
    result.assert_outcomes(passed=1, failed=1)
    died = "the process that ran it died"
    assert saved(pytester.path / "runs") == {
        "test_dies": (2, None),
        "test_dies-2": (3, died),
        "test_lives": (2, None),
    }
    report: Any = json.loads((pytester.path / "report.json").read_text())
    rows = {row["test"]: (row["outcome"], [run["steps"] for run in row["runs"]]) for row in report["tests"]}
    assert rows == {"test_a.py::test_dies": ("failed", [2, 3]), "test_a.py::test_lives": ("passed", [2])}
    assert not list((pytester.path / "runs").rglob("steps.jsonl"))


def test_PP_09_the_only_process_dies(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_a=TESTS.format(die=DEATHS["killed"]))
    pytester.runpytest_subprocess(*OPTIONS)
    assert saved(pytester.path / "runs") == {"test_dies": (2, None)}
    lines = next((pytester.path / "runs").rglob("steps.jsonl")).read_text().splitlines()
    assert [json.loads(line)["tool_result"]["data"] for line in lines[1:]] == [1, 2, 3]
