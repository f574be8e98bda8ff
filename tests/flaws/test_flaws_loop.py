"""What an earlier implementation of this interface got wrong: loop, tools, hooks, parser, one test each."""

from __future__ import annotations

import asyncio
import copy
import json
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest

from looplet import (
    Allow,
    BaseToolRegistry,
    Block,
    Conversation,
    DefaultState,
    Deny,
    ErrorKind,
    LoopConfig,
    SessionLog,
    Stop,
    ToolCall,
    ToolContext,
    ToolResult,
    ToolSpec,
    async_composable_loop,
    composable_loop,
    run_loop,
)
from looplet.parse import parse_multi_tool_calls
from looplet.testing import (
    AsyncMockLLMBackend,
    ScriptedBackend,
    ScriptedChatBackend,
    ScriptedToolBackend,
    bad_request,
    call,
    calls,
    overflow,
    rate_limit,
    server_error,
)
from looplet.tools import tools_from
from looplet.types import ChatReply
from looplet.validation import FieldSpec, OutputSchema

ADD, DONE = call("add", a=1), call("done", answer="ok")
GARBAGE = "I would rather not."


class Tools(BaseToolRegistry):
    """`add`, `think` (free), `boom` and `done`; `ran` holds the bodies that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[tuple[str, Any]] = []
        self._body("add", {"a": "int"}, lambda a: {"sum": a + 1})
        self._body("think", {"thought": "str"}, lambda thought: "ok", free=True)
        self._body("boom", {}, self._boom)
        self._body("done", {"answer": "str"}, lambda answer: {"answer": answer})

    def _body(self, name: str, parameters: dict[str, Any], body: Any, **options: Any) -> None:
        def execute(**kwargs: Any) -> Any:
            self.ran.append((name, kwargs))
            return body(**kwargs)

        schema = {
            "type": "object",
            "properties": {
                n: {"type": {"int": "integer", "str": "string"}[t]} for n, t in parameters.items()
            },
            "required": list(parameters),
            "additionalProperties": False,
        }
        self.register(ToolSpec(name, f"The tool {name}.", schema, execute, **options))

    @staticmethod
    def _boom() -> None:
        raise RuntimeError("boom")


@dataclass
class Ran:
    """What came of a run."""

    llm: Any
    tools: Any
    state: Any
    steps: list[Any] = field(default_factory=list)
    trace: Any = None
    error: Exception | None = None

    @property
    def reason(self) -> str:
        return str(self.state._stop_reason)

    @property
    def first(self) -> ToolResult:
        return self.steps[0].tool_result  # type: ignore[no-any-return]

    @property
    def names(self) -> list[str]:
        return [step.tool_call.tool for step in self.steps]

    @property
    def bodies(self) -> list[str]:
        return [name for name, _ in self.tools.ran]


def run(
    *replies: Any, backend: Any = ScriptedBackend, state: Any = None, tools: Any = None, **more: Any
) -> Ran:
    state = DefaultState() if state is None else state
    ran = Ran(backend(*replies), Tools() if tools is None else tools, state)
    steps = composable_loop(ran.llm, tools=ran.tools, state=state, **more)
    while True:
        try:
            ran.steps.append(next(steps))
        except StopIteration as end:
            ran.trace = end.value
            return ran
        except Exception as problem:
            ran.error = problem
            return ran


def hook(**slots: Any) -> Any:
    """A hook with these functions as its slots."""
    return type("Hook", (), {name: staticmethod(answer) for name, answer in slots.items()})()


def listener(event: str, answer: Any) -> Any:
    return hook(on_event=lambda payload: answer(payload) if payload.event == event else None)


# ------------------------------------------------------------------ what the model reads


@pytest.mark.parametrize("backend", [ScriptedBackend, ScriptedToolBackend, ScriptedChatBackend])
def test_F1_the_model_reads_what_a_tool_returned(backend: Any) -> None:
    tools = tools_from([], include_done=True)
    tools.register(ToolSpec("look", "Look.", {}, lambda: {"colour": "vermilion"}))
    ran = run(call("look"), DONE, backend=backend, tools=tools, config=LoopConfig(use_native_tools=True))
    assert "vermilion" in ran.llm.requests[1].text


def test_F1_a_long_result_is_bounded() -> None:
    tools = tools_from([], include_done=True)
    tools.register(ToolSpec("look", "Look.", {}, lambda: "x" * 500_000))
    ran = run(call("look"), DONE, tools=tools)
    assert 1_000 < len(ran.llm.requests[1].text) < 100_000


def test_F2_the_reply_format_is_stated() -> None:
    text = run(DONE).llm.requests[0].text
    assert '{"tool": "<tool_name>", "args": {...}' in text


@pytest.mark.parametrize("task", ["refund it", ["read", "refund it"], ("refund it",), {"do": "refund it"}])
def test_F9_a_task_may_be_anything(task: Any) -> None:
    ran = run(DONE, task=task)
    assert ran.reason == "done"
    assert "refund it" in ran.llm.requests[0].text


def test_F10_lists_dicts_and_zeros_of_a_task_are_shown() -> None:
    task = {"files": ["a.py"], "limits": {"eur": 50}, "n": 0, "dry": False}
    text = run(DONE, task=task).llm.requests[0].text
    for word in ("a.py", "eur", "50", "n: 0", "dry: "):
        assert word in text


def test_F17_text_beside_native_tools_is_read_and_ids_are_never_empty() -> None:
    text = '{"tool": "add", "args": {"a": 1}}'
    blocks = [{"type": "tool_use", "name": "add", "input": {"a": 2}}]
    config = LoopConfig(use_native_tools=True)
    ran = run([{"type": "text", "text": text}], blocks, DONE, backend=ScriptedToolBackend, config=config)
    assert ran.names == ["add", "add", "done"]
    assert all(step.tool_call.call_id for step in ran.steps)


def test_F17_the_recovery_call_keeps_the_tools() -> None:
    config = LoopConfig(use_native_tools=True)
    ran = run([{"type": "text", "text": GARBAGE}], DONE, backend=ScriptedToolBackend, config=config)
    assert [request.method for request in ran.llm.requests] == ["generate_with_tools"] * 2


# ------------------------------------------------------------------ ends


class Watch:
    def __init__(self) -> None:
        self.told: list[str] = []

    def on_event(self, payload: Any) -> None:
        if payload.event == "stop":
            self.told.append(payload.termination_reason)

    def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
        self.told.append("on_loop_end")
        return 0


def test_F3_break_ends_the_run_like_any_end() -> None:
    watch = Watch()
    steps = composable_loop(ScriptedBackend(ADD, ADD), tools=Tools(), hooks=[watch])
    for _ in steps:
        break
    steps.close()
    assert watch.told == ["stopped_by_caller", "on_loop_end"]


def test_F3_so_does_an_exception_in_a_hook() -> None:
    def fail(*args: Any) -> None:
        raise OSError("disk")

    watch = Watch()
    ran = run(ADD, hooks=[hook(pre_prompt=fail), watch])
    assert isinstance(ran.error, OSError)
    assert watch.told == ["error", "on_loop_end"]


@pytest.mark.parametrize(
    "bad", [call("done", wrong=1), call("done"), call("done", answer=5)], ids=["wrong", "missing", "type"]
)
def test_F8_a_done_that_fails_does_not_finish(bad: Any) -> None:
    ran = run(bad, DONE)
    assert ran.names == ["done", "done"]
    assert ran.first.error
    assert ran.reason == "done"


def test_F8_a_done_that_raises_or_is_cancelled_does_not_finish() -> None:
    config = LoopConfig(done_tool="boom", max_steps=1)
    ran = run(call("boom"), config=config)
    assert (ran.reason, bool(ran.first.error)) == ("budget_exhausted", True)


def test_F19_a_failing_model_is_its_own_stop_reason() -> None:
    assert run(bad_request("no such model")).reason == "llm_error"


def test_F20_the_cause_is_told() -> None:
    problem = rate_limit()
    problem.retry_after_s = 0.0
    ran = run(problem, problem, problem)
    assert ran.names == ["__llm_error__"]
    assert ran.first.error_kind is ErrorKind.RATE_LIMIT
    assert "429" in str(ran.first.error)
    assert "3 attempts" in str(ran.first.error)


# ------------------------------------------------------------------ hooks that forbid


PRE_TOOL_SLOTS = {
    "pre_dispatch": lambda answer: hook(pre_dispatch=lambda *a: answer()),
    "check_permission": lambda answer: hook(check_permission=lambda *a: answer()),
    "on_event": lambda answer: listener("pre_tool_use", lambda p: answer()),
}


def raise_key_error() -> Any:
    raise KeyError("policy")


@pytest.mark.parametrize("slot", PRE_TOOL_SLOTS)
@pytest.mark.parametrize("verdict", [Block("dangerous"), Deny("dangerous")], ids=["Block", "Deny"])
def test_F11_block_stops_the_tool_in_every_pre_tool_slot(slot: str, verdict: Any) -> None:
    ran = run(ADD, DONE, hooks=[PRE_TOOL_SLOTS[slot](lambda: verdict)])
    assert ran.bodies == ["done"]
    assert (ran.first.error, ran.first.error_kind) == ("dangerous", ErrorKind.PERMISSION_DENIED)


@pytest.mark.parametrize("slot", PRE_TOOL_SLOTS)
def test_F11_stop_before_a_tool_is_never_ignored(slot: str) -> None:
    ran = run(ADD, DONE, hooks=[PRE_TOOL_SLOTS[slot](lambda: Stop("halt"))])
    assert ran.bodies in ([], ["done"])
    assert isinstance(ran.error, TypeError) or ran.first.error


@pytest.mark.parametrize(
    "value", ["a reason", ToolResult("add", "", 1), 0, 1, [], object()], ids=lambda v: type(v).__name__
)
def test_F12_what_is_no_verdict_is_no_permission(value: Any) -> None:
    ran = run(ADD, DONE, hooks=[hook(check_permission=lambda *a: value)])
    assert "add" not in ran.bodies


@pytest.mark.parametrize("slot", PRE_TOOL_SLOTS)
def test_F54_F70_a_hook_that_raises_before_a_tool_denies(slot: str) -> None:
    ran = run(ADD, DONE, hooks=[PRE_TOOL_SLOTS[slot](raise_key_error)])
    assert ran.bodies == ["done"]
    assert "KeyError" in str(ran.first.error)
    assert ran.first.error_kind is ErrorKind.PERMISSION_DENIED


def test_F54_every_on_loop_end_is_called() -> None:
    def fail(*args: Any) -> int:
        raise OSError("disk")

    watch = Watch()
    ran = run(DONE, hooks=[hook(on_loop_end=fail), watch])
    assert isinstance(ran.error, OSError)
    assert watch.told == ["done", "on_loop_end"]


def test_F69_a_denial_beats_a_cached_result_in_either_order() -> None:
    cached = hook(pre_dispatch=lambda *a: ToolResult("add", "cached", {"sum": 9}))
    denies = hook(check_permission=lambda *a: Deny("no"))
    told = listener("pre_tool_use", lambda p: Deny("no"))
    for hooks in ([cached, denies], [denies, cached], [cached, told], [told, cached]):
        ran = run(ADD, DONE, hooks=hooks)
        assert (ran.first.error, ran.first.data, ran.bodies) == ("no", None, ["done"])


def test_F68_what_a_hook_does_to_the_arguments_while_it_judges_does_not_run() -> None:
    def meddle(tool_call: ToolCall, state: Any) -> bool:
        tool_call.args["a"] = 99
        return True

    ran = run(ADD, DONE, hooks=[hook(check_permission=meddle)])
    assert all(args != {"a": 99} for _, args in ran.tools.ran)


def test_F48_a_stop_before_the_model_is_asked_asks_nobody() -> None:
    ran = run(hooks=[listener("pre_llm_call", lambda p: Stop("quiet"))])
    assert (ran.reason, ran.steps, ran.llm.requests) == ("quiet", [], [])


def test_F48_a_stop_is_not_forgotten_over_an_unreadable_reply() -> None:
    ran = run(GARBAGE, hooks=[listener("post_llm_response", lambda p: Stop("seen"))])
    assert (ran.reason, len(ran.llm.requests)) == ("seen", 1)


# ------------------------------------------------------------------ the parser


NESTED = {"a": {"b": {"c": [1, {"d": "}"}]}}}
X = json.dumps({"tool": "x", "args": NESTED})
Y = '{"tool": "y"}'


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"Look: {X}", ["x"]),
        (f"In {{code}} and {{more: {{}}}} we call {X}", ["x"]),
        (f"[{X}, {Y}]", ["x", "y"]),
        (f"{X}\n{Y}", ["x", "y"]),
        (f'Both: {{"tools": [{X}, {Y}]}}', ["x", "y"]),
        (f'<think>{{"tool": "bad"}}</think>{X}', ["x"]),
    ],
)
def test_F15_no_call_is_lost_or_made_up(text: str, names: list[str]) -> None:
    found = parse_multi_tool_calls(text)
    assert [one.tool for one in found] == names
    assert found[0].args == NESTED


def test_F15_null_is_no_text() -> None:
    (one,) = parse_multi_tool_calls('{"tool": "x", "reasoning": null}')
    assert one.reasoning == ""


# ------------------------------------------------------------------ budgets


def test_F23_a_batch_never_overshoots() -> None:
    ran = run(calls(*[ADD] * 7), config=LoopConfig(max_steps=3))
    assert ran.bodies == ["add"] * 3
    assert len(ran.steps) == 7
    assert all("budget" in str(step.tool_result.error) for step in ran.steps[3:])


@pytest.mark.parametrize(
    ("state", "config", "steps"),
    [(DefaultState(max_steps=2), LoopConfig(), 2), (DefaultState(), LoopConfig(max_steps=2), 2)],
)
def test_F24_the_limit_that_was_given_counts(state: Any, config: Any, steps: int) -> None:
    assert len(run(*[ADD] * 20, state=state, config=config).steps) == steps


def test_F24_of_two_limits_the_lower_counts() -> None:
    for state, config in ((2, 3), (3, 2)):
        with pytest.warns(UserWarning, match="the lower one, 2, counts"):
            ran = run(*[ADD] * 9, state=DefaultState(max_steps=state), config=LoopConfig(max_steps=config))
        assert len(ran.steps) == 2


@pytest.mark.parametrize(("state", "config"), [(20, 15), (15, 20)], ids=["config", "state"])
def test_F24_a_limit_that_equals_the_default_was_given_all_the_same(state: int, config: int) -> None:
    with pytest.warns(UserWarning, match="the lower one, 15, counts"):
        ran = run(*[ADD] * 30, state=DefaultState(max_steps=state), config=LoopConfig(max_steps=config))
    assert len(ran.steps) == 15


def test_F25_free_tools_cost_no_step() -> None:
    ran = run(*[call("think", thought="hm")] * 3, ADD, ADD, ADD, config=LoopConfig(max_steps=3))
    assert ran.names == ["think"] * 3 + ["add"] * 3
    assert ran.state.queries_used == 3


# ------------------------------------------------------------------ steps that were handed out


def test_F26_a_step_that_was_handed_out_never_changes() -> None:
    kept: list[Any] = []
    copies: list[Any] = []
    tools = tools_from([], include_done=True)
    tools.register(ToolSpec("look", "Look.", {}, lambda: {"rows": list(range(200))}))
    look = call("look")
    llm = ScriptedBackend(*[look] * 6, overflow(), overflow(), overflow(), DONE)
    for step in composable_loop(llm, tools=tools, state=DefaultState()):
        kept.append(step)
        copies.append(copy.deepcopy(step))
    assert kept[-1].tool_call.tool == "done"
    assert kept == copies


def test_F18_an_overflow_is_mended_as_often_as_it_comes() -> None:
    ran = run(*[overflow(), ADD] * 6, overflow(), DONE)
    assert ran.names == ["add"] * 6 + ["done"]


def test_F64_the_consumer_gets_what_the_tool_returned() -> None:
    tools = tools_from([], include_done=True)
    tools.register(ToolSpec("rows", "Rows.", {}, lambda: list(range(80))))
    tools.register(ToolSpec("text", "Text.", {}, lambda: "x" * 7000))
    ran = run(call("rows"), call("text"), DONE, tools=tools)
    assert ran.first.data == list(range(80))
    assert ran.steps[1].tool_result.data == "x" * 7000


# ------------------------------------------------------------------ tools


def test_F28_each_call_of_a_batch_has_its_own_context() -> None:
    heard: list[Any] = []

    def work(*, i: int, ctx: ToolContext) -> int:
        ctx.report_progress("half", {"i": i})
        return i

    def hear(payload: Any) -> None:
        if payload.event == "tool_progress":
            heard.append((payload.step_num, payload.tool_call.args["i"], payload.extra["data"]["i"]))

    tools = tools_from([], include_done=True)
    tools.register(ToolSpec("work", "Work.", {"i": "int"}, work, concurrent_safe=True))
    batch = calls(*(call("work", i=i) for i in range(4)))
    run(batch, DONE, tools=tools, hooks=[hook(on_event=hear)], config=LoopConfig(concurrent_dispatch=True))
    assert sorted(heard) == [(i + 1, i, i) for i in range(4)]


def test_F29_a_tool_and_a_model_may_have_limits() -> None:
    assert ToolSpec("n", "d", {}, print, timeout_s=1.0).timeout_s == 1.0
    assert LoopConfig(deadline_s=1.0, llm_timeout_s=1.0).deadline_s == 1.0


def test_F31_a_theory_is_no_unknown_field_of_done() -> None:
    schema = OutputSchema([FieldSpec("answer", "str")], strict=True)
    text = '{"tool": "done", "args": {"answer": "ok"}, "theory": "T"}'
    assert run(text, config=LoopConfig(output_schema=schema)).reason == "done"


def test_F36_there_is_an_async_loop() -> None:
    async def main() -> list[str]:
        llm = AsyncMockLLMBackend(
            ['{"tool": "add", "args": {"a": 1}}', '{"tool": "done", "args": {"answer": ""}}']
        )
        async with aclosing(async_composable_loop(llm, tools=Tools())) as steps:
            return [step.tool_call.tool async for step in steps]

    assert asyncio.run(main()) == ["add", "done"]


def test_F36_the_sync_loop_says_so() -> None:
    with pytest.raises(TypeError, match="async_composable_loop"):
        next(composable_loop(AsyncMockLLMBackend(), tools=Tools()))


def test_F37_async_tools_and_generators_give_their_values() -> None:
    async def later() -> int:
        return 7

    def several() -> Any:
        yield from (1, 2)

    tools = tools_from([], include_done=True)
    tools.register(ToolSpec("later", "Later.", {}, later))
    tools.register(ToolSpec("several", "Several.", {}, several))
    ran = run(call("later"), call("several"), DONE, tools=tools)
    assert [step.tool_result.data for step in ran.steps[:2]] == [7, [1, 2]]


def test_F46_ctx_knows_its_run() -> None:
    seen: list[Any] = []
    tools = tools_from([], include_done=True)
    tools.register(ToolSpec("look", "Look.", {}, lambda *, ctx: seen.append(ctx)))
    config = LoopConfig(cwd="/a", workspace_root="/b", session_id="s", metadata={"team": "x"})
    run(call("look"), DONE, tools=tools, config=config)
    (ctx,) = seen
    assert (ctx.cwd, ctx.workspace_root, ctx.session_id, ctx.metadata) == ("/a", "/b", "s", {"team": "x"})


def test_F51_the_simple_form_says_types_and_what_is_required() -> None:
    schema = ToolSpec("n", "d", {"a": "int", "b": "a path"}, print).to_api_schema()["input_schema"]
    assert schema["properties"]["a"]["type"] == "integer"
    assert schema["required"] == ["a", "b"]


@pytest.mark.parametrize("args", [{"a": "7"}, {}, {"a": 1, "b": 2}, {"a": None}, {"a": True}])
def test_F51_a_schema_is_enforced_and_the_field_is_named(args: dict[str, Any]) -> None:
    ran = run(call("add", **args), DONE)
    assert ran.bodies == ["done"]
    assert ran.first.error_kind is ErrorKind.VALIDATION
    assert "a" in str(ran.first.error)


@pytest.mark.parametrize("text", ["file 4291.txt missing", "too many tokens of tea", "port 413 is taken"])
def test_F55_digits_in_an_error_text_classify_nothing(text: str) -> None:
    def fail() -> None:
        raise RuntimeError(text)

    tools = tools_from([], include_done=True)
    tools.register(ToolSpec("fail", "Fail.", {}, fail))
    ran = run(call("fail"), DONE, tools=tools)
    assert ran.first.error_kind is ErrorKind.EXECUTION
    assert not ran.first.error_retriable


def test_F55_a_model_error_with_413_in_its_text_is_no_overflow() -> None:
    ran = run(ADD, bad_request("order 413 is unknown"))
    assert ran.names == ["add", "__llm_error__"]
    assert len(ran.llm.requests) == 2


@pytest.mark.parametrize("problem", [bad_request("no"), TypeError("a bug"), KeyError("a bug")], ids=repr)
def test_F56_what_cannot_succeed_is_not_tried_again(problem: Any) -> None:
    assert len(run(problem).llm.requests) == 1


def test_F56_what_may_succeed_is_tried_again() -> None:
    problem = server_error()
    problem.retry_after_s = 0.0
    assert run(problem, problem, DONE).names == ["done"]


def test_F59_synthetic_results_are_complete() -> None:
    denied = run(ADD, DONE, hooks=[hook(check_permission=lambda *a: False)]).first
    unreadable = run(GARBAGE, GARBAGE, DONE).first
    failed = run(bad_request("no")).first
    for result, kind in (
        (denied, ErrorKind.PERMISSION_DENIED),
        (unreadable, ErrorKind.PARSE),
        (failed, ErrorKind.VALIDATION),
    ):
        assert result.error_detail is not None
        assert (result.error_kind, bool(result.call_id)) == (kind, True)


# ------------------------------------------------------------------ states, traces, backends


class Slotted:
    """A state that takes no further attributes."""

    __slots__ = ("queries_used", "steps")

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.queries_used = 0

    @property
    def step_count(self) -> int:
        return len(self.steps)

    @property
    def budget_remaining(self) -> int:
        return 5 - len(self.steps)

    def context_summary(self) -> str:
        return ""

    def snapshot(self) -> dict[str, Any]:
        return {}


def test_F63_a_state_that_takes_no_stop_reason_is_no_error() -> None:
    ran = run(ADD, DONE, state=Slotted())
    assert (ran.names, ran.error) == (["add", "done"], None)


def test_F24_a_state_of_ones_own_is_bounded_too() -> None:
    class Endless(Slotted):
        __slots__ = ()

        @property
        def budget_remaining(self) -> int:
            return 3

    assert len(run(*[ADD] * 20, state=Endless()).steps) == 3


def test_F45_a_run_gives_its_trajectory() -> None:
    trajectory = run_loop(ScriptedBackend(ADD, DONE), tools=Tools())
    assert trajectory.final_output == {"answer": "ok"}
    assert (len(trajectory.steps), trajectory.stop_reason) == (2, "done")


def test_F43_text_that_was_cut_is_asked_on_for() -> None:
    cut = ChatReply([{"type": "text", "text": '{"tool": "done", "args": {"ans'}], "max_tokens")
    ran = run(cut, 'wer": "ok"}}', config=LoopConfig(max_turn_continuations=1))
    assert ran.reason == "done"


def test_F65_the_prompt_does_not_grow_without_end() -> None:
    ran = run(*[ADD] * 150, config=LoopConfig(max_steps=150))
    sizes = [len(request.text) for request in ran.llm.requests]
    assert sizes[-1] < 3 * sizes[20]
    assert ran.llm.requests[50].text.count("═══ SESSION LOG ═══") == 1


def test_F69_allow_is_a_verdict_and_no_end_of_the_others() -> None:
    ran = run(
        ADD, DONE, hooks=[hook(pre_dispatch=lambda *a: Allow()), hook(check_permission=lambda *a: False)]
    )
    assert ran.bodies == ["done"]


def test_the_callers_own_log_and_conversation_are_used() -> None:
    log, conversation = SessionLog(), Conversation()
    run(ADD, DONE, session_log=log, conversation=conversation)
    assert [entry.tool for entry in log.entries] == ["add", "done"]
    assert len(conversation.messages) > 4
