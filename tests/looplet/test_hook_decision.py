"""Hook decisions: factories, plain return values, and what each slot may be told."""

from __future__ import annotations

import warnings

import pytest

from looplet.events import LIFECYCLE_EVENTS, EventPayload, LifecycleEvent
from looplet.hook_decision import (
    HONOURED,
    STRICT_SLOTS,
    Allow,
    Block,
    Continue,
    Deny,
    HookDecision,
    InjectContext,
    Stop,
    decision_of,
    normalize_hook_return,
)
from looplet.types import ToolResult

RESULT = ToolResult("t", "", 1)


class Guard:
    """A hook; only its name matters here."""


@pytest.mark.parametrize(
    ("decision", "same_as", "block", "stop", "noop"),
    [
        pytest.param(HookDecision(), HookDecision(), False, False, True, id="nothing"),
        pytest.param(Allow(), HookDecision(permission="allow"), False, False, False, id="allow"),
        pytest.param(
            Allow({"a": 1}),
            HookDecision(permission="allow", updated_args={"a": 1}),
            False,
            False,
            False,
            id="allow with",
        ),
        pytest.param(Deny("no"), HookDecision(permission="deny", block="no"), True, False, False, id="deny"),
        pytest.param(
            Deny("no", retry=True),
            HookDecision(permission="deny", block="no", metadata={"retry": True}),
            True,
            False,
            False,
            id="deny, try again",
        ),
        pytest.param(Block(""), HookDecision(block=""), True, False, False, id="block with no reason"),
        pytest.param(Stop("enough"), HookDecision(stop="enough"), False, True, False, id="stop"),
        pytest.param(Continue(), HookDecision(), False, False, True, id="continue"),
        pytest.param(
            Continue("x"), HookDecision(additional_context="x"), False, False, False, id="continue with"
        ),
        pytest.param(
            InjectContext("x"), HookDecision(additional_context="x"), False, False, False, id="inject"
        ),
        pytest.param(
            HookDecision(metadata={"a": 1}),
            HookDecision(metadata={"a": 1}),
            False,
            False,
            False,
            id="metadata",
        ),
    ],
)
def test_factories(decision, same_as, block, stop, noop):
    assert decision == same_as
    assert (decision.is_block(), decision.is_stop(), decision.is_noop()) == (block, stop, noop)


@pytest.mark.parametrize(
    ("value", "slot", "decision"),
    [
        (None, "pre_prompt", None),
        (RESULT, "pre_dispatch", HookDecision(updated_result=RESULT)),
        (True, "check_permission", Allow()),
        (False, "check_permission", Deny("permission denied")),
        (True, "should_stop", Stop("hook_requested_stop")),
        (False, "should_stop", None),
        ("why", "check_done", Block("why")),
        ("text", "pre_prompt", InjectContext("text")),
        ("text", "check_permission", InjectContext("text")),
    ],
)
def test_plain_values_stand_for_decisions(value, slot, decision):
    assert normalize_hook_return(value, slot=slot) == decision


def test_a_decision_is_handed_through_itself():
    decision = Deny("no")
    assert normalize_hook_return(decision, slot="pre_dispatch") is decision


@pytest.mark.parametrize(
    ("value", "slot"), [(True, "pre_prompt"), (1, "should_stop"), (False, "check_done"), ({}, "pre_dispatch")]
)
def test_other_values_are_a_type_error(value, slot):
    with pytest.raises(TypeError, match=slot):
        normalize_hook_return(value, slot=slot)


UNHEARD = [
    ("check_permission", "a reason"),
    ("check_permission", RESULT),
    ("check_permission", Stop("x")),
    ("check_permission", Allow({"path": "x"})),
    ("check_permission", 1),
    ("pre_dispatch", Stop("x")),
    ("pre_dispatch", False),
    ("pre_tool_use", "a reason"),
    ("pre_tool_use", False),
    ("pre_tool_use", Stop("x")),
    ("check_done", False),
    ("check_done", Stop("x")),
    ("check_done", Continue("x")),
    ("should_stop", "a reason"),
    ("should_stop", 1),
    ("should_stop", Block("x")),
]


@pytest.mark.parametrize(("slot", "value"), UNHEARD, ids=lambda v: str(v)[:40])
def test_a_gate_refuses_what_it_cannot_honour(slot, value):
    with pytest.raises(TypeError) as caught:
        decision_of(value, slot=slot, hook=Guard())
    text = str(caught.value)
    assert text.startswith("Guard: ")
    assert type(value).__name__ in text
    assert ("on_event" if slot == "pre_tool_use" and not isinstance(value, HookDecision) else slot) in text


@pytest.mark.parametrize(
    ("slot", "value", "decision"),
    [
        ("check_permission", None, None),
        ("check_permission", True, Allow()),
        ("check_permission", Block("no"), Block("no")),
        ("pre_dispatch", RESULT, HookDecision(updated_result=RESULT)),
        ("pre_dispatch", "note", InjectContext("note")),
        ("pre_tool_use", Deny("no"), Deny("no")),
        ("check_done", "not yet", Block("not yet")),
        ("check_done", Allow(), Allow()),
        ("should_stop", False, None),
        ("should_stop", Stop(""), Stop("")),
        ("post_dispatch", Stop("x"), Stop("x")),
        ("post_llm_response", InjectContext("x"), InjectContext("x")),
        ("pre_compact", Stop("x"), Stop("x")),
    ],
)
def test_what_a_slot_honours_passes_in_silence(slot, value, decision):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decision_of(value, slot=slot, hook=Guard()) == decision


class TestElsewhere:
    @pytest.mark.parametrize(
        ("slot", "value", "decision"),
        [
            ("pre_prompt", True, None),
            ("post_dispatch", Block("x"), Block("x")),
            ("post_tool_use", "text", None),
            ("stop", InjectContext("x"), InjectContext("x")),
            ("pre_loop", "text", InjectContext("text")),
        ],
    )
    def test_a_warning_names_hook_slot_and_type(self, slot, value, decision):
        with pytest.warns(UserWarning, match=f"Guard: .*{type(value).__name__}.*ignored"):
            assert decision_of(value, slot=slot, hook=Guard()) == decision

    def test_once_for_each_hook_class_and_slot(self):
        warned: set = set()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for slot in ("pre_prompt", "pre_prompt", "post_dispatch"):
                decision_of(True, slot=slot, hook=Guard(), warned=warned)
        assert len(seen) == 2


def test_every_event_and_gate_is_in_the_table():
    assert set(LIFECYCLE_EVENTS) | STRICT_SLOTS <= set(HONOURED)


def test_the_twelve_events():
    assert tuple(event.name.lower() for event in LifecycleEvent) == LIFECYCLE_EVENTS
    assert len(LIFECYCLE_EVENTS) == 12


def test_a_payload_says_nothing_it_was_not_told():
    payload = EventPayload(event=LifecycleEvent.STOP)
    assert (payload.step_num, payload.state, payload.tool_call, payload.extra) == (0, None, None, {})
    assert EventPayload(LifecycleEvent.STOP).extra is not payload.extra
