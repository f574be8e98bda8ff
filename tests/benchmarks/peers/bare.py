"""The floors: what each measure costs when one writes it by hand."""

import asyncio
import json
import os
import tempfile

import tasks


def step(steps: int) -> float:
    return tasks.cpu_seconds(lambda: _loop(steps, lambda messages: None)) / steps


def batch() -> float:
    async def one() -> None:
        for _ in range(tasks.CALLS):
            await asyncio.sleep(tasks.LATENCY_S)

    return tasks.wall_seconds(lambda: asyncio.run(tasks.together(one)))


def checkpoint(steps: int) -> float:
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/j", "ab", buffering=0) as file:

        def save(messages: list) -> None:
            file.write(json.dumps(messages[-2:]).encode() + b"\n")
            os.fsync(file.fileno())

        return tasks.added(lambda: _loop(steps, lambda messages: None), lambda: _loop(steps, save)) / steps


def _loop(steps: int, after) -> None:
    tools, messages = {"add": tasks.add}, [{"role": "user", "content": "Add."}]
    for number in range(steps):
        function = {"name": "add", "arguments": f'{{"a": {number}, "b": 1}}'}
        messages.append({"role": "assistant", "tool_calls": [{"id": f"c{number}", "function": function}]})
        for call in messages[-1]["tool_calls"]:
            asked = call["function"]
            result = tools[asked["name"]](**json.loads(asked["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)})
        after(messages)
    messages.append({"role": "assistant", "content": "done"})


def replay(calls: int) -> float:
    import httpx2

    def reply(request):
        return httpx2.Response(200, json=tasks.completion(request.content))

    return tasks.cpu_seconds(lambda: tasks.sdk_agent(calls, httpx2.MockTransport(reply)), 3) / calls


if __name__ == "__main__":
    tasks.main(globals())
