"""Hooks that stop a run: by tokens, by money, by going round in circles."""

from __future__ import annotations

import asyncio
import math
from itertools import islice

import pytest

from looplet import (
    ConfigError,
    LoopConfig,
    ModelPrice,
    Usage,
    async_run_loop,
    async_run_sub_loop,
    composable_loop,
    run_loop,
    run_sub_loop,
    tool,
    tools_from,
)
from looplet.limits import BudgetHook
from looplet.stagnation import StagnationHook
from looplet.testing import AsyncScriptedChatBackend, ScriptedBackend, ScriptedChatBackend, call
from looplet.types import ChatReply


@tool
def look(q: str) -> str:
    """Look."""
    return f"seen {q}"


@tool
def count() -> int:
    """Count."""
    numbers.append(0)
    return len(numbers)


numbers: list[int] = []


def counted(name, /, **args):
    """A reply with a call that cost 10 tokens in and 2 out."""
    return ChatReply(
        [{"type": "tool_use", "id": "x", "name": name, "input": args}], "tool_use", "m", Usage(10, 2)
    )


def run(mode, script, hook, tools=(look,), **fields):
    options = {"hooks": [hook], "config": LoopConfig(max_steps=30, **fields)}
    tools = tools_from(list(tools), include_done=True)
    if mode == "sync":
        return run_loop(ScriptedChatBackend(script), "t", tools, **options)
    return asyncio.run(async_run_loop(AsyncScriptedChatBackend(script), "t", tools, **options))


both = pytest.mark.parametrize("mode", ["sync", "async"])
LOOKS = [counted("look", q=str(n)) for n in range(9)]
PRICES = {"m": ModelPrice(input=100_000, output=500_000)}  # a call costs 2 dollars

LIMITS = {
    "tokens": ({"max_tokens": 30}, "token_budget", 3),
    "tokens, just enough": ({"max_tokens": 36}, "token_budget", 4),
    "money": ({"max_usd": 3, "prices": PRICES}, "cost_budget", 2),
    "whichever comes first": ({"max_usd": 3, "max_tokens": 5, "prices": PRICES}, "token_budget", 1),
}


@both
@pytest.mark.parametrize(("limits", "reason", "steps"), LIMITS.values(), ids=LIMITS)
def test_a_run_stops_after_the_step_that_passes_the_limit(mode, limits, reason, steps):
    hook = BudgetHook(**limits)
    found = run(mode, LOOKS, hook)
    assert (found.stop_reason, len(found.steps)) == (reason, steps)
    assert hook.usage == found.usage
    assert run(mode, LOOKS, hook).stop_reason == reason  # each run has the whole budget
    assert len(found.steps) == steps


def test_what_a_run_cost():
    hook = BudgetHook(max_usd=100, prices=PRICES)
    assert run("sync", [*LOOKS[:2], counted("done", answer="x")], hook).stop_reason == "done"
    assert hook.cost_usd == 6


@both
def test_sub_agents_spend_from_the_same_purse(mode):
    script = LOOKS[:6]

    @tool(name="delegate")
    def sync() -> object:
        """Ask a sub-agent."""
        return run_sub_loop(ScriptedChatBackend(script), "t", max_steps=9)

    @tool(name="delegate")
    async def asynchronous() -> object:
        """Ask a sub-agent."""
        return await async_run_sub_loop(AsyncScriptedChatBackend(script), "t", max_steps=9)

    delegate = sync if mode == "sync" else asynchronous
    found = run(mode, [counted("delegate"), LOOKS[0]], BudgetHook(max_tokens=40), tools=[look, delegate])
    assert found.children[0].stop_reason == "token_budget"
    assert len(found.children[0].steps) == 3
    assert (found.stop_reason, len(found.steps)) == ("token_budget", 1)
    assert found.usage.total_tokens == 48


@pytest.mark.parametrize("is_same_hook", [False, True], ids=["another process", "the same process"])
def test_a_budget_counts_over_a_stop(tmp_path, is_same_hook):
    @tool
    def delegate() -> object:
        """Ask a sub-agent."""
        return run_sub_loop(ScriptedChatBackend([*LOOKS[:2], counted("done", answer="x")]), "t", max_steps=9)

    def life(script, hook, steps):
        config = LoopConfig(max_steps=30, checkpoint_dir=str(tmp_path))
        tools = tools_from([look, delegate], include_done=True)
        loop = composable_loop(ScriptedChatBackend(script), "t", tools, hooks=[hook], config=config)
        list(islice(loop, steps))
        loop.close()
        return hook.usage.total_tokens

    first = BudgetHook(max_tokens=90)
    assert life([counted("delegate"), LOOKS[0]], first, 2) == 60
    resumed = first if is_same_hook else BudgetHook(max_tokens=90)
    assert life(LOOKS, resumed, 9) == 96
    assert life(LOOKS, BudgetHook(max_tokens=90), 9) == 108  # each resume takes one more step


def test_where_the_provider_does_not_count_characters_are():
    replies = ['{"tool": "look", "args": {"q": "x"}}'] * 9
    hook = BudgetHook(max_tokens=300)
    found = run_loop(ScriptedBackend(replies), "t" * 800, tools_from([look]), hooks=[hook])
    assert found.stop_reason == "token_budget"
    assert hook.usage.total_tokens > 300


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "limits nothing"),
        ({"max_tokens": 0}, "above 0"),
        ({"max_usd": -1, "prices": PRICES}, "above 0"),
        ({"max_tokens": True}, "above 0"),
        ({"max_tokens": "10"}, "above 0"),
        ({"max_usd": 1}, "needs prices"),
        ({"max_usd": 1, "prices": {"m": ModelPrice(math.nan, 1)}}, "at least 0"),
        ({"max_usd": 1, "prices": {"m": ModelPrice(1, -1)}}, "at least 0"),
        ({"max_usd": 1, "prices": {"m": ModelPrice(1, 1, math.inf)}}, "at least 0"),
        ({"max_usd": 1, "prices": {"m": (1, 1)}}, "ModelPrice"),
    ],
)
def test_a_budget_that_is_none(options, says):
    with pytest.raises(ConfigError, match=says):
        BudgetHook(**options)


def test_a_model_without_a_price_cannot_be_paid():
    with pytest.raises(ConfigError, match="prices has no m"):
        run("sync", LOOKS, BudgetHook(max_usd=1, prices={"other": PRICES["m"]}))


SAME = call("look", q="x")


def test_more_cached_tokens_than_were_sent_give_no_money_back():
    price = ModelPrice(input=2, output=10, cached=1)
    assert price.cost(Usage(5, 0, 1_000_000)) == pytest.approx(1)
    assert price.cost(Usage(1_000_000, 100_000, 400_000)) == pytest.approx(1.2 + 0.4 + 1)


def test_what_a_sub_agent_spends_without_a_price_ends_the_run():
    @tool
    def delegate() -> dict:
        """Delegate."""
        stranger = ChatReply([{"type": "text", "text": "hm"}], "end_turn", "stranger", Usage(10, 2))
        return run_sub_loop(ScriptedChatBackend(always=stranger), "help")

    hook = BudgetHook(max_usd=100, prices=PRICES)
    with pytest.raises(ConfigError, match="prices has no stranger"):
        run("sync", [counted("delegate")] * 3, hook, [delegate])


@both
def test_an_agent_that_goes_round_in_circles_is_told_and_then_stopped(mode):
    llm = (ScriptedChatBackend if mode == "sync" else AsyncScriptedChatBackend)([SAME] * 9)
    tools, hooks = tools_from([look], include_done=True), [StagnationHook()]
    if mode == "sync":
        found = run_loop(llm, "t", tools, hooks=hooks)
    else:
        found = asyncio.run(async_run_loop(llm, "t", tools, hooks=hooks))
    assert (found.stop_reason, len(found.steps)) == ("stagnation", 5)
    told = ["Try something else" in request.text for request in llm.requests]
    assert told == [False, False, False, True, False]


BUSY = {
    "other arguments": ([call("look", q=str(n)) for n in range(6)], {}),
    "other results": ([call("count")] * 6, {}),
    "something new now and then": ([*[SAME] * 3, call("look", q="y"), *[SAME] * 3, call("look", q="z")], {}),
    "a tool that waits": ([SAME] * 6, {"ignore": ["look"]}),
    "no limit": ([SAME] * 6, {"stop_after": None}),
}


@pytest.mark.parametrize(("script", "options"), BUSY.values(), ids=BUSY)
def test_an_agent_that_gets_on_is_left_alone(script, options):
    found = run("sync", [*script, call("done", answer="x")], StagnationHook(**options), tools=[look, count])
    assert found.stop_reason == "done"


def test_the_same_failure_again_and_again_is_a_circle_too():
    @tool
    def broken() -> str:
        """Broken."""
        raise OSError("disk")

    found = run("sync", [call("broken")] * 9, StagnationHook(stop_after=2), tools=[broken])
    assert (found.stop_reason, len(found.steps)) == ("stagnation", 3)


def test_a_hook_may_watch_one_run_after_the_other():
    hook = StagnationHook(stop_after=2)
    for _ in range(2):
        assert len(run("sync", [SAME] * 9, hook).steps) == 3


@pytest.mark.parametrize("is_same_hook", [False, True], ids=["another process", "the same process"])
def test_circles_are_counted_over_a_stop(tmp_path, is_same_hook):
    hook, taken = StagnationHook(), []
    for steps in (3, 9):
        config = LoopConfig(max_steps=30, checkpoint_dir=str(tmp_path))
        loop = composable_loop(ScriptedChatBackend([SAME] * 9), "t", [look], hooks=[hook], config=config)
        taken += list(islice(loop, steps))
        loop.close()
        hook = hook if is_same_hook else StagnationHook()
    assert [step.number for step in taken] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("options", [{"stop_after": 0}, {"nudge_after": -1}, {"stop_after": True}])
def test_numbers_of_steps_are_above_nought(options):
    with pytest.raises(ConfigError, match="above 0"):
        StagnationHook(**options)
