"""Finding evals, running them over runs, live and from disk."""

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import pytest

from looplet.errors import TraceError
from looplet.evals import (
    EvalContext,
    EvalFileError,
    EvalHook,
    SavedRun,
    eval_cli,
    eval_discover,
    eval_mark,
    eval_run,
    eval_run_batch,
)
from looplet.loop import LoopConfig, composable_loop
from looplet.testing import ScriptedChatBackend, call
from looplet.tools import BaseToolRegistry, ToolSpec
from looplet.trajectory import Trajectory
from looplet.types import DefaultState, Step, ToolCall, ToolResult, Usage


def step(number, tool, *, error=None, **args):
    return Step(
        number,
        ToolCall(tool, args, call_id=f"c{number}"),
        ToolResult(tool, "", None if error else {"ok": 1}, error),
    )


@pytest.fixture
def trajectory():
    return Trajectory(
        run_id="r1",
        task={"ask": "refund"},
        steps=(step(1, "look", error="gone"), step(2, "pay", amount=3), step(3, "done", answer="paid")),
        stop_reason="done",
        final_output={"answer": "paid"},
        usage=Usage(10, 5),
        artifacts={"files": ["a"]},
        metadata={"who": "me"},
    )


def test_F60_a_context_from_disk_equals_the_live_one(trajectory, tmp_path):
    trajectory.save(tmp_path / "trajectory.json")
    live, stored = EvalContext.from_trajectory(trajectory), EvalContext.from_trajectory_dir(tmp_path)
    for name in (
        "task",
        "final_output",
        "session_log_text",
        "stop_reason",
        "usage",
        "artifacts",
        "tool_sequence",
        "completed",
    ):
        assert getattr(stored, name) == getattr(live, name), name
    assert [s.pretty() for s in stored.steps] == [s.pretty() for s in live.steps]
    assert live.task == {"ask": "refund"}
    assert live.tool_sequence == ["look", "pay", "done"]
    assert [s.number for s in stored.errors] == [1]
    assert stored.metadata["who"] == "me"


def test_a_slower_replay_shows_a_judge_the_same_text(trajectory):
    slow = [replace(s, tool_result=replace(s.tool_result, duration_ms=99.0)) for s in trajectory.steps]
    later = EvalContext.from_trajectory(replace(trajectory, steps=tuple(slow)))
    assert later.session_log_text == EvalContext.from_trajectory(trajectory).session_log_text
    assert [step.tool_result.duration_ms for step in later.steps] == [99.0] * 3


def test_an_eval_that_changes_its_context_changes_no_other(trajectory):
    first = EvalContext.from_trajectory(trajectory)
    first.task["ask"] = first.final_output["answer"] = "changed"
    assert EvalContext.from_trajectory(trajectory).task == {"ask": "refund"}
    assert trajectory.final_output == {"answer": "paid"}


def test_a_run_directory_of_the_older_provenance_form_reads(tmp_path):
    call = {"tool": "done", "args": {"answer": "x"}, "reasoning": "r", "call_id": "de552350b69c"}
    result = {"tool": "done", "args": "answer=x", "duration_ms": 0.0, "data": {"a": 1}}
    step = {"step_num": 1, "timestamp": 1.0, "duration_ms": 0.3, "pretty": "", "context_before": ""}
    step |= {"llm_call_indices": [], "tool_call": call, "tool_result": result}
    content = {"run_id": "22d799293c65", "started_at": 1.0, "ended_at": 2.0, "termination_reason": "done"}
    content |= {"metadata": {}, "step_count": 1, "llm_call_count": 0, "llm_calls": [], "steps": [step]}
    (tmp_path / "trajectory.json").write_text(json.dumps(content))
    ctx = EvalContext.from_trajectory_dir(tmp_path)
    assert ctx.tool_sequence == ["done"]
    assert ctx.steps[0].number == 1
    assert ctx.steps[0].tool_result.data == {"a": 1}
    assert ctx.final_output == {"answer": "x"}
    assert ctx.metadata["started_at"] == 1.0
    assert ctx.metadata["termination_reason"] == "done"


def test_a_run_directory_of_flat_steps_reads_with_its_metrics(tmp_path):
    content = {
        "task": "find it",
        "verdict": "bad",
        "steps": [{"tool": "look", "error": "gone"}, {"tool": "done", "args": {"answer": 1}, "data": [1]}],
    }
    (tmp_path / "trajectory.json").write_text(json.dumps(content))
    (tmp_path / "metrics.json").write_text('{"expected_verdict": "good", "predicted_iocs": ["x"]}')
    (tmp_path / "artifacts.json").write_text('{"tests": "green"}')
    ctx = EvalContext.from_trajectory_dir(tmp_path)
    assert ctx.task == {"description": "find it", "expected_verdict": "good"}
    assert ctx.final_output == {"answer": 1, "verdict": "bad", "predicted_iocs": ["x"]}
    assert [s.number for s in ctx.errors] == [1]
    assert ctx.steps[1].tool_result.data == [1]
    assert ctx.artifacts == {"tests": "green"}


UNREADABLE = {
    "no JSON": ("{", "trajectory.json"),
    "a list": ("[]", "JSON object"),
    "a step without a tool": ('{"steps": [{"tool": "a"}, {"data": 1}]}', "step 2"),
    "invalid UTF-8": (b"\xff", "trajectory.json"),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_EV_04_a_run_that_cannot_be_read_is_named(content, message, tmp_path, capsys):
    folder = tmp_path / "runs" / "r"
    folder.mkdir(parents=True)
    (folder / "trajectory.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TraceError, match=message):
        EvalContext.from_trajectory_dir(folder)
    (tmp_path / "eval_a.py").write_text("def eval_a(ctx): return True")
    assert eval_cli([str(tmp_path / "runs"), "--evals", str(tmp_path)]) == 1
    assert "trajectory.json" in capsys.readouterr().out


def test_a_folder_without_a_run_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No trajectory\.json in"):
        EvalContext.from_trajectory_dir(tmp_path)


# ---------------------------------------------------------------- discovery


def test_F33_discovery_takes_what_the_file_defines_in_its_order(tmp_path):
    (tmp_path / "eval_b.py").write_text(
        "from looplet.evals import eval_mark, eval_run\n"
        "def loud(f):\n    def inner(ctx): return f(ctx)\n    return inner\n"
        "def made():\n    def check(ctx): return True\n    return check\n"
        "def eval_z(ctx): return True\n"
        "@loud\ndef eval_a(ctx): return True\n"
        "eval_made = made()\n"
        "eval_number = 3\n"
        "class eval_class: pass\n"
        "def helper(ctx): return True\n"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "eval_b.py").write_text("def eval_other(ctx): return 1")
    for foreign in (".venv", "node_modules", "env"):
        (tmp_path / foreign).mkdir()
        (tmp_path / foreign / "eval_x.py").write_text("raise SystemExit('imported')")
    (tmp_path / "env" / "pyvenv.cfg").touch()
    found = eval_discover(tmp_path, strict=True)
    assert [f.__name__ for f in found] == ["eval_z", "inner", "check", "eval_other"]


@pytest.mark.parametrize("source", ["import missing_module", "def (", "raise SystemExit(3)", "x = 1 / 0"])
def test_EV_03_a_file_that_does_not_import(source, tmp_path, caplog, capsys):
    (tmp_path / "eval_bad.py").write_text("\n" + source)
    assert eval_discover(tmp_path) == []
    assert "eval_bad.py:2" in caplog.text
    with pytest.raises(EvalFileError, match=r"eval_bad\.py:2"):
        eval_discover(tmp_path, strict=True)
    assert eval_cli([str(tmp_path), "--evals", str(tmp_path)]) == 1
    assert "eval_bad.py:2" in capsys.readouterr().out


# ---------------------------------------------------------------- running


def eval_true(ctx):
    return True


def eval_score(ctx):
    return ctx.step_count / 10


@eval_mark("judged")
def eval_judged(ctx, llm):
    return float(llm.generate("score"))


def eval_raises(ctx):
    return ctx.final_output["missing"]


def eval_asserts(ctx):
    assert ctx.step_count == 99, "not 99 steps"
    return True


async def eval_async(ctx):
    return "awaited"


def eval_fixture(ctx, tmp_path):
    return True


def test_EV_01_each_eval_costs_itself_only(trajectory):
    evals = [eval_true, eval_raises, eval_asserts, eval_judged, eval_async, eval_fixture, eval_score]
    results = eval_run(evals, EvalContext.from_trajectory(trajectory))
    assert [r.label for r in results] == ["pass", "error", "fail", "skipped", "awaited", "error", None]
    assert results[1].explanation == "'missing'"
    assert "test_runs.py" in results[1].details[0]
    assert results[2].score == 0.0
    assert results[3].explanation == "requires judge_llm"
    assert "tmp_path" in results[5].explanation
    assert results[6].score == 0.3


def test_the_judge_is_handed_over_and_tags_select(trajectory):
    class Judge:
        def generate(self, prompt, **_):
            return "0.5"

    ctx = EvalContext.from_trajectory(trajectory)
    assert [
        r.score for r in eval_run([eval_true, eval_judged], ctx, judge_llm=Judge(), include=["judged"])
    ] == [0.5]
    assert [r.name for r in eval_run([eval_true, eval_judged], ctx, exclude=["judged"])] == ["eval_true"]


async def test_an_async_eval_runs_inside_a_running_loop_too(trajectory):
    assert eval_run([eval_async], EvalContext.from_trajectory(trajectory))[0].label == "awaited"


def test_a_batch_gives_one_row_for_each_eval(trajectory):
    contexts = [EvalContext.from_trajectory(trajectory[:n]) for n in (1, 2, 3)]
    true, score, raises = eval_run_batch([eval_true, eval_score, eval_raises], contexts)
    assert true["scores"] == [1.0, 1.0, 1.0]
    assert (score["name"], score["runs"]) == ("eval_score", 3)
    assert (score["avg_score"], score["min_score"], score["max_score"]) == (0.2, 0.1, 0.3)
    assert [run["score"] for run in score["per_run"]] == [0.1, 0.2, 0.3]
    assert raises["scores"] == []
    assert "avg_score" not in raises
    assert eval_run_batch([eval_true], [])[0]["runs"] == 0


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_an_executor_changes_nothing(pool, trajectory, tmp_path):
    (tmp_path / "eval_far.py").write_text("def eval_far(ctx): return ctx.step_count == 2\nalias = eval_far\n")
    evals = [eval_score, eval_raises, *eval_discover(tmp_path)]
    contexts = [EvalContext.from_trajectory(trajectory[: n % 4]) for n in range(150)]
    with pool(2) as executor:
        spread = eval_run_batch(evals, contexts, executor=executor)
    for row in (here := eval_run_batch(evals, contexts)) + spread:
        for run in row["per_run"]:
            run.pop("duration_ms", None)
    assert spread == here


def test_a_saved_run_is_read_when_it_is_judged(trajectory, tmp_path):
    trajectory.save(tmp_path / "a" / "trajectory.json")

    def eval_expected(ctx):
        return ctx.expected == 3

    runs = [
        SavedRun(tmp_path / "a", expected=3),
        SavedRun(tmp_path / "a"),
        str(tmp_path / "a"),
        tmp_path / "a",
    ]
    assert eval_run_batch([eval_expected], runs)[0]["scores"] == [1.0, 0.0, 0.0, 0.0]
    with ThreadPoolExecutor(2) as executor, pytest.raises(FileNotFoundError):
        eval_run_batch([eval_expected], [tmp_path], executor=executor)


def test_no_more_runs_are_taken_than_are_judged_soon(trajectory):
    taken = 0

    def contexts():
        nonlocal taken
        for _ in range(5_000):
            taken += 1
            yield EvalContext.from_trajectory(trajectory[:1])

    seen = []

    def eval_seen(ctx):
        seen.append(taken)
        return True

    assert eval_run_batch([eval_seen], contexts())[0]["runs"] == 5_000
    assert seen == list(range(1, 5_001))
    taken = 0
    with ThreadPoolExecutor(2) as executor:
        eval_run_batch([eval_seen], contexts(), executor=executor)
    assert seen[5_000] < 5_000


# ---------------------------------------------------------------- hook and command


def test_F34_the_hook_knows_the_task_and_takes_no_rejected_output(trajectory, tmp_path, capsys):
    def eval_compares(ctx):
        return ctx.task["want"] == ctx.final_output.get("answer")

    state = DefaultState(steps=[step(1, "done", answer="a"), step(2, "done", error="rejected", answer="b")])
    hook = EvalHook([eval_compares, eval_raises, eval_async], verbose=True)
    assert hook.summary() == "no results"
    assert hook.report() == "No eval results."
    hook.run_started({"want": "a"}, run_id="r")
    hook.pre_loop(state, None, None)
    assert hook.on_loop_end(state, None, None, None) == 0
    assert hook.summary() == "1 scored (avg 1.00), 1 labeled, 1 errors"
    assert "Eval results:\n  eval_compares" in capsys.readouterr().out
    hook.save(tmp_path / "out.json")
    saved = json.loads((tmp_path / "out.json").read_text())
    assert saved["task"] == {"want": "a"}
    assert saved["results"][0]["label"] == "pass"


def test_F34_in_a_loop_the_hook_is_told_task_and_output():
    def eval_compares(ctx):
        return (ctx.task, ctx.final_output, ctx.stop_reason, ctx.tool_sequence) == expected

    expected = ({"want": "x"}, {"answer": "x"}, "done", ["finish"])
    hook = EvalHook([eval_compares])
    finish = ToolSpec("finish", "Finish.", {"answer": "str"}, lambda answer: {"answer": answer})
    tools = BaseToolRegistry()
    tools.register(finish)
    llm = ScriptedChatBackend(call("finish", answer="x"))
    list(composable_loop(llm, {"want": "x"}, tools, hooks=[hook], config=LoopConfig(done_tool="finish")))
    assert [result.label for result in hook.results] == ["pass"], hook.report()


@pytest.fixture
def runs(trajectory, tmp_path):
    for number in (2, 3):
        trajectory[:number].save(tmp_path / "runs" / f"r{number}" / "trajectory.json")
    return tmp_path / "runs"


MARKED = "from looplet.evals import eval_mark\n@eval_mark(threshold=.9)\ndef eval_g(ctx): return .8"

CLI = {
    "all is well": ("def eval_g(ctx): return ctx.step_count / 3", [], 0, "✓ eval_g"),
    "below the threshold": ("def eval_g(ctx): return .2", ["--threshold", "0.5"], 1, "0.50  → FAIL"),
    "zero is a score": ("def eval_g(ctx): return {'score': 0.0}", ["--threshold", "0.1"], 1, "avg=0.00"),
    "an eval raises": ("def eval_g(ctx): return 1 / 0", [], 1, "division by zero"),
    "NaN": ("def eval_g(ctx): return float('nan')", [], 1, "from 0 to 1"),
    "nothing returned": ("def eval_g(ctx): pass", [], 1, "returned nothing"),
    "no evals": ("def helper(ctx): return 1", [], 1, "No eval_* functions found in"),
    "filters leave nothing": ("def eval_g(ctx): return 1", ["--include", "nope"], 1, "leave none"),
    "a threshold, no score": ("def eval_g(ctx): return 'x'", ["--threshold", "0.1"], 1, "no eval gave"),
    "labels only": ("def eval_g(ctx): return 'x'", [], 0, "- eval_g"),
    "a mark's threshold": (MARKED, [], 1, "below 0.90"),
    "escapes in a label": ("def eval_g(ctx): return {'score': 1, 'd': '\\x1b[2J'}", ["-v"], 0, "\\x1b[2J"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "options", "code", "line"), CLI.values(), ids=CLI)
def test_EV_07_the_command_is_red_unless_everything_was_judged(
    source, options, code, line, runs, tmp_path, capsys
):
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "eval_a.py").write_text(source)
    assert eval_cli([str(runs), "--evals", str(tmp_path / "evals"), *options]) == code
    out = capsys.readouterr().out
    assert line in out
    assert "\x1b" not in out


def test_the_command_prints_a_line_for_each_eval(runs, tmp_path, capsys):
    (tmp_path / "eval_a.py").write_text(
        "def eval_b(ctx): return 'x'\ndef eval_g(ctx): return ctx.step_count / 10"
    )
    assert eval_cli([str(runs), "--evals", str(tmp_path), "--threshold", "0.5"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Found 2 evals, 2 trajectories"
    assert lines[2] == f"  - {'eval_b':<40} (no scores)"
    assert lines[3] == f"  ✗ {'eval_g':<40} avg=0.25  min=0.20  max=0.30  (2 runs)"
    assert "  overall: 0.25" in lines


NAMED = {
    "an eval that raises": ("def eval_g(ctx): return 1 / (3 - ctx.step_count)", [], "  eval_g, b/r3: "),
    "an average": (
        "def eval_g(ctx): return 2 / ctx.step_count / 2",
        ["--threshold", ".9"],
        "  eval_g: average 0.42 is below 0.90, worst 0.33 (b/r3)",
    ),
    "each run": (
        "def eval_g(ctx): return 1 / ctx.step_count",
        ["-v"],
        "      run_1: 0.3333333333333333  b/r3",
    ),
}


@pytest.mark.parametrize(("source", "options", "line"), NAMED.values(), ids=NAMED)
def test_the_command_names_runs_by_their_folders(source, options, line, trajectory, tmp_path, capsys):
    for name, number in {"a/r2": 2, "b/r3": 3}.items():
        trajectory[:number].save(tmp_path / "runs" / name / "trajectory.json")
    (tmp_path / "eval_a.py").write_text(source)
    eval_cli([str(tmp_path / "runs"), "--evals", str(tmp_path), *options])
    assert [one for one in capsys.readouterr().out.splitlines() if one.startswith(line)]


EXPECTS = "def eval_g(ctx): return ctx.expected == {'steps': ctx.step_count}\nalias = eval_g"


@pytest.mark.parametrize("place", ["beside the evals", "by option"])
def test_the_command_knows_what_the_cases_expect(place, runs, tmp_path, capsys):
    evals = tmp_path / "evals"
    cases = (evals if place == "beside the evals" else tmp_path / "elsewhere") / "cases"
    cases.mkdir(parents=True)
    evals.mkdir(exist_ok=True)
    (evals / "eval_a.py").write_text(EXPECTS)
    rows = [{"id": f"r{steps}", "task": "x", "expected": {"steps": steps}} for steps in (2, 3)]
    (cases / "all.json").write_text(json.dumps(rows))
    options = [] if place == "beside the evals" else ["--cases", str(cases / "all.json")]
    assert eval_cli([str(runs), "--evals", str(evals), "--threshold", "1", *options]) == 0
    assert "avg=1.00  min=1.00  max=1.00  (2 runs)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("all.json", "{", "all.json:1"),
        ("all.yaml", "id: r2", "YAML is read by the command looplet eval"),
        (None, "", "Cases not found"),
    ],
)
def test_cases_that_cannot_be_read_are_red(name, text, line, runs, tmp_path, capsys):
    (tmp_path / "eval_a.py").write_text(EXPECTS)
    cases = tmp_path / "c"
    if name is not None:
        cases.mkdir()
        (cases / name).write_text(text)
    assert eval_cli([str(runs), "--evals", str(tmp_path), "--cases", str(cases)]) == 1
    assert line in capsys.readouterr().out


def test_runs_that_lie_deeper_are_found(runs, tmp_path, capsys):
    (tmp_path / "eval_a.py").write_text("def eval_b(ctx): return True")
    assert eval_cli([str(runs.parent), "--evals", str(tmp_path / "eval_a.py")]) == 0
    assert "2 trajectories" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folder", "line"), [("gone", "Traces directory not found"), ("", "No trajectories found in")]
)
def test_the_command_says_where_it_found_nothing(folder, line, tmp_path, capsys):
    (tmp_path / "eval_a.py").write_text("def eval_b(ctx): return 1")
    assert eval_cli([str(tmp_path / folder), "--evals", str(tmp_path)]) == 1
    assert line in capsys.readouterr().out
