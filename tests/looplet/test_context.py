"""The hook that keeps state and log small as the window fills."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from looplet import (
    BaseToolRegistry,
    Conversation,
    DefaultState,
    SessionLog,
    composable_loop,
    tool,
    tools_from,
)
from looplet.context import DEFAULT_CONTEXT_WINDOW, ContextManagerHook, ContextPressureHook
from looplet.history import HistoryRecorder
from looplet.streaming import CallbackEmitter
from looplet.testing import MockLLMBackend, ScriptedBackend, call
from looplet.types import Step, ToolCall, ToolResult


def step(number, data):
    return Step(number, ToolCall("look"), ToolResult("look", "", data))


def filled(chars, steps=8):
    """A state and a log whose results have so many characters each."""
    state, log = DefaultState(max_steps=50), SessionLog()
    for number in range(1, steps + 1):
        state.steps.append(step(number, {"text": "x" * chars}))
        log.record(number, "theory", "look", "because", entities=[f"e{number}"], findings=["y" * 200])
    return state, log


def hook(llm=None, **options):
    return ContextPressureHook(llm, **{"context_window": 100_000, **options})


WINDOWS = {
    "given": (SimpleNamespace(context_window=5), {"context_window": 7}, 7),
    "the backend's": (SimpleNamespace(context_window=1000, reserved_output_tokens=200), {}, 800),
    "not a number": (SimpleNamespace(context_window="big"), {}, DEFAULT_CONTEXT_WINDOW),
    "unknown": (None, {}, DEFAULT_CONTEXT_WINDOW),
}


@pytest.mark.parametrize(("llm", "options", "window"), WINDOWS.values(), ids=WINDOWS)
def test_the_window(llm, options, window):
    assert ContextManagerHook(llm, **options).context_window == window


def test_old_results_become_digests_and_what_was_handed_out_stays():
    state, log = filled(1000)
    handed_out = list(state.steps)
    assert hook().pre_prompt(state, log, None, 9) is None
    assert ["__compacted__" in s.tool_result.data for s in state.steps] == [True] * 5 + [False] * 3
    assert all(s.tool_result.data == {"text": "x" * 1000} for s in handed_out)


def test_short_results_stay_as_they_are():
    state, log = filled(3)
    hook().pre_prompt(state, log, None, 9)
    assert all(s.tool_result.data == {"text": "xxx"} for s in state.steps)


def test_the_level_is_told_when_it_changes():
    told = []
    watch = hook(emitter=CallbackEmitter(told.append), result_max_age_full=99)
    for chars in (10, 10, 38_000, 46_000, 10):
        state, log = filled(chars)
        watch.pre_prompt(state, log, None, 9)
    assert [event.level for event in told] == ["ok", "warning", "blocking", "ok"]
    assert (told[1].threshold, told[1].context_window) == (70_000, 100_000)
    assert 70 < told[1].percent_used < 85


def test_near_the_window_the_log_is_summarised():
    conversation = Conversation()
    llm = MockLLMBackend(["<summary>all was looked at</summary>"])
    watch = hook(llm, result_max_age_full=99, recorder=HistoryRecorder(conversation=conversation))
    state, log = filled(42_000)
    watch.pre_prompt(state, log, None, 9)
    assert len(log.entries) == 6
    assert log.all_entities() == {f"e{n}" for n in range(1, 9)}
    (boundary,) = conversation.messages
    assert boundary.text == "Proactive compaction at step 9: all was looked at"
    assert boundary.metadata["dropped_step_range"] == (1, 8)
    assert [watch.on_loop_end(None, None, None, None) for _ in range(2)] == [1, 0]


def test_at_its_end_all_but_the_last_results_go():
    state, log = filled(46_000)
    assert "CONTEXT LIMIT" in hook(result_max_age_full=99).pre_prompt(state, log, None, 9)
    assert [s.tool_result.data is None for s in state.steps] == [True] * 6 + [False] * 2
    assert len(log.entries) == 3


def test_a_log_that_cannot_be_shortened_is_left_alone_after_three_attempts():
    watch = hook(MockLLMBackend(), result_max_age_full=99)
    state, _ = filled(42_000)
    asked = []
    log = SessionLog()
    log.compact = lambda *args: asked.append(1) or False
    for number in range(5):
        watch.pre_prompt(state, log, None, number)
    assert len(asked) == 3


def test_in_a_run():
    @tool
    def look(n: int) -> str:
        """Look."""
        return "x" * 5000

    state = DefaultState(max_steps=20)
    llm = ScriptedBackend([call("look", n=n) for n in range(10)] + [call("done", answer="x")])
    tools = tools_from([look], include_done=True)
    assert isinstance(tools, BaseToolRegistry)
    steps = list(
        composable_loop(
            llm, "t", tools, hooks=[ContextPressureHook(llm, context_window=100_000)], state=state
        )
    )
    assert steps[-1].tool_call.tool == "done"
    assert isinstance(state.steps[0].tool_result.data, dict)
    assert steps[0].tool_result.data == "x" * 5000
