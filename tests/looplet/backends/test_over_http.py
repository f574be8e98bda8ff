"""Every backend against the local provider: the official SDKs over real HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from looplet.errors import ModelError
from looplet.testing import call, calls, chunks
from looplet.testing.provider import (
    LocalProvider,
    content_filter,
    cut,
    malformed,
    never,
    no_choices,
    refusal,
    refuses_tools,
    slow,
    status,
    too_long,
)
from looplet.types import CancelToken, ChatReply, ErrorKind, Usage

pytestmark = pytest.mark.slow

TOOLS = [
    {
        "name": "add",
        "description": "Add.",
        "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
    }
]
RAW_CALL = {"type": "tool_use", "id": "c1", "name": "add", "input": {"_raw_arguments": '{"a": 1'}}
SOON = 0.01


def test_generate(talker: Any) -> None:
    with LocalProvider(["Hello"]) as provider:
        backend = talker.backend(provider)
        text = talker.do(backend.generate("hi", max_tokens=7, system_prompt="be brief", temperature=0.5))
        (request,) = provider.requests
    assert text == "Hello"
    assert (request.endpoint, request.body["model"]) == (talker.endpoint, "test-model")
    assert (request.body["max_tokens"], request.body["temperature"]) == (7, 0.5)
    assert request.messages[-1] == {"role": "user", "content": "hi"}
    assert "be brief" in request.text
    assert backend.last_stop_reason == "end_turn"
    assert backend.last_usage.output_tokens > 0


def test_generate_with_tools(talker: Any) -> None:
    with LocalProvider([calls(call("add", a=1), call("add", a=2), text="Both.")]) as provider:
        blocks = talker.do(talker.backend(provider).generate_with_tools("hi", tools=TOOLS))
        assert provider.requests[0].tool_names == ["add"]
    assert [block["type"] for block in blocks] == ["text", "tool_use", "tool_use"]
    assert [block["input"] for block in blocks[1:]] == [{"a": 1}, {"a": 2}]
    assert len({block["id"] for block in blocks[1:]}) == 2


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_chat_with_parallel_tools(talker: Any, streamed: bool) -> None:
    heard: list[str] = []
    options = {"on_chunk": heard.append} if streamed else {}
    with LocalProvider([calls(call("add", a=1), call("add", a=2), text="Both of them.")]) as provider:
        reply = talker.chat(talker.backend(provider), tools=TOOLS, **options)
        assert provider.requests[0].stream is streamed
    assert (reply.text, reply.stop_reason, reply.model) == ("Both of them.", "tool_use", "test-model")
    assert [b["input"] for b in reply.blocks if b["type"] == "tool_use"] == [{"a": 1}, {"a": 2}]
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0
    assert heard == (["Both ", "of ", "them."] if streamed else [])


def test_a_whole_conversation(talker: Any) -> None:
    with LocalProvider([call("add", a=1), "It is 1."]) as provider:
        backend = talker.backend(provider)
        thread = [{"role": "user", "content": [{"type": "text", "text": "add 1"}]}]
        first = talker.do(backend.chat(thread, tools=TOOLS, system_prompt="be brief"))
        used = first.blocks[0]
        thread += [
            {"role": "assistant", "content": first.blocks},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": used["id"], "content": "1", "is_error": False},
                    {"type": "text", "text": "Go on."},
                ],
            },
        ]
        second = talker.do(backend.chat(thread, tools=TOOLS, system_prompt="be brief"))
        sent = provider.requests[1]
    assert (second.text, second.stop_reason) == ("It is 1.", "end_turn")
    assert sent.turn == 1
    if talker.is_openai:
        assert [m["role"] for m in sent.messages] == ["system", "user", "assistant", "tool", "user"]
        assert sent.messages[3] == {"role": "tool", "tool_call_id": used["id"], "content": "1"}
    else:
        assert [m["role"] for m in sent.messages] == ["user", "assistant", "user"]
        assert sent.body["system"] == "be brief"


def test_stream(talker: Any) -> None:
    with LocalProvider([chunks("He", "llo")]) as provider:
        assert talker.do(talker.backend(provider).stream("hi", system_prompt="s")) == ["He", "llo"]
        assert provider.requests[0].stream


def test_usage_counts_cached_tokens_once(talker: Any) -> None:
    said = ChatReply([{"type": "text", "text": "x"}], usage=Usage(100, 7, 80))
    heard: list[str] = []
    with LocalProvider([said, said]) as provider:
        backend = talker.backend(provider)
        assert talker.chat(backend).usage == Usage(100, 7, 80)
        assert talker.chat(backend, on_chunk=heard.append).usage == Usage(100, 7, 80)


RECOVERIES = {
    "429 then 200": [status(429, retry_after=SOON)],
    "429 with a date": [status(429, retry_after="Thu, 01 Jan 1970 00:00:00 GMT")],
    "500 twice then 200": [status(500, retry_after=SOON), status(500, retry_after=SOON)],
    "overloaded": [status(529, retry_after=SOON)],
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("failures", RECOVERIES.values(), ids=RECOVERIES)
def test_retries_end_in_an_answer(talker: Any, failures: list[Any], streamed: bool) -> None:
    options = {"on_chunk": len} if streamed else {}
    with LocalProvider([*failures, "ok"]) as provider:
        assert talker.chat(talker.backend(provider), **options).text == "ok"
        assert len(provider.requests) == len(failures) + 1


@pytest.mark.parametrize("failure", [cut("x" * 100), malformed()], ids=["cut body", "malformed body"])
def test_a_broken_body_is_asked_for_again(talker: Any, failure: Any) -> None:
    with LocalProvider([failure, "ok"]) as provider:
        assert talker.do(talker.backend(provider).generate("hi")) == "ok"
        assert len(provider.requests) == 2


HOPELESS = {
    "400": (status(400, "bad"), 400, ErrorKind.VALIDATION),
    "401": (status(401, "wrong key"), 401, ErrorKind.PERMISSION_DENIED),
    "403": (status(403, "not yours"), 403, ErrorKind.PERMISSION_DENIED),
    "404": (status(404, "no such model"), 404, ErrorKind.VALIDATION),
    "422": (status(422, "odd"), 422, ErrorKind.VALIDATION),
    "413": (status(413, "big"), 413, ErrorKind.CONTEXT_OVERFLOW),
    "tools are refused": (refuses_tools(), 400, ErrorKind.VALIDATION),
    "too long": (too_long(), 400, ErrorKind.CONTEXT_OVERFLOW),
    "400 with a large number": (status(400, "max_tokens: 5000 is more than 4096"), 400, ErrorKind.VALIDATION),
}


@pytest.mark.parametrize(("reply", "code", "kind"), HOPELESS.values(), ids=HOPELESS)
def test_LB_01_what_a_retry_cannot_cure_is_one_request(
    talker: Any, reply: Any, code: int, kind: ErrorKind
) -> None:
    with LocalProvider([reply, "never said"]) as provider:
        started = time.monotonic()
        with pytest.raises(ModelError) as caught:
            talker.chat(talker.backend(provider), tools=TOOLS)
        assert len(provider.requests) == 1
    assert (caught.value.status, caught.value.kind, caught.value.retriable) == (code, kind, False)
    assert caught.value.attempts == 1
    assert reply.message in str(caught.value)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("method", ["chat", "generate"])
def test_LB_02_LB_03_the_last_failure_names_cause_status_and_attempts(talker: Any, method: str) -> None:
    from looplet.backends import failure_of

    with LocalProvider(lambda request: status(503, "out to lunch", retry_after=SOON)) as provider:
        backend = talker.backend(provider)
        with pytest.raises(Exception, match="out to lunch") as caught:
            talker.chat(backend) if method == "chat" else talker.do(backend.generate("hi"))
        assert len(provider.requests) == 3
    failure = failure_of(caught.value)
    assert (failure.status, failure.attempts, failure.kind) == (503, 3, ErrorKind.NETWORK)
    assert "503" in str(failure)
    assert isinstance(caught.value, ModelError) == (method == "chat")


@pytest.mark.parametrize("max_retries", [0, 1])
def test_the_client_says_how_often_to_retry(talker: Any, max_retries: int) -> None:
    with LocalProvider(lambda request: status(500, retry_after=SOON)) as provider:
        with pytest.raises(ModelError):
            talker.chat(talker.backend(provider, max_retries=max_retries))
        assert len(provider.requests) == max_retries + 1


@pytest.mark.parametrize("reply", [refusal("not that"), no_choices()], ids=["refusal", "no choices"])
def test_LB_02_a_useless_reply_after_retries_tells_all_requests(talker: Any, reply: Any) -> None:
    with LocalProvider([status(500, retry_after=SOON), status(500, retry_after=SOON), reply]) as provider:
        with pytest.raises(ModelError) as caught:
            talker.chat(talker.backend(provider))
        assert len(provider.requests) == caught.value.attempts == 3


def test_half_a_character_in_a_thread_is_sent_as_an_escape(talker: Any) -> None:
    # As in the name of a file that is not UTF-8, which a tool may well have listed.
    with LocalProvider(["ok"]) as provider:
        reply = talker.chat(talker.backend(provider), "caf\udce9.txt", system_prompt="\ud800")
        assert len(provider.requests) == 1
        assert r"caf\\udce9.txt" in provider.requests[0].text
    assert (reply.text, reply.attempts) == ("ok", 1)


def test_retry_after_is_waited_for(talker: Any) -> None:
    with LocalProvider([status(429, retry_after=0.25), "ok"]) as provider:
        started = time.monotonic()
        assert talker.chat(talker.backend(provider)).text == "ok"
    assert 0.25 <= time.monotonic() - started < 2


def test_a_pause_beyond_the_limit_is_not_begun(talker: Any) -> None:
    with LocalProvider([status(429, retry_after=30), "ok"]) as provider:
        started = time.monotonic()
        with pytest.raises(ModelError) as caught:
            talker.chat(talker.backend(provider), timeout_s=2)
    assert (caught.value.kind, caught.value.retry_after_s) == (ErrorKind.RATE_LIMIT, 30)
    assert time.monotonic() - started < 1


USELESS = {
    "refusal": (refusal("not that"), "refused"),
    "content filter": (content_filter(), "content filter|refused"),
    "no choices": (no_choices(), "no choices|no content"),
    "empty text": (ChatReply([], stop_reason="end_turn"), "no content"),
    "cut before the first word": (ChatReply([], stop_reason="max_tokens"), "used up max_tokens"),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("reply", "reason"), USELESS.values(), ids=USELESS)
def test_LB_04_a_reply_that_says_nothing_is_a_typed_error(
    talker: Any, reply: Any, reason: str, streamed: bool
) -> None:
    options = {"on_chunk": len} if streamed else {}
    if streamed and talker.is_openai and reply.stop_reason == "no_choices":
        reason = "ended before the reply was complete"
    with LocalProvider([reply]) as provider:
        with pytest.raises(ModelError, match=reason):
            talker.chat(talker.backend(provider), **options)
        assert len(provider.requests) == 1


def test_LB_04_generate_names_a_content_filter(talker: Any) -> None:
    with LocalProvider([content_filter()]) as provider:
        with pytest.raises(ModelError, match=r"content filter|refused"):
            talker.do(talker.backend(provider).generate("hi"))
        assert len(provider.requests) == 1


def test_generate_gives_empty_text_where_the_reply_has_none(talker: Any) -> None:
    with LocalProvider([ChatReply([], stop_reason="end_turn")]) as provider:
        assert talker.do(talker.backend(provider).generate("hi")) == ""


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_LB_05_arguments_that_are_not_json_stay_visible(talker: Any, streamed: bool) -> None:
    options = {"on_chunk": len} if streamed else {}
    with LocalProvider([[RAW_CALL]]) as provider:
        (block,) = talker.chat(talker.backend(provider), tools=TOOLS, **options).blocks
    # A whole message of Anthropic carries an object whatever the model wrote.
    decoded = not talker.is_openai and not streamed
    assert block == {**RAW_CALL, "input": {}} if decoded else RAW_CALL


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_LB_17_a_call_that_was_cut_off_is_marked(talker: Any, streamed: bool) -> None:
    options = {"on_chunk": len} if streamed else {}
    with LocalProvider([ChatReply([RAW_CALL], stop_reason="max_tokens")]) as provider:
        reply = talker.chat(talker.backend(provider), tools=TOOLS, **options)
    assert reply.stop_reason == "max_tokens"
    assert reply.blocks[0]["truncated"] is True


def test_a_cut_stream_is_a_network_error_after_what_was_heard(talker: Any) -> None:
    heard: list[str] = []
    with LocalProvider([cut("one two three four five six")]) as provider:
        with pytest.raises(ModelError) as caught:
            talker.chat(talker.backend(provider), on_chunk=heard.append)
        assert len(provider.requests) == 1
    assert (caught.value.kind, caught.value.retriable) == (ErrorKind.NETWORK, True)
    assert heard
    assert "six" not in heard


def test_a_stream_of_malformed_events_is_a_parse_error(talker: Any) -> None:
    with LocalProvider([malformed()]) as provider:
        with pytest.raises(ModelError) as caught:
            talker.chat(talker.backend(provider), on_chunk=len)
        assert len(provider.requests) == 1
    assert caught.value.kind is ErrorKind.PARSE


def test_LB_12_a_provider_that_never_answers_ends_within_the_limit(talker: Any) -> None:
    with LocalProvider(lambda request: never()) as provider:
        started = time.monotonic()
        with pytest.raises(ModelError) as caught:
            talker.chat(talker.backend(provider), timeout_s=0.3)
    assert caught.value.kind is ErrorKind.TIMEOUT
    assert time.monotonic() - started < 1.3


def test_LB_15_cancelling_ends_a_pause(talker: Any) -> None:
    token = CancelToken()

    def reply(request: Any) -> Any:
        token.cancel()
        return status(429, retry_after=20)

    with LocalProvider(reply) as provider:
        started = time.monotonic()
        with pytest.raises(ModelError) as caught:
            talker.chat(talker.backend(provider), cancel_token=token)
        assert len(provider.requests) == 1
    assert caught.value.kind is ErrorKind.CANCELLED
    assert time.monotonic() - started < 1


def test_cancelling_ends_a_stream(talker: Any) -> None:
    token = CancelToken()
    heard: list[str] = []

    def on_chunk(text: str) -> None:
        heard.append(text)
        token.cancel()

    with LocalProvider(["one two three"]) as provider, pytest.raises(ModelError) as caught:
        talker.chat(talker.backend(provider), on_chunk=on_chunk, cancel_token=token)
    assert caught.value.kind is ErrorKind.CANCELLED
    assert heard == ["one "]


def test_a_cancelled_call_sends_nothing(talker: Any) -> None:
    token = CancelToken()
    token.cancel()
    with LocalProvider(["x"]) as provider:
        with pytest.raises(ModelError, match="cancelled"):
            talker.chat(talker.backend(provider), cancel_token=token)
        assert provider.requests == []


def test_a_slow_answer_within_the_limit_arrives(talker: Any) -> None:
    with LocalProvider([slow(0.1, "ok")]) as provider:
        assert talker.chat(talker.backend(provider), timeout_s=5).text == "ok"


def test_temperature_is_left_out_for_a_model_that_refuses_it(talker: Any) -> None:
    with LocalProvider(lambda request: "ok", refuses=("temperature",)) as provider:
        backend = talker.backend(provider)
        assert [talker.chat(backend).text for _ in range(2)] == ["ok", "ok"]
        assert ["temperature" in request.body for request in provider.requests] == [True, False, False]


@pytest.mark.parametrize("talker", ["openai-sync", "openai-async"], indirect=True)
def test_max_completion_tokens_is_sent_once_the_model_wants_it(talker: Any) -> None:
    with LocalProvider(lambda request: "ok", refuses=("max_tokens", "temperature")) as provider:
        backend = talker.backend(provider)
        assert talker.chat(backend, max_tokens=9).text == "ok"
        assert talker.do(backend.generate("hi", max_tokens=9)) == "ok"
        assert talker.do(backend.stream("hi", max_tokens=9)) == ["ok"]
        sent = [request.body for request in provider.requests]
    assert ["max_completion_tokens" in body for body in sent][-3:] == [True, True, True]
    assert len(sent) == 5
    assert (sent[-1]["max_completion_tokens"], "max_tokens" in sent[-1]) == (9, False)


@pytest.mark.parametrize("talker", ["anthropic-sync", "anthropic-async"], indirect=True)
def test_cache_breakpoints_become_markers(talker: Any) -> None:
    class Point:
        def __init__(self, label: str) -> None:
            self.label = label

    with LocalProvider(["ok"]) as provider:
        points = [Point("system_prompt"), Point("tool_schemas")]
        talker.chat(talker.backend(provider), tools=TOOLS, system_prompt="be brief", cache_breakpoints=points)
        body = provider.requests[0].body
    mark = {"type": "ephemeral"}
    assert body["system"] == [{"type": "text", "text": "be brief", "cache_control": mark}]
    assert body["tools"][-1]["cache_control"] == mark
    assert body["messages"][-1]["content"][-1]["cache_control"] == mark


def test_capabilities_say_that_the_sdks_retries_are_ours(talker: Any) -> None:
    with LocalProvider([]) as provider:
        can = talker.backend(provider).capabilities()
    assert (can.chat, can.native_tools, can.stream, can.own_retries, can.timeout) == (True,) * 5


def test_a_page_instead_of_json_is_a_parse_error(talker: Any) -> None:
    with LocalProvider([malformed("<html>login</html>")]) as provider, pytest.raises(ModelError) as caught:
        talker.chat(talker.backend(provider, max_retries=0))
    assert caught.value.kind is ErrorKind.PARSE


def test_from_env_talks_to_the_server_it_names(talker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with LocalProvider(["ok"]) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.url)
        backend = talker.backend_class.from_env(model="mine")
        assert talker.do(backend.generate("hi")) == "ok"
        talker.do(backend.client.close())
        assert provider.requests[0].body["model"] == "mine"


def test_two_recordings_of_one_conversation_are_equal(talker: Any) -> None:
    def bodies() -> list[bytes]:
        with LocalProvider([call("add", a=1), "done"]) as provider:
            backend = talker.backend(provider)
            first = talker.chat(backend, tools=TOOLS)
            thread = [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": first.blocks},
            ]
            talker.do(backend.chat(thread, tools=TOOLS))
            return [request.raw for request in provider.requests]

    first, second = bodies(), bodies()
    assert first == second
    assert json.loads(first[1])["messages"][-1]["role"] in ("tool", "user")
