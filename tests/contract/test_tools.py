"""Tools and registries: both forms of parameters, dispatch, error kinds, batches, ctx."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from looplet import BaseToolRegistry, CancelToken, ErrorKind, ToolCall, ToolContext, ToolResult, ToolSpec
from looplet.tools import register_think_tool

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}


def spec(parameters: dict[str, Any], execute: Any = lambda **kw: kw, **options: Any) -> ToolSpec:
    return ToolSpec("n", "desc", parameters, execute, **options)


def registry(*specs: ToolSpec) -> BaseToolRegistry:
    tools = BaseToolRegistry()
    for one in specs:
        tools.register(one)
    return tools


# ------------------------------------------------------------------ what a tool says of itself


def test_the_simple_form() -> None:
    one = spec({"a": "int", "b": "file path"})
    assert not one.is_json_schema
    assert (one.parameter_names(), one.required_parameters()) == (["a", "b"], ["a", "b"])
    assert one.spec_text() == "  n(a: int, b: file path)\n    desc"
    assert one.to_json_schema()["required"] == ["a", "b"]
    assert one.to_json_schema()["properties"]["b"] == {"type": "string", "description": "file path"}
    assert one.to_api_schema() == {
        "name": "n",
        "description": "desc",
        "input_schema": one.to_json_schema(),
    }
    assert (one.concurrent_safe, one.free) == (False, False)
    assert "lambda" not in repr(one)
    assert "execute" not in repr(one)


def test_json_schema() -> None:
    one = spec(SCHEMA)
    assert one.is_json_schema
    assert (one.parameter_names(), one.required_parameters()) == (["a", "b"], ["a"])
    assert one.spec_text() == "  n(a: integer, b?: any)\n    desc"
    assert one.to_api_schema()["input_schema"] is SCHEMA
    assert one.to_json_schema() == SCHEMA
    assert one.to_json_schema() is not SCHEMA


@pytest.mark.parametrize("parameters", [{"type": "str"}, {"properties": "str"}, {}])
def test_what_is_not_a_schema_is_the_simple_form(parameters: dict[str, Any]) -> None:
    assert not spec(parameters).is_json_schema


def test_a_spec_by_position() -> None:
    one = ToolSpec("n", "d", {}, print, True, True)
    assert (one.name, one.description, one.concurrent_safe, one.free) == ("n", "d", True, True)


def test_a_registry_in_the_order_of_registration() -> None:
    tools = BaseToolRegistry()
    tools.register(ToolSpec("b", "B.", {"x": "str"}, print, concurrent_safe=True))
    tools._register(ToolSpec("a", "A.", SCHEMA, print, free=True))
    assert tools.tool_names == ["b", "a"]
    assert list(tools._tools) == ["b", "a"]
    assert tools.tool_catalog_text() == (
        "Available tools:\n  b(x: str)\n    B.\n  a(a: integer, b?: any)\n    A."
    )
    assert tools.tool_schemas() == [tools._tools[n].to_api_schema() for n in ("b", "a")]
    assert tools.introspect() == {
        "tool_count": 2,
        "tools": [
            {
                "name": "b",
                "description": "B.",
                "parameters": tools._tools["b"].to_json_schema(),
                "concurrent_safe": True,
                "free": False,
            },
            {
                "name": "a",
                "description": "A.",
                "parameters": SCHEMA,
                "concurrent_safe": False,
                "free": True,
            },
        ],
    }


# ------------------------------------------------------------------ dispatch


def test_a_call_that_works() -> None:
    call = ToolCall("n", {"a": 1, "b": "x" * 60, "__theory__": "T"})
    result = registry(spec({"a": "int", "b": "str"})).dispatch(call)
    assert result.data == {"a": 1, "b": "x" * 60}
    assert result.args_summary == f"a=1, b={'x' * 50}..., __theory__=T"
    assert (result.error, result.error_detail, result.tool) == (None, None, "n")
    assert result.call_id == call.call_id
    assert result.duration_ms > 0


def test_an_unknown_tool() -> None:
    call = ToolCall("x" * 3, {"k": "v" * 200})
    result = registry(spec({})).dispatch(call)
    assert result.error == "Unknown tool: xxx. Available: ['n']"
    assert result.args_summary == str(call.args)[:100]
    assert (result.error_kind, result.error_retriable, result.data) == (ErrorKind.VALIDATION, False, None)
    assert result.call_id == call.call_id


class RateLimitError(Exception):
    pass


class ContextLengthExceeded(Exception):
    pass


class ParseError(Exception):
    pass


class SearchApiRateLimitReached(Exception):
    pass


class FeedParseErrorAtLine(Exception):
    pass


ERRORS: dict[str, tuple[Exception, ErrorKind, bool]] = {
    "timeout": (TimeoutError("slow"), ErrorKind.TIMEOUT, True),
    "value": (ValueError("odd"), ErrorKind.VALIDATION, False),
    "type": (TypeError("odd"), ErrorKind.VALIDATION, False),
    "key": (KeyError("odd"), ErrorKind.VALIDATION, False),
    "json": (json.JSONDecodeError("odd", "x", 0), ErrorKind.VALIDATION, False),
    "permission": (PermissionError("no"), ErrorKind.PERMISSION_DENIED, False),
    "connection": (ConnectionError("gone"), ErrorKind.NETWORK, True),
    "refused": (ConnectionRefusedError("gone"), ErrorKind.NETWORK, True),
    "rate limit": (RateLimitError("wait"), ErrorKind.RATE_LIMIT, True),
    "context": (ContextLengthExceeded("long"), ErrorKind.CONTEXT_OVERFLOW, False),
    "parse": (ParseError("odd"), ErrorKind.PARSE, False),
    "rate limit in a name": (SearchApiRateLimitReached("wait"), ErrorKind.RATE_LIMIT, True),
    "parse error in a name": (FeedParseErrorAtLine("odd"), ErrorKind.PARSE, False),
    "else": (RuntimeError("boom"), ErrorKind.EXECUTION, False),
    "digits in a text": (RuntimeError("file 4291.txt missing"), ErrorKind.EXECUTION, False),
}


@pytest.mark.parametrize("name", ERRORS)
def test_exceptions_become_errors(name: str) -> None:
    error, kind, retriable = ERRORS[name]

    def fail() -> None:
        raise error

    call = ToolCall("n")
    result = registry(spec({}, fail)).dispatch(call)
    assert result.error == f"{type(error).__name__}: {error}"
    assert (result.error_kind, result.error_retriable) == (kind, retriable)
    assert result.error_detail is not None
    assert result.error_detail.message == result.error
    assert (result.data, result.call_id) == (None, call.call_id)


@pytest.mark.parametrize("args", [{}, {"a": 1, "c": 2}], ids=["missing", "extra"])
def test_wrong_arguments_are_validation_errors(args: dict[str, Any]) -> None:
    result = registry(spec({"a": "int"}, lambda *, a: a)).dispatch(ToolCall("n", args))
    assert (result.error_kind, result.error_retriable) == (ErrorKind.VALIDATION, False)


def test_an_error_in_a_dict_is_a_success() -> None:
    result = registry(spec({}, lambda: {"error": "x"})).dispatch(ToolCall("n"))
    assert (result.error, result.data) == (None, {"error": "x"})


def test_ctx_goes_to_tools_that_name_it() -> None:
    def named(*, ctx: Any, a: int = 0) -> Any:
        return [ctx is given, ctx is None]

    given = ToolContext()
    tools = registry(spec({}, named))
    assert tools.dispatch(ToolCall("n"), ctx=given).data == [True, False]
    assert tools.dispatch(ToolCall("n")).data == [False, True]
    assert tools.dispatch(ToolCall("n", {"ctx": "mine"}), ctx=given).data == [True, False]
    assert registry(spec({}, lambda **kw: sorted(kw))).dispatch(ToolCall("n"), ctx=given).data == []


def test_cancelled_before_dispatch() -> None:
    ran: list[int] = []
    token = CancelToken()
    token.cancel()
    result = registry(spec({}, lambda: ran.append(1))).dispatch(
        ToolCall("n"), ctx=ToolContext(cancel_token=token)
    )
    assert result.error == "Tool execution cancelled before dispatch"
    assert (result.error_kind, ran) == (ErrorKind.CANCELLED, [])


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_what_is_not_the_tools_propagates(error: type[BaseException]) -> None:
    def leave() -> None:
        raise error

    with pytest.raises(error):
        registry(spec({}, leave)).dispatch(ToolCall("n"))


def test_a_subclass_keeps_results_and_words() -> None:
    class Storing(BaseToolRegistry):
        def _store_result(self, call: ToolCall, data: Any) -> str | None:
            return f"{call.tool}/{data}"

        def _summarize_args(self, call: ToolCall) -> str:
            return "short"

    tools = Storing()
    tools.register(spec({}, lambda: 7))
    result = tools.dispatch(ToolCall("n"))
    assert (result.result_key, result.args_summary) == ("n/7", "short")


# ------------------------------------------------------------------ batches


def test_an_empty_batch() -> None:
    assert registry().dispatch_batch([]) == []


@pytest.mark.parametrize("safe", [True, False])
def test_a_batch_keeps_the_order_of_its_calls(safe: bool) -> None:
    def work(*, i: int) -> int:
        return i

    tools = registry(ToolSpec("n", "d", {"i": "int"}, work, concurrent_safe=safe))
    calls = [ToolCall("n", {"i": i}) for i in range(25)]
    results = tools.dispatch_batch(calls)
    assert [result.data for result in results] == list(range(25))
    assert [result.call_id for result in results] == [call.call_id for call in calls]


def test_safe_calls_run_at_once() -> None:
    meet = threading.Barrier(4, timeout=5)
    tools = registry(ToolSpec("n", "d", {}, meet.wait, concurrent_safe=True))
    results = tools.dispatch_batch([ToolCall("n") for _ in range(4)])
    assert sorted(result.data for result in results) == [0, 1, 2, 3]


def test_a_failure_stays_with_its_call() -> None:
    tools = registry(ToolSpec("n", "d", {"i": "int"}, lambda *, i: 1 // i, concurrent_safe=True))
    results = tools.dispatch_batch([ToolCall("n", {"i": i}) for i in (1, 0, 1)])
    assert [bool(result.error) for result in results] == [False, True, False]


def test_think() -> None:
    tools = BaseToolRegistry()
    register_think_tool(tools)
    one = tools._tools["think"]
    assert (one.parameter_names(), one.concurrent_safe, one.free) == (["analysis"], True, True)
    data = tools.dispatch(ToolCall("think", {"analysis": "hm"})).data
    assert data == {"acknowledged": True, "analysis": "hm"}
    assert tools.dispatch(ToolCall("think")).data == {"acknowledged": True, "analysis": ""}
    words = (one.description + str(register_think_tool.__doc__)).lower()
    assert not any(word in words for word in ("brute force", "vpn", "lateral movement", "security"))


def test_a_result_is_a_tool_result() -> None:
    assert isinstance(registry(spec({})).dispatch(ToolCall("n")), ToolResult)
