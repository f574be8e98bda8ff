"""pytest-looplet."""

import asyncio
import json
import os
import tempfile

import tasks

import looplet


def _parts(steps: int) -> dict:
    registry = looplet.BaseToolRegistry()
    registry.register(looplet.ToolSpec("add", "Add two numbers.", {"a": "int", "b": "int"}, tasks.add))
    registry.register(
        looplet.ToolSpec("done", "Finish.", {"answer": "str"}, lambda *, answer: {"answer": answer})
    )
    state = looplet.DefaultState(max_steps=steps + 1)
    return {"task": {"goal": "go"}, "tools": registry, "state": state}


def _replies(steps: int) -> list[str]:
    adds = [json.dumps({"tool": "add", "args": {"a": n, "b": 1}, "reasoning": "r"}) for n in range(steps)]
    return [*adds, '{"tool": "done", "args": {"answer": "ok"}, "reasoning": "r"}']


def _run(steps: int, replies: list[str], **config) -> None:
    llm = looplet.MockLLMBackend(replies)
    config = looplet.LoopConfig(max_steps=steps + 1, **config)
    assert sum(1 for _ in looplet.composable_loop(llm, config=config, **_parts(steps))) == steps + 1


def step(steps: int) -> float:
    replies = _replies(steps)
    return tasks.cpu_seconds(lambda: _run(steps, replies)) / steps


def batch() -> float:
    class Slow(looplet.AsyncMockLLMBackend):
        async def generate(self, *args, **options):
            await asyncio.sleep(tasks.LATENCY_S)
            return await super().generate(*args, **options)

    async def one() -> None:
        llm = Slow(_replies(tasks.CALLS - 1))
        async for _ in looplet.async_composable_loop(llm, **_parts(tasks.CALLS)):
            pass

    return tasks.wall_seconds(lambda: asyncio.run(tasks.together(one)))


def checkpoint(steps: int) -> float:
    replies = _replies(steps)

    def saved() -> None:
        with tempfile.TemporaryDirectory() as folder:
            _run(steps, replies, checkpoint_dir=folder)

    return tasks.added(lambda: _run(steps, replies), saved) / steps


def replay(calls: int) -> float:
    from pytest_looplet import use_cassette

    with tempfile.TemporaryDirectory() as folder:
        path = _recorded(folder, calls)

        def played() -> None:
            with use_cassette(path, mode="replay"):
                tasks.sdk_agent(calls)

        return tasks.cpu_seconds(played, 3) / calls


def size(calls: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return os.path.getsize(_recorded(folder, calls))


def _recorded(folder: str, calls: int) -> str:
    from pytest_looplet import use_cassette

    path = f"{folder}/agent.looplet.yaml"
    with tasks.provider() as address, use_cassette(path, mode="rewrite"):
        tasks.sdk_agent(calls, address=address)
    return path


def score(runs: int) -> float:
    contexts = []
    for given, expected in tasks.items(runs):
        step = looplet.Step(1, looplet.ToolCall("done"), looplet.ToolResult("done", "", given.upper()))
        task = {"given": given, "expected": expected}
        contexts.append(looplet.EvalContext(steps=[step], task=task, final_output={"answer": given.upper()}))

    def eval_same(ctx):
        return ctx.final_output["answer"] == ctx.task["expected"]

    def eval_not_empty(ctx):
        return bool(ctx.final_output["answer"])

    def eval_length(ctx):
        return float(len(ctx.final_output["answer"]) == len(ctx.task["given"]))

    evals = [eval_same, eval_not_empty, eval_length]
    return tasks.cpu_seconds(lambda: looplet.eval_run_batch(evals, contexts)) / runs


if __name__ == "__main__":
    tasks.main(globals())
