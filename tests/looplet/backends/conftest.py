"""One way to call all four backends: each provider, sync and async, through its real SDK over real HTTP."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest

from looplet.backends import AnthropicBackend, AsyncAnthropicBackend, AsyncOpenAIBackend, OpenAIBackend
from looplet.testing.provider import LocalProvider


@dataclass
class Talker:
    """A backend class, a client for it that any provider can borrow, and the loop that async calls run on."""

    name: str
    backend_class: Any
    client: Any
    runner: asyncio.Runner

    @property
    def is_openai(self) -> bool:
        return self.name.startswith("openai")

    @property
    def endpoint(self) -> str:
        return "chat/completions" if self.is_openai else "messages"

    def backend(self, provider: LocalProvider, *, max_retries: int = 2, **options: Any) -> Any:
        url = provider.base_url if self.is_openai else provider.url
        client = self.client.with_options(base_url=url, max_retries=max_retries)
        return self.backend_class(client, **{"model": "test-model", **options})

    def do(self, answer: Any) -> Any:
        """The result of a call, awaited or drained where it has to be."""
        if inspect.iscoroutine(answer):
            return self.runner.run(answer)
        if inspect.isasyncgen(answer):
            return self.runner.run(_all(answer))
        return list(answer) if inspect.isgenerator(answer) else answer

    def chat(self, backend: Any, text: str = "hi", **options: Any) -> Any:
        thread = [{"role": "user", "content": [{"type": "text", "text": text}]}]
        return self.do(backend.chat(thread, **{"tools": [], **options}))


async def _all(stream: Any) -> list[Any]:
    return [item async for item in stream]


@pytest.fixture(scope="session")
def talkers() -> Iterator[dict[str, Talker]]:
    with asyncio.Runner() as runner:
        # Making a client costs more than most tests here, so all tests share four.
        classes: dict[str, tuple[Any, Any]] = {
            "openai-sync": (OpenAIBackend, openai.OpenAI(api_key="k")),
            "openai-async": (AsyncOpenAIBackend, openai.AsyncOpenAI(api_key="k")),
            "anthropic-sync": (AnthropicBackend, anthropic.Anthropic(api_key="k")),
            "anthropic-async": (AsyncAnthropicBackend, anthropic.AsyncAnthropic(api_key="k")),
        }
        yield {name: Talker(name, kind, client, runner) for name, (kind, client) in classes.items()}
        for _, client in classes.values():
            closing = client.close()
            if inspect.iscoroutine(closing):
                runner.run(closing)


@pytest.fixture(params=["openai-sync", "openai-async", "anthropic-sync", "anthropic-async"])
def talker(request: pytest.FixtureRequest, talkers: dict[str, Talker]) -> Talker:
    return talkers[request.param]
