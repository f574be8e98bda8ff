"""The loop beside the smallest one would write by hand, and its parts beside what they cannot do without."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any

from looplet import (
    AsyncMockLLMBackend,
    BaseToolRegistry,
    DefaultState,
    LoopConfig,
    MockLLMBackend,
    ToolSpec,
    async_composable_loop,
    composable_loop,
)
from looplet.conversation import Conversation, Message, MessageRole
from looplet.parse import parse_multi_tool_calls
from looplet.prompts import build_prompt

SHORT, LONG = 50, 1_000
RUNS, CALLS, LATENCY_S = 64, 10, 0.05


def bare(steps: int) -> None:
    """Read a call, decode its arguments, run it, encode its result, append two messages."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You add."},
        {"role": "user", "content": "go"},
    ]
    tools = {"add": lambda a, b: {"sum": a + b}}
    for number in range(steps):
        function = {"name": "add", "arguments": f'{{"a": {number}, "b": 1}}'}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        for made in messages[-1]["tool_calls"]:
            asked = made["function"]
            result = tools[asked["name"]](**json.loads(asked["arguments"]))
            messages.append({"role": "tool", "tool_call_id": made["id"], "content": json.dumps(result)})
    messages.append({"role": "assistant", "content": "done"})


@cache
def replies(steps: int) -> list[str]:
    adds = [json.dumps({"tool": "add", "args": {"a": n, "b": 1}, "reasoning": "r"}) for n in range(steps)]
    return [*adds, '{"tool": "done", "args": {"answer": "ok"}, "reasoning": "r"}']


def tools() -> BaseToolRegistry:
    registry = BaseToolRegistry()
    registry.register(
        ToolSpec("add", "Add two numbers.", {"a": "int", "b": "int"}, lambda *, a, b: {"sum": a + b})
    )
    registry.register(ToolSpec("done", "Finish.", {"answer": "str"}, lambda *, answer: {"answer": answer}))
    return registry


def ours(steps: int) -> None:
    limits: dict[str, Any] = {
        "state": DefaultState(max_steps=steps + 1),
        "config": LoopConfig(max_steps=steps + 1),
    }
    taken = sum(1 for _ in composable_loop(MockLLMBackend(replies(steps)), {"goal": "go"}, tools(), **limits))
    assert taken == steps + 1


def test_a_step(timed):
    work = {"floor": lambda: bare(SHORT), "ours": lambda: ours(SHORT)}
    timed("a step of the loop, over a loop written by hand", work, per=SHORT, target=8, rounds=100)


def test_a_step_of_a_long_run(timed):
    work, per = {"floor": lambda: ours(SHORT), "ours": lambda: ours(LONG)}, {"floor": SHORT, "ours": LONG}
    timed("a step of 1,000, over a step of 50", work, per=per, target=1.5, rounds=20)


class Slow(AsyncMockLLMBackend):
    async def generate(self, *args: Any, **options: Any) -> str:
        await asyncio.sleep(LATENCY_S)
        return await super().generate(*args, **options)


async def many_runs() -> None:
    async def one() -> int:
        taken = 0
        async for _ in async_composable_loop(Slow(replies(CALLS - 1)), {"goal": "go"}, tools()):
            taken += 1
        return taken

    assert await asyncio.gather(*[one() for _ in range(RUNS)]) == [CALLS] * RUNS


async def many_waits() -> None:
    async def one() -> None:
        for _ in range(CALLS):
            await asyncio.sleep(LATENCY_S)

    await asyncio.gather(*[one() for _ in range(RUNS)])


def test_many_runs_on_one_event_loop(timed):
    work = {"floor": lambda: asyncio.run(many_waits()), "ours": lambda: asyncio.run(many_runs())}
    timed("64 runs of 10 calls of 50 ms at once, over waiting alone", work, target=1.06, rounds=5)


def test_parsing_a_reply(timed):
    reply = json.dumps({"tool": "search", "args": {"query": "x" * 200, "limit": 5}, "reasoning": "r" * 200})
    work = {
        "floor": lambda: [json.loads(reply) for _ in range(1_000)],
        "ours": lambda: [parse_multi_tool_calls(reply) for _ in range(1_000)],
    }
    timed("parsing a reply, over json.loads", work, per=1_000, rounds=20)


def test_building_a_prompt(timed):
    catalogue, log = "add(a: int, b: int) - Add two numbers.", "S1 add(a=1, b=1) -> {'sum': 2}\n" * 50
    parts = {"task": {"goal": "go"}, "tool_catalog": catalogue, "session_log": log, "step_number": 51}

    def joined() -> None:
        for _ in range(1_000):
            "\n\n".join([json.dumps(parts["task"]), catalogue, log, "Step 51 of 60"])

    def built() -> None:
        for _ in range(1_000):
            build_prompt(**parts, max_steps=60)

    work = {"floor": joined, "ours": built}
    timed("building a prompt, over joining its parts", work, per=1_000, rounds=20)


def test_appending_to_a_thread(timed):
    def appended() -> None:
        thread: list[dict[str, str]] = []
        for number in range(1_000):
            thread.append({"role": "user", "content": f"message {number}"})

    def added() -> None:
        thread = Conversation()
        for number in range(1_000):
            thread.append(Message(MessageRole.USER, f"message {number}"))

    work = {"floor": appended, "ours": added}
    timed("appending to a conversation, over a list of dicts", work, per=1_000, rounds=20)
