"""What differs is named in every dialect of a thread: OpenAI's two, Anthropic's, and what is neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from looplet.testing.provider import LocalProvider
from pytest_looplet import CassetteDrift, use_cassette

USER = {"role": "user", "content": "Where is order 7?"}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
ASK = {"type": "function", "function": {"name": "ask", "parameters": {"type": "object"}}}


def chat(*turns: Any, **more: Any) -> tuple[str, dict[str, Any]]:
    return "/chat/completions", {"model": "m", "messages": list(turns), **more}


def responses(*turns: Any, **more: Any) -> tuple[str, dict[str, Any]]:
    return "/responses", {"model": "m", "input": list(turns), **more}


def messages(*turns: Any) -> tuple[str, dict[str, Any]]:
    return "/messages", {"model": "m", "max_tokens": 9, "messages": list(turns)}


def function_call(output: str) -> tuple[str, dict[str, Any]]:
    asked = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    return responses(USER, asked, {"type": "function_call_output", "call_id": "c", "output": output})


def tool_use(result: str) -> tuple[str, dict[str, Any]]:
    asked = {"type": "tool_use", "id": "c", "name": "look", "input": {}}
    answered = {"type": "tool_result", "tool_use_id": "c", "content": result}
    return messages(USER, {"role": "assistant", "content": [asked]}, {"role": "user", "content": [answered]})


def blocks(*texts: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


CASES = {
    "a function's output": (function_call("shipped"), function_call("lost"), "(result of step 1, look)"),
    "a tool's result": (tool_use("shipped"), tool_use("lost"), "(result of step 1, look)"),
    "a message less": (chat(USER, USER), chat(USER), "messages[1] (user) is missing"),
    "a message more": (chat(USER), chat(USER, USER), "messages[1] (user) is new"),
    "a block of many": (chat(blocks("a", "b")), chat(blocks("a", "c")), "messages[0].content[1] (user)"),
    "a block more": (chat(blocks("a")), chat(blocks("a", "b")), "messages[0].content[1] (user)"),
    "a block less": (chat(blocks("a", "b")), chat(blocks("a")), "messages[0].content[1] (user)"),
    "a turn of plain text": (responses("a"), responses("b"), "input[0] (text)"),
    "content of no known kind": (
        chat({"role": "user", "content": {"a": 1}}),
        chat({"role": "user", "content": {"a": 2}}),
        "messages[0] (user)",
    ),
    "a tool gone": (chat(USER, tools=[LOOK, ASK]), chat(USER, tools=[LOOK]), "tool ask is gone"),
    "a tool of the provider": (
        responses(USER),
        responses(USER, tools=[{"type": "web_search"}]),
        "tool web_search is new",
    ),
    "a tool that is none": (chat(USER), chat(USER, tools=["look"]), "tool look is new"),
    "tools in another order": (
        chat(USER, tools=[LOOK, ASK]),
        chat(USER, tools=[ASK, LOOK]),
        "order of tools: look, ask is now ask, look",
    ),
    "a long setting": (
        chat(USER, response_format={"type": "text"}),
        chat(USER, response_format={"type": "json_object"}),
        '+   "type": "json_object"',
    ),
    "a setting not sent": (chat(USER, top_p=0.5), chat(USER), "top_p: 0.5 is now (not sent)"),
}


def post(base: str, asked: tuple[str, dict[str, Any]], query: str = "", content: bytes | None = None) -> None:
    path, body = asked
    how: dict[str, Any] = {"json": body} if content is None else {"content": content}
    with httpx2.Client() as client:
        client.post(f"{base}{path}{query}", **how)


@pytest.mark.parametrize(("then", "now", "told"), CASES.values(), ids=CASES)
def test_what_differs_is_named(then, now, told, tmp_path: Path) -> None:
    file = tmp_path / "a.looplet.yaml"
    with LocalProvider(["hello"]) as provider:
        with use_cassette(file, mode="rewrite"):
            post(provider.base_url, then)
        base = provider.base_url
    with pytest.raises(CassetteDrift) as stopped, use_cassette(file):
        post(base, now)
    assert told in str(stopped.value)


@pytest.mark.parametrize(
    ("query", "content", "told"),
    [("?api-version=2", None, "+ api-version=2"), ("", b"\xff not JSON", "+ \\xff not JSON")],
    ids=["the query", "a body that is no JSON"],
)
def test_what_is_no_member_of_a_body_is_named_too(query, content, told, tmp_path: Path) -> None:
    file = tmp_path / "a.looplet.yaml"
    with LocalProvider(["hello"]) as provider:
        with use_cassette(file, mode="rewrite"):
            post(provider.base_url, chat(USER), "?api-version=1" if query else "")
        base = provider.base_url
    with pytest.raises(CassetteDrift) as stopped, use_cassette(file):
        post(base, chat(USER), query, content)
    assert told in str(stopped.value)
