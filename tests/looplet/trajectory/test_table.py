"""The table of steps: cut to its width and its rows, whatever the steps hold."""

import pytest
from hypothesis import given, settings, strategies as st

from looplet.text import columns
from looplet.trajectory import Trajectory
from looplet.trajectory.table import args_text, call_text, result_text, step_table
from looplet.types import ErrorKind, Step, ToolCall, ToolError, ToolResult


def step(number, tool="look", data="ok", **args):
    return Step(number, ToolCall(tool, args), ToolResult(tool, "", data))


def run(size):
    return Trajectory(steps=tuple(step(number) for number in range(1, size + 1)))


def numbers(lines):
    """The steps that are shown; what is left out as a negative count."""
    found = []
    for line in lines[1:]:
        words = line.split()
        found.append(-int(words[1].replace(",", "")) if words[0] == "…" else int(words[words[0] == ">"]))
    return found


def test_a_short_run_is_shown_whole():
    assert numbers(step_table(run(5))) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("limit", range(3, 12))
def test_a_long_run_is_cut_to_the_rows_and_no_step_is_uncounted(limit):
    shown = numbers(step_table(run(1000), max_rows=limit, marked={500}))
    assert len(shown) <= limit
    assert 500 in shown
    assert sum(-count if count < 0 else 1 for count in shown) == 1000


def test_marked_steps_come_first_then_their_neighbours_and_the_ends():
    assert numbers(step_table(run(100), max_rows=9, marked={50})) == [1, -46, 48, 49, 50, 51, 52, -47, 100]
    assert numbers(step_table(run(100), max_rows=6, marked={10, 90})) == [1, -8, 10, -79, 90, -10]
    assert numbers(step_table(run(100), max_rows=5)) == [1, 2, -96, 99, 100]


def test_steps_of_one_number_are_shown_each():
    doubled = Trajectory(steps=(step(1, "a"), step(1, "b")))
    assert [line.split()[1] for line in step_table(doubled)[1:]] == ["a", "b"]


def test_no_steps_are_a_header():
    assert [line.split() for line in step_table(Trajectory())] == [["#", "tool", "args", "result", "ms"]]


TEXT = st.text(max_size=30) | st.just("x" * 500) | st.just("日本" * 50)
VALUES = st.none() | st.integers() | TEXT | st.lists(TEXT, max_size=3)


@settings(max_examples=60, deadline=None)
@given(tool=TEXT, args=st.dictionaries(TEXT, VALUES, max_size=4), data=VALUES, error=st.none() | TEXT)
def test_PP_04_every_line_fits_and_is_one_line(tool, args, data, error):
    one = Step(7, ToolCall(tool, args), ToolResult(tool, "", data, error))
    for line in step_table(Trajectory(steps=(one, step(8))), width=96, marked={7}):
        assert columns(line) <= 96
        assert len(line.splitlines()) == 1
    assert columns(call_text(tool, args, 42)) <= 42


RESULTS = {
    "data": (ToolResult("t", "", {"a": 1}), "{'a': 1}"),
    "an error that says its kind": (
        ToolResult("t", "", None, "permission denied: rule 3", ToolError(ErrorKind.PERMISSION_DENIED, "")),
        "✗ permission denied: rule 3",
    ),
    "an error that does not": (
        ToolResult("t", "", None, "rule 3", ToolError(ErrorKind.PERMISSION_DENIED, "")),
        "✗ permission denied: rule 3",
    ),
    "an error of no special kind": (ToolResult("t", "", None, "boom"), "✗ boom"),
    "an empty error is none": (ToolResult("t", "", None, ""), "None"),
    "a done that was turned down": (
        ToolResult("done", "rejected", {"rejected": True, "reason": "too short"}),
        "✗ rejected: too short",
    ),
}


@pytest.mark.parametrize(("result", "shown"), RESULTS.values(), ids=RESULTS)
def test_results(result, shown):
    assert result_text(result, 60).rstrip() == shown


def test_arguments_that_are_not_the_model_s_are_left_out():
    assert args_text({"a": 1, "__theory__": "T"}, 40) == "a=1"


def test_long_arguments_share_the_room():
    assert (
        args_text({"to": "a@b.c", "body": "Dear " * 100, "n": 1}, 40)
        == "to='a@b.c' body='Dear Dear D…ear ' n=1"
    )
    assert args_text({f"argument_{n}": n for n in range(9)}, 40) == "argument_0=0 argument_1=1 +7 more"
