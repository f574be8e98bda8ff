"""`looplet cases from-run`: a recorded run becomes a case that an eval file collects."""

import pytest

from looplet.trajectory import Trajectory
from looplet.types import Step, ToolCall, ToolResult
from pytest_looplet.cli import main
from pytest_looplet.evals.casefiles import cases_beside

STEP = Step(1, ToolCall("done", {"answer": "It is shipped."}), ToolResult("done", "", None))


def save(tmp_path, **fields):
    known = {"task": "Where is order 7?", "steps": (STEP,), "stop_reason": "done"}
    run = Trajectory(**{**known, "final_output": {"answer": "It is shipped."}, **fields})
    run.save(tmp_path / "runs" / "order-7" / "trajectory.json")
    return tmp_path / "runs" / "order-7"


def test_a_run_becomes_a_case(tmp_path, capsys):
    run, folder = save(tmp_path), tmp_path / "evals" / "cases"
    assert main(["cases", "from-run", str(run), "-o", str(folder), "--tag", "orders"]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {folder / 'order-7'}")
    (case,) = cases_beside(tmp_path / "evals" / "eval_a.py")
    assert (case.id, case.task, case.tags) == ("order-7", "Where is order 7?", ("orders",))
    assert case.expected == {"answer": "It is shipped."}
    assert case.metadata == {"made_from": "order-7", "stopped": "done", "tools": ["done"]}


@pytest.mark.parametrize("name", ["trajectory.json", ""])
def test_a_file_or_its_folder_and_a_task_of_any_shape(name, tmp_path):
    run = save(tmp_path, task={"order": "7", "note": "a\nb: ü"}, stop_reason="max_steps", final_output={})
    assert main(["cases", "from-run", str(run / name), "-o", str(tmp_path / "cases"), "--id", "x/y"]) == 0
    (case,) = cases_beside(tmp_path / "eval_a.py")
    assert (case.id, case.task, case.expected) == ("x/y", {"order": "7", "note": "a\nb: ü"}, None)


def test_a_case_that_is_there_is_replaced_only_when_asked(tmp_path, capsys):
    command = ["cases", "from-run", str(save(tmp_path)), "-o", str(tmp_path / "cases")]
    assert main(command) == 0
    assert main(command) == 3
    assert "is there already; --force replaces it" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0


@pytest.mark.parametrize(
    ("task", "name", "status", "why"),
    [(None, "order-7", 3, "does not tell its task"), ("x", "order-8", 3, "order-8")],
    ids=["no task", "no run"],
)
def test_what_is_no_case_says_why(task, name, status, why, tmp_path, capsys):
    run = save(tmp_path, task=task)
    assert main(["cases", "from-run", str(run.with_name(name))]) == status
    assert why in capsys.readouterr().err


def test_looplet_eval_judges_a_saved_run_by_the_case_it_is_called_after(tmp_path, capsys):
    run, evals = save(tmp_path), tmp_path / "evals"
    assert main(["cases", "from-run", str(run), "-o", str(evals / "cases")]) == 0
    (evals / "eval_a.py").write_text("def eval_answer(ctx): return ctx.final_output == ctx.expected")
    command = ["eval", str(run.parent), "--evals", str(evals), "--threshold", "1"]
    assert main(command) == 0
    save(tmp_path, final_output={"answer": "No idea."})
    assert main(command) == 1
    assert "eval_answer: average 0.00 is below 1.00" in capsys.readouterr().out
