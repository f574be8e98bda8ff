"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from looplet.backends.anthropic_wire import AnthropicWire
from looplet.backends.shell import AsyncBackend, Holder, SyncBackend
from looplet.backends.wire import Question


class _Anthropic(Holder):
    wire = AnthropicWire()

    def __init__(
        self, client: Any, *, model: str = "claude-sonnet-4-20250514", default_max_tokens: int = 2000
    ) -> None:
        super().__init__(client, model=model, default_max_tokens=default_max_tokens)

    def _open(self, question: Question) -> Any:
        # The SDK sends when the block is entered, so here its own retries stay in force.
        request = self._habits.apply(self.wire.request(question))
        return self.wire.adapted(self.client.messages.stream)(**request)


class AnthropicBackend(_Anthropic, SyncBackend):
    """Messages through an `anthropic.Anthropic` client, or anything shaped like it.

    Args:
        client: Has `messages.create(**kwargs)`, and for `stream` also `messages.stream(**kwargs)`.
        model: Name of the model.
        default_max_tokens: Longest reply where a call gives 0.
    """

    sdk = ("anthropic", "Anthropic")

    def stream(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> Generator[str, None, None]:
        """The answer to one prompt, in pieces as it is written."""
        with self._open(self._ask(prompt, max_tokens, system_prompt, temperature)) as opened:
            yield from opened.text_stream


class AnthropicStreamingBackend(AnthropicBackend):
    """`AnthropicBackend`, under the name that says that it streams."""


class AsyncAnthropicBackend(_Anthropic, AsyncBackend):
    """`AnthropicBackend` for an `anthropic.AsyncAnthropic` client."""

    sdk = ("anthropic", "AsyncAnthropic")

    async def stream(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> AsyncGenerator[str, None]:
        """The answer to one prompt, in pieces as it is written."""
        async with self._open(self._ask(prompt, max_tokens, system_prompt, temperature)) as opened:
            async for text in opened.text_stream:
                yield text
