"""Message lists of other frameworks tell the same run, whichever provider's words they use."""

import pytest

from looplet.errors import TraceError
from looplet.trajectory import Trajectory
from looplet.types import ErrorKind, Usage

CHAT = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "refund 1234"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"order": "1234"}'}},
            {"id": "c2", "type": "function", "function": {"name": "rates", "arguments": ""}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": '{"status": "shipped"}'},
    {"role": "tool", "tool_call_id": "c2", "content": "none today"},
    {"role": "assistant", "content": "It is refunded."},
]

ANTHROPIC = [
    {"role": "user", "content": [{"type": "text", "text": "refund 1234"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "tool_use", "id": "c1", "name": "look", "input": {"order": "1234"}},
            {"type": "tool_use", "id": "c2", "name": "rates", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "c1",
                "content": [{"type": "text", "text": '{"status": "shipped"}'}],
            },
            {"type": "tool_result", "tool_use_id": "c2", "content": "none today"},
        ],
    },
    {"role": "assistant", "content": [{"type": "text", "text": "It is refunded."}]},
]

RESPONSES = [
    {"role": "developer", "content": "be brief"},
    {"role": "user", "content": [{"type": "input_text", "text": "refund 1234"}]},
    {"type": "reasoning", "summary": []},
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"order": "1234"}'},
    {"type": "function_call", "call_id": "c2", "name": "rates", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": '{"status": "shipped"}'},
    {"type": "function_call_output", "call_id": "c2", "output": "none today"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is refunded."}]},
]

TOLD = {"chat completions": CHAT, "anthropic messages": ANTHROPIC, "responses": RESPONSES}


@pytest.mark.parametrize("messages", TOLD.values(), ids=TOLD)
def test_the_same_run_is_read_from_each_provider(messages):
    run = Trajectory.from_messages(messages)
    assert run.task == "refund 1234"
    assert run.tools == ["look", "rates"]
    assert [step.tool_call.args for step in run] == [{"order": "1234"}, {}]
    assert [step.tool_result.data for step in run] == [{"status": "shipped"}, "none today"]
    assert (run.completed, run.final_output) == (True, {"answer": "It is refunded."})
    assert [call.step for call in run.model_calls] == [1, 3]
    assert run.messages_of(2)[-1]["content"][1]["content"] == "none today"
    assert run.model_calls[1].text == "It is refunded."
    assert Trajectory.from_json(run.to_json()) == run


def test_messages_may_be_the_objects_of_an_sdk():
    from openai.types.chat import ChatCompletionMessage

    told = ChatCompletionMessage.model_validate(CHAT[2])
    run = Trajectory.from_messages([*CHAT[:2], told, *CHAT[3:]])
    assert run == Trajectory.from_messages(CHAT)


def test_a_system_prompt_is_kept_apart():
    assert Trajectory.from_messages(CHAT).model_calls[0].system_prompt == "be brief"


def test_a_call_without_a_result_is_an_error_and_the_run_is_not_done():
    run = Trajectory.from_messages(CHAT[:4])
    assert [bool(step.tool_result.error) for step in run] == [False, True]
    assert (run.completed, run.stop_reason, run.final_output) == (False, "incomplete", {})
    assert run.errors[0].tool_result.error_kind is ErrorKind.CANCELLED


def test_a_tool_that_says_it_failed_is_an_error():
    failed = {"type": "tool_result", "tool_use_id": "c1", "content": "no such order", "is_error": True}
    run = Trajectory.from_messages([*ANTHROPIC[:2], {"role": "user", "content": [failed]}])
    assert run[0].tool_result.error == "no such order"
    assert run[0].tool_result.data is None


ARGUMENTS = {
    "not JSON": ("{oops", {"_raw_arguments": "{oops"}),
    "a list": ("[1]", {"_raw_arguments": "[1]"}),
    "nothing": (None, {}),
    "an object already": ({"a": 1}, {"a": 1}),
}


@pytest.mark.parametrize(("given", "read"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments(given, read):
    call = {"id": "c1", "type": "function", "function": {"name": "t", "arguments": given}}
    run = Trajectory.from_messages([{"role": "assistant", "tool_calls": [call]}])
    assert run[0].tool_call.args == read


REFUSED = {
    "a role nobody has": ([{"role": "ghost", "content": "x"}], "message 0 has the role 'ghost'"),
    "no role": ([CHAT[1], {"content": "x"}], "message 1 has the role None"),
    "a text": (["hello"], "message 0 is str, not an object"),
    "content that is a number": ([{"role": "user", "content": [7]}], "neither text nor a typed block"),
}


@pytest.mark.parametrize(("messages", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_message_is_named(messages, reason):
    with pytest.raises(TraceError, match=reason):
        Trajectory.from_messages(messages)


def test_other_facts_may_be_given():
    run = Trajectory.from_messages(CHAT, task={"id": 7}, usage=Usage(3, 4), metadata={"by": "them"})
    assert (run.task, run.usage.total_tokens, run.metadata) == ({"id": 7}, 7, {"by": "them"})


def test_no_messages_are_a_run_that_never_began():
    run = Trajectory.from_messages([])
    assert (len(run), run.model_calls, run.completed, run.task) == (0, (), False, None)


def test_blocks_nobody_here_knows_stay():
    image = {"type": "image", "source": {"type": "url", "url": "http://x"}}
    run = Trajectory.from_messages([{"role": "user", "content": [image]}, ANTHROPIC[3]])
    assert run.messages_of(1)[0]["content"] == [image]


def test_PR_05_secrets_do_not_come_along():
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"
    run = Trajectory.from_messages([{"role": "user", "content": f"my key is {key}"}, CHAT[-1]])
    assert key not in run.to_json()
