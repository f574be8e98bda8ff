"""When two requests are the same, and what a user can say about it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings, strategies as st

from pytest_looplet.cassette.body import BodyReader
from pytest_looplet.cassette.exchange import Request
from pytest_looplet.cassette.matching import Key, Matcher, Normalizer


def key(body: Any, *normalizers: Normalizer, url: str = "/v1/x", query: str = "", ignored: str = "") -> Key:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    read = BodyReader(lambda value: value).read(raw)
    request = Request("POST", url, query, body=raw)
    return Matcher(normalizers, frozenset(filter(None, [ignored]))).key(request, read)


def thread(call_id: str, result: str = "r") -> dict[str, Any]:
    function = {"name": "search", "arguments": "{}"}
    return {
        "model": "m",
        "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": call_id, "content": result},
        ],
    }


def anthropic_thread(call_id: str) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": call_id, "name": "s", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": "r"}]},
        ]
    }


def responses_thread(call_id: str) -> dict[str, Any]:
    return {
        "input": [
            {"type": "function_call", "call_id": call_id, "name": "s", "arguments": "{}"},
            {"type": "function_call_output", "call_id": call_id, "output": "r"},
        ]
    }


SAME: dict[str, tuple[Any, Any]] = {
    "hints for a prompt cache": (
        {"a": 1},
        {"a": 1, "prompt_cache_key": "x"},
    ),
    "order of members": ({"a": 1, "b": [{"x": 1, "y": 2}]}, {"b": [{"y": 2, "x": 1}], "a": 1}),
    "blanks": (b'{"a": [1, 2]}', b'{"a":[1,2]}\n'),
    "ids, chat completions": (thread("call_1"), thread("call_2")),
    "ids, messages": (anthropic_thread("toolu_1"), anthropic_thread("toolu_2")),
    "ids, responses": (responses_thread("call_1"), responses_thread("call_2")),
}
OTHER: dict[str, tuple[Any, Any, list[str]]] = {
    "a result": (thread("a", "r"), thread("a", "s"), ["history"]),
    "the model": ({"model": "a"}, {"model": "b"}, ["model"]),
    "sampling": ({"temperature": 0}, {"temperature": 1}, ["params"]),
    "the system prompt": ({"system": "a"}, {"system": "b"}, ["prompt"]),
    "the task": (
        {"messages": [{"role": "user", "content": "a"}]},
        {"messages": [{"role": "user", "content": "b"}]},
        ["prompt"],
    ),
    "a schema": ({"tools": [{"name": "a"}]}, {"tools": [{"name": "b"}]}, ["tools"]),
    "a number and its text": ({"seed": 1}, {"seed": "1"}, ["params"]),
    "order of turns": ({"messages": ["a", "b"]}, {"messages": ["b", "a"]}, ["prompt"]),
    "text": (b"a", b"b", ["params"]),
}


@pytest.mark.parametrize("what", SAME)
def test_what_does_not_count(what: str) -> None:
    one, other = SAME[what]
    assert key(one) == key(other)


@pytest.mark.parametrize("what", OTHER)
def test_what_counts_and_as_what(what: str) -> None:
    one, other, parts = OTHER[what]
    differing = [n for n, a, b in zip(Key._fields, key(one), key(other), strict=True) if a != b]
    assert differing == parts
    assert key(one, ignored=parts[0]) == key(other, ignored=parts[0])


def test_which_call_a_result_answers_counts() -> None:
    def crossed(first: str, second: str) -> dict[str, Any]:
        asked = thread("a")
        call = asked["messages"][1]["tool_calls"][0]
        asked["messages"][1]["tool_calls"] = [call, {**call, "id": "b"}]
        answers = [{"role": "tool", "tool_call_id": i, "content": i} for i in (first, second)]
        asked["messages"][2:] = [{**a, "content": "same"} for a in answers]
        return asked

    assert key(crossed("a", "b")) != key(crossed("b", "a"))


def test_the_url_counts_and_the_order_of_its_query_does_not() -> None:
    assert key({}, url="/v1/a") != key({}, url="/v1/b")
    assert key({}, query="a=1&b=2") == key({}, query="b=2&a=1")
    assert key({}, query="a=1") != key({}, query="a=2")


def test_a_multipart_boundary_does_not_count() -> None:
    def upload(boundary: str, content: str) -> Key:
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="f"\r\n\r\n{content}\r\n--{boundary}--\r\n'
        )
        headers = (("content-type", f"multipart/form-data; boundary={boundary}"),)
        return Matcher().key(Request("POST", "/v1/files", body=body.encode(), headers=headers), None)

    assert upload("abc", "x") == upload("def", "x")
    assert upload("abc", "x") != upload("abc", "y")


NAMED = {
    "date": lambda: datetime.now().isoformat(),
    "uuid": lambda: str(uuid4()),
    "path": lambda: f"/tmp/pytest-of-me/pytest-{uuid4().int}/x.txt",
}


@pytest.mark.parametrize("name", NAMED)
def test_a_normalizer_by_name(name: str) -> None:
    first, second = ({"messages": [{"role": "user", "content": f"see {NAMED[name]()} there"}]} for _ in "ab")
    assert key(first) != key(second)
    assert key(first, name) == key(second, name)


def test_a_normalizer_by_pattern_and_by_function() -> None:
    first, second = ({"messages": [{"role": "user", "content": f"build {n}"}], "seed": n} for n in (1, 2))

    def without_seed(request: dict[str, Any]) -> dict[str, Any]:
        del request["body"]["seed"]
        return request

    pattern = (r"build \d+", "build N")
    assert key(first, pattern) != key(second, pattern)
    assert key(first, pattern, without_seed) == key(second, pattern, without_seed)
    assert first["seed"] == 1


TURNS = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": st.text(max_size=3)}),
    max_size=5,
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), TURNS), min_size=1, max_size=6))
def test_reading_on_gives_the_same_key_as_reading_all(edits: list[tuple[int, Any]]) -> None:
    reader, matcher, turns = BodyReader(lambda value: value), Matcher(), []
    for kept, more in edits:
        turns = turns[:kept] + more
        raw = json.dumps({"model": "m", "messages": turns}).encode()
        request = Request("POST", "/v1/x", body=raw)
        assert matcher.key(request, reader.read(raw)) == key({"model": "m", "messages": turns})
