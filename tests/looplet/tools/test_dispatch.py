"""One call, from arguments to result: what is checked, what the tool gets, what comes back. In both loops."""

import asyncio
import copy

import pytest
from hypothesis import given, settings, strategies as st

from looplet import LoopConfig, composable_loop
from looplet.clock import fixed_clock
from looplet.errors import ConfigError
from looplet.testing import ScriptedBackend, ScriptedChatBackend, call
from looplet.tools import BaseToolRegistry, ToolSpec, tool, tools_from
from looplet.types import CancelToken, ChatReply, ErrorKind, ToolCall, ToolContext, ToolResult


def in_sync(registry, call, ctx=None):
    return registry.dispatch(call, ctx=ctx)


def in_async(registry, call, ctx=None):
    return asyncio.run(registry.dispatch_async(call, ctx=ctx))


both_loops = pytest.mark.parametrize("dispatch", [in_sync, in_async])


def spec(execute, parameters=None, name="t", **more):
    return ToolSpec(name, "A tool.", parameters or {}, execute, **more)


def registry(execute, parameters=None, **more):
    made = BaseToolRegistry()
    made.register(spec(execute, parameters, **more))
    return made


def summary(result):
    return (result.data, result.error, result.error_kind)


@both_loops
def test_a_success(dispatch):
    call = ToolCall("t", {"a": 1, "b": "x", "__theory__": "T1"})
    with fixed_clock(tick_s=0.5):
        result = dispatch(registry(lambda a, b: {"got": (a, b)}, {"a": "int", "b": "str"}), call)
    assert result == ToolResult(
        tool="t",
        args_summary="a=1, b=x, __theory__=T1",
        data={"got": (1, "x")},
        duration_ms=500.0,
        call_id=call.call_id,
    )


def test_a_summary_is_bounded():
    result = in_sync(registry(lambda **k: 1), ToolCall("t", {"a": "x" * 51, "b": [1] * 100, "k" * 5000: 1}))
    assert result.args_summary.startswith(f"a={'x' * 50}..., b=[1, 1, ")
    assert len(result.args_summary) == 2000


@both_loops
def test_an_unknown_tool(dispatch):
    call = ToolCall("nope", {"a": "x" * 200})
    result = dispatch(registry(lambda: 1), call)
    assert summary(result) == (None, "Unknown tool: nope. Available: ['t']", ErrorKind.VALIDATION)
    assert result.args_summary == str(call.args)[:100]
    assert result.call_id == call.call_id


@both_loops
def test_a_cancelled_run(dispatch):
    ran = []
    token = CancelToken()
    token.cancel()
    result = dispatch(registry(lambda: ran.append(1)), ToolCall("t"), ToolContext(cancel_token=token))
    assert summary(result) == (None, "Tool execution cancelled before dispatch", ErrorKind.CANCELLED)
    assert ran == []


@both_loops
def test_a_tool_that_heeds_a_cancellation(dispatch):
    def heed(ctx):
        ctx.cancel_token.cancel()
        ctx.cancel_token.raise_if_cancelled()

    result = dispatch(registry(heed), ToolCall("t"), ToolContext(cancel_token=CancelToken()))
    assert summary(result) == (None, "RuntimeError: Tool execution cancelled", ErrorKind.CANCELLED)


TREE = {"type": "object", "properties": {"a": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
INVALID = {
    "missing": ({"a": "int", "b": "int"}, lambda a, b: 1, {"a": 1}, ["b: missing"]),
    "unknown": ({"a": "int"}, lambda a: 1, {"a": 1, "z": 2}, ["z: unknown; known are a"]),
    "a wrong type": ({"a": "int"}, lambda a: 1, {"a": "1"}, ["a: expected integer, got string '1'"]),
    "a flag for a number": (
        {"a": "int"},
        lambda a: 1,
        {"a": True},
        ["a: expected integer, got boolean True"],
    ),
    "null": ({"a": "str"}, lambda a: 1, {"a": None}, ["a: expected string, got null"]),
    "all at once": (
        {"a": "int", "b": "int"},
        lambda a, b: 1,
        {"a": "1", "z": 2},
        ["a: expected integer, got string '1'", "z: unknown; known are a, b", "b: missing"],
    ),
    "a schema": (TREE, lambda a=None: 1, {"a": {"n": 1.5}}, ["a.n: expected integer, got number 1.5"]),
    "what only the function needs": (TREE, lambda a, b: 1, {"a": {}}, ["b: missing"]),
    "what no function parameter takes": (TREE, lambda a=None: 1, {"x": 1}, ["x: unknown; known are a"]),
    "a type though the function takes all": (
        {"a": "int"},
        lambda **k: 1,
        {"a": "1"},
        ["a: expected integer, got string '1'"],
    ),
}


@both_loops
@pytest.mark.parametrize(("parameters", "execute", "args", "wrong"), INVALID.values(), ids=INVALID)
def test_TV_01_wrong_arguments_never_reach_the_body(dispatch, parameters, execute, args, wrong):
    ran = []
    tools = registry(execute, parameters)
    tools._tools["t"].execute = _watched(execute, ran)
    call = ToolCall("t", args)
    result = dispatch(tools, call)
    assert summary(result) == (None, f"Invalid arguments for t: {'; '.join(wrong)}", ErrorKind.VALIDATION)
    assert result.error_detail.context == {"violations": wrong}
    assert not result.error_retriable
    assert ran == []
    assert tools.refusal(call).error == result.error


def _watched(function, ran):
    from functools import wraps

    @wraps(function)
    def watched(**kwargs):
        ran.append(kwargs)
        return function(**kwargs)

    return watched


FITS = {
    "a default is not missing": ({"a": "int"}, lambda a=5: a, {}, 5),
    "a label that names no type": ({"a": "how many"}, lambda a: a, {"a": 3}, 3),
    "a parameter that only the function knows": ({}, lambda a: a, {"a": 3}, 3),
    "a function that takes all": ({"a": "int"}, lambda **k: k, {"b": 1}, {"b": 1}),
    "a schema that is open": ({**TREE, "additionalProperties": True}, lambda **k: k, {"b": 1}, {"b": 1}),
    "arguments of the loop": ({"a": "int"}, lambda a: a, {"a": 1, "__theory__": "x"}, 1),
    "a dict with an error is a success": ({}, lambda: {"error": "none"}, {}, {"error": "none"}),
}


@both_loops
@pytest.mark.parametrize(("parameters", "execute", "args", "data"), FITS.values(), ids=FITS)
def test_arguments_that_fit(dispatch, parameters, execute, args, data):
    tools = registry(execute, parameters)
    assert summary(dispatch(tools, ToolCall("t", args))) == (data, None, None)
    assert tools.refusal(ToolCall("t", args)) is None


@both_loops
def test_arguments_that_are_no_object(dispatch):
    result = dispatch(registry(lambda: 1), ToolCall("t", ["a"]))
    assert summary(result) == (None, "t: the arguments are no JSON object", ErrorKind.VALIDATION)


@both_loops
def test_LB_05_arguments_a_provider_could_not_read(dispatch):
    result = dispatch(
        registry(lambda **anything: 1, {"a": "int"}), ToolCall("t", {"_raw_arguments": '{"a": '})
    )
    assert result.error_kind is ErrorKind.PARSE
    assert result.error == 'The arguments of t are not a valid JSON object: {"a": '


CTX = ToolContext(session_id="s")


@both_loops
def test_ctx_goes_to_the_parameter_of_that_name(dispatch):
    takes = registry(lambda ctx: ctx)
    assert dispatch(takes, ToolCall("t"), CTX).data is CTX
    assert dispatch(takes, ToolCall("t")).data is None
    assert dispatch(takes, ToolCall("t", {"ctx": "mine"}), CTX).data is CTX
    assert dispatch(registry(lambda **rest: rest), ToolCall("t"), CTX).data == {}
    assert dispatch(registry(lambda: 1), ToolCall("t", {"ctx": 1}), CTX).error_kind is ErrorKind.VALIDATION


@both_loops
def test_TV_05_what_a_tool_does_to_its_arguments_stays_its_own(dispatch):
    kept = []

    def greedy(a, b):
        kept.append(a)
        a["x"].append(1)
        b.clear()

    args = {"a": {"x": []}, "b": [[1]]}
    before = copy.deepcopy(args)
    call = ToolCall("t", args)
    assert dispatch(registry(greedy, {"a": "dict", "b": "list"}), call).error is None
    kept[0]["later"] = True
    assert call.args == before


class Stop(BaseException):
    pass


@both_loops
@pytest.mark.parametrize(
    "error",
    [SystemExit(3), GeneratorExit(), RecursionError(), MemoryError(), StopIteration(), ValueError("x")],
)
def test_TV_02_what_a_tool_raises_is_its_result(dispatch, error):
    def fail():
        raise error

    result = dispatch(registry(fail), ToolCall("t"))
    assert result.data is None
    assert result.error.startswith(type(error).__name__)


@pytest.mark.parametrize("error", [KeyboardInterrupt, Stop, asyncio.CancelledError])
@pytest.mark.parametrize("limit", [None, 5])
def test_TV_02_what_is_not_the_tools_is_raised(error, limit):
    def fail():
        raise error

    with pytest.raises(error):
        in_sync(registry(fail, timeout_s=limit), ToolCall("t"))
    if error is not KeyboardInterrupt:  # asyncio.run turns it into its own
        with pytest.raises(error):
            in_async(registry(fail, timeout_s=limit), ToolCall("t"))


def test_TV_02_endless_recursion_is_a_result():
    def deeper():
        return deeper()

    assert in_sync(registry(deeper), ToolCall("t")).error.startswith("RecursionError")


async def later():
    await asyncio.sleep(0)
    return "late"


async def failing():
    raise ValueError("late")


async def counting():
    for number in range(3):
        yield number


def generating():
    yield from "ab"


def breaking():
    yield 1
    raise ValueError("broke")


VALUES = {
    "a coroutine function": (later, ("late", None)),
    "a function that gives a coroutine": (lambda: later(), ("late", None)),
    "a coroutine that fails": (failing, (None, "ValueError: late")),
    "an async generator": (counting, ([0, 1, 2], None)),
    "a generator": (generating, (["a", "b"], None)),
    "a map": (lambda: map(str, [1, 2]), (["1", "2"], None)),
    "a generator that breaks": (breaking, (None, "ValueError: broke")),
    "a generator without end": (lambda: iter_forever(), None),
    "a range stays": (lambda: range(3), (range(3), None)),
}


def iter_forever():
    while True:
        yield "x" * 1000


@both_loops
@pytest.mark.parametrize("limit", [None, 10])
@pytest.mark.parametrize(("execute", "expected"), VALUES.values(), ids=VALUES)
def test_what_has_to_be_waited_for_is_waited_for(dispatch, limit, execute, expected):
    result = dispatch(registry(execute, timeout_s=limit), ToolCall("t"))
    if expected is None:
        assert result.data[-1] == "... [more items left out] ..."
        assert 900 < len(result.data) < 1100
    else:
        assert (result.data, result.error) == expected


async def test_a_sync_dispatch_inside_a_running_loop():
    assert registry(later).dispatch(ToolCall("t")).data == "late"


@both_loops
def test_TV_04_a_huge_result_is_cut_visibly(dispatch):
    tools = tools_from(
        [tool(name="t")(lambda kind: {"text": "x" * 3_000_000, "rows": ["y" * 100] * 30_000}[kind])]
    )
    text = dispatch(tools, ToolCall("t", {"kind": "text"})).data
    rows = dispatch(tools, ToolCall("t", {"kind": "rows"})).data
    assert len(text) == 1_000_000
    assert "characters left out" in text
    assert len(rows) < 12_000
    assert rows[-1].endswith("items left out] ...")


class Storing(BaseToolRegistry):
    def _store_result(self, call, data):
        return f"kept:{call.tool}:{data}"

    def _summarize_args(self, call):
        return "short"

    def _refuse(self, call):
        if call.args.get("a") == 13:
            return ToolResult(call.tool, "", None, error="unlucky", call_id=call.call_id)
        return None


@both_loops
def test_what_a_subclass_may_change(dispatch):
    tools = Storing()
    tools.register(spec(lambda a: a, {"a": "int"}))
    result = dispatch(tools, ToolCall("t", {"a": 5}))
    assert (result.result_key, result.args_summary) == ("kept:t:5", "short")
    assert dispatch(tools, ToolCall("t", {"a": 13})).error == "unlucky"
    assert dispatch(tools, ToolCall("t", {"a": "x"})).result_key is None


class Guarded(BaseToolRegistry):
    def dispatch(self, call, *, ctx=None):
        if call.tool == "forbidden":
            return ToolResult(call.tool, "", None, error="no", call_id=call.call_id)
        return super().dispatch(call, ctx=ctx)


def test_a_dispatch_of_ones_own_is_kept_in_every_way_of_calling():
    tools = Guarded()
    tools.register(spec(lambda: 1, name="forbidden", concurrent_safe=True))
    calls = [ToolCall("forbidden"), ToolCall("forbidden")]
    results = [
        tools.dispatch(calls[0]),
        *tools.dispatch_batch(calls),
        asyncio.run(tools.dispatch_async(calls[0])),
        *asyncio.run(tools.dispatch_batch_async(calls)),
    ]
    assert [result.error for result in results] == ["no"] * 6


def test_parameters_replaced_by_nonsense_are_an_error_at_the_call():
    tools = registry(lambda a: a, {"a": "int"})
    tools._tools["t"].parameters = {"type": "object", "properties": 5}
    with pytest.raises(ConfigError):
        tools.dispatch(ToolCall("t", {"a": 1}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.text(), st.dictionaries(st.text(), json_values))
def test_dispatch_never_raises_and_never_changes_the_call(name, args):
    tools = registry(lambda **anything: anything, {"a": "int"}, name="t")
    call = ToolCall(name or "t", copy.deepcopy(args))
    result = tools.dispatch(call)
    assert isinstance(result, ToolResult)
    assert result.call_id == call.call_id
    assert str(call.args) == str(args)


class Sealed(dict):
    """A dict that does not let itself be read."""

    def values(self):
        raise RuntimeError("sealed")

    items = values


class Shy:
    """An object that does not let itself be shown."""

    def __repr__(self):
        raise RuntimeError("not now")


@pytest.mark.parametrize(
    "data", [Sealed(a=1), Shy(), [Shy()], 10**5000], ids=["sealed", "shy", "list", "big"]
)
def test_TV_03_results_that_do_not_let_themselves_be_read_cost_nothing(data):
    llm = ScriptedBackend([call("t"), call("done", answer="ok")])
    tools = tools_from([ToolSpec("t", "d", {}, lambda: data)], include_done=True)
    steps = list(composable_loop(llm, "x", tools))
    assert [step.tool_result.error for step in steps] == [None, None]
    assert "t()" in steps[0].pretty()
    assert steps[0].to_dict()


class Watcher:
    """A hook that allows everything."""

    def pre_dispatch(self, *args):
        return None


@pytest.mark.parametrize("hooks", [[], [Watcher()]], ids=["no hook", "a hook"])
def test_PA_07_arguments_nested_too_deeply_by_any_backend_cost_one_step(hooks):
    deep = 1
    for _ in range(900):
        deep = [deep]
    ran = []
    taker = ToolSpec("t", "d", {"a": "anything"}, lambda **given: ran.append(given))
    tools = tools_from([taker], include_done=True)
    first = ChatReply([{"type": "tool_use", "id": "c", "name": "t", "input": {"a": deep}}])
    llm = ScriptedChatBackend([first, call("done", answer="ok")])
    steps = list(composable_loop(llm, "x", tools, hooks=hooks, config=LoopConfig(max_steps=3)))
    assert steps[0].tool_result.error
    assert (steps[-1].tool_call.tool, ran) == ("done", [])
