"""The permission hook: asks once for each call, again only when the call changed."""

import pytest

from looplet import EventPayload, LifecycleEvent, PermissionEngine, PermissionHook, ToolCall


class Asked:
    """An engine whose person says yes, and counts the questions."""

    def __init__(self, answer="allow"):
        self.questions = []
        self.hook = PermissionHook(PermissionEngine(ask_handler=self).ask("*"))
        self.answer = answer

    def __call__(self, call, rule):
        self.questions.append(call.args)
        return self.answer


def before(call):
    return EventPayload(LifecycleEvent.PRE_TOOL_USE, tool_call=call)


def test_PE_10_a_person_is_asked_once():
    asked, call = Asked(), ToolCall("pay", {"amount": 1})
    assert asked.hook.on_event(before(call)).permission == "allow"
    assert asked.hook.check_permission(call, None) is True
    assert asked.questions == [{"amount": 1}]


CHANGES = {
    "another value": {"amount": 1000},
    "another type of number": {"amount": 1.0},
    "a bool for a number": {"amount": True},
    "one argument more": {"amount": 1, "to": "me"},
    "deeper inside": {"amount": [1]},
}


@pytest.mark.parametrize("args", CHANGES.values(), ids=CHANGES)
def test_PE_08_a_call_that_changed_is_judged_again(args):
    asked, call = Asked(), ToolCall("pay", {"amount": 1})
    asked.hook.on_event(before(call))
    call.args.clear()
    call.args.update(args)
    assert asked.hook.check_permission(call, None) is True
    assert asked.questions == [{"amount": 1}, args]


def test_PE_08_a_consent_counts_once():
    asked, call = Asked(), ToolCall("pay", {"amount": 1})
    asked.hook.on_event(before(call))
    asked.hook.check_permission(call, None)
    asked.answer = "deny"
    assert asked.hook.check_permission(call, None) is False


def test_a_denial_is_recorded_once_and_says_why():
    hook, call = PermissionHook(PermissionEngine().deny("pay", reason="over the limit")), ToolCall("pay")
    decision = hook.on_event(before(call))
    assert hook.check_permission(call, None) is False
    assert (decision.permission, decision.block) == ("deny", "over the limit")
    told = decision.metadata["decided"]
    assert told.pop("source").startswith("test_hook.py:")
    assert told == {
        "rule": "deny pay",
        "verdict": "deny",
        "by": "rule",
        "asked": False,
        "reason": "over the limit",
    }
    assert len(hook.engine.denials) == 1


def test_a_rule_without_reason_still_says_what_was_denied():
    hook = PermissionHook(PermissionEngine().deny("pay"))
    assert hook.on_event(before(ToolCall("pay"))).block == "permission denied for 'pay'"


def test_asked_directly_it_judges():
    hook = PermissionHook(PermissionEngine().allow("look"))
    assert hook.check_permission(ToolCall("look"), None) is True
    assert hook.check_permission(ToolCall("pay"), None) is False


@pytest.mark.parametrize("event", [e for e in LifecycleEvent if e is not LifecycleEvent.PRE_TOOL_USE])
def test_other_moments_are_none_of_its_business(event):
    hook = PermissionHook(PermissionEngine())
    assert hook.on_event(EventPayload(event, tool_call=ToolCall("pay"))) is None
    assert hook.engine.denials == []


def test_an_event_without_a_call_is_denied():
    assert PermissionHook(PermissionEngine()).on_event(before(None)).is_block()


def test_done_needs_no_rule_but_obeys_one():
    done = ToolCall("done", {"answer": "ok"})
    assert not PermissionHook(PermissionEngine()).check_done_permission(done, None).is_block()
    assert PermissionHook(PermissionEngine().deny("done")).check_done_permission(done, None).is_block()
