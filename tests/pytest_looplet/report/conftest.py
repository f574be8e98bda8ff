"""Reports made by hand: some cases, some red, with everything a model could say to break a page or a log."""

import pytest

from looplet.engine.observe import Decision
from looplet.evals.compare import Judged, compare
from looplet.trajectory import Trajectory
from looplet.trajectory.call import RecordedCall
from looplet.types import Step, ToolCall, ToolResult, Usage
from pytest_looplet.report.model import EvalRow, GateRow, SessionReport, TestRow

EVIL = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
    '<a href="javascript:window.hacked=3">link</a></pre></details>\n::error::boo | `tick` 100%\n'
    "##[error]\r\x00\x1b[31m\u202e\ud800 ☃ 🦜 [x](http://evil.example) **bold** @all"
)
FILE = "evals/eval_support.py"


def run_of(number: int, steps: int = 4) -> Trajectory:
    """A run of so many steps; the second step of every third run failed."""
    taken, calls, decisions = [], [], []
    for at in range(1, steps + 1):
        bad = at == 2 and number % 3 == 0
        call = ToolCall(
            "lookup_order", {"order_id": f"{number}-{at}", "note": EVIL}, "because", call_id=f"c{at}"
        )
        data = None if bad else {"status": "shipped", "html": EVIL}
        error = f"timed out {EVIL}" if bad else None
        taken.append(Step(at, call, ToolResult("lookup_order", "", data, error, call_id=f"c{at}")))
        asked = {"role": "user", "content": [{"type": "text", "text": f"task {number} {EVIL}"}]}
        said = (
            {"type": "text", "text": f"I look. {EVIL}"},
            {"type": "tool_use", "id": f"c{at}", "name": EVIL},
        )
        calls.append(
            RecordedCall(at, at, system_prompt=EVIL, added=(asked,), reply=said, usage=Usage(300 * at, 40))
        )
        decisions.append(Decision(at, "lookup_order", f"c{at}", "allow", "rule 1", EVIL))
    return Trajectory(
        run_id="r",
        task=f"task {number} {EVIL}",
        steps=tuple(taken),
        model_calls=tuple(calls),
        decisions=tuple(decisions),
        stop_reason="done",
        final_output={"answer": EVIL},
        usage=Usage(900, 160),
        cost_usd=0.01,
        duration_ms=1234.5,
    )


def report_of(cases: int, steps: int = 4) -> SessionReport:
    """A session of two evals over so many cases, and one test; every third case is red."""
    rows = []
    for number in range(cases):
        red = number % 3 == 0
        standing, reason = ("failed", f"wrong: {EVIL}") if red else ("passed", "")
        case = f"case-{number:04}"
        blame = "agent" if red else None
        rows.append(
            EvalRow(FILE, "eval_answer", case, 1, standing, blame, float(not red), reason=reason, line=7)
        )
        rows.append(EvalRow(FILE, "eval_tone", case, 1, "noted", score=0.5, label="rude", order=1, line=12))
    rows.sort(key=lambda row: (row.order, row.case))
    keys = {(row.module, row.eval, row.case, row.trial): row for row in rows}
    after = {key: Judged(row.standing, row.score) for key, row in keys.items()}
    before = {key: Judged("passed", 1.0) if key[1] == "eval_answer" else was for key, was in after.items()}
    used = {"steps": steps, "model_calls": steps, "tokens": 1060, "cost_usd": 0.01, "stop_reason": "done"}
    test = TestRow("tests/test_a.py::test_it", "failed", ({**used, "error": EVIL, "duration_ms": 1.0},), 3)
    runs = {f"{FILE}::case-{number:04}#1": run_of(number, steps) for number in range(cases)}
    return SessionReport(
        tuple(rows),
        (test,),
        1,
        ("eval_answer regressed against the baseline",),
        (f"a remark {EVIL}",),
        (GateRow(FILE, "eval_answer", False, f"gate text {EVIL}"),),
        compare(before, after, fresh=False),
        planned={f"{FILE}::eval_answer": cases, f"{FILE}::eval_tone": cases},
        runs=runs | {"tests/test_a.py::test_it#1": run_of(1, steps)},
        differences={f"{FILE}::case-0000#1": (f"the first difference is at step 2 {EVIL}",)},
    )


@pytest.fixture(scope="session")
def report() -> SessionReport:
    return report_of(4)


@pytest.fixture(scope="session")
def large_report() -> SessionReport:
    return report_of(500, steps=8)


@pytest.fixture(scope="session")
def evil() -> str:
    return EVIL
