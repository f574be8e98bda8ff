"""Message threads are valid for every provider, whatever the model says and the hooks do."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from looplet import (
    DefaultState,
    Deny,
    LoopConfig,
    Stop,
    TruncateCompact,
    composable_loop,
)
from looplet.backends.thread import mended
from looplet.testing import ScriptedChatBackend, overflow
from looplet.tools import tools_from
from looplet.types import ChatReply


def add(a: int) -> int:
    """Add one."""
    return a + 1


def boom() -> None:
    """Break."""
    raise RuntimeError("boom")


def problems_of(messages: list[dict[str, Any]]) -> list[str]:
    """What a provider would refuse in a thread; empty if nothing."""
    wrong: list[str] = []
    if not messages or messages[0]["role"] != "user":
        wrong.append("the first message is not the user's")
    for before, after in pairwise(messages):
        if before["role"] == after["role"]:
            wrong.append(f"two messages of {after['role']} in a row")
    seen: set[str] = set()
    for place, message in enumerate(messages):
        if not message["content"]:
            wrong.append(f"message {place} is empty")
        for block in message["content"]:
            if block["type"] == "text" and not block["text"].strip():
                wrong.append(f"message {place} has an empty text block")
        asked = [b["id"] for b in message["content"] if b["type"] == "tool_use"]
        following = messages[place + 1]["content"] if place + 1 < len(messages) else []
        answered = [b["tool_use_id"] for b in following if b["type"] == "tool_result"]
        kinds = [b["type"] for b in following]
        if sorted(asked) != sorted(answered):
            wrong.append(f"message {place} asks {asked}, the next answers {answered}")
        if asked and kinds != sorted(kinds, key=lambda kind: kind != "tool_result"):
            wrong.append(f"message {place + 1} has text before its tool results")
        if len(set(asked)) < len(asked) or seen.intersection(asked):
            wrong.append(f"message {place} uses an id twice")
        seen.update(asked)
        json.dumps(message, allow_nan=False)
    return wrong


TEXTS = st.sampled_from(
    ["", " ", "It is 3.", '{"tool": "add", "args": {"a": 1}}', '{"tool": "done", "args": {"answer": "x"}}']
)
ARGUMENTS = st.sampled_from(
    [{}, {"a": 1}, {"a": "x"}, {"b": 2}, {"answer": "ok"}, {"_raw_arguments": '{"a'}, "text", None, [1]]
)
NAMES = st.sampled_from(["add", "boom", "done", "nope", ""])
IDS = st.sampled_from(["", "same", "c1", "c2", "c3"])


@st.composite
def blocks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A model's turn: text, several calls, in any order; ids may be missing or come twice."""
    turn: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            turn.append({"type": "text", "text": draw(TEXTS)})
        else:
            use = {"type": "tool_use", "id": draw(IDS), "name": draw(NAMES), "input": draw(ARGUMENTS)}
            turn.append({**use, "truncated": True} if draw(st.booleans()) and draw(st.booleans()) else use)
    return turn


REPLIES = st.builds(ChatReply, blocks(), st.sampled_from(["end_turn", "tool_use", "max_tokens", None]))


class Moody:
    """Denies, turns down and stops now and then; asks for a compaction now and then."""

    def __init__(self, moods: list[int]) -> None:
        self.moods = moods
        self.asked = 0

    def _mood(self) -> int:
        self.asked += 1
        return self.moods[self.asked % len(self.moods)]

    def pre_dispatch(self, state: Any, session_log: Any, tool_call: Any, step_num: int) -> Any:
        return (None, Deny("no"), "careful")[self._mood() % 3]

    def check_done(self, state: Any, session_log: Any, context: Any, step_num: int) -> Any:
        return "not yet" if self._mood() % 2 else None

    def post_dispatch(self, state: Any, session_log: Any, tool_call: Any, result: Any, step_num: int) -> Any:
        return Stop("enough") if self._mood() == 7 else None

    def should_compact(self, state: Any, session_log: Any, conversation: Any, step_num: int) -> bool:
        return self._mood() % 4 == 3


@given(
    replies=st.lists(REPLIES | st.just(overflow()), min_size=1, max_size=8),
    moods=st.lists(st.integers(0, 7), min_size=1, max_size=9),
    with_done=st.booleans(),
    briefing=st.sampled_from([None, "mind the gap"]),
    keep=st.integers(0, 3),
)
def test_threads_are_valid_after_any_mix_of_replies(
    replies: list[Any], moods: list[int], with_done: bool, briefing: str | None, keep: int
) -> None:
    llm = ScriptedChatBackend(replies, always="The end.")
    config = LoopConfig(
        max_steps=9,
        max_turn_continuations=1,
        build_briefing=(lambda *a: briefing) if briefing else None,
        compact_service=TruncateCompact(keep_recent=keep),
    )
    tools = tools_from([add, boom], include_done=with_done)
    state = DefaultState(max_steps=9)
    list(composable_loop(llm, task="t", tools=tools, hooks=[Moody(moods)], config=config, state=state))
    assert llm.requests
    for request in llm.requests:
        # What the backends send: they mend ids that a model gave twice, and blank texts.
        assert problems_of(mended(request.messages)) == []
        roles = [message["role"] for message in request.messages]
        assert roles == [("user", "assistant")[place % 2] for place in range(len(roles))]
    for step in state.steps:
        assert step.tool_result.call_id == step.tool_call.call_id


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([{"role": "assistant", "content": [{"type": "text", "text": "x"}]}], "first message"),
        (
            [
                {"role": "user", "content": [{"type": "text", "text": "x"}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "n", "input": {}}]},
            ],
            "asks",
        ),
        ([{"role": "user", "content": []}], "empty"),
    ],
)
def test_the_check_itself_sees_what_is_wrong(messages: list[dict[str, Any]], problem: str) -> None:
    assert any(problem in text for text in problems_of(messages))
