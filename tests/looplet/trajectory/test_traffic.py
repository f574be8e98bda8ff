"""Traffic that is broken, strange or partial is still read, and says what is wrong with it."""

import json

import pytest

from looplet.trajectory import Exchange, Trajectory
from looplet.trajectory.streamed import whole_reply
from looplet.types import Usage

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def said(text="hello", **more):
    return json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}], **more})


def run_of(*exchanges):
    return Trajectory.from_traffic(exchanges)


def test_no_traffic_is_a_run_that_never_began():
    assert run_of() == Trajectory()


def test_requests_without_a_thread_are_left_out():
    run = run_of(Exchange({"query": "vectors"}, b"{}"), Exchange(ASKED, said(), duration_ms=5))
    assert (len(run.model_calls), run.duration_ms) == (1, 5)


BROKEN = {
    "no JSON": (b"<html>", 200, "", "the reply cannot be read: it is no JSON object"),
    "nothing": (b"", 200, "", "the reply cannot be read: it is no JSON object"),
    "choices of nothing": (b'{"choices": [null]}', 200, "", "the reply cannot be read: AttributeError"),
    "events of nothing": (b'data: {"choices": [null]}', 200, "", "the reply cannot be read: AttributeError"),
    "deltas of nothing": (
        b'data: {"type": "content_block_delta"}',
        200,
        "",
        "the reply cannot be read: KeyError",
    ),
    "a status": (b'{"error": {"message": "slow down"}}', 429, "", "HTTP 429: slow down"),
    "a status without a word": (b"oops", 500, "", "HTTP 500"),
    "no reply": (b"", 0, "ReadTimeout", "ReadTimeout"),
    "no reply and no reason": (b"", 0, "", "no reply came"),
}


@pytest.mark.parametrize(("body", "status", "failure", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_reply_that_is_none_is_what_the_run_died_of(body, status, failure, reason):
    run = run_of(Exchange(ASKED, body, status, failure))
    assert run.error.startswith(reason)
    assert (run.completed, run.model_calls[0].error) == (False, run.error)


USAGES = {
    "chat completions": ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}, Usage(9, 2)),
    "cached by OpenAI": (
        {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
        Usage(9, 2, 4),
    ),
    "cached by Anthropic": (
        {
            "input_tokens": 5,
            "output_tokens": 2,
            "cache_read_input_tokens": 4,
            "cache_creation_input_tokens": 1,
        },
        Usage(10, 2, 4),
    ),
    "none": (None, None),
}


@pytest.mark.parametrize(("told", "usage"), USAGES.values(), ids=USAGES)
def test_tokens(told, usage):
    assert run_of(Exchange(ASKED, said(usage=told))).model_calls[0].usage == usage


def test_two_agents_that_talk_in_turn_keep_their_threads():
    one = {"messages": [{"role": "user", "content": "a"}]}
    other = {"messages": [{"role": "user", "content": "b"}]}
    run = run_of(Exchange(one, said("x")), Exchange(other, said("y")))
    assert [run.messages_of(n)[0]["content"][0]["text"] for n in (1, 2)] == ["a", "b"]


def called(call_id, name):
    function = {"name": name, "arguments": "{}"}
    message = {"content": None, "tool_calls": [{"id": call_id, "function": function}]}
    return json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]})


def answered(*turns):
    messages = list(ASKED["messages"])
    for name, result in turns:
        function = {"name": name, "arguments": "{}"}
        messages.append({"role": "assistant", "tool_calls": [{"id": "call_0", "function": function}]})
        messages.append({"role": "tool", "tool_call_id": "call_0", "content": result})
    return {"messages": messages}


def test_ids_that_are_used_again_in_each_turn_are_told_apart():
    run = run_of(
        Exchange(ASKED, called("call_0", "a")),
        Exchange(answered(("a", "1")), called("call_0", "b")),
        Exchange(answered(("a", "1"), ("b", "2")), said()),
    )
    assert [(step.tool_call.tool, step.tool_result.data) for step in run] == [("a", "1"), ("b", "2")]


def test_a_call_in_the_last_reply_is_no_error_and_no_end():
    run = run_of(Exchange(ASKED, called("c", "final_result")))
    assert (run.errors, run.stop_reason, run.tools) == ([], "tool_use", ["final_result"])


def test_a_call_that_later_requests_do_not_answer_is_an_error():
    run = run_of(Exchange(ASKED, called("c", "a")), Exchange(ASKED | {"n": 2}, said()))
    assert [step.tool_result.error for step in run] == ["the messages hold no result of this call"]


def pieces(*deltas, **last):
    chunks = [{"choices": [{"delta": delta}], "model": "m"} for delta in deltas]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in [*chunks, {"choices": [], **last}])


START = {"index": 0, "id": "c", "function": {"name": "t", "arguments": '{"a"'}}
STREAM = pieces(
    {"content": "hel"},
    {"content": "lo", "tool_calls": [START]},
    {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
    usage={"prompt_tokens": 3, "completion_tokens": 4},
)


def test_a_stream_is_put_together():
    reply = whole_reply(STREAM)
    assert reply["choices"][0]["message"]["content"] == "hello"
    run = run_of(Exchange(ASKED, STREAM))
    assert (run[0].tool_call.args, run.usage) == ({"a": 1}, Usage(3, 4))


def test_a_stream_that_was_cut_gives_what_came():
    for end in range(len(STREAM)):
        run_of(Exchange(ASKED, STREAM[:end]))
    assert run_of(Exchange(ASKED, STREAM[:90])).model_calls[0].text == "hel"


@pytest.mark.parametrize("strange", ["data: 7", "data: []", 'data: {"type": "ping"}', "event: x", ":"])
def test_a_stream_that_tells_nothing(strange):
    assert whole_reply(strange) is None


def test_PR_05_secrets_in_traffic_do_not_come_along():
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"
    run = run_of(Exchange({"messages": [{"role": "user", "content": key}]}, said(key)))
    assert key not in run.to_json()
