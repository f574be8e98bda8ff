"""Asking a person: on an event loop the loop goes on meanwhile, and a doubt is a no there as well."""

import asyncio
import threading

import pytest

from looplet import (
    EventPayload,
    LifecycleEvent,
    LoopConfig,
    PermissionEngine,
    PermissionHook,
    ToolCall,
    async_run_loop,
    composable_loop,
    tool,
    tools_from,
)
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, call

PAY = ToolCall("pay", {"amount": 5})


async def agrees(asked, rule):
    await asyncio.sleep(0)
    return "allow"


async def refuses(asked, rule):
    return "deny"


async def breaks(asked, rule):
    raise RuntimeError("no line")


async def never(asked, rule):
    await asyncio.Event().wait()


def asleep(asked, rule):
    threading.Event().wait(5)


def quits(asked, rule):
    raise KeyboardInterrupt


HANDLERS = {
    "async yes": (agrees, True, ""),
    "async no": (refuses, False, "refused by the person asked"),
    "async error": (breaks, False, "asking failed (RuntimeError: no line)"),
    "async silence": (never, False, "no answer within 0.1 s"),
    "yes": (lambda asked, rule: "allow", True, ""),
    "no": (lambda asked, rule: "deny", False, "refused by the person asked"),
    "silence": (asleep, False, "no answer within 0.1 s"),
    "interrupt": (quits, False, "asking failed (KeyboardInterrupt"),
    "true is no yes": (lambda asked, rule: True, False, "no usable answer (True)"),
}


@pytest.mark.parametrize(("handler", "allowed", "reason"), HANDLERS.values(), ids=HANDLERS)
def test_the_answer_is_the_same_in_both_worlds(handler, allowed, reason):
    engine = PermissionEngine(ask_handler=handler, ask_timeout_s=0.1).ask("pay")
    outcomes = [engine.evaluate(PAY), asyncio.run(engine.evaluate_async(PAY))]
    assert [outcome.allowed for outcome in outcomes] == [allowed] * 2
    assert all(outcome.reason.startswith(reason) for outcome in outcomes)
    assert [(record.verdict, record.asked) for record in engine.audit] == [(outcomes[0].decision, True)] * 2


@pytest.mark.parametrize("name", ["async yes", "async no", "async error", "yes", "no", "interrupt"])
def test_without_a_time_limit_too(name):
    handler, allowed, _ = HANDLERS[name]
    engine = PermissionEngine(ask_handler=handler, ask_timeout_s=None).ask("pay")
    assert engine.evaluate(PAY).allowed == allowed
    assert asyncio.run(engine.evaluate_async(PAY)).allowed == allowed


def test_an_async_handler_can_be_asked_from_a_loop_that_is_running():
    engine = PermissionEngine(ask_handler=agrees, ask_timeout_s=None).ask("pay")

    async def ask():
        return engine.evaluate(PAY).allowed

    assert asyncio.run(ask())


class Bank:
    def __init__(self):
        self.paid = []

    def tools(self):
        @tool
        def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return "paid"

        return tools_from([pay], include_done=True)


SCRIPT = call("pay", amount=5), call("done", answer="ok")


def meeting():
    """A person who answers nobody before all ten have asked."""
    everybody = threading.Barrier(10)

    def answer(asked, rule):
        everybody.wait(10)
        return "allow"

    return answer


def meeting_async():
    asked_by, everybody = [], asyncio.Event()

    async def answer(asked, rule):
        asked_by.append(asked)
        if len(asked_by) == 10:
            everybody.set()
        await asyncio.wait_for(everybody.wait(), 10)
        return "allow"

    return answer


@pytest.mark.parametrize("person", [meeting, meeting_async], ids=["sync", "async"])
def test_a_question_does_not_hold_up_the_event_loop(person):
    """Ten runs ask at once: if the first held the loop, the others could not, and all would be refused."""
    banks, handler = [Bank() for _ in range(10)], person()

    async def one(bank):
        rules = PermissionEngine(ask_handler=handler).ask("pay")
        await async_run_loop(
            AsyncScriptedChatBackend(*SCRIPT), task="t", tools=bank.tools(), hooks=[PermissionHook(rules)]
        )
        assert len(rules.audit) == 2

    async def all_of_them():
        await asyncio.gather(*map(one, banks))

    asyncio.run(all_of_them())
    assert [bank.paid for bank in banks] == [[5]] * 10


@pytest.mark.parametrize("handler", [agrees, refuses, breaks], ids=["yes", "no", "error"])
def test_an_async_person_in_the_sync_loop(handler):
    bank, rules = Bank(), PermissionEngine(ask_handler=handler).ask("pay")
    llm = ScriptedChatBackend(*SCRIPT)
    list(composable_loop(llm, task="t", tools=bank.tools(), hooks=[PermissionHook(rules)]))
    assert bank.paid == ([5] if handler is agrees else [])


def test_the_sync_loop_inside_an_event_loop():
    bank, rules = Bank(), PermissionEngine(ask_handler=agrees).ask("pay").ask("done")

    async def main():
        llm, config = ScriptedChatBackend(*SCRIPT), LoopConfig(max_steps=2)
        return list(
            composable_loop(llm, task="t", tools=bank.tools(), hooks=[PermissionHook(rules)], config=config)
        )

    assert [step.tool_result.error for step in asyncio.run(main())] == [None, None]
    assert bank.paid == [5]


def test_done_can_be_asked_about_on_an_event_loop():
    bank, rules = Bank(), PermissionEngine(ask_handler=refuses).allow("pay").ask("done", reason="not yet")
    hooks, config = [PermissionHook(rules)], LoopConfig(max_steps=2)
    run = asyncio.run(
        async_run_loop(
            AsyncScriptedChatBackend(*SCRIPT), task="t", tools=bank.tools(), hooks=hooks, config=config
        )
    )
    assert run.stop_reason == "budget_exhausted"
    assert "not yet" in run.steps[1].tool_result.error


def test_who_does_not_wait_for_the_answer_has_a_no():
    hook = PermissionHook(PermissionEngine(ask_handler=agrees).ask("pay"))

    async def ask():
        event = EventPayload(event=LifecycleEvent.PRE_TOOL_USE, tool_call=PAY)
        decision, allowed = hook.on_event(event), hook.check_permission(PAY, None)
        assert decision.is_block()
        assert not allowed
        return await decision, await allowed

    decision, allowed = asyncio.run(ask())
    assert (decision.is_block(), allowed) == (False, True)


def test_a_run_that_is_cancelled_while_it_asks_ends():
    bank, rules = Bank(), PermissionEngine(ask_handler=never).ask("pay")

    async def main():
        run = async_run_loop(
            AsyncScriptedChatBackend(*SCRIPT), task="t", tools=bank.tools(), hooks=[PermissionHook(rules)]
        )
        task = asyncio.create_task(run)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert bank.paid == []
