"""The records themselves: of one model call, of one step, from a backend that stands before another."""

from __future__ import annotations

import asyncio

import pytest

from looplet import TrajectoryRecorder
from looplet.clock import fixed_clock
from looplet.provenance import AsyncRecordingLLMBackend, LLMCall, RecordingLLMBackend, StepRecord
from looplet.testing import AsyncMockLLMBackend, MockLLMBackend
from looplet.types import Step, ToolCall, ToolResult


def recorded(kind, backend, *prompts):
    llm = kind(backend)
    for prompt in prompts:
        answer = llm.generate(prompt, system_prompt="be kind", temperature=0.5)
        if asyncio.iscoroutine(answer):
            asyncio.run(answer)
    return llm


BACKENDS = {
    "sync": (RecordingLLMBackend, MockLLMBackend),
    "async": (AsyncRecordingLLMBackend, AsyncMockLLMBackend),
}


@pytest.mark.parametrize(("kind", "backend"), BACKENDS.values(), ids=BACKENDS)
def test_a_call_is_kept_as_it_was_made(kind, backend):
    with fixed_clock(7.0):
        llm = recorded(kind, backend(["one", "two"]), "a", "b")
    first, second = llm.calls
    expected = LLMCall(0, 7.0, 0.0, "generate", "a", "be kind", "one", temperature=0.5)
    assert first == expected
    assert (second.index, second.response) == (1, "two")
    told = first.to_dict()
    assert (told["prompt_chars"], told["response_chars"], told["error"]) == (1, 3, None)
    llm.reset()
    assert llm.calls == []


@pytest.mark.parametrize(("kind", "backend"), BACKENDS.values(), ids=BACKENDS)
def test_a_call_that_failed_is_kept_too(kind, backend):
    class Broken(backend):
        def generate(self, prompt, **options):
            raise OSError("no line")

    with pytest.raises(OSError, match="no line"):
        recorded(kind, Broken(), "a")
    if kind is RecordingLLMBackend:
        llm = RecordingLLMBackend(Broken())
        with pytest.raises(OSError, match="no line"):
            llm.generate("a")
        assert (llm.calls[0].response, llm.calls[0].error) == ("", "OSError: no line")


def test_a_recorder_driven_by_hand():
    recorder = TrajectoryRecorder()
    recorder.pre_loop(None, None, None)
    call, result = ToolCall("look", {"q": "x"}), ToolResult("look", "q=x", {"a": 1}, duration_ms=3.0)
    recorder.pre_prompt(None, None, "the context", 1)
    recorder.post_dispatch(None, None, call, result, 1)
    recorder.on_loop_end(None, None, None, None)
    (record,) = recorder.trajectory.steps
    assert isinstance(record, StepRecord)
    assert (record.step_num, record.duration_ms, record.context_before) == (1, 3.0, "the context")
    assert record.pretty == Step(1, call, result).pretty()
    assert set(record.to_dict()) >= {"step_num", "tool_call", "tool_result", "llm_call_indices"}
    assert recorder.summary().startswith("1 steps")
