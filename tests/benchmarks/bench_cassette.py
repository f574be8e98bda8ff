"""Replaying calls of the OpenAI SDK from a cassette beside the same SDK on an in-memory transport."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from looplet.testing.provider import LocalProvider, ProviderRequest
from pytest_looplet import use_cassette

RESULT = "alpha beta the result of a search " * 60  # about 2 kB, what a tool gives to the model
ADDRESS = "http://127.0.0.1:9/v1"
SEARCH = {
    "name": "search",
    "description": "Search the corpus for a query and return the best passages.",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
}


def agent(client: openai.OpenAI, calls: int) -> None:
    """An agent of its own: so many model calls, each but the last answered by a tool's result."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
    for number in range(calls):
        ask: Any = client.chat.completions.create
        reply = ask(model="m", messages=messages, tools=[{"type": "function", "function": SEARCH}])
        text = reply.choices[0].message.content
        messages.append({"role": "assistant", "content": text})
        messages.append({"role": "user", "content": f"{number} {RESULT}"})


def client(address: str = ADDRESS, transport: httpx2.BaseTransport | None = None) -> openai.OpenAI:
    http = httpx2.Client(transport=transport) if transport else None
    return openai.OpenAI(api_key="none", base_url=address, http_client=http, max_retries=0)


@pytest.fixture
def cassette(tmp_path: Path) -> Callable[[int], Path]:
    """A function that records so many calls and gives the cassette's path."""

    def record(calls: int) -> Path:
        path = tmp_path / "agent.looplet.yaml"
        with LocalProvider(answer) as provider, use_cassette(path, mode="rewrite"):
            agent(client(provider.base_url), calls)
        return path

    return record


def answer(request: ProviderRequest) -> str:
    return f"answer {len(request.body['messages'])}"


def in_memory() -> httpx2.MockTransport:
    def reply(request: httpx2.Request) -> httpx2.Response:
        text = f"answer {len(json.loads(request.content)['messages'])}"
        message = {"role": "assistant", "content": text}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        content = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": choices}
        return httpx2.Response(200, json=content | {"usage": usage})

    return httpx2.MockTransport(reply)


@pytest.mark.parametrize(("calls", "target"), [(50, 1.25), (200, 1.15)])
def test_replaying_a_call(timed, cassette, calls, target):
    path = cassette(calls)

    def played() -> None:
        with use_cassette(path, mode="replay"):
            agent(client(), calls)

    work = {"floor": lambda: agent(client(transport=in_memory()), calls), "ours": played}
    title = f"{calls} calls of the OpenAI SDK from a cassette, over an in-memory transport"
    timed(title, work, per=calls, target=target, rounds=5)


def test_loading_a_cassette(timed, cassette):
    path = cassette(200)

    def loaded() -> None:
        with use_cassette(path, mode="replay", unused="ignore"):
            pass

    work = {"floor": path.read_bytes, "ours": loaded}
    timed("opening a cassette of 200 calls, over reading its bytes", work, per=200, rounds=10)
