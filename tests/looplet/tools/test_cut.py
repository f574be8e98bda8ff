"""Results that are too big: cut where it can be seen, everything else as it was."""

import dataclasses
import types

import pytest
from hypothesis import given, strategies as st

from looplet.tools import cut, truncate_tool_result
from looplet.tools.cut import size_within
from looplet.values import dumps

SMALL = {
    "None": None,
    "a number": 5,
    "text": "x" * 900,
    "a dict": {"a": 1, "b": "x"},
    "a list": list(range(100)),
    "an object": object(),
    "bytes": b"abc",
}


@pytest.mark.parametrize("value", SMALL.values(), ids=SMALL)
def test_what_fits_comes_back_itself(value):
    assert cut(value) is value


CUT = {
    "text": ("x" * 5000, lambda c: "characters left out" in c),
    "bytes": (b"x" * 5000, lambda c: "characters left out" in c),
    "a list": (list(range(5000)), lambda c: c[:3] == [0, 1, 2] and c[-1].endswith("items left out] ...")),
    "a tuple": (("x" * 10,) * 5000, lambda c: isinstance(c, list) and c[-1].endswith("items left out] ...")),
    "a dict": (
        dict.fromkeys(map(str, range(5000)), 1),
        lambda c: c["0"] == 1 and c["__cut__"].endswith("left out"),
    ),
    "a member": ({"a": 1, "big": "x" * 5000, "b": 2}, lambda c: c["a"] == 1 and "left out" in c["big"]),
    "a long key": ({"k" * 5000: 1}, lambda c: all(len(key) <= 1000 for key in c)),
    "deep": ([[[["x" * 5000]]]], lambda c: "left out" in c[0][0][0][0]),
}


@dataclasses.dataclass
class Record:
    text: str
    n: int = 1


CUT["a record"] = ([Record("x" * 5000)], lambda c: "left out" in c[0]["value"]["text"])
CUT["a mapping"] = (types.MappingProxyType({"a": "x" * 5000}), lambda c: "left out" in c["value"]["a"])


@pytest.mark.parametrize(("value", "seen"), CUT.values(), ids=CUT)
def test_TV_04_what_does_not_fit_is_cut_visibly(value, seen):
    before = repr(value)
    short = cut(value, 1000)
    assert seen(short)
    assert len(dumps(short)) < 3000
    assert repr(value) == before


def test_TV_04_a_structure_that_shares_its_parts_is_cut():
    value = ["x" * 10]
    for _ in range(100):
        value = [value, value]
    assert len(dumps(cut(value, 100_000))) < 1_000_000


def test_TV_04_a_huge_text_far_down_is_cut():
    value = "x" * 2_000_000
    for _ in range(10_000):
        value = [value]
    assert "nested too deeply" in dumps(cut(value))


def test_TV_04_the_default_is_a_million_characters():
    assert cut("x" * 1_000_000) == "x" * 1_000_000
    assert len(cut("x" * 1_000_001)) == 1_000_000


values = st.recursive(
    st.integers() | st.text() | st.none(),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    max_leaves=20,
)


@given(values, st.integers(200, 400))
def test_TV_04_the_size_is_bounded(value, limit):
    short = cut(value, limit)
    if size_within(value, limit) <= limit:
        assert short == value
    else:
        assert size_within(short, 10 * limit) <= 2 * limit


ROWS = [{"n": n} for n in range(80)]
TRUNCATED = {
    "short text": ("x" * 6000, "x" * 6000),
    "long text": ("x" * 6001, "x" * 6000 + "\n... [truncated, 6001 chars total]"),
    "few rows": (ROWS[:50], ROWS[:50]),
    "a number": (5, 5),
    "None": (None, None),
    "a dict of few rows": ({"rows": ROWS[:50]}, {"rows": ROWS[:50]}),
    "rows that are no list": ({"rows": 80}, {"rows": 80}),
}


@pytest.mark.parametrize(("data", "short"), TRUNCATED.values(), ids=TRUNCATED)
def test_truncation_for_a_prompt(data, short):
    assert truncate_tool_result(data) == short


def test_truncation_of_rows():
    note = "Showing 50 of 80 rows; ask for fewer or narrower rows to see the rest."
    assert truncate_tool_result(ROWS) == {
        "rows": ROWS[:50], "total": 80, "showing": 50, "truncated": True, "note": note,
    }  # fmt: skip
    data = {"rows": ROWS, "x": 1}
    assert truncate_tool_result(data) == {"rows": ROWS[:50], "x": 1, "showing": 50, "total": 80, "note": note}
    assert truncate_tool_result({"rows": ROWS, "total": 900})["total"] == 900
    assert len(data["rows"]) == 80


def test_truncation_of_tables():
    data = {"per_table": [{"t": "a", "rows": ROWS}, {"t": "b", "rows": ROWS[:3]}, "c"]}
    first, second, third = truncate_tool_result(data)["per_table"]
    assert (len(first["rows"]), first["showing"], first["total_in_table"]) == (50, 50, 80)
    assert (second, third) == (data["per_table"][1], "c")


def test_truncation_to_other_sizes():
    assert truncate_tool_result("abcdef", max_chars=3) == "abc\n... [truncated, 6 chars total]"
    assert truncate_tool_result([1, 2, 3], max_rows=2)["rows"] == [1, 2]
