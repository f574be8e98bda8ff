"""The part of every backend that acts: holds a client, and does what an exchange asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any, ClassVar, Self

from looplet.backends.exchange import Habits, Limits, OnChunk, Script, chat, once
from looplet.backends.wire import Json, Question, Wire, lenient
from looplet.errors import ConfigError
from looplet.types import Block, CancelToken, Capabilities, ChatReply, ThreadMessage, Usage

_PROVIDERS = {
    "AzureOpenAI": "azure.ai.openai",
    "AnthropicBedrock": "aws.bedrock",
    "AnthropicVertex": "gcp.vertex_ai",
}
"""Clients of an SDK that talk to somebody else than its maker."""


class Holder:
    """What sync and async backends share: a client, a model, and what the newest reply was.

    Attributes:
        client: The provider SDK's client, or anything with the methods that are used of it.
        model: Name of the model.
        default_max_tokens: Longest reply where a call gives 0.
        last_stop_reason: Why the newest reply ended; None before the first.
        last_usage: Tokens of the newest reply, or None.
        last_attempts: Requests that the newest reply took.
    """

    wire: ClassVar[Wire]
    sdk: ClassVar[tuple[str, str]]
    """Package and class of the client that `from_env` makes."""

    def __init__(self, client: Any, *, model: str, default_max_tokens: int = 2000) -> None:
        self.client = client
        self.model = model
        self.default_max_tokens = default_max_tokens
        self.last_stop_reason: str | None = None
        self.last_usage: Usage | None = None
        self.last_attempts = 1
        self._habits = Habits(self.wire.instead)
        self._sender, self._retries = _without_retries(client)

    @classmethod
    def from_env(cls, *, model: str | None = None, default_max_tokens: int = 2000) -> Self:
        """A backend with a client made from the environment.

        Reads `OPENAI_API_KEY`, `OPENAI_BASE_URL` and `OPENAI_MODEL`, or the same with `ANTHROPIC_`. A key
        is not needed where a base URL is set: local servers take any.

        Args:
            model: Name of the model; goes before the variable.
            default_max_tokens: As for the class.

        Raises:
            ConfigError: The SDK is not installed, or neither key nor base URL is set.
        """
        package, class_name = cls.sdk
        prefix = package.upper()
        try:
            make = getattr(import_module(package), class_name)
        except ImportError:
            raise ConfigError(
                f'{cls.__name__} needs the {package} package: pip install "pytest-looplet[{package}]"'
            ) from None
        keys = (f"{prefix}_API_KEY", f"{prefix}_AUTH_TOKEN")
        local = {} if any(map(os.environ.get, keys)) else {"api_key": "local"}
        if local and not os.environ.get(f"{prefix}_BASE_URL"):
            raise ConfigError(
                f"{cls.__name__}.from_env() found no key: set {keys[0]}, "
                f"or {prefix}_BASE_URL for a local server"
            )
        chosen = model or os.environ.get(f"{prefix}_MODEL")
        named = {"model": chosen} if chosen else {}
        return cls(make(**local), default_max_tokens=default_max_tokens, **named)

    def capabilities(self) -> Capabilities:
        """Everything; it retries by itself where the client is an SDK's own."""
        return Capabilities(
            chat=True,
            native_tools=True,
            stream=True,
            own_retries=self._retries is not None,
            timeout=True,
            provider=_PROVIDERS.get(type(self.client).__name__.removeprefix("Async"), self.sdk[0]),
            model=self.model,
        )

    def _ask(
        self,
        content: str | Sequence[ThreadMessage],
        max_tokens: int,
        system_prompt: str,
        temperature: float,
        tools: Sequence[Json] = (),
        cache_breakpoints: Sequence[object] | None = None,
    ) -> Question:
        longest = max_tokens or self.default_max_tokens
        marks = cache_breakpoints or ()
        return Question(content, self.model, longest, system_prompt, temperature, tools, marks)

    def _endpoint(self) -> Any:
        method = self.wire.endpoint(self.client)
        # A test may have put a function of its own into the client it gave us; the copy does not have it.
        if hasattr(method, "__self__"):
            method = self.wire.endpoint(self._sender)
        return self.wire.adapted(method)

    def _once(self, question: Question, timeout_s: float | None, token: CancelToken | None) -> Script:
        return once(self.wire, self._endpoint(), question, self._habits, self._limits(timeout_s, token))

    def _chat(
        self, question: Question, timeout_s: float | None, token: CancelToken | None, on_chunk: OnChunk | None
    ) -> Script:
        limits = self._limits(timeout_s, token)
        return chat(self.wire, self._endpoint(), question, self._habits, limits, on_chunk)

    def _limits(self, timeout_s: float | None = None, token: CancelToken | None = None) -> Limits:
        return Limits(timeout_s, token, self._retries or 0)

    def _note(self, reply: ChatReply) -> ChatReply:
        self.last_stop_reason, self.last_usage = reply.stop_reason, reply.usage
        self.last_attempts = reply.attempts
        return reply


def _without_retries(client: Any) -> tuple[Any, int | None]:
    """*client* told not to retry, and how often it would have; None where it is no SDK's client.

    The retries are done by the exchange instead, which can be cancelled, keeps to the time limit, and knows
    how many requests it made. The class is asked, because a mock says yes to everything.
    """
    retries = getattr(client, "max_retries", None)
    if isinstance(retries, int) and callable(getattr(type(client), "with_options", None)):
        return client.with_options(max_retries=0), retries
    return client, None


class SyncBackend(Holder):
    """A backend whose client blocks."""

    def _run(self, script: Script) -> Any:
        outcome: object = None
        while True:
            try:
                need = script.send(outcome)
            except StopIteration as end:
                return end.value
            outcome = need.now()

    def generate(
        self,
        prompt: str,
        *,
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
        timeout_s: float | None = None,
        cancel_token: CancelToken | None = None,
    ) -> str:
        """The model's answer to one prompt; `""` where it has no text.

        Raises:
            ModelError: The reply has no choices, or the model refused.
            Exception: What the client raised.
        """
        question = self._ask(prompt, max_tokens, system_prompt, temperature)
        return self._note(self._run(self._once(question, timeout_s, cancel_token))).text

    def generate_with_tools(
        self,
        prompt: str,
        *,
        tools: list[dict[str, Any]],
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
        timeout_s: float | None = None,
        cancel_token: CancelToken | None = None,
    ) -> list[Block]:
        """The model's answer to one prompt as `text` and `tool_use` blocks; raises as `generate` does."""
        question = self._ask(prompt, max_tokens, system_prompt, temperature, tools)
        return lenient(self._note(self._run(self._once(question, timeout_s, cancel_token))).blocks)

    def chat(
        self,
        messages: Sequence[ThreadMessage],
        *,
        tools: list[dict[str, Any]],
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
        timeout_s: float | None = None,
        cancel_token: CancelToken | None = None,
        on_chunk: OnChunk | None = None,
        cache_breakpoints: Sequence[object] | None = None,
    ) -> ChatReply:
        """The model's next turn in a message thread.

        Args:
            messages: The thread; repaired where a provider would reject it.
            tools: `{"name", "description", "input_schema"}` for each tool; may be empty.
            max_tokens: Longest reply, in tokens.
            system_prompt: Instructions, or `""`.
            temperature: As the provider understands it; left out for models that refuse it.
            timeout_s: Seconds for the call with its retries; None leaves it to the client.
            cancel_token: Ends the call before the next request, pause or streamed event.
            on_chunk: Receives text as it is written; the reply is then streamed.
            cache_breakpoints: What the provider may cache, where it wants to be told.

        Raises:
            ModelError: There is no usable reply; says why, with status and number of requests.
        """
        question = self._ask(messages, max_tokens, system_prompt, temperature, tools, cache_breakpoints)
        return self._note(self._run(self._chat(question, timeout_s, cancel_token, on_chunk)))


class AsyncBackend(Holder):
    """A backend whose client is awaited."""

    async def _run(self, script: Script) -> Any:
        outcome: object = None
        while True:
            try:
                need = script.send(outcome)
            except StopIteration as end:
                return end.value
            outcome = await need.soon()

    async def generate(
        self,
        prompt: str,
        *,
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
        timeout_s: float | None = None,
        cancel_token: CancelToken | None = None,
    ) -> str:
        """As `SyncBackend.generate`."""
        question = self._ask(prompt, max_tokens, system_prompt, temperature)
        return self._note(await self._run(self._once(question, timeout_s, cancel_token))).text

    async def generate_with_tools(
        self,
        prompt: str,
        *,
        tools: list[dict[str, Any]],
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
        timeout_s: float | None = None,
        cancel_token: CancelToken | None = None,
    ) -> list[Block]:
        """As `SyncBackend.generate_with_tools`."""
        question = self._ask(prompt, max_tokens, system_prompt, temperature, tools)
        return lenient(self._note(await self._run(self._once(question, timeout_s, cancel_token))).blocks)

    async def chat(
        self,
        messages: Sequence[ThreadMessage],
        *,
        tools: list[dict[str, Any]],
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
        timeout_s: float | None = None,
        cancel_token: CancelToken | None = None,
        on_chunk: OnChunk | None = None,
        cache_breakpoints: Sequence[object] | None = None,
    ) -> ChatReply:
        """As `SyncBackend.chat`."""
        question = self._ask(messages, max_tokens, system_prompt, temperature, tools, cache_breakpoints)
        return self._note(await self._run(self._chat(question, timeout_s, cancel_token, on_chunk)))
