"""`looplet show`: a run directory, or the file of a run, in a few lines."""

import io
import json
import sys

import pytest

from looplet import tool
from looplet.cli import Command, main, run_command
from looplet.testing import ScriptedBackend, call
from looplet.tools import tools_from
from looplet.trajectory import TrajectoryBuilder
from looplet.trajectory.run import run_loop


@tool
def look(order_id: str) -> dict:
    """Look an order up."""
    return {"status": "shipped"}


@pytest.fixture
def saved(tmp_path):
    """A folder with a run that was saved whole, and what of it is its behaviour."""
    builder = TrajectoryBuilder()
    llm = ScriptedBackend([call("look", order_id="7"), call("done", answer="ok")])
    run_loop(builder=builder, llm=llm, task="x", tools=tools_from([look], include_done=True))
    builder.trajectory.save(tmp_path / "run" / "trajectory.json")
    builder.trajectory.behaviour().save(tmp_path / "a.run.json")
    return tmp_path


@pytest.mark.parametrize("name", ["run", "run/trajectory.json"])
def test_a_saved_run_by_its_folder_or_its_file(name, saved, capsys):
    assert main(["show", str(saved / name)]) == 0
    told = capsys.readouterr().out
    assert "✓ done  2 steps  2 LLM calls" in told
    assert "✓ look(order_id=7" in told
    assert "LLM: 2 calls, tokens not known, 0 errors" in told


def test_an_accepted_run_is_shown_without_what_it_does_not_keep(saved, capsys):
    assert main(["show", str(saved / "a.run.json")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a.run.json  ✓ done  2 steps; model calls and times are not kept in this file",
        "",
        "#1  ✓ look(order_id=7) → 1 keys",
        "#2  ✓ done(answer=ok)  → 1 keys",
    ]


def test_what_is_cut_says_so(tmp_path, capsys):
    result = {"tool": "look", "args": "x" * 40, "error": "é\x1b" * 40}
    run = {"steps": [{"step_num": 9, "tool_result": result}, {"step_num": 10, "tool_call": {"tool": "b"}}]}
    (tmp_path / "a.run.json").write_text(json.dumps(run))
    assert main(["show", str(tmp_path / "a.run.json")]) == 0
    head, _, first, second = capsys.readouterr().out.splitlines()
    assert head.startswith("a.run.json  · unknown  2 steps; ")
    assert first.startswith(f"#9   ✗ look({'x' * 29}…) → ERROR: é\\x1bé")
    assert first.endswith("…")
    assert second == "#10  ✓ b()"


@pytest.mark.parametrize(
    ("name", "command"), [("a.looplet.yaml", "cassettes show"), ("journal.jsonl", "checkpoints show")]
)
def test_what_another_command_shows_says_which(name, command, tmp_path, capsys):
    (tmp_path / name).write_text("interactions: []")
    given = tmp_path / name if name.endswith("yaml") else tmp_path
    assert main(["show", str(given)]) == 1
    assert f"{given} is no run: looplet {command} {given}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "times",
    [{"steps": {"1": "soon"}}, {"steps": [1]}, {"calls": 3}, {"calls": ["x"]}],
    ids=["step", "steps", "calls", "call"],
)
def test_CL_02_times_that_are_none_are_left_out(times, tmp_path, capsys):
    run = {"steps": [{"step_num": 1, "tool_call": {"tool": "look"}}], "llm_calls": [{}]}
    (tmp_path / "trajectory.json").write_text(json.dumps(run))
    (tmp_path / "volatile.json").write_text(json.dumps(times))
    assert main(["show", str(tmp_path)]) == 0
    assert "0ms" in capsys.readouterr().out


@pytest.mark.parametrize("steps", [None, 3, "x", {}], ids=repr)
def test_CL_02_steps_that_are_no_list_are_none(steps, tmp_path, capsys):
    (tmp_path / "trajectory.json").write_text(json.dumps({"steps": steps, "failure_modes": steps}))
    assert main(["show", str(tmp_path)]) == 0
    assert "0 steps" in capsys.readouterr().out


def test_a_file_that_is_no_run(tmp_path, capsys):
    (tmp_path / "x.txt").write_text("no run")
    assert main(["show", str(tmp_path / "x.txt")]) == 1
    assert f"could not parse {tmp_path / 'x.txt'}" in capsys.readouterr().err
    assert main(["show", str(tmp_path / "nothing")]) == 1


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_CL_05_a_terminal_without_our_signs_is_no_input_that_cannot_be_read(encoding, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", out)
    command = Command("tell", "prints a sign", lambda parser: None, lambda options: print("✓ fine") or 0)
    assert run_command("looplet", [command], ["tell"]) == 0
    out.seek(0)
    assert out.read() == "\\u2713 fine\n"


def test_CL_05_a_fault_of_our_own_is_code_4_and_no_gate_that_failed(capsys):
    def broken(options):
        raise TypeError("\x1b[2J\n::error::not yours")

    command = Command("broken", "breaks", lambda parser: None, broken)
    assert run_command("looplet", [command], ["broken"]) == 4
    told = capsys.readouterr()
    assert not told.out
    assert "TypeError" in told.err
    assert "\x1b" not in told.err
    assert not any(line.startswith("::") for line in told.err.splitlines())
    assert told.err.splitlines()[-1].startswith("error: this is a fault of looplet")
