"""What the backends send, to the letter, and what they make of the answer; the clients are fakes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace as Obj
from typing import Any
from unittest.mock import MagicMock

import pytest

from looplet import AnthropicBackend, LLMBackend, NativeToolBackend, OpenAIBackend
from looplet.backends import (
    AnthropicStreamingBackend,
    AsyncAnthropicBackend,
    AsyncOpenAIBackend,
    OpenAIStreamingBackend,
)

TOOL = {"name": "add", "description": "Add.", "input_schema": {"type": "object", "properties": {"a": {}}}}
FUNCTION = {"name": "add", "description": "Add.", "parameters": TOOL["input_schema"]}


def completion(content: str | None = "hi", *calls: tuple[str | None, str, str]) -> Any:
    wanted = [Obj(id=i, type="function", function=Obj(name=n, arguments=a)) for i, n, a in calls]
    return Obj(choices=[Obj(message=Obj(content=content, tool_calls=wanted or None))])


def openai(answer: Any) -> MagicMock:
    client = MagicMock()
    client.chat.completions.create.return_value = answer
    return client


def sent(client: MagicMock) -> dict[str, Any]:
    client.chat.completions.create.assert_called_once()
    options: dict[str, Any] = client.chat.completions.create.call_args.kwargs
    assert client.chat.completions.create.call_args.args == ()
    return options


def test_openai_generate() -> None:
    client = openai(completion("hi"))
    assert OpenAIBackend(client).generate("question") == "hi"
    assert sent(client) == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "question"}],
        "max_tokens": 2000,
        "temperature": 0.2,
    }


def test_openai_with_everything() -> None:
    client = openai(completion(""))
    backend = OpenAIBackend(client, model="m", default_max_tokens=9)
    assert backend.generate("q", max_tokens=0, system_prompt="s", temperature=0.0) == ""
    assert sent(client) == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
        "max_tokens": 9,
        "temperature": 0.0,
    }


def test_openai_tools() -> None:
    answer = completion(
        "both",
        ("c1", "add", '{"a": 1}'),
        (None, "add", "[1]"),
        ("c3", "add", '{"a": 1'),
        ("c4", "add", ""),
    )
    client = openai(answer)
    blocks = OpenAIBackend(client).generate_with_tools("q", tools=[TOOL, {"name": "bare"}])
    assert blocks[0] == {"type": "text", "text": "both"}
    assert blocks[1] == {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}
    assert [block["id"] for block in blocks[2:]] == ["", "c3", "c4"]
    assert blocks[3]["input"] == {"_raw_arguments": '{"a": 1'}
    assert blocks[4]["input"] == {}
    options = sent(client)
    assert options["tool_choice"] == "auto"
    assert options["tools"] == [
        {"type": "function", "function": FUNCTION},
        {
            "type": "function",
            "function": {
                "name": "bare",
                "description": "",
                "parameters": {"type": "object", "properties": {}},
            },
        },
    ]


def test_openai_without_text() -> None:
    client = openai(completion(None, ("c1", "add", "{}")))
    (block,) = OpenAIBackend(client).generate_with_tools("q", tools=[TOOL])
    assert block["type"] == "tool_use"


def test_openai_stream() -> None:
    chunks = [
        Obj(choices=[]),
        Obj(choices=[Obj(delta=Obj(content="He"))]),
        Obj(choices=[Obj(delta=Obj(content=None))]),
        Obj(choices=[Obj(delta=Obj(content="llo"))]),
    ]
    client = openai(chunks)
    assert list(OpenAIStreamingBackend(client).stream("q")) == ["He", "llo"]
    assert sent(client)["stream"] is True


def anthropic(*blocks: Any) -> MagicMock:
    client = MagicMock()
    client.messages.create.return_value = Obj(content=list(blocks))
    return client


def text(said: str) -> Any:
    return Obj(type="text", text=said)


def test_anthropic_generate() -> None:
    client = anthropic(text("h"), text("i"))
    assert AnthropicBackend(client).generate("question") == "hi"
    options = client.messages.create.call_args.kwargs
    assert (options["model"], options["max_tokens"]) == ("claude-sonnet-4-20250514", 2000)
    assert options["messages"] == [{"role": "user", "content": "question"}]
    assert 0.2 in (options.get("temperature"), options.get("extra_body", {}).get("temperature"))
    assert "system" not in options
    assert "tools" not in options


def test_anthropic_tools() -> None:
    client = anthropic(
        text("both"), Obj(type="tool_use", id="c1", name="add", input={"a": 1}), Obj(type="thinking")
    )
    blocks = AnthropicBackend(client).generate_with_tools("q", tools=[TOOL], system_prompt="s")
    assert blocks == [
        {"type": "text", "text": "both"},
        {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
    ]
    options = client.messages.create.call_args.kwargs
    assert (options["system"], options["tools"]) == ("s", [TOOL])


def test_anthropic_stream() -> None:
    client = MagicMock()
    client.messages.stream.return_value.__enter__.return_value.text_stream = iter(["He", "llo"])
    assert list(AnthropicStreamingBackend(client).stream("q", system_prompt="s")) == ["He", "llo"]
    assert client.messages.stream.call_args.kwargs["system"] == "s"


def test_the_async_twins() -> None:
    async def answer(**options: Any) -> Any:
        return completion("hi", ("c1", "add", "{}"))

    async def message(**options: Any) -> Any:
        return Obj(content=[text("hi")])

    first = AsyncOpenAIBackend(Obj(chat=Obj(completions=Obj(create=answer))))
    second = AsyncAnthropicBackend(Obj(messages=Obj(create=message)))

    async def main() -> None:
        assert await first.generate("q") == "hi"
        assert len(await first.generate_with_tools("q", tools=[TOOL])) == 2
        assert await second.generate("q") == "hi"
        assert await second.generate_with_tools("q", tools=[TOOL]) == [{"type": "text", "text": "hi"}]

    asyncio.run(main())


@pytest.mark.parametrize("kind", [OpenAIBackend, AnthropicBackend])
def test_they_are_backends(kind: Any) -> None:
    backend = kind(MagicMock())
    assert isinstance(backend, LLMBackend)
    assert isinstance(backend, NativeToolBackend)


def test_streaming_ones_are_backends_too() -> None:
    assert issubclass(OpenAIStreamingBackend, OpenAIBackend)
    assert issubclass(AnthropicStreamingBackend, AnthropicBackend)


def test_clients_that_are_nothing_but_mocks() -> None:
    client = MagicMock()
    client.chat.completions.create.return_value.choices[0].message.content = "hi"
    assert OpenAIBackend(client).generate("q") == "hi"
    client = MagicMock()
    client.chat.completions.create.return_value.choices = [
        MagicMock(message=MagicMock(content="hi", tool_calls=None))
    ]
    assert OpenAIBackend(client).generate_with_tools("q", tools=[TOOL]) == [{"type": "text", "text": "hi"}]
    client.messages.create.return_value.content = [MagicMock(text="hi")]
    assert AnthropicBackend(client).generate("q") == "hi"
    used = MagicMock(type="tool_use", id="c1", input={"a": 1})
    used.name = "add"
    client.messages.create.return_value.content = [MagicMock(type="text", text="hi"), used]
    blocks = AnthropicBackend(client).generate_with_tools("q", tools=[TOOL])
    assert [block["type"] for block in blocks] == ["text", "tool_use"]
    function = MagicMock(arguments="{}")
    function.name = "add"
    message = MagicMock(content="", tool_calls=[MagicMock(id="c1", function=function)])
    client.chat.completions.create.return_value = MagicMock(choices=[MagicMock(message=message)])
    blocks = OpenAIBackend(client).generate_with_tools("q", tools=[TOOL])
    assert blocks == [{"type": "tool_use", "id": "c1", "name": "add", "input": {}}]
    client.chat.completions.create.return_value = iter(
        [MagicMock(choices=[MagicMock(delta=MagicMock(content="He"))]), MagicMock(choices=[])]
    )
    assert list(OpenAIStreamingBackend(client).stream("q")) == ["He"]
