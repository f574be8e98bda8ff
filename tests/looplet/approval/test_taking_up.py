"""A run that stopped to wait is taken up with the answer: that call, once, or the model is told of the no."""

import asyncio

import pytest

from looplet import LoopConfig, PermissionEngine, PermissionHook, async_run_loop, run_loop, tool, tools_from
from looplet.approval import ApprovalHook
from looplet.errors import ConfigError
from looplet.testing import (
    AsyncScriptedChatBackend,
    ScriptedBackend,
    ScriptedChatBackend,
    ScriptedToolBackend,
    call,
    calls,
)


class Till:
    """A tool that pays once somebody agreed, and what it paid."""

    def __init__(self, folder):
        self.folder, self.paid, self.heard = str(folder / "checkpoint"), [], []

    def tools(self):
        @tool
        def pay(amount: int, note: str = "", *, ctx) -> object:
            """Pay."""
            said = ctx.approve(f"pay {amount}?", ["approve", "half", "deny"])
            if said is None:
                options = ["approve", "half", "deny"]
                return {"needs_approval": True, "approval_description": "pay", "approval_options": options}
            self.heard += [said, ctx.approve("and again?")]
            self.paid.append(amount)
            return f"paid {amount}"

        @tool
        def look() -> str:
            """Look."""
            return "seen"

        return tools_from([pay, look], include_done=True)

    def run(self, script, hook, *more, backend=ScriptedChatBackend, **config):
        settings = LoopConfig(checkpoint_dir=self.folder, **{"max_steps": 4, **config})
        self.model = backend(*script)
        hooks = [hook, *more]
        return run_loop(self.model, task="pay", tools=self.tools(), hooks=hooks, config=settings)


@pytest.fixture
def till(tmp_path):
    return Till(tmp_path)


ASK, DONE = call("pay", amount=5), call("done", answer="ok")

WIRES = {
    "a thread": (ScriptedChatBackend, {}),
    "text": (ScriptedBackend, {}),
    "native tools": (ScriptedToolBackend, {"use_native_tools": True}),
}


@pytest.mark.parametrize(("backend", "config"), WIRES.values(), ids=WIRES)
def test_approved_the_call_runs_once_and_the_model_reads_its_result(till, backend, config):
    asked = till.run([ASK], ApprovalHook(), backend=backend, **config)
    assert (asked.stop_reason, till.paid) == ("waiting_for_approval", [])
    run = till.run([DONE], ApprovalHook("approve"), backend=backend, **config)
    assert (run.stop_reason, till.paid, till.heard) == ("done", [5], ["approve", None])
    assert [(s.number, s.tool_call.tool) for s in run.steps] == [(1, "pay"), (2, "pay"), (3, "done")]
    assert "paid 5" in till.model.requests[0].text


@pytest.mark.parametrize(("backend", "config"), WIRES.values(), ids=WIRES)
def test_refused_it_does_not_run_and_the_model_is_told(till, backend, config):
    till.run([ASK], ApprovalHook(), backend=backend, **config)
    run = till.run([DONE], ApprovalHook(False), backend=backend, **config)
    assert (run.stop_reason, till.paid) == ("done", [])
    assert "refused this call" in till.model.requests[0].text


def test_async_it_is_the_same(till):
    till.run([ASK], ApprovalHook())
    config, model = LoopConfig(checkpoint_dir=till.folder, max_steps=4), AsyncScriptedChatBackend(DONE)
    hooks = [ApprovalHook("approve")]
    run = asyncio.run(async_run_loop(model, task="pay", tools=till.tools(), hooks=hooks, config=config))
    assert (run.stop_reason, till.paid) == ("done", [5])


def test_an_option_of_the_tool_s_own_is_handed_to_it(till):
    till.run([ASK], ApprovalHook())
    till.run([DONE], ApprovalHook("half"))
    assert till.heard == ["half", None]


def test_yes_is_the_option_that_says_so(till):
    till.run([ASK], ApprovalHook())
    till.run([DONE], ApprovalHook(True))
    assert till.heard[0] == "approve"


@pytest.mark.parametrize("said", ["No", "DENY", False], ids=str)
def test_a_refusal_is_one_in_any_case(till, said):
    till.run([ASK], ApprovalHook())
    run = till.run([DONE], ApprovalHook(said))
    assert (run.steps[1].tool_result.error_kind, till.heard) == ("permission_denied", [])


def test_without_an_answer_the_run_waits_on_and_asks_no_model(till):
    till.run([ASK], ApprovalHook())
    for _ in range(3):
        hook = ApprovalHook()
        run = till.run([], hook)
        assert (run.stop_reason, till.model.requests) == ("waiting_for_approval", [])
        assert (hook.pending.tool, hook.pending.args) == ("pay", {"amount": 5})
    assert till.run([DONE], ApprovalHook("approve")).stop_reason == "done"
    assert till.paid == [5]


def test_the_same_hook_in_the_same_process(till):
    hook = ApprovalHook()
    till.run([ASK], hook)
    hook.answer("approve", call_id=hook.pending.call_id)
    till.run([DONE], hook)
    assert (till.paid, hook.pending) == ([5], None)


def test_an_answer_is_for_the_question_that_was_asked_and_for_no_later_one(till):
    run = till.run([ASK], ApprovalHook("approve"))
    assert (run.stop_reason, till.paid) == ("waiting_for_approval", [])


def test_an_answer_for_another_call_is_refused(till):
    till.run([ASK], ApprovalHook())
    hook = ApprovalHook()
    hook.answer("approve", call_id="another")
    with pytest.raises(ConfigError, match=r"answer is for the call 'another'"):
        till.run([DONE], hook)
    assert till.paid == []


WRONG = {"no option": "maybe", "nothing": None, "a number": 1}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG)
def test_what_is_no_answer_is_refused(till, answer):
    hook = ApprovalHook()
    till.run([ASK], hook)
    with pytest.raises(ConfigError, match="ApprovalHook"):
        hook.answer(answer)
    if isinstance(answer, str):
        with pytest.raises(ConfigError, match="none of the options approve, half, deny"):
            till.run([DONE], ApprovalHook(answer))
    assert till.paid == []


def test_the_rest_of_the_reply_runs_and_is_not_repeated(till):
    run = till.run([calls(ASK, call("look"), DONE)], ApprovalHook(), max_steps=6)
    assert run.stop_reason == "waiting_for_approval"
    assert [s.tool_call.tool for s in run.steps] == ["pay", "look", "done"]
    assert "waits for a person" in str(run.steps[2].tool_result.data)
    run = till.run([DONE], ApprovalHook("approve"), max_steps=6)
    assert [s.tool_call.tool for s in run.steps] == ["pay", "look", "done", "pay", "done"]
    assert till.paid == [5]


def test_it_costs_no_budget_beyond_the_step_that_asked(till):
    till.run([ASK], ApprovalHook(), max_steps=2)
    assert till.run([DONE], ApprovalHook("approve"), max_steps=2).stop_reason == "done"


def test_the_rules_are_asked_about_it_again(till):
    rules = PermissionEngine().allow("pay").allow("done")
    till.run([ASK], ApprovalHook(), PermissionHook(rules))
    run = till.run([DONE], ApprovalHook("approve"), PermissionHook(rules))
    assert (till.paid, run.stop_reason) == ([5], "done")
    assert [(record.tool, record.verdict) for record in rules.audit] == [("pay", "allow")] * 2 + [
        ("done", "allow")
    ]


class Doubles:
    """A hook that changes the amount of payments, once it is told to."""

    def __init__(self, on):
        self.on = on

    def pre_dispatch(self, state, session_log, tool_call, step_num):
        tool_call.args["amount"] *= 2 if self.on else 1


def test_a_call_that_a_hook_changed_is_not_the_one_that_was_approved(till):
    till.run([ASK], ApprovalHook(), Doubles(False))
    run = till.run([DONE], ApprovalHook("approve"), Doubles(True))
    assert (run.stop_reason, till.paid) == ("waiting_for_approval", [])


def test_a_call_whose_secrets_were_not_kept_is_not_repeated(till, monkeypatch):
    monkeypatch.setenv("BANK_API_KEY", "s3cr3t-and-long-enough")
    till.run([call("pay", amount=5, note="s3cr3t-and-long-enough")], ApprovalHook())
    run = till.run([DONE], ApprovalHook("approve"))
    assert (run.stop_reason, till.paid) == ("done", [])
    assert "holds a secret" in run.steps[1].tool_result.error


def test_a_state_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="no approval request"):
        ApprovalHook().load_state({"pending": {"tool": "pay"}})
