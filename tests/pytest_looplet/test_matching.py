"""What counts as what was expected."""

import datetime as dt
import re
from dataclasses import dataclass
from unittest.mock import ANY

import pytest
from hypothesis import given, settings, strategies as st

from looplet.values import normal
from pytest_looplet.matching import matches
from pytest_looplet.pairing import pair_up


@dataclass
class Point:
    x: int


class Even:
    """Equal to even numbers, like the matchers of dirty-equals."""

    def __eq__(self, other):
        return isinstance(other, int) and other % 2 == 0

    __hash__ = None


TOMORROW = dt.date(2026, 11, 22)

CASES = {
    "equal": ("a", "a", True),
    "not equal": ("a", "b", False),
    "anything": (ANY, None, True),
    "a matcher by equality": (Even(), 4, True),
    "a matcher by equality that says no": (Even(), 5, False),
    "a matcher inside": ({"n": [Even(), ANY]}, {"n": [2, "x"]}, True),
    "a regular expression is searched": (re.compile(r"\d+"), "order 12", True),
    "a regular expression in no text": (re.compile(r"\d+"), 12, False),
    "a regular expression inside": ([re.compile("^a")], ["ab"], True),
    "a class": (str, "x", True),
    "another class": (str, 1, False),
    "bool is asked for by class": (bool, True, True),
    "a function": (lambda value: value > 3, 4, True),
    "a function that says no": (str.isdigit, "x", False),
    "a function of a bool": (lambda value: value is True, True, True),
    "true is not one": (1, True, False),
    "one is not true": (True, 1, False),
    "one is one point zero": (1, 1.0, True),
    "none": (None, None, True),
    "none is not nothing": (None, "", False),
    "another object": ({"a": 1}, {"a": 1, "b": 2}, False),
    "a tuple is a list": ((1, (2,)), [1, [2]], True),
    "a list of another length": ([1], [1, 2], False),
    "a set, as it was recorded": ({3, 1}, normal({1, 3}), True),
    "a date, as it was recorded": (TOMORROW, normal(TOMORROW), True),
    "a dataclass, as it was recorded": (Point(1), normal(Point(1)), True),
    "another dataclass": (Point(2), normal(Point(1)), False),
}


@pytest.mark.parametrize(("expected", "actual", "fits"), CASES.values(), ids=CASES)
def test_matches(expected, actual, fits):
    assert matches(expected, actual) is fits


@settings(max_examples=100, deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 4)), max_size=5))
def test_as_many_as_possible_are_paired_each_once(wishes):
    chosen = pair_up(len(wishes), 5, lambda left, right: right in wishes[left])
    assert len(set(chosen.values())) == len(chosen)
    assert all(right in wishes[left] for left, right in chosen.items())
    assert len(chosen) == most(wishes, frozenset())


def most(wishes, used):
    """The size of the largest pairing, by trying all."""
    if not wishes:
        return 0
    skipping = most(wishes[1:], used)
    return max([skipping, *(1 + most(wishes[1:], used | {one}) for one in wishes[0] - used)])


def test_many_alike_do_not_exhaust_the_stack():
    assert len(pair_up(300, 299, lambda left, right: left != 5 or right == 298)) == 299
