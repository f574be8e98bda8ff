"""Histories made shorter: what is sent next is smaller, and still whole."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from looplet import ConfigError, Trajectory, async_run_loop, run_loop
from looplet.budget import BudgetTelemetry, ContextBudget, ThresholdCompactHook, classify_tier
from looplet.compact import (
    CompactOutcome,
    CompactService,
    PruneToolResults,
    SummarizeCompact,
    TruncateCompact,
    compact_chain,
    run_compact,
)
from looplet.conversation import ContentBlock, Conversation, Message, MessageRole
from looplet.engine.thread import Thread
from looplet.events import LifecycleEvent
from looplet.hook_decision import Stop
from looplet.loop import LoopConfig, composable_loop
from looplet.session import SessionLog
from looplet.testing import AsyncScriptedChatBackend, MockLLMBackend, ScriptedChatBackend, call
from looplet.tools import tool, tools_from
from looplet.types import DefaultState, Step, ToolCall, ToolResult


@tool
def page(n: int) -> str:
    """A page of text."""
    return f"page {n}: " + "word " * 400


def assert_valid(messages: list[dict[str, Any]]) -> None:
    """Roles alternate from the user on, and each call is answered once, in the message after it."""
    assert [m["role"] for m in messages] == [("user", "assistant")[i % 2] for i in range(len(messages))]
    for message, answer in zip(messages, [*messages[1:], {"content": []}], strict=True):
        asked = [b["id"] for b in message["content"] if b["type"] == "tool_use"]
        answered = [b["tool_use_id"] for b in answer["content"] if b["type"] == "tool_result"]
        if asked:
            assert sorted(asked) == sorted(answered)


@pytest.mark.slow
def test_2000_steps_fit_a_window_of_16k_tokens() -> None:
    sent: list[int] = []

    def reply(request: Any) -> Any:
        sent.append(len(request.text) // 4)
        assert "goal: read everything" in request.text
        assert_valid(request.messages)
        return call("page", n=len(sent)) if len(sent) < 2000 else call("done", answer="read")

    service = compact_chain(PruneToolResults(keep_recent=2), TruncateCompact(keep_recent=4))
    hook = ThresholdCompactHook(ContextBudget(16_000, 10_000, 12_000, 2_000))
    config = LoopConfig(max_steps=2000, compact_service=service, context_window=16_000)
    tools = tools_from([page], include_done=True)
    state = DefaultState(max_steps=2000)
    llm = ScriptedChatBackend(always=reply)
    for _ in composable_loop(
        llm, {"goal": "read everything"}, tools, hooks=[hook], config=config, state=state
    ):
        pass
    assert state._stop_reason == "done"  # type: ignore[attr-defined]
    assert max(sent) < 16_000
    assert hook.fired_at


def test_the_request_after_a_compaction_is_smaller_and_the_steps_stay() -> None:
    kept: list[Step] = []
    script = [call("page", n=i) for i in range(8)]
    llm = ScriptedChatBackend(*script, call("done", answer="ok"))
    hook = ThresholdCompactHook(ContextBudget(100_000, 2_000, 3_000, 1_000))
    config = LoopConfig(compact_service=TruncateCompact(keep_recent=2))
    kept += composable_loop(llm, "read", tools_from([page], include_done=True), hooks=[hook], config=config)
    sizes = [len(r.text) for r in llm.requests]
    assert any(after < before for before, after in pairwise(sizes))
    assert [s.tool_result.data[:6] for s in kept[:8]] == [f"page {i}" for i in range(8)]


def history(turns: list[int]) -> Conversation:
    """A thread's conversation: each number is a turn with so many calls; 0 is plain text."""
    conversation = Conversation([Message(MessageRole.USER, "the task", metadata={"kind": "task"})])
    number = 0
    for count in turns:
        ids = [f"c{number + i}" for i in range(count)]
        number += count
        blocks = [{"type": "tool_use", "id": i, "name": "page", "input": {}} for i in ids]
        blocks = blocks or [{"type": "text", "text": "thinking"}]
        conversation.append(Message(MessageRole.ASSISTANT, [ContentBlock(b["type"], b) for b in blocks]))
        for call_id in ids:
            result = ToolResult("page", "", "x" * 900, call_id=call_id)
            conversation.append(Message(MessageRole.TOOL, "x" * 900, tool_result=result))
        if not count:
            conversation.append(Message(MessageRole.USER, "go on"))
    return conversation


SERVICES = {
    "prune": PruneToolResults(keep_recent=1),
    "truncate": TruncateCompact(keep_recent=2),
    "truncate to nothing": TruncateCompact(keep_recent=0),
    "summarize": SummarizeCompact(keep_recent=2),
}


@given(
    turns=st.lists(st.integers(0, 4), max_size=12),
    compactions=st.lists(st.sampled_from(sorted(SERVICES)), min_size=1, max_size=4),
)
@settings(max_examples=80, deadline=None)
def test_a_thread_is_valid_after_any_compactions(turns: list[int], compactions: list[str]) -> None:
    conversation = history(turns)
    thread = Thread("the task", conversation)
    assert_valid(thread.messages())
    for name in compactions:
        before = conversation.token_estimate
        run_compact(
            SERVICES[name],
            hooks=[],
            state=DefaultState(),
            session_log=SessionLog(),
            llm=MockLLMBackend(["short"]),
            conversation=conversation,
            step_num=1,
            reason="test",
        )
        messages = thread.messages()
        assert_valid(messages)
        assert messages[0]["content"][0]["text"] == "the task"
        assert conversation.token_estimate <= before + 200


def one_run(
    service: Any, log: SessionLog, conversation: Conversation | None = None, hooks: Any = ()
) -> CompactOutcome:
    return run_compact(
        service,
        hooks=hooks,
        state=DefaultState(),
        session_log=log,
        llm=MockLLMBackend(["the summary"]),
        conversation=conversation,
        step_num=9,
        reason="test",
    )


def a_log(entries: int) -> SessionLog:
    log = SessionLog()
    for i in range(entries):
        log.record(i + 1, "", "page", f"why {i}", findings=[f"finding {i}"])
    return log


def test_repeated_compaction_does_not_grow() -> None:
    log = a_log(10)
    sizes = []
    for i in range(14):
        one_run(SummarizeCompact(), log)
        log.record(100 + i, "", "page", "more", findings=["finding"])
        log.record(200 + i, "", "page", "more", findings=["finding"])
        sizes.append(len(log.render()))
    assert sizes[-1] <= sizes[3] * 1.5
    assert sum(e.tool == "__compact_summary__" for e in log.entries) == 1


def test_the_chain_goes_on_until_enough_is_free() -> None:
    conversation = history([1] * 10)
    chain = compact_chain(PruneToolResults(keep_recent=10), TruncateCompact(keep_recent=1))
    outcome = one_run(chain, a_log(3), conversation)
    assert outcome.extra is not None
    assert (outcome.extra["chain_stage"], outcome.extra["chain_stage_count"]) == (1, 2)
    first = compact_chain(PruneToolResults(keep_recent=1), TruncateCompact())
    outcome = one_run(first, a_log(3), history([1] * 10))
    assert outcome.extra is not None
    assert outcome.extra["chain_stage"] == 0


def test_a_chain_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least one"):
        compact_chain()


def test_pruning_keeps_messages_and_recent_results() -> None:
    conversation = history([1, 1, 1])
    held = conversation.messages[2].tool_result
    outcome = one_run(PruneToolResults(keep_recent=1), a_log(1), conversation)
    assert outcome.extra == {"mode": "prune", "cleared": 2}
    texts = [m.content for m in conversation.messages if m.role is MessageRole.TOOL]
    assert texts == ["[tool result cleared by compact]"] * 2 + ["x" * 900]
    assert held is not None
    assert held.data == "x" * 900, "what somebody holds is not changed"


def test_pruning_only_some_tools() -> None:
    outcome = one_run(PruneToolResults(keep_recent=0, compactable_tools=["other"]), a_log(1), history([1]))
    assert outcome.extra == {"mode": "prune", "cleared": 0}


@pytest.mark.parametrize(
    ("replies", "mode"), [(["a summary"], "llm_summary"), ([""], "llm_fallback")], ids=["written", "empty"]
)
def test_summarising(replies: list[str], mode: str) -> None:
    log = a_log(6)
    llm = MockLLMBackend(replies)
    outcome = SummarizeCompact(summary_prompt="{budget} {transcript}").compact(
        state=DefaultState(), session_log=log, llm=llm, conversation=None, step_num=7, reason="r"
    )
    assert outcome.extra is not None
    assert outcome.extra["mode"] == mode
    assert llm.last_prompt.startswith("4000 ═══ SESSION LOG")
    assert "{{" not in llm.last_prompt


class Always:
    """Asks for a compaction before each step but the first."""

    def should_compact(self, state: object, log: object, conversation: object, step_num: int) -> bool:
        return step_num > 1


class Elsewhere(AsyncScriptedChatBackend):
    """An async backend that knows the event loop it belongs to, as the connections of a client do."""

    async def generate(self, prompt: str, **options: Any) -> str:
        assert asyncio.get_running_loop() is self.loop
        return "what was found"


def test_a_model_that_is_awaited_writes_summaries_too() -> None:
    llm = Elsewhere(*[call("page", n=i) for i in range(3)], call("done", answer="ok"))

    async def run() -> Trajectory:
        llm.loop = asyncio.get_running_loop()
        config = LoopConfig(compact_service=SummarizeCompact())
        return await async_run_loop(llm, "read", [page], hooks=[Always()], config=config)

    assert asyncio.run(run()).stop_reason == "done"
    assert "what was found" in llm.requests[-1].text


class Mute(ScriptedChatBackend):
    """Answers in the thread, and never when it is asked for a summary."""

    def generate(self, prompt: str, **options: Any) -> str:
        self.asked = threading.Event()
        self.asked.wait(30)
        return "too late"


@pytest.mark.parametrize("limit", ["llm_timeout_s", "deadline_s"])
def test_LB_12_a_summary_that_never_comes_is_not_waited_for_longer_than_a_step(limit: str) -> None:
    llm = Mute(call("page", n=1), call("page", n=2), call("done", answer="ok"))
    config = LoopConfig(compact_service=SummarizeCompact(keep_recent=0), **{limit: 0.2})
    begun = time.monotonic()
    run = run_loop(llm, "read", [page], hooks=[Always()], config=config)
    assert time.monotonic() - begun < 5
    assert run.stop_reason == ("done" if limit == "llm_timeout_s" else "deadline")
    llm.asked.set()


@pytest.mark.parametrize("prompt", ["{", "{0}", "{budget} {more}", "{transcript!z}", 5])
def test_a_template_that_cannot_be_filled_in_is_told_at_once(prompt: Any) -> None:
    with pytest.raises(ConfigError, match="summary_prompt"):
        SummarizeCompact(summary_prompt=prompt)


class Forgetful(TruncateCompact):
    """Does its work and does not say what came of it."""

    def compact(self, **known: Any) -> Any:
        super().compact(**known)


def test_a_service_that_says_nothing_is_named() -> None:
    config = LoopConfig(compact_service=Forgetful())
    with pytest.raises(TypeError, match=r"Forgetful\.compact returned NoneType"):
        run_loop(ScriptedChatBackend(call("page", n=1)), "read", [page], hooks=[Always()], config=config)


def test_summarising_nothing_asks_nobody() -> None:
    outcome = one_run(SummarizeCompact(), SessionLog())
    assert outcome.extra == {"mode": "empty_fallback", "summary_chars": 0}
    assert outcome.llm_calls_spent == 0


def test_events_and_a_hook_that_stops_it() -> None:
    class Watch:
        def __init__(self, answer: Any = None) -> None:
            self.seen: list[str] = []
            self.answer = answer

        def on_event(self, payload: Any) -> Any:
            self.seen.append(payload.event.value)
            return self.answer if payload.event is LifecycleEvent.PRE_COMPACT else None

    watch = Watch()
    cleaned: list[int] = []

    class Service:
        def compact(self, **kwargs: Any) -> CompactOutcome:
            return CompactOutcome("done", cleanup=lambda: cleaned.append(1))

    one_run(Service(), a_log(1), Conversation(), [watch])
    assert (watch.seen, cleaned) == (["pre_compact", "post_compact"], [1])
    stopped = one_run(Service(), a_log(1), Conversation(), [Watch(Stop("not now"))])
    assert stopped.reason == "aborted: not now"


def test_steps_are_replaced_and_not_changed() -> None:
    state = DefaultState()
    state.steps = [Step(i, ToolCall("page"), ToolResult("page", "", "x")) for i in range(1, 6)]
    held = list(state.steps)
    TruncateCompact(keep_recent=2).compact(
        state=state, session_log=a_log(5), llm=None, conversation=None, step_num=6, reason="r"
    )
    assert [s.tool_result.data for s in state.steps] == [None, None, None, "x", "x"]
    assert [s.tool_result.data for s in held] == ["x"] * 5


TIERS = {0: "ok", 119_999: "ok", 120_000: "warning", 160_000: "error", 187_000: "blocking"}


@pytest.mark.parametrize(("tokens", "tier"), TIERS.items())
def test_tiers(tokens: int, tier: str) -> None:
    assert ContextBudget().classify(tokens) == tier


def test_telemetry_and_the_measure() -> None:
    telemetry = BudgetTelemetry(ContextBudget(100, 2, 50, 10))
    assert telemetry.peak_tier == "ok"
    telemetry.pre_prompt(None, a_log(2), None, 1)
    assert telemetry.samples[0][:2] == (1, "warning")
    assert telemetry.peak_tier == "warning"
    tier, tokens = classify_tier(ContextBudget(), session_log=SessionLog(), extra_estimate=5)
    assert (tier, tokens) == ("ok", 6)


class DropsAll:
    """A service of one's own."""

    def compact(self, *, state, session_log, llm, conversation, step_num, reason):
        before = len(conversation.messages)
        conversation.messages.clear()
        return CompactOutcome(reason, before, 0, extra={"mode": "drop"})


def test_a_service_of_ones_own() -> None:
    service, talk = DropsAll(), Conversation([Message(MessageRole.USER, "x")])
    assert isinstance(service, CompactService)
    state, log = DefaultState(), SessionLog()
    outcome = run_compact(
        compact_chain(service, TruncateCompact()),
        hooks=[],
        state=state,
        session_log=log,
        llm=None,
        conversation=talk,
        step_num=1,
        reason="test",
    )
    assert (outcome.messages_before, outcome.messages_after, outcome.extra["chain_stage"]) == (1, 0, 0)
