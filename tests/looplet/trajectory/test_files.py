"""Trajectory files: nothing is lost, the schema says what is in them, and a bad file says why it is bad."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from jsonschema import Draft202012Validator

from looplet.engine.observe import Decision
from looplet.errors import TraceError
from looplet.trajectory import RecordedCall, Trajectory
from looplet.types import ErrorKind, Step, ToolCall, ToolError, ToolResult, Usage

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "schemas" / "trajectory.schema.json").read_text())

FULL = Trajectory(
    run_id="r1",
    task={"goal": "x", "parts": [1, None]},
    steps=(
        Step(1, ToolCall("look", {"q": "s"}, "why", "c1"), ToolResult("look", "q=s", {"n": 1}, call_id="c1")),
        Step(
            2,
            ToolCall("pay", {}, "", "c2"),
            ToolResult(
                "pay",
                "",
                None,
                "no",
                ToolError(ErrorKind.PERMISSION_DENIED, "denied by rule", False, {"rule": 3}),
                1.25,
                "k",
                "c2",
            ),
        ),
        Step(3, ToolCall("old", {}, "", "c3"), ToolResult("old", "", None, "")),
    ),
    model_calls=(
        RecordedCall(
            1, 1, system_prompt="be brief", added=({"role": "user", "content": []},), tools=("look",)
        ),
        RecordedCall(
            2,
            2,
            system_prompt="be brief",
            tools=("look",),
            kept=1,
            reply=({"type": "text", "text": "hi"},),
            model="m",
            usage=Usage(5, 1, 2),
            stop_reason="end_turn",
        ),
        RecordedCall(3, 3, system_prompt="", tools=(), method="generate", purpose="recovery", error="E: x"),
    ),
    decisions=(Decision(2, "pay", "c2", "deny", "rule 3", "because", {"x": 1}),),
    stop_reason="done",
    error="x",
    usage=Usage(5, 1, 2),
    cost_usd=0.5,
    final_output={"answer": "a"},
    artifacts={"files": []},
    duration_ms=12.5,
    metadata={"case": "a"},
    children=(Trajectory(run_id="child", stop_reason="done"),),
)


def test_nothing_is_lost():
    assert Trajectory.from_json(FULL.to_json()) == FULL
    assert Trajectory.from_json(FULL.to_json().encode()) == FULL
    assert Trajectory.from_json(Trajectory().to_json()) == Trajectory()


def test_what_is_read_is_written_again_byte_for_byte():
    assert Trajectory.from_json(FULL.to_json()).to_json() == FULL.to_json()


def test_the_schema_says_what_is_in_the_file():
    validator = Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    assert not list(validator.iter_errors(json.loads(FULL.to_json())))
    assert not list(validator.iter_errors(json.loads(Trajectory().to_json())))


def test_the_schema_knows_every_key():
    document = json.loads(FULL.to_json())
    known = SCHEMA["$defs"]
    assert set(document) == set(known["trajectory"]["properties"])
    assert set(document["llm_calls"][0]) == set(known["call"]["properties"])
    assert set(document["decisions"][0]) == set(known["decision"]["properties"])
    assert set(document["steps"][1]["tool_result"]) == set(
        known["step"]["properties"]["tool_result"]["properties"]
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_é", max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(
    task=JSON,
    args=st.dictionaries(st.text("xy", max_size=3), JSON, max_size=3),
    data=JSON,
    words=st.text("aé\x00\n\u202e"),
)
def test_any_json_value_comes_back(task, args, data, words):
    step = Step(1, ToolCall(words, args, words, words), ToolResult(words, words, data, words, None, 0.1))
    run = Trajectory(task=task, steps=(step,), stop_reason=words, final_output=args)
    assert Trajectory.from_json(run.to_json()) == run
    assert not list(Draft202012Validator(SCHEMA).iter_errors(json.loads(run.to_json())))


def edited(change):
    document = json.loads(FULL.to_json())
    change(document)
    return json.dumps(document)


def put(value, *path):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


BAD = {
    "nothing": ("", "line 1 column 1"),
    "half of it": (FULL.to_json()[:500], "it is empty, cut or not JSON"),
    "not JSON": ("<html>", "it is empty, cut or not JSON"),
    "a list": ("[]", "the document is a list, not an object"),
    "no steps": ("{}", "no steps, so it is not a trajectory"),
    "NaN": (edited(put(float("nan"), "duration_ms")), "NaN is not a JSON value"),
    "Infinity": (edited(put(float("inf"), "task")), "Infinity is not a JSON value"),
    "not UTF-8": (b'{"steps": "\xff"}', "byte 11 is not UTF-8"),
    "very deep": ("[" * 100_000, "recursion"),
    "a later version": (
        edited(put(2, "schema_version")),
        "schema version 2, newer than 1: upgrade pytest-looplet",
    ),
    "a version that is no number": (
        edited(put("1", "schema_version")),
        "schema_version is text, not a whole number",
    ),
    "a step without a call": (edited(put(None, "steps", 0, "tool_call")), "steps[0].tool_call is missing"),
    "steps that are no list": (edited(put({"a": 1}, "steps")), "steps is an object, not a list"),
    "a tool that is no text": (
        edited(put(7, "steps", 1, "tool_call", "tool")),
        "steps[1].tool_call.tool is a whole number, not text",
    ),
    "a number that is true": (
        edited(put(True, "steps", 1, "step_num")),
        "steps[1].step_num is true or false, not a whole number",
    ),
    "a duration that is text": (edited(put("1", "duration_ms")), "duration_ms is text, not a number"),
    "an unknown kind of error": (
        edited(put("odd", "steps", 1, "tool_result", "error_detail", "kind")),
        "error_detail.kind is 'odd', which this version does not know",
    ),
    "an unknown method": (edited(put("shout", "llm_calls", 0, "method")), "llm_calls[0].method is 'shout'"),
    "a message without a role": (
        edited(put({"content": []}, "llm_calls", 0, "added", 0)),
        "llm_calls[0].added[0].role is missing",
    ),
    "a tool name that is no text": (
        edited(put([1], "llm_calls", 0, "tools")),
        "llm_calls[0].tools[0] is not text",
    ),
    "a bad child": (edited(put([], "children", 0)), "children[0] is a list, not an object"),
    "a missing usage": (edited(put(None, "usage")), "usage is missing"),
}


@pytest.mark.parametrize(("text", "reason"), BAD.values(), ids=BAD)
def test_CL_02_a_damaged_file_is_named_with_the_place_and_the_reason(tmp_path, text, reason):
    path = tmp_path / "trajectory.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TraceError) as caught:
        Trajectory.load(path)
    told = str(caught.value)
    assert told.startswith(f"cannot read {path}: ")
    assert reason in told
    assert "\n" not in told


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_CL_02_no_edit_of_a_file_raises_anything_else(data):
    document = json.loads(FULL.to_json())
    place, keys = document, []
    while isinstance(place, dict | list) and place and (not keys or data.draw(st.booleans())):
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        keys.append(key)
        place = place[key]
    put(data.draw(JSON), *keys)(document)
    try:
        run = Trajectory.from_json(json.dumps(document))
    except TraceError:
        return
    assert Trajectory.from_json(run.to_json()) == run


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TraceError, match=r"cannot read .*nowhere: No such file"):
        Trajectory.load(tmp_path / "nowhere")
    with pytest.raises(TraceError, match=r"trajectory\.json: No such file"):
        Trajectory.load(tmp_path)


def test_a_run_directory_is_read_by_its_trajectory_file(tmp_path):
    FULL.save(tmp_path / "trajectory.json")
    assert Trajectory.load(tmp_path) == FULL


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "run.json"
    FULL.save(path)
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):  # root may write anywhere, so put a folder in the way instead
            tmp_path.chmod(0o700)
            path = tmp_path / "folder"
            (path / "inside").mkdir(parents=True)
        with pytest.raises(TraceError, match="cannot write"):
            Trajectory().save(path)
    finally:
        tmp_path.chmod(0o700)
    assert Trajectory.load(tmp_path / "run.json") == FULL
    assert not list(tmp_path.glob(".*"))


OLD = {
    "run_id": "abc",
    "started_at": 100.0,
    "ended_at": 101.5,
    "termination_reason": "done",
    "metadata": {"m": 1},
    "step_count": 2,
    "llm_call_count": 1,
    "steps": [
        {
            "step_num": 1,
            "timestamp": 100.1,
            "duration_ms": 0.3,
            "pretty": "",
            "tool_call": {"tool": "a", "args": {"x": 1}, "reasoning": "r", "call_id": "c1"},
            "tool_result": {"tool": "a", "args": "x=1", "duration_ms": 0.0, "data": {"x": 1}},
            "context_before": "CTX",
            "llm_call_indices": [0],
        },
        {
            "step_num": 2,
            "timestamp": 0.0,
            "duration_ms": 0.0,
            "pretty": "",
            "tool_call": {"tool": "done", "args": {"answer": "ok"}, "reasoning": "", "call_id": "c2"},
            "tool_result": {
                "tool": "done",
                "args": "",
                "duration_ms": 0.0,
                "data": "None",
                "error": "late",
                "error_kind": "timeout",
                "error_retriable": True,
            },
        },
    ],
    "llm_calls": [
        {
            "index": 0,
            "timestamp": 100.0,
            "duration_ms": 2.0,
            "method": "generate",
            "prompt_chars": 221,
            "response_chars": 61,
            "response_blocks": None,
            "temperature": 0.2,
            "max_tokens": 2000,
            "tool_count": 0,
            "step_num": 1,
            "error": None,
        },
    ],
}


def test_a_run_directory_in_the_older_form_is_read():
    run = Trajectory.from_json(json.dumps(OLD))
    assert (run.run_id, run.tools, run.stop_reason, run.duration_ms) == ("abc", ["a", "done"], "done", 1500.0)
    assert run.final_output == {"answer": "ok"}
    assert run[1].tool_result.error_detail == ToolError(ErrorKind.TIMEOUT, "late", retriable=True)
    assert (run.model_calls[0].method, run.model_calls[0].duration_ms) == ("generate", 2.0)
    assert Trajectory.from_json(run.to_json()) == run


SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"


def test_PR_05_a_secret_in_a_run_put_together_by_hand_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_SERVICE_PASSWORD", "correct-horse-battery")
    step = Step(
        1,
        ToolCall("login", {"key": SECRET, "note": "correct-horse-battery"}),
        ToolResult("login", "", SECRET),
    )
    prompts = (f"use {SECRET[:20]}", f"use {SECRET}", f"use {SECRET} again")
    calls = tuple(
        RecordedCall(n, n, "generate", added=({"role": "user", "content": [{"type": "text", "text": p}]},))
        for n, p in enumerate(prompts, start=1)
    )
    run = Trajectory(steps=(step,), model_calls=calls, task=SECRET, metadata={"why": SECRET}, error=SECRET)
    run.save(tmp_path / "run.json")
    written = (tmp_path / "run.json").read_text()
    assert SECRET not in written
    assert SECRET[20:] not in written
    assert "correct-horse" not in written
    assert Trajectory.load(tmp_path / "run.json").messages_of(3)[0]["content"][0]["text"].endswith("again")
    run.save(tmp_path / "raw.json", redact=False)
    raw = Trajectory.load(tmp_path / "raw.json")
    assert raw.steps == run.steps
    assert [raw.messages_of(n) for n in (1, 2, 3)] == [run.messages_of(n) for n in (1, 2, 3)]
