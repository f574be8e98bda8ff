"""A run on disk: what is there, when, and that nothing secret is."""

from __future__ import annotations

import asyncio
import base64
import filecmp
import json
import re
import subprocess
import sys
import urllib.parse
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from looplet.clock import fixed_clock
from looplet.errors import TraceError
from looplet.loop import LoopConfig, async_composable_loop, composable_loop
from looplet.provenance import (
    ProvenanceSink,
    RecordingLLMBackend,
    TrajectoryRecorder,
    replay_loop,
)
from looplet.testing import (
    AsyncScriptedBackend,
    MockLLMBackend,
    ScriptedBackend,
    ScriptedChatBackend,
    ScriptedToolBackend,
    bad_request,
    call,
    calls,
)
from looplet.tools import tool, tools_from
from looplet.trajectory import Trajectory
from looplet.types import LLMBackend

SECRET = "sk-proj-" + "Ab3" * 14


@tool
def look(at: str) -> dict[str, str]:
    """Look at something."""
    return {"seen": at}


@tool
def leak() -> str:
    """Fail with a secret in the message."""
    raise RuntimeError(f"no access with {SECRET}")


TOOLS = tools_from([look, leak], include_done=True)
SCRIPT = [call("look", at="a"), calls(call("look", at="b"), call("leak")), call("done", answer="ok")]
WIRES = {"text": ScriptedBackend, "native": ScriptedToolBackend, "thread": ScriptedChatBackend}


def record(
    folder: Path, wire: str = "text", script: list[Any] | None = None, **options: Any
) -> ProvenanceSink:
    sink = ProvenanceSink(folder, **options)
    llm = sink.wrap_llm(WIRES[wire](*(script or SCRIPT)))
    config = LoopConfig(use_native_tools=True if wire == "native" else None)
    for _ in composable_loop(llm, {"goal": "look"}, TOOLS, hooks=[sink.trajectory_hook()], config=config):
        pass
    return sink


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("wire", WIRES)
def test_the_folder(tmp_path: Path, wire: str) -> None:
    record(tmp_path / "run", wire)
    calls_ = [f"call_{i:02d}_{part}.txt" for i in range(3) for part in ("prompt", "response")]
    steps = [f"steps/step_{i:02d}.json" for i in range(1, 5)]
    assert files(tmp_path / "run") == sorted(
        [*calls_, *steps, "manifest.jsonl", "trajectory.json", "volatile.json"]
    )


def test_the_keys_that_tools_read(tmp_path: Path) -> None:
    record(tmp_path / "run")
    run = json.loads((tmp_path / "run" / "trajectory.json").read_text())
    assert run["termination_reason"] == "done"
    assert (run["step_count"], run["llm_call_count"]) == (4, 3)
    assert {"run_id", "started_at", "ended_at", "metadata", "steps", "llm_calls"} <= run.keys()
    step = json.loads((tmp_path / "run" / "steps" / "step_02.json").read_text())
    assert step["pretty"] == "#2 ✓ look(at=b) → 1 keys"
    assert step["tool_call"]["args"] == {"at": "b"}
    assert step["tool_result"]["data"] == {"seen": "b"}
    assert step["llm_call_indices"] == [1]
    line = json.loads((tmp_path / "run" / "manifest.jsonl").read_text().splitlines()[1])
    assert (line["index"], line["method"], line["step_num"], line["error"]) == (1, "generate", 2, None)
    assert line["response_chars"] == len(line["response"])


def test_the_prompt_file(tmp_path: Path) -> None:
    record(tmp_path / "run")
    text = (tmp_path / "run" / "call_01_prompt.txt").read_text()
    assert text.startswith(
        "# call 01 — method=generate\n# step=2\n# temperature=0.2 max_tokens=2000 tools=0\n"
    )
    assert "\n\n## USER PROMPT\n\n═══ TASK ═══\n" in text
    response = (tmp_path / "run" / "call_01_response.txt").read_text()
    assert response.startswith("# call 01 — duration=0.0ms error=no\n\n## RESPONSE\n\n{")


@pytest.mark.parametrize("wire", WIRES)
def test_two_equal_runs_differ_in_one_file_only(tmp_path: Path, wire: str) -> None:
    for name in "ab":
        record(tmp_path / name, wire)
    names = files(tmp_path / "a")
    _, different, errors = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", names, shallow=False)
    assert (different, errors) == (["volatile.json"], [])


def test_two_runs_under_a_fixed_clock_are_byte_equal(tmp_path: Path) -> None:
    for name in "ab":
        with fixed_clock():
            record(tmp_path / name)
    names = files(tmp_path / "a")
    assert filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", names, shallow=False)[0] == names


def test_the_trajectory_can_be_loaded(tmp_path: Path) -> None:
    record(tmp_path / "run")
    run = Trajectory.load(tmp_path / "run")
    assert run.tools == ["look", "look", "leak", "done"]
    assert run.task == {"goal": "look"}
    assert run.final_output == {"answer": "ok"}


def test_PR_01_a_killed_run_leaves_what_was_finished(tmp_path: Path) -> None:
    program = f"""
import os, signal
from tests.looplet.provenance.test_provenance import *
sink = ProvenanceSink({str(tmp_path / "run")!r})
llm = sink.wrap_llm(ScriptedBackend(*SCRIPT))
for step in composable_loop(llm, "look", TOOLS, hooks=[sink.trajectory_hook()]):
    if step.number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    there = files(tmp_path / "run")
    assert {"steps/step_01.json", "steps/step_03.json", "call_01_response.txt", "manifest.jsonl"} <= set(
        there
    )
    assert len((tmp_path / "run" / "manifest.jsonl").read_text().splitlines()) == 2


def test_PR_04_a_used_folder_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "run")
    with pytest.raises(TraceError, match="holds another run"):
        ProvenanceSink(tmp_path / "run")


def test_the_hook_may_be_made_before_the_backend_is_wrapped(tmp_path: Path) -> None:
    sink = ProvenanceSink(tmp_path / "run")
    hook = sink.trajectory_hook()
    llm = sink.wrap_llm(ScriptedBackend(*SCRIPT))
    list(composable_loop(llm, "look", TOOLS, hooks=[hook]))
    assert len(hook.trajectory.llm_calls) == 3
    assert [s.llm_call_indices for s in hook.trajectory.steps] == [[0], [1], [1], [2]]
    assert hook.summary().startswith("4 steps, 1 failed, done, ")
    assert sink.trajectory_hook() is hook


ENDS = {
    "done": ([call("done", answer="ok")], "done", 1),
    "a model that fails": ([bad_request("no")], "llm_error", 1),
    "an unreadable reply": (["?", "?", call("done", answer="ok")], "done", 2),
}


@pytest.mark.parametrize(("script", "reason", "steps"), ENDS.values(), ids=ENDS)
def test_every_ending_is_recorded(tmp_path: Path, script: list[Any], reason: str, steps: int) -> None:
    hook = record(tmp_path / "run", script=script).trajectory_hook()
    assert hook.trajectory.termination_reason == reason
    assert len(hook.trajectory.steps) == steps
    assert all(s.timestamp for s in hook.trajectory.steps)


def test_a_run_that_is_left_is_recorded(tmp_path: Path) -> None:
    sink = ProvenanceSink(tmp_path / "run")
    llm = sink.wrap_llm(ScriptedBackend(*SCRIPT))
    steps = composable_loop(llm, "look", TOOLS, hooks=[sink.trajectory_hook()])
    next(steps)
    steps.close()
    assert Trajectory.load(tmp_path / "run").stop_reason == "stopped_by_caller"


def test_an_async_backend(tmp_path: Path) -> None:
    sink = ProvenanceSink(tmp_path / "run")
    llm = sink.wrap_llm(AsyncScriptedBackend(*SCRIPT))

    async def main() -> int:
        loop = async_composable_loop(llm, "look", TOOLS, hooks=[sink.trajectory_hook()])
        async with aclosing(loop) as steps:
            return len([step async for step in steps])

    assert asyncio.run(main()) == 4
    assert len(llm.calls) == 3


# ------------------------------------------------------------------ the backend


def test_a_recording_backend_is_the_backend_it_records() -> None:
    inner = MockLLMBackend(["hello"])
    recording = RecordingLLMBackend(inner)
    assert isinstance(recording, LLMBackend)
    assert not hasattr(recording, "generate_with_tools")
    assert recording.generate("hi", system_prompt="be brief") == "hello"
    kept = recording.calls[0]
    assert (kept.prompt, kept.system_prompt, kept.response, kept.method) == (
        "hi",
        "be brief",
        "hello",
        "generate",
    )
    assert recording.calls[0].to_dict()["prompt_chars"] == 2
    recording.reset()
    assert recording.calls == []


def test_abilities_are_forwarded() -> None:
    recording = RecordingLLMBackend(ScriptedChatBackend(call("look", at="a")))
    assert recording.capabilities().chat
    recording.chat([{"role": "user", "content": [{"type": "text", "text": "go"}]}], tools=[])
    assert recording.calls[0].method == "chat"
    assert recording.last_stop_reason == "tool_use"


def test_an_error_is_recorded_and_raised() -> None:
    recording = RecordingLLMBackend(ScriptedBackend(ValueError("no")))
    with pytest.raises(ValueError, match="no"):
        recording.generate("hi")
    assert (recording.calls[0].error, recording.calls[0].response) == ("ValueError: no", "")


@pytest.mark.parametrize("limit", [60, 500])
def test_long_texts_are_cut_with_a_mark(limit: int) -> None:
    recording = RecordingLLMBackend(MockLLMBackend(["y " * 5000]), max_chars_per_call=limit)
    recording.generate("x " * 5000)
    for text in (recording.calls[0].prompt, recording.calls[0].response):
        assert "truncated" in text
        assert len(text) <= limit


def test_saving_by_hand(tmp_path: Path) -> None:
    recording = RecordingLLMBackend(MockLLMBackend(["hello"]))
    recording.generate("hi")
    assert recording.save(tmp_path / "deep" / "run") == tmp_path / "deep" / "run"
    recorder = TrajectoryRecorder(recording_llm=recording)
    assert recorder.trajectory.termination_reason == "unknown"
    recorder.save(tmp_path / "other")
    assert "call_00_prompt.txt" in files(tmp_path / "other")


# ------------------------------------------------------------------ secrets


def spellings(secret: str) -> list[bytes]:
    plain = secret.encode()
    encoded = [base64.b64encode(plain), urllib.parse.quote(secret, safe="").encode()]
    return [plain, json.dumps(secret)[1:-1].encode(), *encoded]


@pytest.mark.parametrize("wire", WIRES)
def test_PR_05_no_secret_is_in_any_file(tmp_path: Path, wire: str) -> None:
    script = [
        call("look", at=f"Authorization: Bearer {SECRET}"),
        calls(call("leak"), call("look", at=base64.b64encode(SECRET.encode()).decode())),
        call("done", answer=f"the key is {SECRET}"),
    ]
    sink = ProvenanceSink(tmp_path / "run")
    llm = sink.wrap_llm(WIRES[wire](*script))
    config = LoopConfig(
        use_native_tools=True if wire == "native" else None,
        system_prompt=f"use {SECRET}",
        checkpoint_dir=str(tmp_path / "checkpoint"),
    )
    hooks = [sink.trajectory_hook()]
    list(composable_loop(llm, {"goal": SECRET}, TOOLS, context=SECRET, hooks=hooks, config=config))
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(written) > 8
    found = [
        (str(path), form) for path, data in written.items() for form in spellings(SECRET) if form in data
    ]
    assert found == []


def test_a_redactor_of_ones_own(tmp_path: Path) -> None:
    record(tmp_path / "run", redact=lambda text: text.replace("look", "****"))
    for name in files(tmp_path / "run"):
        if name.startswith("call_") or name == "manifest.jsonl":
            assert "look" not in (tmp_path / "run" / name).read_text(), name


# ------------------------------------------------------------------ replay


@pytest.mark.parametrize("wire", WIRES)
def test_a_recording_replays_without_a_model(tmp_path: Path, wire: str) -> None:
    record(tmp_path / "run", wire)
    steps = replay_loop(tmp_path / "run", tools=TOOLS)
    again = [re.sub(r" \[\d+ms\]$", "", step.pretty()) for step in steps]
    assert again == [
        "#1 ✓ look(at=a) → 1 keys",
        "#2 ✓ look(at=b) → 1 keys",
        "#3 ✗ leak() → ERROR: RuntimeError: no access with [redacted:api key]",
        "#4 ✓ done(answer=ok) → 1 keys",
    ]


@given(text=st.text(st.characters(codec="utf-8")).filter(lambda t: "\0" not in t))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_PR_02_any_reply_comes_back_as_it_was(tmp_path: Path, text: str) -> None:
    from looplet.provenance.replay import RecordedBackend
    from looplet.redact import Redactor

    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    recording = RecordingLLMBackend(ScriptedBackend(lambda request: text))
    recording.generate("hi")
    recording.save(folder)
    assert RecordedBackend(folder).generate("hi") == Redactor.of_environment().text(text)


TRICKY = {
    "empty": "",
    "CRLF": "a\r\nb",
    "leading blanks": "  a",
    "the format's marks": "## RESPONSE\n\n(empty)",
}


@pytest.mark.parametrize("text", TRICKY.values(), ids=TRICKY)
def test_PR_02_tricky_replies(tmp_path: Path, text: str) -> None:
    from looplet.provenance.replay import RecordedBackend

    recording = RecordingLLMBackend(ScriptedBackend(lambda request: text))
    recording.generate("hi")
    recording.save(tmp_path / "run")
    assert RecordedBackend(tmp_path / "run").generate("hi") == text


@pytest.mark.parametrize("missing", ["nothing there", "an empty folder"])
def test_no_recording(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "x"
    if missing == "an empty folder":
        folder.mkdir()
    with pytest.raises(FileNotFoundError):
        next(replay_loop(folder, tools=TOOLS))


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    record(tmp_path / "run")
    manifest = tmp_path / "run" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('{"', "{", 1))
    with pytest.raises(TraceError, match=r"manifest\.jsonl, line 1"):
        next(replay_loop(tmp_path / "run", tools=TOOLS))


def test_a_recorded_failure_fails_again(tmp_path: Path) -> None:
    record(tmp_path / "run", script=[call("look", at="a"), bad_request("no credit")])
    steps = list(replay_loop(tmp_path / "run", tools=TOOLS))
    assert "no credit" in (steps[1].tool_result.error or "")


# ------------------------------------------------------------------ divergence


def other_look(at: str) -> dict[str, str]:
    """Look at something."""
    return {"seen": at.upper()}


def changed(**what: Any) -> dict[str, Any]:
    return what


CHANGES = {
    "a tool answers otherwise": (changed(look=other_look), 2),
    "another task": (changed(task={"goal": "listen"}), 1),
    "another tool": (changed(more=True), 1),
    "a hook that says something": (changed(hook=True), 1),
    "fewer steps": (changed(max_steps=9), 1),
}


@pytest.mark.parametrize(("change", "first"), CHANGES.values(), ids=CHANGES)
def test_PR_03_the_first_divergence_is_named(tmp_path: Path, change: dict[str, Any], first: int) -> None:
    from looplet.provenance.replay import RecordedBackend, replay_through

    record(tmp_path / "run")
    looking = tool(name="look")(change["look"]) if "look" in change else look
    more = [tool(name="extra")(other_look)] if "more" in change else []

    class Says:
        def pre_prompt(self, *args: Any) -> str:
            return "hurry"

    backend = RecordedBackend(tmp_path / "run")
    hooks = [Says()] if "hook" in change else []
    config = LoopConfig(max_steps=change.get("max_steps", 15))
    tools = tools_from([looking, leak, *more], include_done=True)
    list(
        replay_through(
            backend, tmp_path / "run", tools=tools, hooks=hooks, config=config, task=change.get("task")
        )
    )
    assert backend.divergence is not None
    assert backend.divergence.call == first
    assert "+" in backend.divergence.diff


def test_an_unchanged_agent_does_not_diverge(tmp_path: Path) -> None:
    from looplet.provenance.replay import RecordedBackend, replay_through

    for wire in WIRES:
        record(tmp_path / wire, wire)
        backend = RecordedBackend(tmp_path / wire)
        list(replay_through(backend, tmp_path / wire, tools=TOOLS, config=LoopConfig()))
        assert backend.divergence is None, str(backend.divergence)


def test_an_agent_that_asks_on_is_told_so(tmp_path: Path) -> None:
    from looplet.provenance.replay import ReplayDiverged

    record(tmp_path / "run")

    class NotYet:
        def check_done(self, *args: Any) -> str:
            return "not yet"

    with pytest.raises(ReplayDiverged, match="model call 4 was not recorded"):
        list(replay_loop(tmp_path / "run", tools=TOOLS, hooks=[NotYet()], config=LoopConfig()))


def test_replay_up_to_a_step_and_live_from_there(tmp_path: Path) -> None:
    from looplet.provenance.replay import RecordedBackend, replay_through

    record(tmp_path / "run")
    live = ScriptedBackend(call("done", answer="live"))
    backend = RecordedBackend(tmp_path / "run", then=live, until_step=1)
    steps = list(replay_through(backend, tmp_path / "run", tools=TOOLS, config=LoopConfig()))
    assert [s.tool_call.args for s in steps] == [{"at": "a"}, {"answer": "live"}]
