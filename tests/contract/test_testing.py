"""The mock backends: what they say, in which order, and what they remember."""

from __future__ import annotations

import asyncio

import pytest

from looplet import AsyncMockLLMBackend, LLMBackend, MockLLMBackend


@pytest.mark.parametrize("responses", [None, []])
def test_without_responses(responses: list[str] | None) -> None:
    assert MockLLMBackend(responses).generate("p") == "mock response"
    assert asyncio.run(AsyncMockLLMBackend(responses).generate("p")) == "mock response"


def test_responses_come_round_again() -> None:
    mock = MockLLMBackend(["a", "b"])
    assert [mock.generate("p") for _ in range(5)] == ["a", "b", "a", "b", "a"]
    assert mock.calls == 5


def test_it_remembers_the_last_call_and_starts_over() -> None:
    mock = MockLLMBackend(responses=["a", "b"])
    mock.generate("first", max_tokens=5, system_prompt="s", temperature=0.0)
    assert (mock.calls, mock.last_prompt, mock.last_system_prompt) == (1, "first", "s")
    mock.reset()
    assert mock.calls == 0
    assert mock.generate("again") == "a"


def test_the_async_twin() -> None:
    mock = AsyncMockLLMBackend(["a", "b"])

    async def ask() -> list[str]:
        return [await mock.generate("p", system_prompt="s") for _ in range(3)]

    assert asyncio.run(ask()) == ["a", "b", "a"]
    assert (mock.calls, mock.last_prompt, mock.last_system_prompt) == (3, "p", "s")
    mock.reset()
    assert mock.calls == 0


@pytest.mark.parametrize("kind", [MockLLMBackend, AsyncMockLLMBackend])
def test_they_are_text_backends(kind: type) -> None:
    assert isinstance(kind(), LLMBackend)
    assert not hasattr(kind(), "generate_with_tools")
