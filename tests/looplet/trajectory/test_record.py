"""A trajectory reads like a sequence of its steps, and a part of it is a trajectory."""

import pytest

from looplet.trajectory import RecordedCall, Trajectory
from looplet.types import ErrorKind, ModelPrice, Step, ToolCall, ToolError, ToolResult, Usage


def step(number, tool, error=None, kind=ErrorKind.EXECUTION):
    detail = ToolError(kind, error) if error else None
    return Step(number, ToolCall(tool, call_id=f"c{number}"), ToolResult(tool, "", number, error, detail))


def message(words):
    return {"role": "user", "content": [{"type": "text", "text": words}]}


def call(number, kept=0, *added):
    return RecordedCall(number, number, kept=kept, added=tuple(map(message, added)), usage=Usage(10, 1))


RUN = Trajectory(
    steps=(
        step(1, "a"),
        step(2, "b", "no", ErrorKind.PERMISSION_DENIED),
        step(3, "a", "late", ErrorKind.TIMEOUT),
        step(4, "done"),
    ),
    model_calls=(call(1, 0, "task"), call(2, 1, "r1"), call(3, 1, "x", "y"), call(4, 3, "z")),
    stop_reason="done",
    usage=Usage(40, 4),
)


def test_it_reads_like_a_sequence():
    assert (len(RUN), RUN[0].tool_call.tool, RUN[-1].tool_call.tool) == (4, "a", "done")
    assert [s.number for s in RUN] == [1, 2, 3, 4]
    with pytest.raises(IndexError):
        RUN[9]


def test_it_answers_plain_questions():
    assert RUN.tools == ["a", "b", "a", "done"]
    assert [s.number for s in RUN.calls("a")] == [1, 3]
    assert [s.number for s in RUN.errors] == [2, 3]
    assert [s.number for s in RUN.denied()] == [2]
    assert RUN.denied("a") == []
    assert RUN.completed


def test_a_run_without_steps_is_still_true():
    assert Trajectory()
    assert not Trajectory().completed


def test_a_part_has_the_model_calls_of_its_steps():
    part = RUN[1:3]
    assert (part.tools, [c.number for c in part.model_calls]) == (["b", "a"], [2, 3])
    assert part.usage == Usage(20, 2)
    assert [part.messages_of(n) for n in (2, 3)] == [RUN.messages_of(n) for n in (2, 3)]


def test_a_part_with_holes_still_knows_what_was_sent():
    part = RUN[::2]
    assert [part.messages_of(n) for n in (1, 3)] == [RUN.messages_of(n) for n in (1, 3)]
    assert part.messages_of(3) == [message("task"), message("x"), message("y")]


def test_the_whole_of_it_is_itself():
    assert RUN[:] is RUN


def test_a_call_that_was_never_made_is_named():
    with pytest.raises(LookupError, match="4 model calls; there is no number 9"):
        RUN.messages_of(9)


def test_nothing_can_be_changed():
    with pytest.raises(AttributeError):
        RUN.stop_reason = "x"


def test_cost():
    prices = {"": ModelPrice(1.0, 10.0)}
    assert RUN.cost(prices) == pytest.approx(40e-6 + 40e-6)
    assert RUN.cost({}) is None


def test_metadata_can_be_added():
    assert RUN.with_metadata(a=1).with_metadata(b=2).metadata == {"a": 1, "b": 2}
    assert RUN.metadata == {}
