"""Where two values differ is named by its path, with what stands there."""

import pytest

from looplet.text import columns
from looplet.trajectory.changes import changes

LONG = "The order was refunded today and the amount of 99.00 USD will be seen in {} days on the account."

CASES = {
    "equal": ({"a": [1]}, {"a": [1]}, []),
    "a member": ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ["r.b: 2 → 3"]),
    "inside": ({"a": [{"p": 1}]}, {"a": [{"p": 2}]}, ["r.a[0].p: 1 → 2"]),
    "one that is new": ({}, {"a": None}, ["r.a: absent → None"]),
    "one that is gone": ([1, 2], [1], ["r[1]: 2 → absent"]),
    "another kind": ([1], {"a": 1}, ["r: [1] → {'a': 1}"]),
    "several": ({"a": 1, "b": 1}, {"a": 2, "b": 2}, ["r.a: 1 → 2", "r.b: 1 → 2"]),
    "late in a long text": (
        LONG.format("three"),
        LONG.format("five"),
        ["r at character 74: 'seen in three days on the acc'… → 'seen in five days on the acco'…"],
    ),
    "a text that ends earlier": (
        "x" * 60,
        "x" * 50,
        ["r at character 51: 'xxxxxxxxxxxxxxxxxx' → 'xxxxxxxx'"],
    ),
}


@pytest.mark.parametrize(("before", "after", "told"), CASES.values(), ids=CASES)
def test_changes(before, after, told):
    lines = [change.text(70) for change in changes(before, after, "r")]
    assert lines == told
    assert all(columns(line) <= 90 for line in lines)
