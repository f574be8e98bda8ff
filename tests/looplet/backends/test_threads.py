"""Whatever thread a backend is given, what it sends is one that providers accept."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from looplet.backends.anthropic_wire import AnthropicWire
from looplet.backends.openai_wire import OpenAIWire
from looplet.backends.thread import NOT_RUN, mended
from looplet.backends.wire import Question

IDS = st.sampled_from(["", "a", "b", "c.1", "a_2"])
TEXTS = st.builds(lambda text: {"type": "text", "text": text}, st.sampled_from(["", " ", "hello", "\n", "x"]))
USES = st.builds(
    lambda i, n: {"type": "tool_use", "id": i, "name": "add", "input": {"n": n}}, IDS, st.integers()
)
RESULTS = st.builds(
    lambda i, text: {"type": "tool_result", "tool_use_id": i, "content": text, "is_error": False},
    IDS,
    st.text(max_size=3),
)
MESSAGES = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant"]),
    st.one_of(st.text(max_size=3), st.lists(st.one_of(TEXTS, USES, RESULTS), max_size=4)),
)
THREADS = st.lists(MESSAGES, max_size=8)


def sent(wire: Any, thread: Any) -> Any:
    return wire.request(Question(thread, "m", 10))["messages"]


@given(THREADS)
def test_anthropic_gets_a_valid_thread(thread: Any) -> None:
    messages = sent(AnthropicWire(), thread)
    roles = [message["role"] for message in messages]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    seen: set[str] = set()
    for number, message in enumerate(messages):
        assert message["content"]
        kinds = [block["type"] for block in message["content"]]
        assert all(block["text"].strip() for block in message["content"] if block["type"] == "text")
        if message["role"] == "assistant":
            ids = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
            assert not seen & set(ids)
            assert len(set(ids)) == len(ids)
            assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", call_id) for call_id in ids)
            seen |= set(ids)
            after = messages[number + 1]["content"] if number + 1 < len(messages) else []
            assert [b["tool_use_id"] for b in after if b["type"] == "tool_result"] == ids
        else:
            assert "tool_use" not in kinds
            assert kinds == sorted(kinds, key=lambda kind: kind != "tool_result")
            if number == 0:
                assert "tool_result" not in kinds


@given(THREADS)
def test_openai_gets_a_valid_thread(thread: Any) -> None:
    messages = sent(OpenAIWire(), thread)
    owed: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] == owed.pop(0)
            continue
        assert not owed
        assert message["content"] or message.get("tool_calls")
        for call in message.get("tool_calls", []):
            json.loads(call["function"]["arguments"])
            owed.append(call["id"])
    assert not owed


@given(THREADS)
def test_mending_changes_nothing_twice_and_never_its_argument(thread: Any) -> None:
    before = copy.deepcopy(thread)
    once = mended(thread)
    assert thread == before
    assert mended(once) == once


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def use(call_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "add", "input": {}}


def result(call_id: str, said: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": said, "is_error": False}


def missing(call_id: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": NOT_RUN, "is_error": True}


def turns(*contents: Any) -> list[dict[str, Any]]:
    return [
        {"role": ("user", "assistant")[number % 2], "content": blocks}
        for number, blocks in enumerate(contents)
    ]


RIGHT = turns([text("task")], [use("a"), use("b")], [result("a", "1"), result("b", "2"), text("go on")])
REPAIRS = {
    "a right thread stays": (RIGHT, RIGHT),
    "text contents": (turns("task"), turns([text("task")])),
    "results in the wrong order": (
        turns([text("t")], [use("a"), use("b")], [text("x"), result("b", "2"), result("a", "1")]),
        turns([text("t")], [use("a"), use("b")], [result("a", "1"), result("b", "2"), text("x")]),
    ),
    "a call without a result": (
        turns([text("t")], [use("a")], [text("x")]),
        turns([text("t")], [use("a")], [missing("a"), text("x")]),
    ),
    "a call at the end": (turns([text("t")], [use("a")]), turns([text("t")], [use("a")], [missing("a")])),
    "an id used twice": (
        turns([text("t")], [use("a")], [result("a", "1")], [use("a")], [result("a", "2")]),
        turns([text("t")], [use("a")], [result("a", "1")], [use("a_2")], [result("a_2", "2")]),
    ),
    "an id used twice in one turn": (
        turns([text("t")], [use("a"), use("a")], [result("a", "1"), result("a", "2")]),
        turns([text("t")], [use("a"), use("a_2")], [result("a", "1"), result("a_2", "2")]),
    ),
    "a result twice": (
        turns([text("t")], [use("a")], [result("a", "1"), result("a", "2")]),
        turns([text("t")], [use("a")], [result("a", "1"), text("Result of an earlier call: 2")]),
    ),
    "the model speaks first": (
        [{"role": "assistant", "content": "hi"}],
        turns([text("Continue.")], [text("hi")]),
    ),
    "two messages of one role": (
        [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
        turns([text("a"), text("b")]),
    ),
    "names that providers reject": (
        turns([text("t")], [{**use("a"), "name": "f.g <h>"}, {**use("b"), "name": ""}], [result("a", "1")]),
        turns(
            [text("t")],
            [{**use("a"), "name": "f.g__h_"}, {**use("b"), "name": "unnamed"}],
            [result("a", "1"), missing("b")],
        ),
    ),
    "an id that providers reject": (
        turns([text("t")], [use("call/1")], [result("call/1", "1")]),
        turns([text("t")], [use("call_1")], [result("call_1", "1")]),
    ),
}


@pytest.mark.parametrize(("thread", "expected"), REPAIRS.values(), ids=REPAIRS)
def test_repairs(thread: Any, expected: Any) -> None:
    assert mended(thread) == expected


def test_unreadable_arguments_are_sent_as_json() -> None:
    broken = {**use("a"), "input": {"_raw_arguments": '{"x'}, "truncated": True}
    thread = turns([text("t")], [broken], [result("a", "not run")])
    assistant = sent(OpenAIWire(), thread)[1]
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"_raw_arguments": '{"x'}
    assert "truncated" not in sent(AnthropicWire(), thread)[1]["content"][0]


def test_other_blocks_of_the_user_are_sent_as_they_are() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    thread = turns([text("look"), image])
    assert sent(OpenAIWire(), thread) == [{"role": "user", "content": [text("look"), image]}]
    assert sent(AnthropicWire(), thread) == [{"role": "user", "content": [text("look"), image]}]


class Point:
    """A cache breakpoint, as far as a backend looks at it."""

    def __init__(self, label: str, ttl: str = "ephemeral") -> None:
        self.label = label
        self.control = type("Control", (), {"ttl": ttl})()


def test_cache_marks_end_where_the_thread_lasts() -> None:
    points = [Point("system_prompt", "1h"), Point("tool_schemas")]
    tools = [{"name": "a"}, {"name": "b"}]
    request = AnthropicWire().request(Question(RIGHT, "m", 10, "be brief", 0.2, tools, points))
    long = {"type": "ephemeral", "ttl": "1h"}
    assert request["system"][0]["cache_control"] == long
    assert request["tools"] == [{"name": "a"}, {"name": "b", "cache_control": long}]
    marked = ["cache_control" in block for block in request["messages"][-1]["content"]]
    assert marked == [False, True, False]
    assert tools == [{"name": "a"}, {"name": "b"}]


def test_an_append_only_thread_is_sent_append_only() -> None:
    grown = [*RIGHT, *turns([text("x")], [text("answer")])[1:], {"role": "user", "content": "more"}]
    for wire in (OpenAIWire(), AnthropicWire()):
        before = sent(wire, RIGHT)
        assert sent(wire, grown)[: len(before)] == before
