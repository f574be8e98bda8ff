"""The local provider: what it says is read here through the official SDKs, over real HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from looplet.errors import ConfigError, ScriptExhausted
from looplet.testing import call, calls, chunks, overflow, rate_limit
from looplet.testing.provider import (
    LocalProvider,
    by_task,
    content_filter,
    cut,
    malformed,
    never,
    no_choices,
    refusal,
    refuses_tools,
    script_from_json,
    slow,
    status,
    too_long,
)
from looplet.types import ChatReply, Usage

pytestmark = pytest.mark.slow

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TWO_CALLS = calls(call("add", a=1), call("say", text="ü"), text="Both now.")


# One client each for the whole file: making one costs more than most tests here.
OPENAI = openai.OpenAI(api_key="k")
ANTHROPIC = anthropic.Anthropic(api_key="k")


def openai_client(provider: LocalProvider, retries: int = 0) -> openai.OpenAI:
    return OPENAI.with_options(base_url=provider.base_url, max_retries=retries)


def anthropic_client(provider: LocalProvider, retries: int = 0) -> anthropic.Anthropic:
    return ANTHROPIC.with_options(base_url=provider.url, max_retries=retries)


def post(
    provider: LocalProvider, path: str, body: dict[str, Any]
) -> tuple[int, list[tuple[str, str]], bytes]:
    host = provider.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    seen = reply.status, reply.getheaders(), reply.read()
    connection.close()
    return seen


def test_chat_completions_whole() -> None:
    with LocalProvider([TWO_CALLS]) as provider:
        reply = openai_client(provider).chat.completions.create(**ASK)
    message = reply.choices[0].message
    assert (message.content, reply.choices[0].finish_reason) == ("Both now.", "tool_calls")
    assert [json.loads(c.function.arguments) for c in message.tool_calls or []] == [{"a": 1}, {"text": "ü"}]
    assert reply.usage is not None
    assert reply.usage.total_tokens > 0


def test_chat_completions_streamed() -> None:
    with LocalProvider([TWO_CALLS]) as provider:
        stream = openai_client(provider).chat.completions.create(
            **ASK, stream=True, stream_options={"include_usage": True}
        )
        events = list(stream)
    deltas = [event.choices[0].delta for event in events if event.choices]
    assert "".join(d.content or "" for d in deltas) == "Both now."
    arguments = {0: "", 1: ""}
    for delta in deltas:
        for part in delta.tool_calls or []:
            arguments[part.index] += part.function.arguments or "" if part.function else ""
    assert [json.loads(text) for text in arguments.values()] == [{"a": 1}, {"text": "ü"}]
    assert events[-1].usage is not None
    assert not events[-1].choices


def test_messages_whole_and_streamed() -> None:
    with LocalProvider([TWO_CALLS, TWO_CALLS]) as provider:
        client = anthropic_client(provider)
        whole = client.messages.create(**ASK, max_tokens=10)
        with client.messages.stream(**ASK, max_tokens=10) as stream:
            texts = list(stream.text_stream)
            streamed = stream.get_final_message()
    for message in (whole, streamed):
        assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
        assert message.content[2].input == {"text": "ü"}  # type: ignore[union-attr]
        assert message.stop_reason == "tool_use"
    assert texts == ["Both ", "now."]


def test_responses_and_embeddings() -> None:
    with LocalProvider([call("add", a=1), chunks("He", "llo")]) as provider:
        client = openai_client(provider)
        item = client.responses.create(model="m", input="hi").output[0]
        with client.responses.stream(model="m", input="hi") as stream:
            kinds = [event.type for event in stream]
            text = stream.get_final_response().output_text
        vectors = client.embeddings.create(model="e", input=["a", "b", "a"]).data
        plain = client.embeddings.create(model="e", input="a", encoding_format="float").data[0].embedding
    assert item.type == "function_call"
    assert json.loads(item.arguments) == {"a": 1}
    assert (text, kinds.count("response.output_text.delta")) == ("Hello", 2)
    assert vectors[0].embedding == vectors[2].embedding != vectors[1].embedding
    assert plain == pytest.approx(vectors[0].embedding)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_same_request_gets_the_same_bytes_from_a_new_provider(path: str, stream: bool) -> None:
    seen = []
    for _ in range(2):
        with LocalProvider(lambda request: TWO_CALLS) as provider:
            seen.append(post(provider, path, {**ASK, "max_tokens": 5, "stream": stream}))
    assert seen[0] == seen[1]
    assert seen[0][0] == 200


def test_requests_are_kept_parsed() -> None:
    tools: Any = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    thread: Any = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "task 7"}]},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "more"},
    ]
    with LocalProvider(["a"]) as provider:
        openai_client(provider).chat.completions.create(model="m", messages=thread, tools=tools)
        (request,) = provider.requests
    assert (request.endpoint, request.turn, request.task) == ("chat/completions", 1, "task 7")
    assert (request.tool_names, request.stream, request.body["model"]) == (["add"], False, "m")
    assert request.headers["authorization"] == "Bearer k"
    assert "be brief" in request.text


def test_one_connection_serves_many_requests() -> None:
    with LocalProvider(lambda request: "ok") as provider:
        connection = http.client.HTTPConnection(provider.url.removeprefix("http://"), timeout=5)
        ports = set()
        for _ in range(3):
            connection.request("POST", "/v1/chat/completions", json.dumps(ASK))
            connection.getresponse().read()
            ports.add(connection.sock.getsockname())
        connection.close()
    assert len(ports) == 1


def test_one_base_url_serves_both_sdks() -> None:
    with LocalProvider(["a"]) as provider:
        client = ANTHROPIC.with_options(base_url=provider.base_url)
        assert client.messages.create(**ASK, max_tokens=5).content[0].text == "a"


ERRORS = {
    "429": (status(429, retry_after=0.01), 429),
    "500": (status(500), 500),
    "401": (status(401, "wrong key"), 401),
    "refuses tools": (refuses_tools(), 400),
    "too long": (too_long(), 400),
    "a scripted failure": (rate_limit(2.5), 429),
    "a scripted overflow": (overflow(), 400),
}


@pytest.mark.parametrize(("reply", "code"), ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("provider_name", ["openai", "anthropic"])
def test_http_errors(provider_name: str, reply: Any, code: int) -> None:
    with LocalProvider([reply]) as provider:
        if provider_name == "openai":
            with pytest.raises(openai.APIStatusError) as caught:
                openai_client(provider).chat.completions.create(**ASK)
        else:
            with pytest.raises(anthropic.APIStatusError) as caught:  # type: ignore[assignment]
                anthropic_client(provider).messages.create(**ASK, max_tokens=5)
    assert caught.value.status_code == code


def test_retry_after_reaches_the_client() -> None:
    with LocalProvider(
        [status(429, retry_after=1.5), rate_limit(2.5), status(429, retry_after="Fri, 01 Jan 2027")]
    ) as p:
        seen = [dict(post(p, "/v1/messages", ASK)[1]) for _ in range(3)]
    assert [(s["retry-after"], s.get("retry-after-ms")) for s in seen] == [
        ("1.5", "1500"),
        ("2.5", "2500"),
        ("Fri, 01 Jan 2027", None),
    ]


def test_the_sdk_retries_what_the_provider_breaks() -> None:
    with LocalProvider([status(429, retry_after=0.01), status(500, retry_after=0.01), "ok"]) as provider:
        reply = openai_client(provider, retries=2).chat.completions.create(**ASK)
        assert len(provider.requests) == 3
        provider.assert_exhausted()
    assert reply.choices[0].message.content == "ok"


@pytest.mark.parametrize("reply", [malformed(), cut("x" * 200)], ids=["malformed", "cut"])
def test_broken_bodies_do_not_parse(reply: Any) -> None:
    with LocalProvider([reply]) as provider, pytest.raises((openai.APIConnectionError, json.JSONDecodeError)):
        openai_client(provider).chat.completions.create(**ASK)


def test_a_cut_stream_breaks_off_after_some_events() -> None:
    heard: list[str | None] = []
    with LocalProvider([cut("one two three four")]) as provider:
        stream = openai_client(provider).chat.completions.create(**ASK, stream=True)
        with pytest.raises(openai.APIConnectionError):
            heard.extend(event.choices[0].delta.content for event in stream)
    assert "one " in heard
    assert "four" not in heard


ODD_TURNS = {
    "refusal": (refusal("no"), "stop", "refusal"),
    "content filter": (content_filter(), "content_filter", "refusal"),
    "cut at max_tokens": (ChatReply([{"type": "text", "text": "ha"}], "max_tokens"), "length", "max_tokens"),
}


@pytest.mark.parametrize(("reply", "finish", "stop"), ODD_TURNS.values(), ids=ODD_TURNS)
def test_stop_reasons_in_both_spellings(reply: Any, finish: str, stop: str) -> None:
    with LocalProvider([reply, reply]) as provider:
        choice = openai_client(provider).chat.completions.create(**ASK).choices[0]
        message = anthropic_client(provider).messages.create(**ASK, max_tokens=5)
    assert (choice.finish_reason, message.stop_reason) == (finish, stop)
    assert choice.message.refusal == ("no" if reply.stop_reason == "refusal" else None)


def test_no_choices() -> None:
    with LocalProvider([no_choices(), no_choices()]) as provider:
        assert openai_client(provider).chat.completions.create(**ASK).choices == []
        assert anthropic_client(provider).messages.create(**ASK, max_tokens=5).content == []


def test_usage_of_a_reply_is_reported_as_each_provider_counts() -> None:
    said = ChatReply([{"type": "text", "text": "a"}], usage=Usage(100, 7, 80))
    with LocalProvider([said, said]) as provider:
        ours = openai_client(provider).chat.completions.create(**ASK).usage
        theirs = anthropic_client(provider).messages.create(**ASK, max_tokens=5).usage
    assert ours is not None
    assert ours.prompt_tokens_details is not None
    assert (ours.prompt_tokens, ours.prompt_tokens_details.cached_tokens) == (100, 80)
    assert (theirs.input_tokens, theirs.cache_read_input_tokens, theirs.output_tokens) == (20, 80, 7)


def test_slow_and_never() -> None:
    with LocalProvider([slow(0.15, "late"), never()]) as provider:
        client = openai_client(provider)
        started = time.perf_counter()
        assert client.chat.completions.create(**ASK).choices[0].message.content == "late"
        assert time.perf_counter() - started >= 0.15
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(**ASK, timeout=0.1)
        started = time.perf_counter()
    assert time.perf_counter() - started < 1


def test_a_dry_script_says_so_and_is_not_retried() -> None:
    with LocalProvider(["only"]) as provider:
        client = openai_client(provider, retries=2)
        client.chat.completions.create(**ASK)
        with pytest.raises(openai.InternalServerError, match="has 1 replies, and request 2"):
            client.chat.completions.create(**ASK)
        assert len(provider.requests) == 2
        with pytest.raises(ScriptExhausted, match="request 2"):
            provider.assert_exhausted()


def test_leftover_replies_fail_when_asked_about() -> None:
    with LocalProvider(["a", "b"]) as provider, pytest.raises(AssertionError, match="2 of 2 replies"):
        provider.assert_exhausted()


BAD_SCRIPTS = {
    "a function that raises": (lambda request: request.body["x"], "KeyError: 'x'"),
    "a function that says nothing": (lambda request: None, "cannot say None"),
}


@pytest.mark.parametrize(("script", "reason"), BAD_SCRIPTS.values(), ids=BAD_SCRIPTS)
def test_a_broken_script_says_so(script: Any, reason: str) -> None:
    with LocalProvider(script) as provider, pytest.raises(anthropic.InternalServerError, match=reason):
        anthropic_client(provider, retries=2).messages.create(**ASK, max_tokens=5)


def test_fields_the_model_does_not_know_are_refused_without_using_a_reply() -> None:
    with LocalProvider(["ok"], refuses=("max_tokens", "tools")) as provider:
        client = openai_client(provider)
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**ASK, max_tokens=5)
        assert (
            client.chat.completions.create(**ASK, max_completion_tokens=5).choices[0].message.content == "ok"
        )
    assert caught.value.param == "max_tokens"


def test_unknown_paths_are_404() -> None:
    with LocalProvider([]) as provider:
        assert post(provider, "/v1/audio", {})[0] == 404


def test_by_task_serves_concurrent_conversations() -> None:
    script = by_task({"task a": ["a1", "a2"], "task ab": ["ab1", "ab2"]})

    async def talk(client: openai.AsyncOpenAI, task: str) -> list[str]:
        thread: list[Any] = [{"role": "user", "content": f"please do {task}"}]
        for _ in range(2):
            reply = await client.chat.completions.create(model="m", messages=thread)
            thread += [{"role": "assistant", "content": reply.choices[0].message.content}]
            thread += [{"role": "user", "content": "and?"}]
        return [m["content"] for m in thread if m["role"] == "assistant"]

    async def both(base_url: str) -> tuple[list[str], list[str]]:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="k") as client:
            first, second = await asyncio.gather(talk(client, "task a"), talk(client, "task ab"))
            return first, second

    with LocalProvider(script) as provider:
        assert asyncio.run(both(provider.base_url)) == (["a1", "a2"], ["ab1", "ab2"])
        with pytest.raises(openai.InternalServerError, match="no task of the script"):
            openai_client(provider).chat.completions.create(**ASK)


@pytest.mark.parametrize(("turns", "told"), [(["a"], "has 1 turn, and"), (["a", "b"], "has 2 turns, and")])
def test_by_task_says_how_many_turns_it_has(turns: list[str], told: str) -> None:
    thread = [{"role": "user", "content": "do it"}]
    for text in turns:
        thread += [{"role": "assistant", "content": text}, {"role": "user", "content": "and?"}]
    with LocalProvider(by_task({"do it": turns})) as provider:
        code, _, reply = post(provider, "/v1/chat/completions", {"model": "m", "messages": thread})
    assert code == 500
    assert told in reply.decode()


def test_a_list_is_given_out_once_under_threads() -> None:
    said: list[str | None] = []
    with LocalProvider([str(n) for n in range(20)]) as provider:
        client = openai_client(provider)

        def ask() -> None:
            for _ in range(5):
                reply = client.chat.completions.create(**ASK)
                said.append(reply.choices[0].message.content)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(said, key=lambda s: int(s or -1)) == [str(n) for n in range(20)]


JSON_SCRIPT = [
    "text",
    {"call": "add", "args": {"a": 1}},
    {"calls": [{"call": "a"}, {"call": "b"}], "text": "both"},
    {"chunks": ["a", "b"]},
    {"status": 429, "retry_after": 0.5},
    {"slow": 0.1, "reply": "x"},
    {"cut": "x"},
    {"malformed": "{"},
    {"never": True},
    {"refusal": "no"},
    {"content_filter": True},
    {"no_choices": True},
]


def test_script_files_can_say_what_python_can(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(JSON_SCRIPT))
    assert script_from_json(path) == [
        "text",
        call("add", a=1),
        calls(call("a"), call("b"), text="both"),
        chunks("a", "b"),
        status(429, retry_after=0.5),
        slow(0.1, "x"),
        cut("x"),
        malformed("{"),
        never(),
        refusal("no"),
        content_filter(),
        no_choices(),
    ]


BAD_FILES = {
    "no file": None,
    "no JSON": "{",
    "a number": "3",
    "an unknown reply": '[{"say": "x"}]',
    "a call without args of the right kind": '[{"calls": 3}]',
    "turns that are a number": '{"task": 3}',
    "turns that are a text": '{"task": "hello"}',
}


@pytest.mark.parametrize("text", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_script_files_are_refused_by_name(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "script.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError):
        script_from_json(path)
    result = subprocess.run(
        [sys.executable, "-m", "looplet.testing.provider", str(path)], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")


def test_the_command_serves_a_script_file(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"task a": [{"call": "add", "args": {"a": 1}}, "done"]}))
    command = [sys.executable, "-m", "looplet.testing.provider", str(path), "--until-eof"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        client = OPENAI.with_options(base_url=url)
        reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "task a"}])
        server.communicate("")
    assert server.returncode == 0
    assert reply.choices[0].message.tool_calls
