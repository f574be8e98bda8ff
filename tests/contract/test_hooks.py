"""What a hook may return in each slot, and what the loop makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from looplet import (
    Allow,
    BaseToolRegistry,
    Block,
    Continue,
    DefaultState,
    Deny,
    HookDecision,
    InjectContext,
    LifecycleEvent,
    LoopConfig,
    LoopHook,
    MockLLMBackend,
    Step,
    Stop,
    StreamingHook,
    ToolCall,
    ToolContext,
    ToolResult,
    ToolSpec,
    composable_loop,
    emit_event,
)
from looplet.hook_decision import normalize_hook_return
from looplet.streaming import CallbackEmitter

CACHED = ToolResult("add", "cached", {"cached": True})

# ------------------------------------------------------------------ decisions

FACTORIES: dict[str, tuple[HookDecision, dict[str, Any], bool, bool]] = {
    "Allow": (Allow(), {"permission": "allow"}, False, False),
    "Allow with args": (Allow({"a": 1}), {"permission": "allow", "updated_args": {"a": 1}}, False, False),
    "Allow by keyword": (Allow(updated_args={}), {"permission": "allow", "updated_args": {}}, False, False),
    "Deny": (Deny("no"), {"permission": "deny", "block": "no"}, True, False),
    "Deny, try again": (
        Deny("no", retry=True),
        {"permission": "deny", "block": "no", "metadata": {"retry": True}},
        True,
        False,
    ),
    "Block": (Block("no"), {"block": "no"}, True, False),
    "empty Block": (Block(""), {"block": ""}, True, False),
    "Stop": (Stop("enough"), {"stop": "enough"}, False, True),
    "empty Stop": (Stop(""), {"stop": ""}, False, True),
    "Continue": (Continue(), {}, False, False),
    "Continue with text": (Continue("t"), {"additional_context": "t"}, False, False),
    "InjectContext": (InjectContext("t"), {"additional_context": "t"}, False, False),
}


@pytest.mark.parametrize("name", FACTORIES)
def test_factories(name: str) -> None:
    decision, wanted, blocks, stops = FACTORIES[name]
    assert decision == HookDecision(**wanted)
    assert (decision.is_block(), decision.is_stop(), decision.is_noop()) == (blocks, stops, not wanted)


NORMAL: dict[str, tuple[Any, str, Any]] = {
    "None": (None, "pre_dispatch", None),
    "decision": (Stop("x"), "should_stop", Stop("x")),
    "result": (CACHED, "pre_dispatch", HookDecision(updated_result=CACHED)),
    "True, permission": (True, "check_permission", Allow()),
    "False, permission": (False, "check_permission", Deny("permission denied")),
    "True, stop": (True, "should_stop", Stop("hook_requested_stop")),
    "False, stop": (False, "should_stop", None),
    "text, done": ("not yet", "check_done", Block("not yet")),
    "text, prompt": ("careful", "pre_prompt", InjectContext("careful")),
    "text, before": ("careful", "pre_dispatch", InjectContext("careful")),
    "text, after": ("careful", "post_dispatch", InjectContext("careful")),
}


@pytest.mark.parametrize("name", NORMAL)
def test_plain_values_stand_for_decisions(name: str) -> None:
    value, slot, wanted = NORMAL[name]
    assert normalize_hook_return(value, slot=slot) == wanted
    if isinstance(value, HookDecision):
        assert normalize_hook_return(value, slot=slot) is value


@pytest.mark.parametrize(
    ("value", "slot"),
    [(True, "pre_dispatch"), (False, "check_done"), (1, "should_stop"), ([], "pre_prompt"), ({}, "on_event")],
)
def test_values_that_stand_for_nothing(value: Any, slot: str) -> None:
    with pytest.raises(TypeError, match=slot):
        normalize_hook_return(value, slot=slot)


# ------------------------------------------------------------------ the protocol

SLOTS = [
    "build_briefing",
    "build_prompt",
    "check_done",
    "check_permission",
    "on_event",
    "on_loop_end",
    "post_dispatch",
    "pre_dispatch",
    "pre_loop",
    "pre_prompt",
    "should_compact",
    "should_stop",
]


def test_a_hook_has_twelve_slots() -> None:
    assert sorted(name for name in vars(LoopHook) if not name.startswith("_")) == SLOTS
    whole = type("Whole", (), {name: lambda self, *a, **k: None for name in SLOTS})()
    assert isinstance(whole, LoopHook)
    assert isinstance(StreamingHook(CallbackEmitter(print)), LoopHook)


@pytest.mark.parametrize("left_out", SLOTS)
def test_a_hook_with_eleven_is_no_whole_one(left_out: str) -> None:
    names = [name for name in SLOTS if name != left_out]
    part = type("Part", (), {name: lambda self, *a, **k: None for name in names})()
    assert not isinstance(part, LoopHook)


# ------------------------------------------------------------------ what each slot honours


@dataclass
class Seen:
    """What came of a run: its steps, the bodies that ran, the prompts, and why it stopped."""

    steps: list[Step]
    ran: list[dict[str, Any]]
    prompts: list[str]
    reason: str
    error: Exception | None

    @property
    def first(self) -> ToolResult:
        return self.steps[0].tool_result


class Model:
    """Says its lines and keeps the prompts."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.prompts: list[str] = []

    def generate(self, prompt: str, **options: Any) -> str:
        self.prompts.append(prompt)
        return self.lines[min(len(self.prompts), len(self.lines)) - 1]


def reply(tool: str, **args: Any) -> str:
    return json.dumps({"tool": tool, "args": args})


ADD, DONE = reply("add", a=1), reply("done", answer="ok")


def run(*hooks: Any, lines: tuple[str, ...] = (ADD, DONE), config: LoopConfig | None = None) -> Seen:
    ran: list[dict[str, Any]] = []
    tools = BaseToolRegistry()

    def add(**args: Any) -> dict[str, Any]:
        ran.append(args)
        return {"sum": args["a"] + 1}

    tools.register(ToolSpec("add", "Add.", {"a": "int"}, add))
    tools.register(ToolSpec("done", "Finish.", {"answer": "str"}, lambda *, answer: {"answer": answer}))
    model, state, steps = Model(*lines), DefaultState(max_steps=4), []
    error: Exception | None = None
    try:
        for step in composable_loop(model, tools=tools, hooks=list(hooks), state=state, config=config):
            steps.append(step)
    except Exception as problem:
        error = problem
    reason: str = state._stop_reason  # type: ignore[attr-defined]
    return Seen(steps, ran, model.prompts, reason, error)


def hook(slot: str, answer: Any, *, times: int = 1) -> Any:
    """A hook that gives *answer* the first *times* it is asked in *slot*."""
    left = [times]

    def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        return answer if left[0] >= 0 else None

    return type("Hook", (), {slot: ask})()


def on(event: str, answer: Any) -> Any:
    def ask(self: Any, payload: Any) -> Any:
        return answer if payload.event == event else None

    return type("Hook", (), {"on_event": ask})()


def denied(text: str) -> Callable[[Seen], None]:
    def check(seen: Seen) -> None:
        assert seen.ran == []
        assert seen.first.error == text
        assert seen.first.error_kind == "permission_denied"
        assert seen.first.error_retriable is False
        assert (seen.first.data, seen.first.args_summary) == (None, "{'a': 1}")
        assert seen.first.call_id == seen.steps[0].tool_call.call_id
        assert seen.reason == "done"

    return check


def next_prompt_says(text: str) -> Callable[[Seen], None]:
    def check(seen: Seen) -> None:
        assert [text in prompt for prompt in seen.prompts] == [False, True]

    return check


def first_prompt_says(text: str) -> Callable[[Seen], None]:
    def check(seen: Seen) -> None:
        assert [text in prompt for prompt in seen.prompts] == [True, False]

    return check


def cached(seen: Seen) -> None:
    assert seen.ran == []
    assert seen.first.data == {"cached": True}


def replaced(seen: Seen) -> None:
    assert seen.ran == [{"a": 1}]
    assert seen.first.data == {"cached": True}


def rewritten(seen: Seen) -> None:
    assert seen.ran == [{"a": 5}]
    assert seen.steps[0].tool_call.args == {"a": 5}


def ran(seen: Seen) -> None:
    assert seen.ran == [{"a": 1}]
    assert [step.tool_result.error for step in seen.steps] == [None, None]
    assert seen.reason == "done"


def stopped(reason: str, *, steps: int, asked: int) -> Callable[[Seen], None]:
    def check(seen: Seen) -> None:
        assert (seen.reason, len(seen.steps), len(seen.prompts)) == (reason, steps, asked)

    return check


def rejected(text: str) -> Callable[[Seen], None]:
    def check(seen: Seen) -> None:
        (_, no, yes) = seen.steps
        assert no.tool_result.data == {"rejected": True, "reason": text}
        assert yes.tool_result.data == {"answer": "ok"}
        assert text in seen.prompts[2]

    return check


def type_error(seen: Seen) -> None:
    assert isinstance(seen.error, TypeError)
    assert (seen.ran, seen.reason) == ([], "error")


ARGS = HookDecision(updated_args={"a": 5})
RESULT = HookDecision(updated_result=CACHED)
DENY_ONLY = HookDecision(permission="deny")
DENIED = "Permission denied for tool 'add'"

TABLE: dict[str, tuple[Any, Callable[[Seen], None]]] = {
    "pre_prompt: text": (hook("pre_prompt", "mind the gap"), first_prompt_says("mind the gap")),
    "pre_prompt: InjectContext": (hook("pre_prompt", InjectContext("m")), ran),
    "build_briefing: text": (hook("build_briefing", "the briefing"), first_prompt_says("the briefing")),
    "build_prompt: text": (hook("build_prompt", "my own prompt"), first_prompt_says("my own prompt")),
    "pre_dispatch: nothing": (hook("pre_dispatch", None), ran),
    "pre_dispatch: Allow": (hook("pre_dispatch", Allow()), ran),
    "pre_dispatch: Deny": (hook("pre_dispatch", Deny("no")), denied("no")),
    "pre_dispatch: Block": (hook("pre_dispatch", Block("no")), denied("no")),
    "pre_dispatch: permission deny": (hook("pre_dispatch", DENY_ONLY), denied(DENIED)),
    "pre_dispatch: ToolResult": (hook("pre_dispatch", CACHED), cached),
    "pre_dispatch: updated_result": (hook("pre_dispatch", RESULT), cached),
    "pre_dispatch: updated_args": (hook("pre_dispatch", ARGS), rewritten),
    "pre_dispatch: text": (hook("pre_dispatch", "careful"), next_prompt_says("careful")),
    "pre_dispatch: Stop": (hook("pre_dispatch", Stop("x")), type_error),
    "check_permission: True": (hook("check_permission", True), ran),
    "check_permission: nothing": (hook("check_permission", None), ran),
    "check_permission: Allow": (hook("check_permission", Allow()), ran),
    "check_permission: False": (hook("check_permission", False), denied("permission denied")),
    "check_permission: Deny": (hook("check_permission", Deny("no")), denied("no")),
    "check_permission: Block": (hook("check_permission", Block("no")), denied("no")),
    "check_permission: permission deny": (hook("check_permission", DENY_ONLY), denied(DENIED)),
    "check_permission: text": (hook("check_permission", "no"), type_error),
    "check_permission: ToolResult": (hook("check_permission", CACHED), type_error),
    "check_permission: updated_args": (hook("check_permission", ARGS), type_error),
    "check_permission: Stop": (hook("check_permission", Stop("x")), type_error),
    "post_dispatch: text": (hook("post_dispatch", "well done"), next_prompt_says("well done")),
    "post_dispatch: ToolResult": (hook("post_dispatch", CACHED), replaced),
    "post_dispatch: updated_result": (hook("post_dispatch", RESULT), replaced),
    "post_dispatch: Stop": (hook("post_dispatch", Stop("enough")), stopped("enough", steps=1, asked=1)),
    "check_done: text": (hook("check_done", "not yet"), rejected("not yet")),
    "check_done: Block": (hook("check_done", Block("not yet")), rejected("not yet")),
    "check_done: empty Block": (hook("check_done", Block("")), rejected("blocked by hook")),
    "check_done: Deny": (hook("check_done", Deny("not yet")), rejected("not yet")),
    "should_stop: False": (hook("should_stop", False), ran),
    "should_stop: True": (hook("should_stop", True), stopped("hook_requested_stop", steps=1, asked=1)),
    "should_stop: Stop": (hook("should_stop", Stop("full")), stopped("full", steps=1, asked=1)),
    "should_stop: empty Stop": (hook("should_stop", Stop("")), stopped("hook_stop", steps=1, asked=1)),
    "pre_tool_use: Deny": (on("pre_tool_use", Deny("no")), denied("no")),
    "pre_tool_use: Block": (on("pre_tool_use", Block("no")), denied("no")),
    "pre_tool_use: updated_result": (on("pre_tool_use", RESULT), cached),
    "pre_tool_use: updated_args": (on("pre_tool_use", ARGS), rewritten),
    "pre_tool_use: text": (on("pre_tool_use", InjectContext("careful")), next_prompt_says("careful")),
    "post_tool_use: updated_result": (on("post_tool_use", RESULT), replaced),
    "post_tool_use: text": (on("post_tool_use", InjectContext("well done")), next_prompt_says("well done")),
    "post_tool_use: Stop": (on("post_tool_use", Stop("enough")), stopped("enough", steps=1, asked=1)),
    "pre_llm_call: Stop": (on("pre_llm_call", Stop("quiet")), stopped("quiet", steps=0, asked=0)),
    "post_llm_response: Stop": (on("post_llm_response", Stop("seen")), stopped("seen", steps=0, asked=1)),
    "session_start: anything else": (on("session_start", None), ran),
}


@pytest.mark.parametrize("name", TABLE)
def test_slots(name: str) -> None:
    given, check = TABLE[name]
    check(run(given))


IGNORED = {
    "pre_loop: text": hook("pre_loop", "x"),
    "pre_prompt: Block": hook("pre_prompt", Block("x")),
    "pre_prompt: Stop": hook("pre_prompt", Stop("x")),
    "pre_prompt: ToolResult": hook("pre_prompt", CACHED),
    "post_dispatch: Block": hook("post_dispatch", Block("x")),
    "post_dispatch: updated_args": hook("post_dispatch", ARGS),
    "session_start: Stop": on("session_start", Stop("x")),
    "post_llm_response: Block": on("post_llm_response", Block("x")),
}


@pytest.mark.parametrize("name", IGNORED)
def test_what_a_slot_cannot_honour_is_said_once(name: str) -> None:
    with pytest.warns(UserWarning, match=name.split(":")[0]) as warned:
        ran(run(IGNORED[name]))
    assert len(warned) == 1


def test_every_hook_must_allow() -> None:
    denied("no")(run(hook("check_permission", True), hook("check_permission", Deny("no"))))
    denied("no")(run(hook("pre_dispatch", CACHED), hook("check_permission", Deny("no"))))


def test_rewritten_arguments_reach_the_hooks_after_it() -> None:
    seen: list[Any] = []

    class Watch:
        def pre_dispatch(self, state: Any, session_log: Any, tool_call: ToolCall, step_num: int) -> None:
            seen.append(dict(tool_call.args))

        def check_permission(self, tool_call: ToolCall, state: Any) -> bool:
            seen.append(dict(tool_call.args))
            return True

    rewritten(run(hook("pre_dispatch", Allow(updated_args={"a": 5})), Watch()))
    assert seen == [{"a": 5}, {"a": 5}]


def test_the_last_stop_after_a_tool_wins() -> None:
    seen = run(hook("post_dispatch", Stop("first")), hook("post_dispatch", Stop("last")))
    assert seen.reason == "last"


def test_a_listener_that_raises_does_not_break_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def on_event(self, payload: Any) -> None:
            if payload.event is not LifecycleEvent.PRE_TOOL_USE:
                raise RuntimeError("listener")

    ran(run(Broken()))
    assert caplog.records[0].name == "looplet.loop"


def test_calls_after_done_and_done_itself_are_no_tool_calls() -> None:
    events: list[Any] = []

    class Watch:
        def on_event(self, payload: Any) -> None:
            events.append((payload.event.value, payload.tool_call.tool if payload.tool_call else None))

    ran(run(Watch()))
    assert [event for event in events if "tool" in event[0]] == [
        ("pre_tool_use", "add"),
        ("post_tool_use", "add"),
    ]


# ------------------------------------------------------------------ events


def test_payloads() -> None:
    seen: dict[str, Any] = {}

    class Watch:
        def on_event(self, payload: Any) -> None:
            seen.setdefault(payload.event.value, payload)

    run(Watch(), lines=(ADD, reply("add", b=1), DONE))
    assert all(payload.state is not None and payload.session_log is not None for payload in seen.values())
    assert seen["session_start"].step_num == 0
    assert "═══ TASK ═══" in seen["pre_llm_call"].prompt
    assert seen["post_llm_response"].raw_response == ADD
    assert seen["post_llm_response"].prompt == seen["pre_llm_call"].prompt
    assert seen["pre_tool_use"].tool_call.tool == "add"
    assert seen["pre_tool_use"].tool_result is None
    assert seen["post_tool_use"].tool_result.data == {"sum": 2}
    assert seen["post_tool_use"].step_num == 1
    assert seen["post_tool_failure"].tool_result.error
    assert seen["post_tool_failure"].step_num == 2
    assert (seen["stop"].step_num, seen["stop"].termination_reason) == (0, "done")


def test_progress() -> None:
    seen: list[Any] = []

    class Watch:
        def on_event(self, payload: Any) -> None:
            if payload.event == "tool_progress":
                seen.append((payload.step_num, payload.tool_call.tool, payload.extra))

    def work(*, ctx: ToolContext) -> str:
        ctx.report_progress("half", {"pct": 50})
        ctx.report_progress("whole")
        return "ok"

    tools = BaseToolRegistry()
    tools.register(ToolSpec("work", "Work.", {}, work))
    llm = MockLLMBackend([reply("work")])
    list(composable_loop(llm, tools=tools, hooks=[Watch()], config=LoopConfig(max_steps=1)))
    assert seen == [
        (1, "work", {"stage": "half", "data": {"pct": 50}}),
        (1, "work", {"stage": "whole", "data": {}}),
    ]


def test_emit_event() -> None:
    told: list[str] = []

    def listener(name: str, answer: Any, *methods: str) -> Any:
        def on_event(self: Any, payload: Any) -> Any:
            told.append(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        also = {method: lambda self, *a: None for method in methods}
        return type("Listener", (), {"on_event": on_event, **also})()

    hooks = [
        listener("decides", Deny("no")),
        listener("says text", "text"),
        listener("says True", True),
        listener("raises", RuntimeError("x")),
        listener("has pre_dispatch", Deny("twice"), "pre_dispatch"),
        listener("has post_dispatch", Stop("s"), "post_dispatch"),
        object(),
    ]
    decided = emit_event(hooks, LifecycleEvent.PRE_TOOL_USE, step_num=3)
    assert decided == [Deny("no"), Stop("s")]
    assert told == ["decides", "says text", "says True", "raises", "has post_dispatch"]
    for event in (LifecycleEvent.POST_TOOL_USE, LifecycleEvent.POST_TOOL_FAILURE):
        told.clear()
        assert emit_event(hooks, event) == [Deny("no"), Deny("twice")]
        assert "has post_dispatch" not in told
    assert len(emit_event(hooks, LifecycleEvent.STOP, termination_reason="done")) == 3
