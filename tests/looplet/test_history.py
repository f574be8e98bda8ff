"""The history recorder: one step, one turn, one boundary, written everywhere."""

from __future__ import annotations

import pytest

from looplet.conversation import Conversation, MessageRole
from looplet.history import HistoryRecorder
from looplet.session import SessionLog
from looplet.types import DefaultState, Step, ToolCall, ToolResult

STEP = Step(1, ToolCall("grep", {"q": "x"}, "look", "c1"), ToolResult("grep", "q='x'", {"total": 2}))


@pytest.fixture
def parts():
    return {"state": DefaultState(), "session_log": SessionLog(), "conversation": Conversation()}


def test_a_step_goes_to_state_log_and_conversation(parts):
    HistoryRecorder(**parts).record_step(
        STEP, theory="it leaks", entities=["a"], findings=["f"], highlights=["h"], recall_key="k"
    )
    entry = parts["session_log"].entries[0]
    call, result = parts["conversation"].messages
    assert parts["state"].steps == [STEP]
    assert (entry.step, entry.theory, entry.tool, entry.reasoning) == (1, "it leaks", "grep", "look")
    assert (entry.entities_seen, entry.findings, entry.highlights, entry.recall_key) == (
        ["a"],
        ["f"],
        ["h"],
        "k",
    )
    assert (call.role, call.content, call.tool_call) == (MessageRole.ASSISTANT, "", STEP.tool_call)
    assert (result.role, result.content, result.tool_result) == (MessageRole.TOOL, "", STEP.tool_result)


def test_a_step_that_the_state_has_already_is_not_added_again(parts):
    parts["state"].steps.append(STEP)
    HistoryRecorder(**parts).record_step(STEP)
    assert len(parts["state"].steps) == 1


@pytest.mark.parametrize("only", ["state", "session_log", "conversation"])
def test_each_part_is_optional(parts, only):
    recorder = HistoryRecorder(**{only: parts[only]})
    recorder.record_step(STEP)
    recorder.record_llm_turn(prompt="p", response="r")
    recorder.record_compaction_boundary(summary="s", dropped_step_range=(1, 2))
    sizes = [
        len(parts["state"].steps),
        len(parts["session_log"].entries),
        len(parts["conversation"].messages),
    ]
    assert sizes == {"state": [1, 0, 0], "session_log": [0, 1, 0], "conversation": [0, 0, 5]}[only]


@pytest.mark.parametrize(
    ("response", "kept"), [("r" * 20, "r" * 10), ([{"type": "text"}], "[{'type': "), (None, "None")]
)
def test_a_turn_is_cut(parts, response, kept):
    HistoryRecorder(**parts, max_message_chars=10).record_llm_turn(prompt="p" * 20, response=response)
    asked, answered = parts["conversation"].messages
    assert (asked.role, asked.content) == (MessageRole.USER, "p" * 10)
    assert (answered.role, answered.content) == (MessageRole.ASSISTANT, kept)


def test_a_boundary_is_found_again_also_after_compaction(parts):
    recorder = HistoryRecorder(**parts)
    recorder.record_compaction_boundary(summary="steps went", dropped_step_range=(3, 7))
    for number in range(6):
        recorder.record_llm_turn(prompt=f"p{number}", response="r")
    conversation = parts["conversation"].compact(keep_recent=2)
    (found,) = conversation.find_compaction_boundaries()
    assert found.role is MessageRole.SYSTEM
    assert "steps went" in found.text
    assert found.metadata == {
        "kind": "compaction_boundary",
        "summary": "steps went",
        "dropped_step_range": (3, 7),
    }
