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

PARAMETRISED = f"""
import pytest

@pytest.mark.parametrize("number", range({RUNS}))
def test_item(number):
    given = f"q{{number}}"
    assert given.upper() == f"Q{{number}}"
"""

EVALS = f"""
import pytest
from looplet import Trajectory

looplet_cases = [{{"id": f"c{{number}}", "task": f"q{{number}}"}} for number in range({RUNS})]

@pytest.fixture
def looplet_agent():
    def run(case):
        return Trajectory(run_id=case.id, task=case.task, final_output={{"answer": case.task.upper()}})

    return run

def eval_item(ctx):
    return ctx.final_output["answer"] == ctx.task["description"].upper()
"""


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


@pytest.mark.parametrize("side", ["floor", "ours"])
def test_scoring_a_run_with_three_evals(timed, side):
    saved = contexts()
    evals: list[Callable[[EvalContext], Any]] = [eval_right, eval_short, eval_kind]
    work = {
        "floor": lambda: [[judge(one) for judge in evals] for one in saved],
        "ours": lambda: eval_run_batch(evals, saved),
    }
    timed("scoring a run with three evals, over calling them", side, work, per=RUNS, rounds=10)


@pytest.mark.parametrize("side", ["floor", "ours"])
def test_a_collected_eval(timed, side, a_pytest, tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_item.py").write_text(PARAMETRISED)
    (tmp_path / "eval_item.py").write_text(EVALS)
    name = {"floor": "test_item.py", "ours": "eval_item.py"}[side]
    work = {side: a_pytest(name, folder=tmp_path, plugin=side == "ours")}
    timed("a collected eval, over a parametrised test", side, work, per=RUNS, target=1.25, rounds=5)


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


@pytest.mark.parametrize("side", ["floor", "ours"])
@pytest.mark.parametrize("kind", ["json", "html", "md"])
def test_writing_a_report(timed, side, tmp_path, kind):
    report = session()
    plain = [dataclasses.asdict(run) for run in report.runs.values()]

    def dumped() -> None:
        Path(tmp_path / "floor.json").write_text(json.dumps(plain))

    work = {"floor": dumped, "ours": lambda: write(report, tmp_path / f"report.{kind}")}
    title = f"writing a report of 500 cases of 8 steps as {kind}, over json.dumps of its runs"
    timed(title, side, work, per=CASES, rounds=5)
