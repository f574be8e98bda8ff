"""What the builder hears is what the trajectory holds: JSON values, copied, once."""

import json
import math

import pytest

from looplet.clock import fixed_clock
from looplet.engine.observe import Decision, ModelCall, Request
from looplet.errors import ModelError
from looplet.trajectory import Trajectory, TrajectoryBuilder
from looplet.types import (
    ChatReply,
    ErrorKind,
    ModelPrice,
    Step,
    ToolCall,
    ToolError,
    ToolResult,
    Usage,
)


def text(words):
    return {"type": "text", "text": words}


def user(words):
    return {"role": "user", "content": [text(words)]}


def assistant(words):
    return {"role": "assistant", "content": [text(words)]}


def asked(number, request, *, reply="ok", usage=None, model="m", error=None):
    answer = None if error else ChatReply([text(reply)], "end_turn", model, usage)
    return ModelCall(number, number, request, answer, error, 1.5, 1)


def step(number, tool="look", args=None, data=None, error=None, detail=None):
    call = ToolCall(tool, args or {}, call_id=f"id{number}")
    return Step(number, call, ToolResult(tool, "", data, error, detail, 2.0, call_id=f"id{number}"))


def test_a_run_becomes_a_trajectory():
    with fixed_clock() as clock:
        builder = TrajectoryBuilder(metadata={"case": "a"})
        builder.run_started({"goal": "x"}, run_id="r1")
        builder.model_called(asked(1, Request("chat", [user("hi")]), usage=Usage(10, 5, 2)))
        builder.decided(Decision(1, "look", "id1", "allow", "rule 1"))
        builder.step_taken(step(1, args={"q": "s"}, data={"found": 3}))
        builder.answered({"answer": "fine"})
        clock.advance(2)
        builder.run_ended("done", None)
    run = builder.trajectory
    assert (run.run_id, run.task, run.stop_reason, run.completed) == ("r1", {"goal": "x"}, "done", True)
    assert (run.tools, run.final_output, run.usage) == (["look"], {"answer": "fine"}, Usage(10, 5, 2))
    assert (run.duration_ms, run.metadata, run.decisions[0].by) == (2000.0, {"case": "a"}, "rule 1")


def test_nothing_done_later_changes_what_was_recorded():
    builder = TrajectoryBuilder()
    args, data, messages = {"q": [1]}, {"found": [1]}, [user("hi")]
    builder.model_called(asked(1, Request("chat", messages)))
    builder.step_taken(step(1, args=args, data=data))
    args["q"].append(2)
    data["found"].append(2)
    messages[0]["content"][0]["text"] = "changed"
    run = builder.trajectory
    assert run[0].tool_call.args == {"q": [1]}
    assert run[0].tool_result.data == {"found": [1]}
    assert run.messages_of(1) == [user("hi")]


def test_a_live_run_and_its_file_are_equal_whatever_the_tools_returned(tmp_path):
    builder = TrajectoryBuilder()
    builder.run_started({1: {2}}, run_id="r")
    values = [
        {"s"},
        b"\xff",
        math.nan,
        math.inf,
        {(1, 2): 3},
        object(),
        "\ud800",
        10**400,
        "\x00\u2028",
        (1,),
    ]
    for number, value in enumerate(values, start=1):
        builder.step_taken(step(number, data=value, args={"v": value}))
    failed = ToolError(ErrorKind.TIMEOUT, "slow \ud800", retriable=True, context={"s": {1}})
    builder.step_taken(step(99, tool="a\udcff", error="slow", detail=failed))
    builder.model_called(asked(1, Request("generate", prompt="p \ud801", system_prompt="s"), reply="\udfff"))
    run = builder.trajectory
    run.save(tmp_path / "deep" / "run.json")
    assert Trajectory.load(tmp_path / "deep" / "run.json") == run


def test_a_thread_is_stored_once_however_many_calls_repeat_it():
    builder = TrajectoryBuilder()
    thread = [user("task")]
    for number in range(1, 51):
        builder.model_called(asked(number, Request("chat", thread, kept=max(0, len(thread) - 2))))
        thread += [assistant(f"call {number}"), user(f"result {number}")]
    run = builder.trajectory
    assert sum(len(call.added) for call in run.model_calls) == 99
    assert run.messages_of(50) == thread[:99]
    assert run.messages_of(run.model_calls[0]) == [user("task")]
    assert Trajectory.from_json(run.to_json()).messages_of(50) == thread[:99]


def test_a_trailing_block_that_is_rebuilt_for_each_call_is_stored_with_its_call():
    builder = TrajectoryBuilder()
    builder.model_called(asked(1, Request("chat", [user("task"), user("briefing 1")])))
    builder.model_called(asked(2, Request("chat", [user("task"), user("briefing 2")], kept=1)))
    run = builder.trajectory
    assert run.messages_of(1) == [user("task"), user("briefing 1")]
    assert run.messages_of(2) == [user("task"), user("briefing 2")]


def test_a_text_prompt_is_stored_without_what_it_shares_with_the_one_before():
    builder = TrajectoryBuilder()
    log, prompts = "", []
    for number in range(1, 101):
        log += f"S{number} looked around and found nothing of interest\n"
        prompts.append(f"TOOLS\n{'x' * 2000}\nLOG\n{log}RECENT {number}\n{'y' * 500}\nWhat next?")
        builder.model_called(asked(number, Request("generate", prompt=prompts[-1])))
    run = builder.trajectory
    assert [run.messages_of(n + 1)[0]["content"] for n in range(100)] == [[text(p)] for p in prompts]
    stored = sum(len(call.added[0]["content"][0]["text"]) for call in run.model_calls)
    assert stored < len(prompts[-1]) * 2


def test_prompts_that_share_everything_or_nothing_come_back_whole():
    prompts = ["", "aaa", "aaaa", "aa", "", "b", "aba", "aba", "abba", "日本", "日本日本"]
    builder = TrajectoryBuilder()
    for number, prompt in enumerate(prompts, start=1):
        builder.model_called(asked(number, Request("generate", prompt=prompt)))
    run = builder.trajectory
    assert [run.messages_of(n)[0]["content"][0]["text"] for n in range(1, len(prompts) + 1)] == prompts


def test_a_text_prompt_after_a_thread_and_a_thread_after_a_text_prompt():
    builder = TrajectoryBuilder()
    builder.model_called(asked(1, Request("chat", [user("one"), assistant("two")])))
    builder.model_called(asked(2, Request("generate", prompt="one more")))
    builder.model_called(asked(3, Request("chat", [user("one more"), assistant("x")], kept=0)))
    run = builder.trajectory
    assert [len(run.messages_of(n)) for n in (1, 2, 3)] == [2, 1, 2]
    assert run.messages_of(2) == [user("one more")]


def test_a_run_whose_model_failed_says_why_it_died():
    builder = TrajectoryBuilder()
    refused = ModelError("401: no such key", kind=ErrorKind.PERMISSION_DENIED)
    builder.model_called(asked(1, Request("chat", [user("x")]), error=refused))
    builder.run_ended("llm_error", None)
    assert builder.trajectory.error == "ModelError: 401: no such key"
    assert builder.trajectory.model_calls[0].error == "ModelError: 401: no such key"
    assert not builder.trajectory.completed


def test_a_run_that_was_left_by_an_exception_holds_what_happened_up_to_it():
    builder = TrajectoryBuilder()
    builder.step_taken(step(1))
    assert builder.trajectory.stop_reason == ""
    builder.run_ended("error", ValueError("probe"))
    assert (builder.trajectory.error, len(builder.trajectory)) == ("ValueError: probe", 1)


COSTS = {
    "all priced": (["m", "m"], [Usage(1_000_000, 0), Usage(0, 1_000_000)], 12.0),
    "cached tokens have a price of their own": (["m"], [Usage(1_000_000, 0, 1_000_000)], 0.5),
    "a model without a price": (["m", "other"], [Usage(1, 1), Usage(1, 1)], None),
    "a call without a count": (["m", "m"], [Usage(1, 1), None], None),
    "no call at all": ([], [], 0.0),
}


@pytest.mark.parametrize(("models", "usages", "cost"), COSTS.values(), ids=COSTS)
def test_cost(models, usages, cost):
    builder = TrajectoryBuilder(prices={"m": ModelPrice(input=2.0, output=10.0, cached=0.5)})
    for number, (model, usage) in enumerate(zip(models, usages, strict=True), start=1):
        builder.model_called(asked(number, Request("chat", [user("x")]), usage=usage, model=model))
    assert builder.trajectory.cost_usd == cost


def test_the_file_is_strict_sorted_json_with_one_newline_at_its_end():
    builder = TrajectoryBuilder()
    builder.step_taken(step(1, data={"b": 1, "a": "\x1b\u202e"}))
    written = builder.trajectory.to_json()
    assert written == json.dumps(json.loads(written), sort_keys=True, indent=1) + "\n"
    assert written.isascii()
