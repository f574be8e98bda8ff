"""Clients that are only shaped like an SDK's: fakes and mocks of users' tests must go on working."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace as Fake
from typing import Any
from unittest.mock import MagicMock

import anthropic
import openai
import pytest

from looplet.backends import (
    AnthropicBackend,
    AnthropicStreamingBackend,
    AsyncAnthropicBackend,
    AsyncOpenAIBackend,
    OpenAIBackend,
    OpenAIStreamingBackend,
)
from looplet.errors import ConfigError, ModelError
from looplet.types import ChatBackend, LLMBackend, NativeToolBackend

TOOL = {"name": "add", "description": "Add.", "input_schema": {"type": "object", "properties": {}}}


class FakeOpenAI:
    """`client.chat.completions.create(**kwargs)` that remembers and answers."""

    def __init__(self, *replies: Any) -> None:
        self.seen: list[dict[str, Any]] = []
        self._replies = list(replies)
        self.chat = Fake(completions=Fake(create=self._create))

    def _create(self, **request: Any) -> Any:
        self.seen.append(request)
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def completion(content: Any = None, tool_calls: Any = None) -> Any:
    return Fake(choices=[Fake(message=Fake(content=content, tool_calls=tool_calls))])


def tool_call(arguments: Any, call_id: Any = "c1", name: str = "add") -> Any:
    return Fake(id=call_id, function=Fake(name=name, arguments=arguments))


def test_openai_generate_sends_exactly_this() -> None:
    client = FakeOpenAI(completion("hello"), completion(None))
    backend = OpenAIBackend(client)
    assert backend.generate("hi", system_prompt="be brief") == "hello"
    assert backend.generate("hi", max_tokens=0) == ""
    assert client.seen[0] == {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "max_tokens": 2000,
        "temperature": 0.2,
    }
    assert client.seen[1]["messages"] == [{"role": "user", "content": "hi"}]
    assert client.seen[1]["max_tokens"] == 2000


def test_openai_tools_send_exactly_this() -> None:
    client = FakeOpenAI(completion("x"))
    OpenAIBackend(client, model="m").generate_with_tools("hi", tools=[TOOL, {"name": "bare"}])
    assert client.seen[0]["tool_choice"] == "auto"
    assert client.seen[0]["tools"] == [
        {
            "type": "function",
            "function": {"name": "add", "description": "Add.", "parameters": TOOL["input_schema"]},
        },
        {
            "type": "function",
            "function": {
                "name": "bare",
                "description": "",
                "parameters": {"type": "object", "properties": {}},
            },
        },
    ]


ARGUMENTS = {
    "an object": ('{"a": 1}', {"a": 1}),
    "nothing": ("", {}),
    "None": (None, {}),
    "null": ("null", {}),
    "JSON but no object": ("[1]", {}),
    "no JSON": ("{a: 1", {"_raw_arguments": "{a: 1"}),
}


@pytest.mark.parametrize(("arguments", "read"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_openai_arguments_of_generate_with_tools(arguments: Any, read: Any) -> None:
    client = FakeOpenAI(completion("text", [tool_call(arguments, call_id=None)]))
    assert OpenAIBackend(client).generate_with_tools("hi", tools=[TOOL]) == [
        {"type": "text", "text": "text"},
        {"type": "tool_use", "id": "", "name": "add", "input": read},
    ]


@pytest.mark.parametrize("arguments", ["[1]", "3", '"x"', "true", "{a: 1"])
def test_LB_05_chat_keeps_arguments_that_are_no_object(arguments: str) -> None:
    (block,) = OpenAIBackend(FakeOpenAI(completion(None, [tool_call(arguments)]))).chat([], tools=[]).blocks
    assert block["input"] == {"_raw_arguments": arguments}


def test_openai_streams_what_has_content() -> None:
    def chunk(text: Any) -> Any:
        return Fake(choices=[Fake(delta=Fake(content=text))])

    client = FakeOpenAI([chunk("He"), Fake(choices=[]), chunk(None), chunk("llo")])
    assert list(OpenAIStreamingBackend(client).stream("hi")) == ["He", "llo"]
    assert client.seen[0]["stream"] is True


def test_streaming_backends_are_the_plain_ones_too() -> None:
    assert issubclass(OpenAIStreamingBackend, OpenAIBackend)
    assert issubclass(AnthropicStreamingBackend, AnthropicBackend)


def part(index: Any, call_id: Any, name: Any, arguments: Any) -> Any:
    call = Fake(index=index, id=call_id, function=Fake(name=name, arguments=arguments))
    return Fake(choices=[Fake(delta=Fake(content=None, tool_calls=[call]), finish_reason=None)])


END = Fake(choices=[Fake(delta=Fake(content=None, tool_calls=None), finish_reason="stop")])
STREAMS = {
    "in pieces by index": [part(0, "a", "add", '{"x"'), part(1, "b", "add", ""), part(0, None, None, ": 1}")],
    "whole, without an index": [part(None, "a", "add", '{"x": 1}'), part(None, "b", "add", "{}")],
    "in pieces, without an index": [
        part(None, "a", "add", '{"x"'),
        part(None, None, None, ": 1}"),
        part(None, "b", "add", ""),
    ],
}


@pytest.mark.parametrize("events", STREAMS.values(), ids=STREAMS)
def test_streamed_calls_are_put_together(events: Any) -> None:
    reply = OpenAIBackend(FakeOpenAI([*events, END])).chat([], tools=[TOOL], on_chunk=len)
    assert [(b["id"], b["input"]) for b in reply.blocks] == [("a", {"x": 1}), ("b", {})]
    assert reply.stop_reason == "tool_use"


def test_a_stream_without_an_end_is_no_reply() -> None:
    with pytest.raises(ModelError, match="ended before the reply was complete"):
        OpenAIBackend(FakeOpenAI([part(0, "a", "add", "{")])).chat([], tools=[TOOL], on_chunk=len)


def test_mocks_that_say_yes_to_everything_are_called_as_they_are() -> None:
    client = MagicMock()
    client.chat.completions.create.return_value.choices[0].message.content = "mocked"
    backend = OpenAIBackend(client, model="m")
    assert backend.generate("hi") == "mocked"
    assert backend.chat([{"role": "user", "content": "hi"}], tools=[]).text == "mocked"
    assert backend.capabilities().own_retries is False
    assert backend.last_usage is None
    client.messages.create.return_value.content = [MagicMock(text="mocked"), MagicMock(text="!")]
    assert AnthropicBackend(client).generate("hi") == "mocked!"
    assert client.messages.create.call_args.kwargs["temperature"] == 0.2


def test_a_function_put_into_a_real_client_is_the_one_that_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = openai.OpenAI(api_key="k"), anthropic.Anthropic(api_key="k")
    monkeypatch.setattr(ours.chat.completions, "create", lambda **request: completion("patched"))
    monkeypatch.setattr(theirs.messages, "create", MagicMock(return_value=Fake(content=[Fake(text="too")])))
    assert OpenAIBackend(ours).generate("hi") == "patched"
    assert AnthropicBackend(theirs).generate("hi") == "too"


class Boom(Exception):
    """What a fake raises."""


def test_generate_lets_the_clients_exception_through_and_chat_names_it() -> None:
    backend = OpenAIBackend(FakeOpenAI(Boom("no"), Boom("no")))
    with pytest.raises(Boom):
        backend.generate("hi")
    with pytest.raises(ModelError, match="Boom: no") as caught:
        backend.chat([], tools=[])
    assert isinstance(caught.value.__cause__, Boom)
    assert caught.value.retriable


@pytest.mark.parametrize("method", ["generate", "chat"])
def test_LB_04_text_instead_of_a_completion_points_at_the_base_url(method: str) -> None:
    backend = OpenAIBackend(FakeOpenAI("<html>login</html>"))
    with pytest.raises(ModelError, match="has no choices; it is text, so check the base URL: '<html>"):
        backend.generate("hi") if method == "generate" else backend.chat([], tools=[])


@pytest.mark.parametrize("message", [None, Fake(), "text", 5])
def test_LB_04_a_choice_without_a_message_is_no_reply(message: Any) -> None:
    backend = OpenAIBackend(FakeOpenAI(Fake(choices=[Fake(message=message, finish_reason="stop")])))
    with pytest.raises(ModelError, match="has no choices") as caught:
        backend.chat([], tools=[])
    assert not caught.value.retriable


# ------------------------------------------------------------------ Anthropic


class FakeAnthropic:
    """`client.messages.create(**kwargs)` and `.stream(**kwargs)` that remember and answer."""

    def __init__(self, reply: Any) -> None:
        self.seen: list[dict[str, Any]] = []
        self._reply = reply
        self.messages = Fake(create=self._create, stream=self._stream)

    def _create(self, **request: Any) -> Any:
        self.seen.append(request)
        return self._reply

    @contextmanager
    def _stream(self, **request: Any) -> Iterator[Any]:
        self.seen.append(request)
        yield Fake(text_stream=iter(self._reply))


def test_anthropic_generate_sends_exactly_this() -> None:
    content = [Fake(type="thinking", thinking="hm"), Fake(type="text", text="hel"), Fake(text="lo")]
    client = FakeAnthropic(Fake(content=content))
    assert AnthropicBackend(client, model="m").generate("hi") == "hello"
    assert client.seen == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "max_tokens": 2000,
            "temperature": 0.2,
        }
    ]


def test_anthropic_tools_go_unchanged_and_come_back_as_blocks() -> None:
    used = Fake(type="tool_use", id="t1", name="add", input={"a": 1})
    client = FakeAnthropic(Fake(content=[Fake(type="text", text="x"), used, Fake(type="odd")]))
    blocks = AnthropicBackend(client).generate_with_tools("hi", tools=[TOOL], system_prompt="be brief")
    assert blocks == [
        {"type": "text", "text": "x"},
        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
    ]
    assert client.seen[0]["tools"] == [TOOL]
    assert client.seen[0]["system"] == "be brief"


def test_anthropic_streams_the_text_stream() -> None:
    client = FakeAnthropic(["He", "llo"])
    assert list(AnthropicStreamingBackend(client).stream("hi")) == ["He", "llo"]
    assert "system" not in client.seen[0]


def test_temperature_goes_by_name_or_in_the_body_as_the_client_takes_it() -> None:
    seen: list[dict[str, Any]] = []

    def create(*, model: str, messages: Any, max_tokens: int, extra_body: Any = None) -> Any:
        seen.append({"extra_body": extra_body})
        return Fake(content=[Fake(type="text", text="x")])

    AnthropicBackend(Fake(messages=Fake(create=create))).generate("hi", temperature=0.7)
    assert seen == [{"extra_body": {"temperature": 0.7}}]


def test_async_fakes() -> None:
    async def create(**request: Any) -> Any:
        if request.get("stream"):
            return chunks()
        return completion("hello", [tool_call("{}")])

    async def chunks() -> AsyncIterator[Any]:
        for text in ("He", None, "llo"):
            yield Fake(choices=[Fake(delta=Fake(content=text))])

    @asynccontextmanager
    async def stream(**request: Any) -> AsyncIterator[Any]:
        async def texts() -> AsyncIterator[str]:
            yield "He"
            yield "llo"

        yield Fake(text_stream=texts())

    async def message(**request: Any) -> Any:
        return Fake(content=[Fake(type="text", text="hello")])

    async def run() -> list[Any]:
        ours = AsyncOpenAIBackend(Fake(chat=Fake(completions=Fake(create=create))))
        theirs = AsyncAnthropicBackend(Fake(messages=Fake(create=message, stream=stream)))
        return [
            await ours.generate("hi"),
            [block["type"] for block in await ours.generate_with_tools("hi", tools=[TOOL])],
            [text async for text in ours.stream("hi")],
            await theirs.generate("hi"),
            [text async for text in theirs.stream("hi")],
        ]

    assert asyncio.run(run()) == [
        "hello",
        ["text", "tool_use"],
        ["He", "llo"],
        "hello",
        ["He", "llo"],
    ]


def test_backends_satisfy_the_protocols() -> None:
    for backend in (OpenAIBackend(Fake()), AnthropicBackend(Fake())):
        assert isinstance(backend, LLMBackend)
        assert isinstance(backend, NativeToolBackend)
        assert isinstance(backend, ChatBackend)


@pytest.mark.parametrize("kind", [OpenAIBackend, AsyncOpenAIBackend, AnthropicBackend, AsyncAnthropicBackend])
def test_from_env_without_key_or_server_says_what_to_set(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = "OPENAI" if "OpenAI" in kind.__name__ else "ANTHROPIC"
    for name in ("API_KEY", "AUTH_TOKEN", "BASE_URL"):
        monkeypatch.delenv(f"{prefix}_{name}", raising=False)
    with pytest.raises(ConfigError, match=f"set {prefix}_API_KEY, or {prefix}_BASE_URL"):
        kind.from_env()


def test_from_env_reads_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_MODEL", "from-env")
    backends = [OpenAIBackend.from_env(), OpenAIBackend.from_env(model="given", default_max_tokens=5)]
    assert [(b.model, b.default_max_tokens) for b in backends] == [("from-env", 2000), ("given", 5)]
    monkeypatch.delenv("OPENAI_MODEL")
    assert OpenAIBackend.from_env().model == "gpt-4o"


def test_from_env_names_a_missing_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anthropic", None)
    with pytest.raises(ConfigError, match=r'pip install "pytest-looplet\[anthropic\]"'):
        AnthropicBackend.from_env()
