"""The adapter against a server made with the official SDK, and what becomes of a call's content."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

import pytest

from looplet import (
    CancelToken,
    ErrorKind,
    LoopConfig,
    ToolCall,
    ToolContext,
    async_run_loop,
    run_loop,
    tools_from,
)
from looplet.mcp import MCPError, MCPToolAdapter
from looplet.mcp.adapter import data_of
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, call, calls

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, str(Path(__file__).with_name("mcp_demo.py"))]


@pytest.fixture(scope="module")
def server():
    with MCPToolAdapter(COMMAND) as running:
        yield running


@pytest.fixture
def registry(server):
    tools = tools_from([], include_done=True)
    server.register_all(tools)
    return tools


def test_MC_01_the_tools_have_their_whole_schemas(server):
    add = server.tools()[0]
    assert (add.name, add.description) == ("add", "Add two numbers.")
    assert add.required_parameters() == ["a"]
    assert add.parameters["properties"]["b"] == {"default": 2, "title": "B", "type": "integer"}


CALLS = {
    "a number": ("add", {"a": 1}, {"result": 3}),
    "an object": ("where", {"name": "abc"}, {"x": 3, "y": 2}),
    "text": ("say", {"text": "hi"}, {"text": "hi"}),
    "JSON in a text": ("say", {"text": '{"a": [1]}'}, {"a": [1]}),
    "an image": ("picture", {}, {"content": [{"type": "image", "data": "cG5n", "mimeType": "image/png"}]}),
}


@pytest.mark.parametrize(("tool", "args", "data"), CALLS.values(), ids=CALLS)
def test_MC_01_calls(registry, tool, args, data):
    result = registry.dispatch(ToolCall(tool, args))
    assert (result.error, result.data) == (None, data)


def test_MC_09_a_failed_call_is_a_tool_error(registry):
    result = registry.dispatch(ToolCall("broken"))
    assert (result.data, result.error_kind) == (None, ErrorKind.EXECUTION)
    assert "the disk is full" in result.error


def test_arguments_are_checked_before_they_are_sent(registry):
    assert "expected integer" in registry.dispatch(ToolCall("add", {"a": "x"})).error


def test_progress_is_told(registry):
    said = []
    ctx = ToolContext(on_progress=lambda stage, data: said.append((stage, data)))
    assert registry.dispatch(ToolCall("slow", {"seconds": 0.01}), ctx=ctx).data == {"result": "slept"}
    assert said == [("mcp", {"progress": 1, "total": 2, "message": "half"})]


def test_a_cancelled_call_leaves_the_server_usable(registry):
    token = CancelToken()
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    started = time.monotonic()
    result = registry.dispatch(ToolCall("slow", {"seconds": 30}), ctx=ToolContext(cancel_token=token))
    assert "cancelled" in result.error
    assert time.monotonic() - started < 10
    assert registry.dispatch(ToolCall("add", {"a": 1})).data == {"result": 3}


@pytest.mark.slow
def test_a_second_start_replaces_the_server():
    with MCPToolAdapter(COMMAND) as server:
        server.tools()
        server.start()
        tools = tools_from(server.tools())
        assert tools.dispatch(ToolCall("add", {"a": 1})).data == {"result": 3}


def test_MC_12_a_server_that_was_killed_is_an_error_until_it_is_started_again():
    with MCPToolAdapter(COMMAND) as server:
        tools = tools_from(server.tools())
        server._link._process.kill()
        for _ in range(2):
            assert tools.dispatch(ToolCall("add", {"a": 1})).error_kind is ErrorKind.NETWORK
        server.start()
        assert tools.dispatch(ToolCall("add", {"a": 1})).data == {"result": 3}


def test_calls_at_once_get_their_own_answers(registry):
    for spec in registry._tools.values():
        spec.concurrent_safe = True
    wanted = [ToolCall("slow", {"seconds": 0.2}), *[ToolCall("add", {"a": n}) for n in range(6)]]
    found = registry.dispatch_batch(wanted)
    assert [result.data["result"] for result in found] == ["slept", 2, 3, 4, 5, 6, 7]


SCRIPT = [calls(call("add", a=1), call("broken")), call("done", answer="ready")]


def test_a_run_sync_and_async(registry):
    config = LoopConfig(concurrent_dispatch=True)
    one = run_loop(ScriptedChatBackend(SCRIPT), "t", registry, config=config)
    other = asyncio.run(async_run_loop(AsyncScriptedChatBackend(SCRIPT), "t", registry, config=config))
    for found in (one, other):
        assert found.stop_reason == "done"
        assert found.steps[0].tool_result.data == {"result": 3}
        assert "the disk is full" in found.steps[1].tool_result.error


TEXT = {"type": "text", "text": "a"}
LINK = {"type": "resource_link", "uri": "file:///a", "name": "a"}
CONTENTS = {
    "no blocks": ({"content": []}, {"content": []}),
    "two texts": ({"content": [TEXT, TEXT]}, {"content": [TEXT, TEXT]}),
    "text and link": ({"content": [TEXT, LINK]}, {"content": [TEXT, LINK]}),
    "what is no block": ({"content": [TEXT, None, 5]}, {"text": "a"}),
    "a text that is no text": (
        {"content": [{"type": "text", "text": 5}]},
        {"content": [{"type": "text", "text": 5}]},
    ),
    "structured": ({"content": [TEXT], "structuredContent": {"b": 1}}, {"b": 1}),
    "structured alone": ({"structuredContent": {"b": 1}}, {"b": 1}),
    "structured and link": (
        {"content": [LINK], "structuredContent": {"b": 1}},
        {"content": [LINK], "structured": {"b": 1}},
    ),
    "structured badly": ({"content": [TEXT], "structuredContent": 5}, {"text": "a"}),
    "a number": ({"content": [{"type": "text", "text": "5"}]}, 5),
    "deep JSON": ({"content": [{"type": "text", "text": "[" * 99_999}]}, {"text": "[" * 99_999}),
}


@pytest.mark.parametrize(("answer", "data"), CONTENTS.values(), ids=CONTENTS)
def test_content(answer, data):
    assert data_of(answer) == data


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"content": [TEXT, TEXT], "isError": True}, "^a\na$"),
        ({"content": [], "isError": True}, "says that the call failed"),
        ({"structuredContent": {"why": "full"}, "isError": True}, '^{"why": "full"}$'),
        ({"content": [{"type": "text", "text": "\x1b[2J"}], "isError": True}, r"^\\x1b"),
        ({}, "no list of content"),
        ({"content": None}, "no list of content"),
    ],
)
def test_MC_09_content_that_is_an_error(answer, says):
    with pytest.raises(MCPError, match=says):
        data_of(answer)
