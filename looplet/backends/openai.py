"""OpenAI, and every server that speaks its chat completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from looplet.backends.exchange import close, close_async, exchange
from looplet.backends.openai_wire import OpenAIWire, text_of_chunk
from looplet.backends.shell import AsyncBackend, Holder, SyncBackend
from looplet.backends.wire import Question


class _OpenAI(Holder):
    wire = OpenAIWire()

    def __init__(self, client: Any, *, model: str = "gpt-4o", default_max_tokens: int = 2000) -> None:
        super().__init__(client, model=model, default_max_tokens=default_max_tokens)

    def _open(self, question: Question) -> Any:
        request = {**self.wire.request(question), "stream": True}
        return exchange(self._endpoint(), request, self._habits, self._limits())


class OpenAIBackend(_OpenAI, SyncBackend):
    """Chat completions through an `openai.OpenAI` client, or anything shaped like it.

    Args:
        client: Has `chat.completions.create(**kwargs)`.
        model: Name of the model.
        default_max_tokens: Longest reply where a call gives 0.
    """

    sdk = ("openai", "OpenAI")

    def stream(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> Generator[str, None, None]:
        """The answer to one prompt, in pieces as it is written."""
        opened = self._run(self._open(self._ask(prompt, max_tokens, system_prompt, temperature)))
        try:
            yield from filter(None, map(text_of_chunk, opened))
        finally:
            close(opened)


class OpenAIStreamingBackend(OpenAIBackend):
    """`OpenAIBackend`, under the name that says that it streams."""


class AsyncOpenAIBackend(_OpenAI, AsyncBackend):
    """`OpenAIBackend` for an `openai.AsyncOpenAI` client."""

    sdk = ("openai", "AsyncOpenAI")

    async def stream(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> AsyncGenerator[str, None]:
        """The answer to one prompt, in pieces as it is written."""
        opened = await self._run(self._open(self._ask(prompt, max_tokens, system_prompt, temperature)))
        try:
            async for event in opened:
                if text := text_of_chunk(event):
                    yield text
        finally:
            await close_async(opened)
