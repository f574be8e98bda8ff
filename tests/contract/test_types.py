"""The words of the library: values, shapes and lines that agents and their tests rely on."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import pytest

import looplet
from looplet import (
    CancelToken,
    DefaultState,
    ErrorKind,
    LLMBackend,
    NativeToolBackend,
    Step,
    ToolCall,
    ToolContext,
    ToolError,
    ToolResult,
)
from looplet.events import LIFECYCLE_EVENTS, EventPayload, LifecycleEvent
from looplet.types import AgentState

FIELDS = {
    "ToolCall": (ToolCall, "tool args reasoning call_id"),
    "ToolResult": (ToolResult, "tool args_summary data error error_detail duration_ms result_key call_id"),
    "Step": (Step, "number tool_call tool_result"),
    "ToolError": (ToolError, "kind message retriable context"),
    "DefaultState": (DefaultState, "steps queries_used max_steps metadata"),
    "ToolContext": (
        ToolContext,
        "cwd workspace_root cancel_token on_progress session_id metadata request_approval",
    ),
    "HookDecision": (
        looplet.HookDecision,
        "block stop updated_args updated_result permission additional_context metadata",
    ),
    "EventPayload": (
        EventPayload,
        "event step_num state session_log context prompt raw_response tool_call tool_result "
        "termination_reason messages_before messages_after subagent_id extra",
    ),
    "DomainAdapter": (
        looplet.DomainAdapter,
        "build_briefing extract_entities build_trace build_prompt extract_step_metadata",
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_in_order(name: str) -> None:
    kind, names = FIELDS[name]
    assert " ".join(f.name for f in fields(kind)) == names


KINDS = "PERMISSION_DENIED TIMEOUT VALIDATION EXECUTION PARSE CONTEXT_OVERFLOW RATE_LIMIT NETWORK CANCELLED"


def test_error_kinds() -> None:
    assert [(kind.name, kind.value) for kind in ErrorKind] == [(n, n.lower()) for n in KINDS.split()]
    assert ErrorKind.TIMEOUT == "timeout"
    assert str(ErrorKind.TIMEOUT) == "ErrorKind.TIMEOUT"


def test_a_tool_error_is_truthy_and_reads_as_its_message() -> None:
    error = ToolError(ErrorKind.TIMEOUT, "")
    assert error
    assert str(ToolError(kind=ErrorKind.TIMEOUT, message="slow")) == "slow"
    assert (error.retriable, error.context) == (False, {})
    assert not isinstance(error, BaseException)


def test_cancel_token() -> None:
    token = CancelToken()
    assert not token.is_cancelled
    token.raise_if_cancelled()
    token.cancel()
    token.cancel()
    assert token.is_cancelled
    with pytest.raises(RuntimeError, match="cancelled"):
        token.raise_if_cancelled()


def test_tool_context_without_anything() -> None:
    ctx = ToolContext()
    ctx.report_progress("reading")
    assert ctx.approve("sure?") is None
    assert (ctx.cwd, ctx.metadata) == (None, {})


def test_tool_context_hands_on() -> None:
    heard: list[Any] = []
    ctx = ToolContext(
        on_progress=lambda stage, data: heard.append((stage, data)),
        request_approval=lambda prompt, options: f"{prompt} {options}",
    )
    ctx.report_progress("reading")
    ctx.report_progress("reading", {"line": 1})
    assert heard == [("reading", {}), ("reading", {"line": 1})]
    assert ctx.approve("sure?", ["yes"]) == "sure? ['yes']"
    assert ctx.approve("sure?") == "sure? None"


# ------------------------------------------------------------------ states and backends


@dataclass
class PlainState:
    steps: list[Any] = field(default_factory=list)
    queries_used: int = 0

    @property
    def step_count(self) -> int:
        return len(self.steps)

    @property
    def budget_remaining(self) -> int:
        return 3 - len(self.steps)

    def context_summary(self) -> str:
        return ""

    def snapshot(self) -> dict[str, Any]:
        return {}


def test_states() -> None:
    assert isinstance(PlainState(), AgentState)
    assert isinstance(DefaultState(), AgentState)
    assert not isinstance(object(), AgentState)


class Text:
    def generate(
        self, prompt: str, *, max_tokens: int = 1, system_prompt: str = "", temperature: float = 0.0
    ) -> str:
        return ""


class Native(Text):
    def generate_with_tools(self, prompt: str, *, tools: list[Any], **options: Any) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("backend", "text", "native"), [(Text(), True, False), (Native(), True, True), (object(), False, False)]
)
def test_backends(backend: Any, text: bool, native: bool) -> None:
    assert (isinstance(backend, LLMBackend), isinstance(backend, NativeToolBackend)) == (text, native)


def test_default_state_counts() -> None:
    state = DefaultState()
    assert (state.max_steps, state.queries_used, state.step_count, state.budget_remaining) == (15, 0, 0, 15)
    assert state.context_summary() == ""
    assert state.snapshot() == {"step_count": 0, "queries_used": 0, "budget_remaining": 15}
    state = DefaultState(max_steps=2, metadata={"team": "a", "step_count": "mine"})
    state.steps += [step(None, number=n) for n in range(7)]
    assert state.budget_remaining == 0
    assert state.snapshot() == {
        "queries_used": 0,
        "budget_remaining": 0,
        "team": "a",
        "step_count": "mine",
    }
    assert state.context_summary().splitlines() == [f"S{n} ✓ t(q=x)" for n in range(2, 7)]
    with pytest.raises(AttributeError):
        state.budget_remaining = 3  # type: ignore[misc]


def test_a_summary_of_steps_that_have_none() -> None:
    state = DefaultState(steps=["one", 2])
    assert state.context_summary() == "one\n2"


# ------------------------------------------------------------------ calls and results


def test_tool_call() -> None:
    one, two = ToolCall("a"), ToolCall(tool="b", args={"x": 1}, reasoning="r", call_id="c")
    assert len(one.call_id) == 12
    assert int(one.call_id, 16) >= 0
    assert one.call_id != ToolCall("a").call_id
    assert (one.args, one.reasoning) == ({}, "")
    assert two.to_dict() == {"tool": "b", "args": {"x": 1}, "reasoning": "r", "call_id": "c"}


@pytest.mark.parametrize(
    ("result", "seen"),
    [
        (ToolResult("t", "", 1), (None, None, False)),
        (ToolResult("t", "", 1, error="e"), ("e", ErrorKind.EXECUTION, False)),
        (ToolResult("t", "", 1, error=""), ("", ErrorKind.EXECUTION, False)),
        (
            ToolResult("t", "", 1, "e", ToolError(ErrorKind.NETWORK, "m", retriable=True)),
            ("e", ErrorKind.NETWORK, True),
        ),
    ],
)
def test_what_a_result_says_of_its_error(result: ToolResult, seen: Any) -> None:
    assert (result.error_message, result.error_kind, result.error_retriable) == seen


HEAD = {"tool": "t", "args": "q=x", "duration_ms": 1.2}
DETAIL = ToolError(ErrorKind.TIMEOUT, "m", retriable=True)

RESULT_DICTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "dict": ({"data": {"a": [1]}}, {"data": {"a": [1]}}),
    "list": ({"data": list(range(30))}, {"total_items": 30, "data": list(range(20))}),
    "text": ({"data": "x" * 3000}, {"data": "x" * 2000}),
    "None": ({"data": None}, {"data": "None"}),
    "stored": ({"data": {}, "result_key": "k"}, {"result_key": "k", "data": {}}),
    "error": ({"data": None, "error": "e", "result_key": "k"}, {"error": "e", "data": "None"}),
    "error with detail": (
        {"data": None, "error": "e", "error_detail": DETAIL},
        {"error": "e", "error_kind": "timeout", "error_retriable": True, "data": "None"},
    ),
}


@pytest.mark.parametrize("name", RESULT_DICTS)
def test_result_as_a_dict(name: str) -> None:
    given, wanted = RESULT_DICTS[name]
    said = ToolResult(tool="t", args_summary="q=x", duration_ms=1.23, **given).to_dict()
    assert said == HEAD | wanted
    assert type(said.get("error_kind", "")) is str


def test_step_as_a_dict() -> None:
    one = step({"a": 1})
    assert one.to_dict() == {
        "step": 1,
        "call": one.tool_call.to_dict(),
        "result": one.tool_result.to_dict(),
    }


# ------------------------------------------------------------------ steps as lines


def step(data: Any, error: str | None = None, ms: float = 0.0, *, args: str = "q=x", number: int = 1) -> Step:
    return Step(number, ToolCall("t", {"q": "x"}), ToolResult("t", args, data, error, duration_ms=ms))


PRETTY = {
    "error": (step(None, "boom", 3.2), "#1 ✗ t(q=x) → ERROR: boom [3ms]"),
    "long error": (step(None, "e" * 100), f"#1 ✗ t(q=x) → ERROR: {'e' * 80}"),
    "empty error is a success": (step(None, ""), "#1 ✓ t(q=x)"),
    "list": (step([1, 2, 3], None, 182.4), "#1 ✓ t(q=x) → 3 items [182ms]"),
    "empty list": (step([]), "#1 ✓ t(q=x) → 0 items"),
    "empty dict": (step({}), "#1 ✓ t(q=x) → 0 keys"),
    "dict": (step({"a": 1, "b": 2}), "#1 ✓ t(q=x) → 2 keys"),
    "None": (step(None), "#1 ✓ t(q=x)"),
    "None in some time": (step(None, None, 5.6), "#1 ✓ t(q=x) [6ms]"),
    "empty text": (step(""), "#1 ✓ t(q=x)"),
    "int": (step(42), "#1 ✓ t(q=x) → 42"),
    "bool": (step(True), "#1 ✓ t(q=x) → True"),
    "zero": (step(0), "#1 ✓ t(q=x) → 0"),
    "tuple": (step((1, 2)), "#1 ✓ t(q=x) → (1, 2)"),
    "text of 60": (step("x" * 60), f"#1 ✓ t(q=x) → {'x' * 60}"),
    "longer text": (step("x" * 61), f"#1 ✓ t(q=x) → {'x' * 57}..."),
    "0.4 ms": (step("y", None, 0.4), "#1 ✓ t(q=x) → y [0ms]"),
    "0.5 ms": (step("y", None, 0.5), "#1 ✓ t(q=x) → y [0ms]"),
    "1.5 ms": (step("y", None, 1.5), "#1 ✓ t(q=x) → y [2ms]"),
    "2.5 ms": (step("y", None, 2.5), "#1 ✓ t(q=x) → y [2ms]"),
    "no arguments": (step("x", args=""), "#1 ✓ t() → x"),
    "another number": (step("x", number=12), "#12 ✓ t(q=x) → x"),
}


@pytest.mark.parametrize("name", PRETTY)
def test_pretty(name: str) -> None:
    one, line = PRETTY[name]
    assert one.pretty() == line


SUMMARIES = {
    "error": (step(None, "e" * 100), f"S1 ✗ t(q=x) → ERROR: {'e' * 60}"),
    "list": (step([1, 2]), "S1 ✓ t(q=x) → 2 items"),
    "dict with a total": (step({"total": 7}), "S1 ✓ t(q=x) → 7"),
    "dict with a number of items": (step({"total": 0, "total_items": 8}), "S1 ✓ t(q=x) → 8"),
    "dict": (step({"a": 1}), "S1 ✓ t(q=x) → ?"),
    "text": (step("abc"), "S1 ✓ t(q=x)"),
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_summary(name: str) -> None:
    one, line = SUMMARIES[name]
    assert one.summary() == line


# ------------------------------------------------------------------ events and decisions

EVENTS = (
    "session_start pre_llm_call post_llm_response pre_tool_use tool_progress post_tool_use "
    "post_tool_failure pre_compact post_compact stop subagent_start subagent_stop"
)


def test_lifecycle_events() -> None:
    assert [event.value for event in LifecycleEvent] == EVENTS.split()
    assert all(event.name == event.value.upper() for event in LifecycleEvent)
    assert set(LIFECYCLE_EVENTS) == set(EVENTS.split())
    assert LifecycleEvent.STOP == "stop"


def test_a_payload_needs_only_its_event() -> None:
    payload = EventPayload(event=LifecycleEvent.STOP)
    assert (payload.step_num, payload.extra) == (0, {})
    rest = {f.name for f in fields(payload)} - {"event", "step_num", "extra"}
    assert {getattr(payload, name) for name in rest} == {None}


def test_the_packages_words() -> None:
    assert "looplet" in (looplet.__doc__ or "").lower()
    for name in ("ToolCall", "Step", "ErrorKind", "DefaultState"):
        assert getattr(looplet, name) is getattr(looplet.types, name)  # type: ignore[attr-defined]
