"""Small agents that speak through a vendor's SDK: what a user's own code looks like to a cassette."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai

# A client of its own reads all certificates of the machine, which takes longer than these tests.
TLS = ssl.create_default_context()
SEARCH = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}


_clients: list[Any] = []


def client_of(kind: Any) -> Any:
    """An HTTP client for an SDK, to be closed by `close_clients`."""
    _clients.append(kind(verify=TLS))
    return _clients[-1]


def close_clients() -> None:
    """Close the clients that were made; the collector would find sockets before the clients that own them."""
    while _clients:
        _clients.pop().close()


@dataclass
class Outcome:
    """What an agent saw of its model: enough to tell two runs apart."""

    texts: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    usage: list[Any] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class OpenAIAgent:
    """Chat completions, sync; `stream` reads deltas."""

    def __init__(self, base_url: str, *, stream: bool = False, max_retries: int = 2) -> None:
        http = client_of(openai.DefaultHttpxClient)
        self.client = openai.OpenAI(
            base_url=base_url, api_key="sk-local", max_retries=max_retries, http_client=http
        )
        self.stream = stream

    def request(self, messages: list[Any]) -> dict[str, Any]:
        tool = {"type": "function", "function": {"name": "search", "parameters": SEARCH}}
        asked: dict[str, Any] = {
            "model": "gpt-4o-mini",
            "messages": messages,
            "tools": [tool],
            "temperature": 0.2,
        }
        if self.stream:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        return asked

    def run(self, task: str = "weather?", *, turns: int = 6) -> Outcome:
        outcome = Outcome()
        messages: list[Any] = [
            {"role": "system", "content": "Be careful."},
            {"role": "user", "content": task},
        ]
        for _ in range(turns):
            try:
                reply = self.client.chat.completions.create(**self.request(messages))
                turn = self.collect(list(reply), outcome) if self.stream else self.turn(reply, outcome)
            except openai.OpenAIError as error:
                outcome.errors.append(f"{type(error).__name__}: {error}")
                return outcome
            if not self.answer(turn, messages):
                return outcome
        return outcome

    @staticmethod
    def turn(reply: Any, outcome: Outcome) -> dict[str, Any]:
        outcome.usage.append(reply.usage.model_dump())
        message = reply.choices[0].message
        turn: dict[str, Any] = {"role": "assistant", "content": message.content}
        if message.tool_calls:
            turn["tool_calls"] = [c.model_dump() for c in message.tool_calls]
        note(turn, outcome)
        return turn

    @staticmethod
    def collect(chunks: list[Any], outcome: Outcome) -> dict[str, Any]:
        text, calls = "", {}
        for chunk in chunks:
            if chunk.usage:
                outcome.usage.append(chunk.usage.model_dump())
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for part in choice.delta.tool_calls or ():
                    call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                    call["id"] += part.id or ""
                    call["name"] += part.function.name or ""
                    call["arguments"] += part.function.arguments or ""
        turn: dict[str, Any] = {"role": "assistant", "content": text or None}
        if calls:
            turn["tool_calls"] = [
                {
                    "id": c["id"],
                    "type": "function",
                    "function": {"name": c["name"], "arguments": c["arguments"]},
                }
                for c in calls.values()
            ]
        note(turn, outcome)
        return turn

    def answer(
        self, turn: dict[str, Any], messages: list[Any], result: str = "sunny\nand warm, naïve 🙂"
    ) -> bool:
        """Run the tools of a turn; False when there were none."""
        messages.append(turn)
        for call in turn.get("tool_calls", ()):
            text = f"{result} {json.loads(call['function']['arguments'])['q']}"
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
        return bool(turn.get("tool_calls"))


def note(turn: dict[str, Any], outcome: Outcome) -> None:
    if turn.get("content"):
        outcome.texts.append(turn["content"])
    for call in turn.get("tool_calls", ()):
        outcome.calls.append(
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        )


class AsyncOpenAIAgent(OpenAIAgent):
    """The same over the async client."""

    def __init__(self, base_url: str, *, stream: bool = False, max_retries: int = 2) -> None:
        super().__init__(base_url, stream=stream)
        http = openai.DefaultAsyncHttpxClient(verify=TLS)
        self.async_client = openai.AsyncOpenAI(
            base_url=base_url, api_key="sk-local", max_retries=max_retries, http_client=http
        )

    async def arun(self, task: str = "weather?", *, turns: int = 6) -> Outcome:
        outcome = Outcome()
        messages: list[Any] = [
            {"role": "system", "content": "Be careful."},
            {"role": "user", "content": task},
        ]
        async with self.async_client:
            for _ in range(turns):
                try:
                    reply = await self.async_client.chat.completions.create(**self.request(messages))
                    if self.stream:
                        turn = self.collect([chunk async for chunk in reply], outcome)
                    else:
                        turn = self.turn(reply, outcome)
                except openai.OpenAIError as error:
                    outcome.errors.append(f"{type(error).__name__}: {error}")
                    return outcome
                if not self.answer(turn, messages):
                    return outcome
        return outcome


class AnthropicAgent:
    """Messages, sync; `stream` reads events."""

    def __init__(self, base_url: str, *, stream: bool = False) -> None:
        url, http = base_url.removesuffix("/v1"), client_of(anthropic.DefaultHttpxClient)
        self.client = anthropic.Anthropic(base_url=url, api_key="sk-ant-local", http_client=http)
        self.stream = stream

    def request(self, messages: list[Any]) -> dict[str, Any]:
        tool = {"name": "search", "description": "Search.", "input_schema": SEARCH}
        return {
            "model": "claude-local",
            "max_tokens": 500,
            "system": "Be careful.",
            "messages": messages,
            "tools": [tool],
        }

    def run(self, task: str = "weather?", *, turns: int = 6) -> Outcome:
        outcome = Outcome()
        messages: list[Any] = [{"role": "user", "content": task}]
        for _ in range(turns):
            try:
                if self.stream:
                    with self.client.messages.stream(**self.request(messages)) as events:
                        reply = events.get_final_message()
                else:
                    reply = self.client.messages.create(**self.request(messages))
            except anthropic.AnthropicError as error:
                outcome.errors.append(f"{type(error).__name__}: {error}")
                return outcome
            if not self.answer(reply, messages, outcome):
                return outcome
        return outcome

    @staticmethod
    def answer(reply: Any, messages: list[Any], outcome: Outcome) -> bool:
        outcome.usage.append(reply.usage.model_dump())
        blocks = [block.model_dump(exclude_none=True) for block in reply.content]
        results = []
        for block in blocks:
            if block["type"] == "text":
                outcome.texts.append(block["text"])
            else:
                outcome.calls.append((block["id"], block["name"], block["input"]))
                text = f"sunny\nand warm, naïve 🙂 {block['input']['q']}"
                results.append({"type": "tool_result", "tool_use_id": block["id"], "content": text})
        messages += [{"role": "assistant", "content": blocks}, {"role": "user", "content": results}]
        return bool(results)


class AsyncAnthropicAgent(AnthropicAgent):
    """The same over the async client."""

    def __init__(self, base_url: str, *, stream: bool = False) -> None:
        super().__init__(base_url, stream=stream)
        url, http = base_url.removesuffix("/v1"), anthropic.DefaultAsyncHttpxClient(verify=TLS)
        self.async_client = anthropic.AsyncAnthropic(base_url=url, api_key="sk-ant-local", http_client=http)

    async def arun(self, task: str = "weather?", *, turns: int = 6) -> Outcome:
        outcome = Outcome()
        messages: list[Any] = [{"role": "user", "content": task}]
        async with self.async_client:
            for _ in range(turns):
                try:
                    if self.stream:
                        async with self.async_client.messages.stream(**self.request(messages)) as events:
                            reply = await events.get_final_message()
                    else:
                        reply = await self.async_client.messages.create(**self.request(messages))
                except anthropic.AnthropicError as error:
                    outcome.errors.append(f"{type(error).__name__}: {error}")
                    return outcome
                if not self.answer(reply, messages, outcome):
                    return outcome
        return outcome
