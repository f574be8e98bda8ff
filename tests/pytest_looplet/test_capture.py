"""Agents of any framework are judged by their traffic: real SDKs, real HTTP, whole and streamed replies."""

import json
import textwrap

import anthropic
import openai
import pytest

# Loaded here once, because an inner session forgets what it loaded, and YAML's C part does not.
import pytest_looplet.capture
import pytest_looplet.tapes  # noqa: F401
from looplet.testing import call, calls
from looplet.testing.misbehave import status
from looplet.testing.provider import LocalProvider
from pytest_looplet import Unmet, expect, from_cassette, use_cassette

pytestmark = pytest.mark.slow

SCRIPT = [
    calls(call("look", order_id="7"), call("rates"), text="Let me see."),
    call("refund", order_id="7", amount=9.5),
    "It is refunded.",
]
TOOLS = {"look": {"status": "shipped"}, "rates": "none today", "refund": {"refunded": True}}


def run_tool(name):
    result = TOOLS[name]
    return result if isinstance(result, str) else json.dumps(result)


def chat(provider, *, stream):
    client = openai.OpenAI(base_url=provider.base_url, api_key="x", max_retries=1)
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "refund order 7"}]
    schemas = [{"type": "function", "function": {"name": n, "parameters": {"type": "object"}}} for n in TOOLS]
    while True:
        options = {"model": "tiny", "messages": messages, "tools": schemas, "temperature": 0.5}
        if stream:
            message = streamed_chat(client, options)
        else:
            message = client.chat.completions.create(**options).choices[0].message
        asked = message.tool_calls or []
        messages.append(
            {"role": "assistant", "content": message.content, "tool_calls": [c.model_dump() for c in asked]}
        )
        if not asked:
            return
        for one in asked:
            result = run_tool(one.function.name)
            messages.append({"role": "tool", "tool_call_id": one.id, "content": result})


def streamed_chat(client, options):
    with client.chat.completions.stream(**options, stream_options={"include_usage": True}) as stream:
        return stream.get_final_completion().choices[0].message


def claude(provider, *, stream):
    client = anthropic.Anthropic(base_url=provider.url, api_key="x", max_retries=1)
    messages = [{"role": "user", "content": "refund order 7"}]
    schemas = [{"name": n, "input_schema": {"type": "object"}} for n in TOOLS]
    while True:
        options = {"model": "tiny", "max_tokens": 99, "system": "be brief", "messages": messages}
        if stream:
            with client.messages.stream(**options, tools=schemas) as events:
                message = events.get_final_message()
        else:
            message = client.messages.create(**options, tools=schemas)
        messages.append({"role": "assistant", "content": [b.model_dump() for b in message.content]})
        asked = [block for block in message.content if block.type == "tool_use"]
        if not asked:
            return
        results = [
            {"type": "tool_result", "tool_use_id": one.id, "content": run_tool(one.name)} for one in asked
        ]
        messages.append({"role": "user", "content": results})


def responses(provider, *, chained):
    client = openai.OpenAI(base_url=provider.base_url, api_key="x", max_retries=1)
    sent, before = [{"role": "user", "content": "refund order 7"}], None
    schemas = [{"type": "function", "name": n, "parameters": {"type": "object"}} for n in TOOLS]
    while True:
        options = {"previous_response_id": before} if before else {}
        reply = client.responses.create(
            model="tiny", instructions="be brief", input=sent, tools=schemas, **options
        )
        asked = [item for item in reply.output if item.type == "function_call"]
        if not asked:
            return
        results = [
            {"type": "function_call_output", "call_id": one.call_id, "output": run_tool(one.name)}
            for one in asked
        ]
        if chained:
            sent, before = results, reply.id
        else:
            sent = [*sent, *(item.model_dump(exclude_none=True) for item in reply.output), *results]


AGENTS = {
    "chat completions": lambda provider: chat(provider, stream=False),
    "chat completions, streamed": lambda provider: chat(provider, stream=True),
    "anthropic": lambda provider: claude(provider, stream=False),
    "anthropic, streamed": lambda provider: claude(provider, stream=True),
    "responses": lambda provider: responses(provider, chained=False),
    "responses, the thread kept by the provider": lambda provider: responses(provider, chained=True),
}


@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
def test_the_same_run_is_read_from_any_sdk(agent, tmp_path):
    with LocalProvider(SCRIPT) as provider, use_cassette(tmp_path / "a.looplet.yaml", mode="rewrite"):
        agent(provider)
    run = from_cassette(tmp_path / "a.looplet.yaml")
    expect(run).to_match(["look", "rates", call("refund", order_id="7", amount=9.5)]).to_finish()
    assert [step.tool_result.data for step in run] == list(TOOLS.values())
    assert (run.task, run.final_output) == ("refund order 7", {"answer": "It is refunded."})
    assert [(made.step, made.model, made.system_prompt) for made in run.model_calls] == [
        (1, "tiny", "be brief"),
        (3, "tiny", "be brief"),
        (4, "tiny", "be brief"),
    ]
    assert all(made.usage.input_tokens and made.usage.output_tokens for made in run.model_calls)
    assert run.model_calls[0].tools == ("look", "rates", "refund")
    assert [message["role"] for message in run.messages_of(3)] == ["user", "assistant"] * 2 + ["user"]
    assert not run.errors


def test_a_request_that_was_made_again_is_one_call(tmp_path):
    with (
        LocalProvider([status(429, "slow down", headers={"retry-after-ms": "1"}), "hello"]) as provider,
        use_cassette(tmp_path / "a.looplet.yaml", mode="rewrite"),
    ):
        client = openai.OpenAI(base_url=provider.base_url, api_key="x", max_retries=2)
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "hi"}])
    run = from_cassette(tmp_path / "a.looplet.yaml")
    assert [(made.attempts, made.text, made.error) for made in run.model_calls] == [(2, "hello", None)]


def test_a_provider_that_refuses_is_what_the_run_died_of(tmp_path):
    with (
        LocalProvider([status(401, "no such key")]) as provider,
        use_cassette(tmp_path / "a.looplet.yaml", mode="rewrite"),
    ):
        client = openai.OpenAI(base_url=provider.base_url, api_key="x")
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "hi"}])
    run = from_cassette(tmp_path / "a.looplet.yaml")
    assert (run.completed, run.stop_reason) == (False, "llm_error")
    assert run.error.startswith("HTTP 401: ")
    with pytest.raises(Unmet):
        expect(run).to_finish()


def test_a_cassette_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no cassette .*none\.yaml"):
        from_cassette(tmp_path / "none.yaml")


TEST_FILE = """
import json, os
import openai
from pytest_looplet import expect

def my_agent(task):
    client = openai.OpenAI()
    messages = [{"role": "user", "content": task}]
    for _ in range(3):
        tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
        reply = client.chat.completions.create(model="tiny", messages=messages, tools=tools)
        message = reply.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content
        for call in message.tool_calls:
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "shipped"})

def test_agent(looplet_capture):
    with looplet_capture() as run:
        answer = my_agent("Where is order 7?")
    expect(run).to_call("look", order_id="7").to_finish()
    assert run.final_output == {"answer": answer}
    assert run.duration_ms > 0

def test_two_in_one_test(looplet_capture):
    with looplet_capture(task={"id": 1}) as one:
        my_agent("Where is order 7?")
    with looplet_capture() as other:
        my_agent("Where is order 8?")
    assert (one.task, other.task) == ({"id": 1}, "Where is order 8?")
    assert one.tools == other.tools == ["look"]

def test_nothing_was_heard(looplet_capture):
    with looplet_capture() as run:
        pass
    expect(run).not_to_call("look")
"""


def test_looplet_capture_records_and_replays(pytester, monkeypatch):
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(test_agent=textwrap.dedent(TEST_FILE))
    script = [call("look", order_id="7"), "It is shipped."] * 3
    with LocalProvider(script) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        recorded = pytester.runpytest("--looplet-record", "-p", "no:asyncio")
        recorded.assert_outcomes(passed=2, failed=1)
    replayed = pytester.runpytest("-p", "no:asyncio")
    replayed.assert_outcomes(passed=2, failed=1)
    replayed.stdout.fnmatch_lines(["E*expected a run, to see what it did not call; this one has no model"])


def test_looplet_capture_hears_a_live_session_and_writes_nothing(pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(test_agent=textwrap.dedent(TEST_FILE))
    with LocalProvider([call("look", order_id="7"), "It is shipped."]) as provider:
        for name, value in provider.env.items():
            monkeypatch.setenv(name, value)
        pytester.runpytest(
            "--looplet-live", "-p", "no:asyncio", "-k", "test_agent and not two and not nothing"
        )
    assert provider.remaining == 0
    assert not list(pytester.path.rglob("*.yaml"))
