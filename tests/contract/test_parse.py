"""Which texts and blocks hold which calls."""

from __future__ import annotations

from typing import Any

import pytest

from looplet.parse import parse_multi_tool_calls, parse_native_tool_use, parse_tool_call, to_text

X = '{"tool": "x", "args": {"a": 1}, "reasoning": "r"}'
Y = '{"tool": "y"}'
DEEP = '{"tool": "x", "args": {"a": {"b": {"c": "}"}}}}'

FOUND: dict[str, tuple[Any, list[str]]] = {
    "plain": (X, ["x"]),
    "spaces around": (f"\n  {X}\n", ["x"]),
    "json fence": (f"```json\n{X}\n```", ["x"]),
    "fence": (f"```\n{X}\n```", ["x"]),
    "python fence": (f"```python\n{X}\n```", ["x"]),
    "prose before": (f"I shall look. {X}", ["x"]),
    "prose around": (f"I shall look. {X} There.", ["x"]),
    "prose and a fence": (f"Here:\n```json\n{X}\n```\nThere.", ["x"]),
    "several": (f'{{"tools": [{X}, {Y}]}}', ["x", "y"]),
    "several with others": (f'{{"tools": [{X}, 3, {{"no": 1}}]}}', ["x"]),
    "one in a list": (f"[{Y}]", ["y"]),
    "two in a list": (f"[{X}, {Y}]", ["x", "y"]),
    "two on two lines": (f"{X}\n{Y}", ["x", "y"]),
    "prose and several": (f'Both: {{"tools": [{X}, {Y}]}}', ["x", "y"]),
    "prose and nested deeper": (f"Look: {DEEP}", ["x"]),
    "prose with braces": (f"In code {{like this}} we call {X}", ["x"]),
    "thought first": (f'<think>maybe {{"tool": "bad"}}</think>{X}', ["x"]),
    "name and arguments": ('{"name": "x", "arguments": {"a": 1}}', ["x"]),
    "no tools": ('{"tools": []}', []),
    "tools is text": ('{"tools": "x"}', []),
    "another object": ('{"foo": 1}', []),
    "cut off": ('{"tool": "x", "args": {"a"', []),
    "prose": ("I would rather not.", []),
    "nothing": ("", []),
    "None": (None, []),
    "an empty tool": ('{"tool": ""}', []),
    "text in blocks": ([{"type": "text", "text": X}], ["x"]),
    "native calls in blocks": ([{"type": "tool_use", "id": "1", "name": "x", "input": {}}], []),
}


@pytest.mark.parametrize("name", FOUND)
def test_calls_in_a_reply(name: str) -> None:
    raw, wanted = FOUND[name]
    assert [call.tool for call in parse_multi_tool_calls(raw)] == wanted


def test_the_parts_of_a_call() -> None:
    (call,) = parse_multi_tool_calls(X)
    assert (call.tool, call.args, call.reasoning) == ("x", {"a": 1}, "r")
    assert len(call.call_id) == 12
    (call,) = parse_multi_tool_calls('{"tool": "x", "id": "mine", "call_id": "mine"}')
    assert (call.args, call.reasoning, call.call_id == "mine") == ({}, "", False)


def test_several_share_what_they_do_not_say_themselves() -> None:
    text = f'{{"tools": [{X}, {Y}], "reasoning": "outer", "theory": "T"}}'
    first, second = parse_multi_tool_calls(text)
    assert (first.reasoning, second.reasoning) == ("r", "outer")
    assert first.args["__theory__"] == "T"


def test_a_theory_goes_into_the_arguments() -> None:
    (call,) = parse_multi_tool_calls('{"tool": "x", "args": {"a": 1}, "theory": "T"}')
    assert call.args == {"a": 1, "__theory__": "T"}
    (call,) = parse_multi_tool_calls('{"tool": "x", "theory": ""}')
    assert call.args == {}


def test_one_call() -> None:
    call = parse_tool_call(f"So: {X}")
    assert call is not None
    assert (call.tool, call.args) == ("x", {"a": 1})
    assert parse_tool_call("nothing here") is None


def test_native_blocks() -> None:
    source = {"a": [1]}
    blocks = [
        {"type": "text", "text": X},
        {"type": "tool_use", "id": "c1", "name": "x", "input": source},
        {"type": "tool_use", "name": "y"},
        {"type": "other"},
    ]
    first, second = parse_native_tool_use(blocks)
    assert (first.tool, first.args, first.call_id, first.reasoning) == ("x", {"a": [1]}, "c1", "")
    assert first.args is not source
    assert (second.tool, second.args, second.call_id) == ("y", {}, "")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, None),
        ("abc", "abc"),
        ([{"type": "text", "text": "a"}, {"type": "tool_use"}, {"type": "text", "text": "b"}], "ab"),
        ([], ""),
    ],
)
def test_text_of_a_reply(raw: Any, text: str | None) -> None:
    assert to_text(raw) == text
