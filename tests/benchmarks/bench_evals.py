"""Scoring runs, evals that pytest collects, and writing reports."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from looplet import EvalContext, Step, ToolCall, ToolResult, Trajectory, eval_run_batch
from pytest_looplet.report.files import write
from pytest_looplet.report.model import EvalRow, SessionReport

RUNS = 1_000
CASES = 500

AGENTS = 100
EACH = 10


def parametrised(tests: int) -> str:
    return f"""
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_item(number):
    given = f"q{{number}}"
    assert given.upper() == f"Q{{number}}"
"""


def evals(cases: int, each: int) -> str:
    judges = (
        f"""
def eval_item_{number}(ctx):
    return ctx.final_output["answer"] == ctx.task["description"].upper()
"""
        for number in range(each)
    )
    return f"""
import pytest
from looplet import Trajectory

looplet_cases = [{{"id": f"c{{number}}", "task": f"q{{number}}"}} for number in range({cases})]

@pytest.fixture
def looplet_agent():
    def run(case):
        return Trajectory(run_id=case.id, task=case.task, final_output={{"answer": case.task.upper()}})

    return run
{"".join(judges)}"""


def contexts() -> list[EvalContext]:
    made = []
    for number in range(RUNS):
        call = ToolCall(tool="done", args={"answer": number}, reasoning="")
        step = Step(1, call, ToolResult(tool="done", args_summary="", data={"answer": number}))
        made.append(EvalContext(steps=[step], task={"expected": number}, final_output={"answer": number}))
    return made


def eval_right(ctx: EvalContext) -> bool:
    return bool(ctx.final_output["answer"] == ctx.task["expected"])


def eval_short(ctx: EvalContext) -> float:
    return 1.0 if ctx.step_count == 1 else 0.0


def eval_kind(ctx: EvalContext) -> str:
    return "pass" if ctx.tool_sequence == ["done"] else "fail"


def test_scoring_a_run_with_three_evals(timed):
    saved = contexts()
    judges: list[Callable[[EvalContext], Any]] = [eval_right, eval_short, eval_kind]
    work = {
        "floor": lambda: [[judge(one) for judge in judges] for one in saved],
        "ours": lambda: eval_run_batch(judges, saved),
    }
    timed("scoring a run with three evals, over calling them", work, per=RUNS, rounds=10)


def test_a_collected_eval(timed, a_pytest, tmp_path):
    """What nine further evals of each case add, over what as many further tests add."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_floor.py").write_text(parametrised(AGENTS * EACH))
    (tmp_path / "test_floor_base.py").write_text(parametrised(AGENTS))
    (tmp_path / "eval_ours.py").write_text(evals(AGENTS, EACH))
    (tmp_path / "eval_base.py").write_text(evals(AGENTS, 1))
    work = {
        file.stem.partition("_")[2]: a_pytest(file.name, folder=tmp_path, plugin=file.match("eval_*"))
        for file in tmp_path.glob("*.py")
    }
    further = AGENTS * (EACH - 1)
    timed("a collected eval, over a parametrised test", work, per=further, target=1.25, rounds=5)


def test_a_case_with_one_eval(timed, a_pytest, tmp_path):
    """Whole sessions, start included; the agent's run is an item of its own, so a case is two."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_item.py").write_text(parametrised(RUNS))
    (tmp_path / "eval_item.py").write_text(evals(RUNS, 1))
    work = {
        "floor": a_pytest("test_item.py", folder=tmp_path, plugin=False),
        "ours": a_pytest("eval_item.py", folder=tmp_path, plugin=True),
    }
    timed("a case with an agent's run and one eval, over a parametrised test", work, per=RUNS, rounds=3)


def session() -> SessionReport:
    rows, runs = [], {}
    for number in range(CASES):
        case = f"case-{number:03}"
        rows.append(EvalRow("evals/eval_a.py", "eval_answer", case, 1, "passed", score=1.0))
        call = ToolCall(tool="done", args={"answer": "x" * 200})
        result = ToolResult(tool="done", args_summary="", data={"answer": "x"})
        steps = tuple(Step(n + 1, call, result) for n in range(8))
        runs[f"evals/eval_a.py::{case}#1"] = Trajectory(run_id=case, task="go", steps=steps)
    return SessionReport(tuple(rows), runs=runs)


@pytest.mark.parametrize("kind", ["json", "html", "md"])
def test_writing_a_report(timed, tmp_path, kind):
    report = session()
    plain = [dataclasses.asdict(run) for run in report.runs.values()]

    def dumped() -> None:
        Path(tmp_path / "floor.json").write_text(json.dumps(plain))

    work = {"floor": dumped, "ours": lambda: write(report, tmp_path / f"report.{kind}")}
    title = f"writing a report of 500 cases of 8 steps as {kind}, over json.dumps of its runs"
    timed(title, work, per=CASES, rounds=5)
