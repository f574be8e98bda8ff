"""Approval: a result that asks stops the run with the question; no other result can break it."""

import asyncio
from functools import partial

import pytest

from looplet import LoopConfig, ToolCall, ToolResult, async_run_loop, run_loop, tool, tools_from
from looplet.approval import ApprovalHook, ApprovalRequest
from looplet.errors import ConfigError
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, call


def result(data, error=None):
    return ToolResult("pay", "", data, error=error)


def after(data, error=None):
    hook = ApprovalHook()
    decision = hook.post_dispatch(
        None, None, ToolCall("pay", {"n": [1]}, call_id="c"), result(data, error), 4
    )
    return hook, decision


ASKS = {
    "plain": ({"needs_approval": True}, "", ["approve", "deny"]),
    "described": (
        {"needs_approval": True, "approval_description": "pay 5", "approval_options": ["yes", "no"]},
        "pay 5",
        ["yes", "no"],
    ),
    "any truth asks": ({"needs_approval": "maybe"}, "", ["approve", "deny"]),
    "an odd description": ({"needs_approval": 1, "approval_description": 7}, "7", ["approve", "deny"]),
    "odd options": ({"needs_approval": True, "approval_options": "yes"}, "", ["approve", "deny"]),
    "no options": ({"needs_approval": True, "approval_options": []}, "", ["approve", "deny"]),
    "numbers for options": ({"needs_approval": True, "approval_options": [1, 2]}, "", ["1", "2"]),
}


@pytest.mark.parametrize(("data", "description", "options"), ASKS.values(), ids=ASKS)
def test_a_result_that_asks_stops_the_run(data, description, options):
    hook, decision = after(data)
    assert decision.stop == "waiting_for_approval"
    assert hook.pending == ApprovalRequest(4, "pay", description, options, {"n": [1]}, "c")
    assert hook.should_stop(None, 4, 0) is False


QUIET = {
    "a list": [1, 2],
    "a text": "needs_approval",
    "a number": 7,
    "nothing": None,
    "true": True,
    "an empty dict": {},
    "an object": object(),
    "no": {"needs_approval": False},
    "none": {"needs_approval": None},
    "empty": {"needs_approval": ""},
    "a list of dicts": [{"needs_approval": True}],
}


@pytest.mark.parametrize("data", QUIET.values(), ids=QUIET)
def test_other_results_are_left_alone(data):
    hook, decision = after(data)
    assert (hook.pending, decision) == (None, None)


def test_an_error_does_not_ask():
    assert after({"needs_approval": True}, error="failed")[1] is None


def test_a_long_question_is_cut():
    data = {"needs_approval": True, "approval_description": "x" * 9000, "approval_options": ["y"] * 90}
    request = after(data)[0].pending
    assert len(request.description) == 2000
    assert len(request.options) == 20


def test_the_first_of_two_questions_stands():
    hook, _ = after({"needs_approval": True, "approval_description": "first"})
    again = {"needs_approval": True, "approval_description": "second"}
    assert hook.post_dispatch(None, None, ToolCall("pay"), result(again), 5).stop == "waiting_for_approval"
    assert hook.answered().description == "first"
    assert hook.pending is None


@pytest.mark.parametrize("options", [["pay all", "pay half"], ["cancel", "go on"], ["deny", "all"]], ids=str)
def test_a_bare_yes_is_no_guess_among_other_options(options):
    hook, _ = after({"needs_approval": True, "approval_options": options})
    with pytest.raises(ConfigError, match="'True' is none of the options"):
        hook.answer(True)
    hook.answer(False)


def test_a_request_survives_as_data():
    request = after({"needs_approval": True, "approval_description": "pay 5"})[0].pending
    assert ApprovalRequest.from_dict(request.to_dict()) == request
    again = request.call()
    assert (again.tool, again.args, again.call_id) == ("pay", {"n": [1]}, "c")
    again.args["n"].append(2)
    assert request.args == {"n": [1]}


WHOLE = ApprovalRequest(1, "pay").to_dict()


@pytest.mark.parametrize(
    "data",
    [{}, {"step": 1}, {"step": "1", "tool": "x"}, {**WHOLE, "options": []}, {**WHOLE, "options": [1]}],
    ids=str,
)
def test_other_data_is_refused(data):
    with pytest.raises(ConfigError, match="no approval request"):
        ApprovalRequest.from_dict(data)


def test_in_a_run_the_call_is_a_step_and_the_run_waits():
    paid = []

    @tool
    def pay(amount: int, *, ctx) -> dict:
        """Pay."""
        if ctx is not None and ctx.approve(f"pay {amount}?", ["yes", "no"]) == "yes":
            paid.append(amount)
            return {"paid": amount}
        return {"needs_approval": True, "approval_description": f"pay {amount}"}

    tools = tools_from([pay], include_done=True)
    hook = ApprovalHook()
    script = [call("pay", amount=5), call("done", answer="ok")]
    run = run_loop(ScriptedChatBackend(*script), task="t", tools=tools, hooks=[hook])
    assert run.stop_reason == "waiting_for_approval"
    assert len(run.steps) == 1
    assert (hook.pending.args, paid) == ({"amount": 5}, [])
    asked = []
    config = LoopConfig(approval_handler=lambda prompt, options: asked.append((prompt, options)) or "yes")
    run = run_loop(ScriptedChatBackend(*script), task="t", tools=tools, hooks=[ApprovalHook()], config=config)
    assert (run.stop_reason, paid, asked) == ("done", [5], [("pay 5?", ["yes", "no"])])


async def person(prompt, options):
    await asyncio.sleep(0)
    return "yes"


@tool(name="pay")
def pay_at_once(amount: int, *, ctx) -> str:
    """Pay."""
    return f"{amount} {ctx.approve('pay?', ['yes', 'no'])}"


@tool(name="pay")
async def pay_later(amount: int, *, ctx) -> str:
    """Pay."""
    return f"{amount} {await ctx.approve('pay?', ['yes', 'no'])}"


SCRIPT = call("pay", amount=5), call("done", answer="ok")


class Person:
    async def __call__(self, prompt, options):
        return await person(prompt, options)


async def whoever(name, prompt, options):
    return await person(prompt, options)


people = pytest.mark.parametrize(
    "handler",
    [person, Person(), partial(whoever, "Ann"), lambda prompt, options: person(prompt, options)],
    ids=["a function", "an object", "a partial", "a lambda"],
)


@people
def test_an_async_person_answers_a_tool_of_the_sync_loop(handler):
    config, model = LoopConfig(approval_handler=handler), ScriptedChatBackend(*SCRIPT)
    run = run_loop(model, task="t", tools=[pay_at_once], config=config)
    assert run.steps[0].tool_result.data == "5 yes"


@people
@pytest.mark.parametrize("pay", [pay_at_once, pay_later], ids=["a sync tool", "an async tool"])
def test_an_async_person_answers_tools_of_the_async_loop(pay, handler):
    config, model = LoopConfig(approval_handler=handler), AsyncScriptedChatBackend(*SCRIPT)
    run = asyncio.run(async_run_loop(model, task="t", tools=[pay], config=config))
    assert run.steps[0].tool_result.data == "5 yes"
