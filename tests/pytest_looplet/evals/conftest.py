"""A small suite of evals to run pytest on: two cases and an agent that shouts."""

import textwrap

import pytest

# Loaded here once, and not in each inner session again.
import pytest_looplet.evals.collect
import pytest_looplet.report.terminal
import pytest_looplet.tapes  # noqa: F401

AGENT = """
import os
from pathlib import Path
import pytest
from looplet.trajectory import Trajectory
from looplet.types import Step, ToolCall, ToolResult

RUNS = Path(__file__).parent / "runs.log"

def shout(case):
    with RUNS.open("a") as log:
        log.write(f"{case.id} {os.getpid()}\\n")
    step = Step(1, ToolCall("done", {"answer": case.task.upper()}), ToolResult("done", "", None))
    return Trajectory(task=case.task, steps=(step,), stop_reason="done", final_output=step.tool_call.args)
"""

CASES = """
- id: one
  task: hello
  expected: HELLO
- id: two
  task: bye
  expected: BYE
  tags: [hard]
"""


class Suite:
    """Writes a suite and runs it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.folder = pytester.path / "evals"
        self.folder.mkdir()
        pytester.makeini("[pytest]\naddopts = --strict-markers")
        self.agent("@pytest.fixture\ndef looplet_agent():\n    return shout")
        self.cases(CASES)

    def agent(self, code: str) -> None:
        (self.pytester.path / "conftest.py").write_text(AGENT + textwrap.dedent(code))

    def cases(self, text: str, name: str = "cases.yaml") -> None:
        (self.folder / "cases").mkdir(exist_ok=True)
        (self.folder / "cases" / name).write_text(textwrap.dedent(text))

    def evals(self, code: str, name: str = "eval_a.py") -> None:
        (self.folder / name).write_text(
            "import pytest\nfrom looplet import eval_mark\n" + textwrap.dedent(code)
        )

    def run(self, *options: str) -> pytest.RunResult:
        plugins = ("-p", "pytest_looplet.plugin", "-p", "no:cacheprovider")
        return self.pytester.runpytest_inprocess(*plugins, "-rA", *options)

    @property
    def runs(self) -> list[str]:
        """Ids of the cases that the agent ran, in order."""
        log = self.pytester.path / "runs.log"
        return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins cost a second a session
    return Suite(pytester)
