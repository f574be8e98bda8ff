"""The loop, run to its end, gives a trajectory: done, failed, cut short or left by an exception."""

import pytest

from looplet import LoopConfig, tool
from looplet.testing import ScriptedBackend, ScriptedChatBackend, bad_request, call, calls
from looplet.trajectory import Trajectory, TrajectoryBuilder, async_run_loop, run_loop
from looplet.types import ErrorKind, ModelPrice


@tool
def look(order_id: str) -> dict:
    """Look an order up."""
    return {"status": "shipped", "seen": {order_id}}


@tool
def refund(order_id: str) -> dict:
    """Pay it back."""
    raise TimeoutError("the bank is slow")


@tool
def done(answer: str) -> str:
    """Finish."""
    return answer


TOOLS = [look, refund, done]
GOOD = (
    calls(call("look", order_id="7"), call("refund", order_id="7")),
    call("done", answer="It is shipped."),
)


def check(run, tmp_path):
    assert run.tools == ["look", "refund", "done"]
    assert (run.task, run.completed, run.error) == ("Where is order 7?", True, None)
    assert run.final_output == {"answer": "It is shipped."}
    assert run[0].tool_result.data["seen"] == {"__converted__": "set", "value": ["7"]}
    assert [step.tool_result.error_kind for step in run.errors] == [ErrorKind.TIMEOUT]
    assert [made.step for made in run.model_calls] == [1, 3]
    assert run.messages_of(2)[-1]["content"][0]["type"] == "tool_result"
    assert set(run.model_calls[0].tools) == {"look", "refund", "done"}
    run.save(tmp_path / "run.json")
    assert Trajectory.load(tmp_path / "run.json") == run


def test_a_run_that_is_done(tmp_path):
    check(run_loop(ScriptedChatBackend(*GOOD), "Where is order 7?", TOOLS), tmp_path)


async def test_a_run_on_an_event_loop(tmp_path):
    check(await async_run_loop(ScriptedChatBackend(*GOOD), "Where is order 7?", TOOLS), tmp_path)


def test_an_answer_in_plain_text():
    run = run_loop(ScriptedChatBackend("It is shipped."), "Where is order 7?", TOOLS)
    assert (run.completed, run.final_output) == (True, {"answer": "It is shipped."})


def test_an_answer_of_an_agent_without_a_done_tool():
    run = run_loop(ScriptedChatBackend("It is shipped."), "Where is order 7?", [look])
    assert (run.completed, run.final_output) == (True, {"answer": "It is shipped."})


def test_a_model_that_fails_ends_the_run_and_the_trajectory_says_why():
    run = run_loop(ScriptedChatBackend(call("look", order_id="7"), bad_request("no such model")), "x", TOOLS)
    assert (run.completed, run.stop_reason) == (False, "llm_error")
    assert "no such model" in run.error
    assert "no such model" in run.model_calls[-1].error


def test_a_budget_that_is_used_up():
    run = run_loop(
        ScriptedChatBackend(call("look", order_id="7")), "x", TOOLS, config=LoopConfig(max_steps=1)
    )
    assert (run.completed, run.stop_reason, run.final_output, run.error) == (
        False,
        "budget_exhausted",
        {},
        None,
    )


class Probe:
    def post_dispatch(self, state, session_log, tool_call, tool_result, step_num):
        raise AssertionError("the probe saw it")


def test_what_happened_before_an_exception_is_kept_by_the_builder():
    builder = TrajectoryBuilder()
    with pytest.raises(AssertionError, match="the probe saw it"):
        run_loop(ScriptedChatBackend(*GOOD), "x", TOOLS, hooks=[Probe()], builder=builder)
    assert builder.trajectory.tools[0] == "look"
    assert builder.trajectory.error == "AssertionError: the probe saw it"
    assert not builder.trajectory.completed


class Forbid:
    def check_permission(self, tool_call, state):
        return tool_call.tool != "refund"


def test_decisions_are_kept():
    run = run_loop(ScriptedChatBackend(*GOOD), "x", TOOLS, hooks=[Forbid()])
    assert [(d.step, d.tool, d.verdict) for d in run.decisions] == [(2, "refund", "deny")]
    assert [step.number for step in run.denied("refund")] == [2]


def test_the_config_that_was_given_stays_as_it_is():
    config = LoopConfig()
    builder = TrajectoryBuilder(prices={"m": ModelPrice(1, 1)}, metadata={"case": "a"})
    run = run_loop(ScriptedChatBackend("hi"), "x", TOOLS, config=config, builder=builder)
    assert config.observers == []
    assert run.metadata == {"case": "a"}


def test_a_run_in_the_text_protocol_has_its_prompts(tmp_path):
    run = run_loop(ScriptedBackend(*GOOD), "Where is order 7?", TOOLS)
    prompts = [run.messages_of(made)[0]["content"][0]["text"] for made in run.model_calls]
    assert all("Where is order 7?" in prompt and "look" in prompt for prompt in prompts)
    assert "shipped" in prompts[1]
    run.save(tmp_path / "run.json")
    assert Trajectory.load(tmp_path / "run.json") == run
