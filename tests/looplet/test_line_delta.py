"""A prompt as what is new in it since the one before."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from looplet.line_delta import Delta, Following, decode, encode

LINES = st.lists(st.sampled_from(["", "a", "b", '"', "\u2550", "x" * 500, "y" * 500]), max_size=30)


@given(before=LINES, lines=LINES)
def test_what_is_written_can_be_read(before: list[str], lines: list[str]) -> None:
    assert decode(before, encode(before, lines)) == lines


@given(texts=st.lists(LINES, max_size=6), turn=st.integers(0, 3))
def test_what_follows_can_be_read(texts: list[list[str]], turn: int) -> None:
    following, before = Following(), list[str]()
    for text in [t for one in texts for t in (one, one[turn:] + one[:turn], one)]:
        before = decode(before, json.loads(following.encode("\n".join(text))))
        assert "\n".join(before) == "\n".join(text)


def test_texts_that_change_in_the_same_places() -> None:
    def prompt(step: int) -> list[str]:
        log = [f"step {number}" for number in range(step, step + 20)]
        return [*HEAD, *log, "", f"now {step}", "{" + "x" * (500 if step == 7 else 5), "end"]

    following, before = Following(), list[str]()
    for step in range(10):
        delta = json.loads(following.encode("\n".join(prompt(step))))
        before = decode(before, delta)
        assert before == prompt(step)
        assert step == 0 or len(delta) < 9


HEAD = [f"rule {number}" for number in range(200)]
RESULTS = [f"result {number} {'x' * 400}" for number in range(20)]


@pytest.mark.parametrize(
    ("before", "lines", "delta"),
    [
        ([], ["a"], ["a"]),
        (HEAD, HEAD, [[0, 200]]),
        ([*HEAD, "1", "end"], [*HEAD, "2", "end"], [[0, 200], "2", [201, 202]]),
        (
            [*HEAD, "1", "2", "3", "end"],
            [*HEAD, "2", "3", "4", "end"],
            [[0, 200], [201, 203], "4", [203, 204]],
        ),
        ([*HEAD, *RESULTS], [*HEAD[:3], *RESULTS], [[0, 3], [200, 220]]),
    ],
    ids=["the first", "the same", "a line", "a window", "far away"],
)
def test_only_what_is_new_is_written(before: list[str], lines: list[str], delta: Delta) -> None:
    assert json.loads(Following(before).encode("\n".join(lines))) == delta
