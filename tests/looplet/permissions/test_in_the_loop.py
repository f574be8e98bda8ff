"""Permissions inside a run: on every route to a tool the engine is asked, once, and what it said holds."""

import asyncio

import pytest

from looplet import (
    ErrorKind,
    HookDecision,
    LoopConfig,
    PermissionEngine,
    PermissionHook,
    async_composable_loop,
    composable_loop,
    tool,
    tools_from,
)
from looplet.testing import (
    AsyncScriptedChatBackend,
    ScriptedBackend,
    ScriptedChatBackend,
    ScriptedToolBackend,
    call,
    calls,
)


class Bank:
    """Two tools that say when they ran."""

    def __init__(self):
        self.ran = []

    def tools(self):
        @tool(concurrent_safe=True)
        def pay(amount: int) -> str:
            """Pay."""
            self.ran.append(("pay", amount))
            return "paid"

        @tool(concurrent_safe=True)
        def look() -> str:
            """Look."""
            self.ran.append(("look",))
            return "seen"

        return tools_from([pay, look], include_done=True)


def sync_run(backend, bank, hooks, **config):
    return list(
        composable_loop(backend, task="pay", tools=bank.tools(), hooks=hooks, config=LoopConfig(**config))
    )


def async_run(backend, bank, hooks, **config):
    async def steps():
        loop = async_composable_loop(
            backend, task="pay", tools=bank.tools(), hooks=hooks, config=LoopConfig(**config)
        )
        return [step async for step in loop]

    return asyncio.run(steps())


ONE_BY_ONE = (call("pay", amount=5), call("look"), call("done", answer="ok"))
AT_ONCE = (calls(call("pay", amount=5), call("look")), call("done", answer="ok"))

ROUTES = {
    "a thread": (sync_run, ScriptedChatBackend, ONE_BY_ONE, {}),
    "a thread, several calls": (sync_run, ScriptedChatBackend, AT_ONCE, {}),
    "a thread, calls at once": (sync_run, ScriptedChatBackend, AT_ONCE, {"concurrent_dispatch": True}),
    "text": (sync_run, ScriptedBackend, ONE_BY_ONE, {}),
    "native tools": (sync_run, ScriptedToolBackend, ONE_BY_ONE, {"use_native_tools": True}),
    "async": (async_run, AsyncScriptedChatBackend, ONE_BY_ONE, {}),
    "async, calls at once": (async_run, AsyncScriptedChatBackend, AT_ONCE, {"concurrent_dispatch": True}),
}


@pytest.mark.parametrize(("run", "backend", "script", "config"), ROUTES.values(), ids=ROUTES)
def test_PE_09_every_route_passes_the_engine(run, backend, script, config):
    bank, rules = Bank(), PermissionEngine().allow("look")
    steps = run(backend(*script), bank, [PermissionHook(rules)], **config)
    assert bank.ran == [("look",)]
    assert [(s.tool_call.tool, s.tool_result.error_kind) for s in steps] == [
        ("pay", ErrorKind.PERMISSION_DENIED),
        ("look", None),
        ("done", None),
    ]
    assert [denial["tool"] for denial in rules.denials] == ["pay"]


@pytest.mark.parametrize(("run", "backend", "script", "config"), ROUTES.values(), ids=ROUTES)
def test_PE_10_a_person_is_asked_once_on_every_route(run, backend, script, config):
    asked, bank = [], Bank()

    def person(call, rule):
        asked.append(call.tool)
        return "allow"

    rules = PermissionEngine(ask_handler=person).ask("pay").ask("look")
    run(backend(*script), bank, [PermissionHook(rules)], **config)
    assert sorted(asked) == ["look", "pay"]
    assert sorted(bank.ran) == [("look",), ("pay", 5)]


def test_done_passes_the_engine_when_a_rule_names_it():
    rules = PermissionEngine().allow("look").deny("done", reason="look first, twice")
    script = (call("look"), call("done", answer="ok"))
    steps = sync_run(ScriptedChatBackend(*script), Bank(), [PermissionHook(rules)], max_steps=2)
    assert steps[-1].tool_result.error == "look first, twice"


class Rewrites:
    """A hook that raises the amount after the permission hook has agreed."""

    def pre_dispatch(self, state, session_log, tool_call, step_num):
        return HookDecision(updated_args={"amount": 5000}) if tool_call.tool == "pay" else None


@pytest.mark.parametrize("first", [True, False], ids=["before it", "after it"])
def test_PE_08_what_a_hook_rewrites_is_judged_again(first):
    bank = Bank()
    rules = PermissionEngine().allow("pay", arg_matcher=lambda args: args["amount"] < 100)
    hooks = [Rewrites(), PermissionHook(rules)] if first else [PermissionHook(rules), Rewrites()]
    steps = sync_run(ScriptedChatBackend(call("pay", amount=5), call("done", answer="ok")), bank, hooks)
    assert bank.ran == []
    assert steps[0].tool_result.error_kind is ErrorKind.PERMISSION_DENIED


def test_a_refusal_reaches_the_model_and_the_run_goes_on():
    backend = ScriptedChatBackend(call("pay", amount=5), call("done", answer="ok"))
    rules = PermissionEngine().deny("pay", reason="not on Sundays")
    sync_run(backend, Bank(), [PermissionHook(rules)])
    assert "not on Sundays" in backend.requests[1].text
