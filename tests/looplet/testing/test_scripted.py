"""Scripted backends: every kind of line, every protocol, sync and async."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from looplet import testing
from looplet.errors import ConfigError, ModelError, ScriptExhausted
from looplet.testing import call, calls, chunks
from looplet.types import ChatReply, ErrorKind, Usage

TEXT = {"type": "text", "text": "hello"}


def tool_use(number: int, name: str, **args: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"call_{number}", "name": name, "input": args}


def chat(backend: Any, **more: Any) -> Any:
    """One `chat` of a sync or async backend."""
    answer = backend.chat([], tools=[], **more)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


def generate(backend: Any, prompt: str = "hi") -> Any:
    answer = backend.generate(prompt)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


both_chats = pytest.mark.parametrize("kind", [testing.ScriptedChatBackend, testing.AsyncScriptedChatBackend])
every_kind = pytest.mark.parametrize(
    "kind",
    [
        testing.ScriptedBackend,
        testing.ScriptedToolBackend,
        testing.ScriptedChatBackend,
        testing.AsyncScriptedBackend,
        testing.AsyncScriptedToolBackend,
        testing.AsyncScriptedChatBackend,
    ],
)

LINES = {
    "text": ("hello", [TEXT], "end_turn", "hello"),
    "text in pieces": (chunks("he", "llo"), [TEXT], "end_turn", "hello"),
    "a call": (call("add", a=1), [tool_use(1, "add", a=1)], "tool_use", '{"tool": "add", "args": {"a": 1}}'),
    "an argument named tool": (
        call("add", tool="x"),
        [tool_use(1, "add", tool="x")],
        "tool_use",
        '{"tool": "add", "args": {"tool": "x"}}',
    ),
    "several calls with text": (
        calls(call("add", a=1), call("sub"), text="hello"),
        [TEXT, tool_use(1, "add", a=1), tool_use(2, "sub")],
        "tool_use",
        '{"tools": [{"tool": "add", "args": {"a": 1}, "reasoning": "hello"}, {"tool": "sub", "args": {}}]}',
    ),
    "raw blocks": ([TEXT], [TEXT], "end_turn", "hello"),
    "a reply": (ChatReply([TEXT], stop_reason="max_tokens"), [TEXT], "max_tokens", "hello"),
    "a function of the request": (lambda request: "hello", [TEXT], "end_turn", "hello"),
}


@both_chats
@pytest.mark.parametrize(("line", "blocks", "stop", "text"), LINES.values(), ids=LINES)
def test_chat_says(kind: Any, line: Any, blocks: Any, stop: str, text: str) -> None:
    reply = chat(kind(line))
    assert (reply.blocks, reply.stop_reason) == (blocks, stop)


@every_kind
@pytest.mark.parametrize(("line", "blocks", "stop", "text"), LINES.values(), ids=LINES)
def test_generate_says(kind: Any, line: Any, blocks: Any, stop: str, text: str) -> None:
    backend = kind(line)
    assert generate(backend) == text
    assert backend.last_stop_reason == stop


def test_generate_with_tools_gives_blocks() -> None:
    tools = [{"name": "add", "description": "", "input_schema": {}}]
    backend = testing.ScriptedToolBackend(call("add", a=1), "hello")
    assert backend.generate_with_tools("p", tools=tools) == [tool_use(1, "add", a=1)]
    assert backend.generate_with_tools("p", tools=tools) == [TEXT]
    assert backend.requests[0].tool_names == ["add"]
    late = testing.AsyncScriptedToolBackend("hello")
    assert asyncio.run(late.generate_with_tools("p", tools=tools)) == [TEXT]


FAILURES = {
    "rate limit": (testing.rate_limit(3.0), ErrorKind.RATE_LIMIT, 429, True),
    "timeout": (testing.timeout(), ErrorKind.TIMEOUT, None, True),
    "overflow": (testing.overflow(), ErrorKind.CONTEXT_OVERFLOW, 400, False),
    "server error": (testing.server_error(503), ErrorKind.NETWORK, 503, True),
    "bad request": (testing.bad_request("tools: not supported"), ErrorKind.VALIDATION, 400, False),
    "wrong key": (testing.bad_request("no such key", 401), ErrorKind.PERMISSION_DENIED, 401, False),
}


@both_chats
@pytest.mark.parametrize(("failure", "kind_of_error", "status", "retriable"), FAILURES.values(), ids=FAILURES)
def test_failures_are_raised_and_typed(
    kind: Any, failure: ModelError, kind_of_error: ErrorKind, status: int | None, retriable: bool
) -> None:
    backend = kind(failure, "better")
    with pytest.raises(ModelError) as caught:
        chat(backend)
    assert (caught.value.kind, caught.value.status, caught.value.retriable) == (
        kind_of_error,
        status,
        retriable,
    )
    assert chat(backend).text == "better"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError("x")], ids=["class", "instance"])
def test_any_exception_can_be_scripted(failure: Any) -> None:
    with pytest.raises(failure if isinstance(failure, type) else type(failure)):
        testing.ScriptedBackend(failure).generate("hi")


@every_kind
def test_asking_more_than_the_script_has_fails(kind: Any) -> None:
    backend = kind("only one")
    generate(backend)
    with pytest.raises(ScriptExhausted, match=r"model call 2 was not scripted.*ended with 'once more'"):
        generate(backend, "once more")


@every_kind
def test_leftover_lines_fail_when_asked_about(kind: Any) -> None:
    backend = kind("one", "two", "three")
    generate(backend)
    with pytest.raises(
        AssertionError, match="2 of 3 scripted replies were never asked for; the next is 'two'"
    ):
        backend.assert_exhausted()
    generate(backend)
    generate(backend)
    backend.assert_exhausted()


def test_always_answers_when_the_lines_are_used_up() -> None:
    backend = testing.ScriptedBackend("first", always=lambda request: request.prompt.upper())
    assert [backend.generate(p) for p in ("a", "b", "c")] == ["first", "B", "C"]
    backend.assert_exhausted()


def test_async_functions_are_awaited() -> None:
    async def later(request: testing.ScriptedRequest) -> str:
        await asyncio.sleep(0)
        return f"you said {request.prompt}"

    assert generate(testing.AsyncScriptedBackend(later)) == "you said hi"


@both_chats
def test_chunks_are_heard_as_they_come(kind: Any) -> None:
    heard: list[str] = []
    backend = kind(chunks("He", "llo"), "whole", call("add"))
    for _ in range(3):
        chat(backend, on_chunk=heard.append)
    assert heard == ["He", "llo", "whole"]


def test_ids_count_through_the_script() -> None:
    backend = testing.ScriptedChatBackend(calls(call("a"), call("b")), call("c"))
    ids = [block["id"] for _ in range(2) for block in chat(backend).blocks]
    assert ids == ["call_1", "call_2", "call_3"]


@both_chats
def test_requests_keep_the_thread_as_it_was(kind: Any) -> None:
    thread = [{"role": "user", "content": [{"type": "text", "text": "task"}]}]
    backend = kind("a", always="b")
    answer = backend.chat(
        thread, tools=[{"name": "add"}], system_prompt="be brief", max_tokens=7, temperature=0.5
    )
    if asyncio.iscoroutine(answer):
        asyncio.run(answer)
    thread.append({"role": "assistant", "content": []})
    (request,) = backend.requests
    assert (request.method, len(request.messages), request.tool_names) == ("chat", 1, ["add"])
    assert (request.system_prompt, request.max_tokens, request.temperature) == ("be brief", 7, 0.5)
    assert request.text == "be brief\ntask"


@both_chats
def test_usage_is_reported_with_each_reply(kind: Any) -> None:
    backend = kind("a", ChatReply([TEXT], usage=Usage(1, 2)), usage=Usage(10, 5, 3))
    assert [chat(backend).usage, chat(backend).usage] == [Usage(10, 5, 3), Usage(1, 2)]
    assert backend.last_usage == Usage(1, 2)


SCRIPTS = {
    "one by one": ("one", call("add")),
    "as a list": (["one", call("add")],),
    "as a tuple": (("one", call("add")),),
}


@every_kind
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_may_be_one_sequence(kind: Any, script: Any) -> None:
    backend = kind(*script)
    assert [generate(backend), generate(backend)] == ["one", '{"tool": "add", "args": {}}']
    backend.assert_exhausted()


def test_an_empty_list_is_an_empty_script() -> None:
    with pytest.raises(ScriptExhausted):
        testing.ScriptedBackend([]).generate("hi")


MISTAKES = {
    "a list of texts as one line": ("a", ["one", "two"]),
    "a list of calls as one line": ("a", [call("a"), call("b")]),
    "a number": (3,),
    "nothing": (None,),
}


@pytest.mark.parametrize("lines", MISTAKES.values(), ids=MISTAKES)
def test_a_line_no_model_can_say_is_refused_at_once(lines: Any) -> None:
    with pytest.raises(ConfigError, match="one by one"):
        testing.ScriptedBackend(*lines)


def test_capabilities_say_what_each_class_has() -> None:
    assert testing.ScriptedBackend().capabilities().chat is False
    assert testing.ScriptedToolBackend().capabilities().native_tools
    assert testing.ScriptedChatBackend().capabilities().stream
    assert testing.AsyncScriptedChatBackend().capabilities().chat


@pytest.mark.parametrize("kind", [testing.MockLLMBackend, testing.AsyncMockLLMBackend])
@pytest.mark.parametrize(
    ("responses", "said"),
    [(["a", "b"], ["a", "b", "a"]), (None, ["mock response"] * 3), ([], ["mock response"] * 3)],
    ids=["cycles", "none given", "empty list"],
)
def test_mocks_say_the_same_over_and_over(kind: Any, responses: Any, said: list[str]) -> None:
    backend = kind(responses)
    assert [generate(backend, f"p{n}") for n in range(3)] == said
    assert (backend.calls, backend.last_prompt, backend.last_system_prompt) == (3, "p2", "")
    backend.reset()
    assert (backend.calls, backend.last_prompt) == (0, "")
    assert not hasattr(backend, "generate_with_tools")


def test_the_helpers_load_no_server_and_no_event_loop() -> None:
    code = (
        "import sys, looplet.testing\n"
        "print([m for m in ('http.server', 'asyncio', 'socketserver', 'openai') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == []


@both_chats
def test_a_request_stays_as_it_was_whatever_becomes_of_the_list(kind):
    backend = kind(always="ok")
    a, b, c, d = ({"role": "user", "content": [{"type": "text", "text": name}]} for name in "abcd")
    threads = [[a], [a, b], [a, b, c], [a, d, c], [d], [], [a, b, c, d], [a, b]]
    live: list[Any] = []
    for thread in threads:
        live[:] = thread
        answer = backend.chat(live, tools=[])
        _ = asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
    assert [request.messages for request in backend.requests] == threads
