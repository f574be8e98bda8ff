"""Replies that no provider should send: what is odd about them is told, and nothing of it is run."""

from __future__ import annotations

from types import SimpleNamespace as Fake
from typing import Any

import pytest

from looplet import run_loop, tools_from
from looplet.backends import AnthropicBackend, OpenAIBackend
from looplet.errors import ModelError
from looplet.testing import ScriptedChatBackend, call
from looplet.types import ErrorKind
from looplet.values import plain

DEEP: Any = []
for _ in range(600):
    DEEP = [DEEP]


def openai_call(arguments: Any, name: Any = "add") -> Any:
    return Fake(id="c1", function=Fake(name=name, arguments=arguments))


def openai(reply: Any) -> OpenAIBackend:
    return OpenAIBackend(Fake(chat=Fake(completions=Fake(create=lambda **request: reply))), model="m")


def anthropic(reply: Any) -> AnthropicBackend:
    return AnthropicBackend(Fake(messages=Fake(create=lambda **request: reply)), model="m")


def completion(*calls: Any) -> Any:
    message = Fake(content=None, tool_calls=list(calls))
    return Fake(choices=[Fake(message=message, finish_reason="tool_calls")])


def delta(**fields: Any) -> Any:
    return Fake(choices=[Fake(delta=Fake(**fields), finish_reason=None)])


def part(arguments: Any) -> Any:
    return delta(tool_calls=[Fake(index=0, id="c1", function=Fake(name="add", arguments=arguments))])


END = Fake(choices=[Fake(delta=None, finish_reason="tool_calls")])


def use(given: Any) -> Any:
    return Fake(type="tool_use", id="c1", name="add", input=given)


def message(*content: Any) -> Any:
    return Fake(content=list(content), stop_reason="tool_use")


def started(block: Any) -> Any:
    return Fake(type="content_block_start", index=0, content_block=block)


def more(given: Any, index: Any = 0) -> Any:
    change = Fake(type="input_json_delta", partial_json=given)
    return Fake(type="content_block_delta", index=index, delta=change)


STOP = Fake(type="message_delta", delta=Fake(stop_reason="tool_use"), usage=None)
FULL = Fake(type="message_delta", delta=Fake(stop_reason="max_tokens"), usage=None)


def block_of(backend: Any, streamed: bool = False) -> dict[str, Any]:
    block: dict[str, Any]
    (block,) = backend.chat([], tools=[], **({"on_chunk": len} if streamed else {})).blocks
    return block


UNFIT = {
    "a list": [1],
    "a number": 5,
    "a flag": True,
    "too deep": {"a": DEEP},
    "NaN": {"a": float("nan")},
    "beyond a float": {"a": 10**400},
    "half a character": {"a": "\ud800"},
    "half a character as a name": {"\ud800": 1},
}


@pytest.mark.parametrize("given", UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
def test_LB_05_PA_07_arguments_that_came_decoded_and_do_not_fit(given: Any, whole: bool) -> None:
    if whole:
        found = [block_of(openai(completion(openai_call(given)))), block_of(anthropic(message(use(given))))]
    else:
        events = [started(use(given)), STOP]
        found = [block_of(openai([part(given), END]), True), block_of(anthropic(events), True)]
    for block in found:
        assert list(block["input"]) == ["_raw_arguments"]
        assert plain(block["input"])


UNFIT_TEXTS = {
    "NaN": '{"a": NaN}',
    "beyond a float": '{"a": 1e999}',
    "too many digits": f'{{"a": {"9" * 400}}}',
    "half a character": '{"a": "\\ud800"}',
    "too deep": f'{{"a": {"[" * 600}{"]" * 600}}}',
    "two objects": '{"a": 1}{"a": 2}',
}


@pytest.mark.parametrize("text", UNFIT_TEXTS.values(), ids=UNFIT_TEXTS)
def test_LB_05_PA_07_arguments_that_no_writer_could_keep(text: str) -> None:
    assert block_of(openai(completion(openai_call(text))))["input"] == {"_raw_arguments": text}
    assert block_of(anthropic([started(use({})), more(text), STOP]), True)["input"] == {
        "_raw_arguments": text
    }
    (lenient,) = openai(completion(openai_call(text))).generate_with_tools("hi", tools=[])
    assert lenient["input"] == {"_raw_arguments": text}


def test_LB_05_decoded_arguments_of_a_stream_are_not_lost() -> None:
    assert block_of(openai([part({"a": 1}), END]), True)["input"] == {"a": 1}
    assert block_of(anthropic([started(use({"a": 1})), STOP]), True)["input"] == {"a": 1}


def test_LB_17_arguments_that_came_first_and_were_cut_are_marked() -> None:
    block = block_of(anthropic([started(use({"a": 1})), FULL]), True)
    assert block["truncated"]


MISSHAPEN = {
    "a block that is null": [started(None), STOP],
    "a call without an input": [started(Fake(type="tool_use", id="c1", name="add")), STOP],
    "a change that is null": [started(use({})), Fake(type="content_block_delta", index=0, delta=None)],
    "a change of another block": [started(use({})), more('{"a": 1}', index=3), STOP],
    "a change that is no text": [started(use({})), more({"a": 1}), STOP],
    "a start without a message": [Fake(type="message_start", message=None)],
    "an end without a reason": [started(use({})), Fake(type="message_delta")],
}


@pytest.mark.parametrize("events", MISSHAPEN.values(), ids=MISSHAPEN)
def test_LB_04_events_of_another_shape_are_a_typed_error(events: Any) -> None:
    with pytest.raises(ModelError, match="not the shape that its API says") as caught:
        anthropic(events).chat([], tools=[], on_chunk=len)
    assert (caught.value.kind, caught.value.retriable) == (ErrorKind.PARSE, False)
    assert "Error" not in str(caught.value)


@pytest.mark.parametrize("method", ["generate", "chat"])
@pytest.mark.parametrize("choices", [{}, [{}], [None], "abc", 5, None], ids=repr)
def test_LB_04_choices_of_another_shape_are_no_choices(choices: Any, method: str) -> None:
    backend = openai(Fake(choices=choices))
    with pytest.raises(ModelError, match="has no choices"):
        backend.generate("hi") if method == "generate" else backend.chat([], tools=[])


@pytest.mark.parametrize("said", [{"message": "out of credit", "code": 402}, "out of credit"], ids=repr)
def test_LB_04_an_error_that_came_as_a_reply_is_named(said: Any) -> None:
    for backend in (openai(Fake(choices=None, error=said)), anthropic(Fake(content=None, error=said))):
        with pytest.raises(ModelError, match="out of credit"):
            backend.chat([], tools=[])


@pytest.mark.parametrize("name", [None, "", 5, True, ["add"]], ids=repr)
def test_PA_03_PA_06_a_call_without_a_name_is_told_and_named_after_nothing(name: Any) -> None:
    ran: list[int] = []

    def add(a: int = 0) -> None:
        ran.append(a)

    odd = completion(openai_call("{}", name), openai_call('{"a": 1}'))
    ours = completion(openai_call('{"answer": "ok"}', "done"))
    replies = iter([odd, ours])
    backend = OpenAIBackend(Fake(chat=Fake(completions=Fake(create=lambda **request: next(replies)))))
    steps = run_loop(backend, "t", tools_from([add], include_done=True)).steps
    assert [step.tool_call.tool for step in steps] == ["__parse_error__", "add", "done"]
    assert "names no tool" in (steps[0].tool_result.error or "")
    assert ran == [1]


def test_PA_03_a_name_of_a_wrong_type_is_no_name_in_blocks_of_any_backend() -> None:
    block: dict[str, Any] = {"type": "tool_use", "id": "c1", "name": 5, "input": {}}
    script: Any = [[block], call("done", answer="ok")]
    backend = ScriptedChatBackend(script)
    tools = tools_from([], include_done=True)
    steps = run_loop(backend, "t", tools).steps
    assert [step.tool_call.tool for step in steps] == ["__parse_error__", "done"]
