"""pydantic-ai over its FunctionModel, and pydantic-evals."""

import asyncio
from dataclasses import dataclass

import tasks
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.usage import RequestUsage, UsageLimits

LIMITS = UsageLimits(request_limit=None)
USAGE = RequestUsage(input_tokens=1, output_tokens=1)  # else the model estimates it from the whole history


def _agent(steps: int, latency_s: float) -> Agent:
    async def reply(messages, info):
        if latency_s:
            await asyncio.sleep(latency_s)
        number = len(messages) // 2
        call = ToolCallPart("add", {"a": number, "b": 1}, tool_call_id=f"c{number}")
        return ModelResponse(parts=[call if number < steps else TextPart("done")], usage=USAGE)

    agent = Agent(FunctionModel(reply))
    agent.tool_plain(tasks.add)
    return agent


def step(steps: int) -> float:
    return tasks.cpu_seconds(lambda: _agent(steps, 0).run_sync("Add.", usage_limits=LIMITS), 3) / steps


def batch() -> float:
    async def one() -> None:
        await _agent(tasks.CALLS - 1, tasks.LATENCY_S).run("Add.", usage_limits=LIMITS)

    return tasks.wall_seconds(lambda: asyncio.run(tasks.together(one)))


def score(runs: int) -> float:
    from pydantic_evals import Case, Dataset
    from pydantic_evals.evaluators import Evaluator

    @dataclass
    class Same(Evaluator):
        def evaluate(self, ctx):
            return ctx.output == ctx.expected_output

    @dataclass
    class NotEmpty(Evaluator):
        def evaluate(self, ctx):
            return bool(ctx.output)

    @dataclass
    class Length(Evaluator):
        def evaluate(self, ctx):
            return float(len(ctx.output) == len(ctx.inputs))

    async def upper(given: str) -> str:
        return given.upper()

    cases = [
        Case(name=given, inputs=given, expected_output=expected) for given, expected in tasks.items(runs)
    ]
    dataset = Dataset(name="d", cases=cases, evaluators=[Same(), NotEmpty(), Length()])
    return tasks.cpu_seconds(lambda: dataset.evaluate_sync(upper, progress=False), 2) / runs


if __name__ == "__main__":
    tasks.main(globals())
