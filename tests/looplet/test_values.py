"""Anything as strict JSON: equal where it was JSON, marked where it was not, and never an exception."""

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import subprocess
import sys
import types
import uuid

import pydantic
import pytest
from hypothesis import given, strategies as st

from looplet.values import MAX_DEPTH, bounded, dumps, normal, plain, plain_copy


def mark(kind, value):
    return {"__converted__": kind, "value": value}


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Word(str):
    def __str__(self):
        return "another"


@dataclasses.dataclass
class Point:
    x: int
    y: object = None


class Model(pydantic.BaseModel):
    a: int


class Opaque:
    pass


class Broken:
    def __repr__(self):
        raise RuntimeError("no repr")


class Liar:
    @property
    def __class__(self):
        raise RuntimeError("no class")

    __dataclass_fields__ = 5


CONVERTED = {
    "text": ("a", "a"),
    "a text subclass": (Word("a"), "a"),
    "an int enum": (Level.LOW, 1),
    "a tuple": ((1, (2,)), [1, [2]]),
    "a named tuple": (collections.namedtuple("P", "a b")(1, 2), [1, 2]),
    "an ordered dict": (collections.OrderedDict(a=1), {"a": 1}),
    "a set": ({3, 1, 2}, mark("set", [1, 2, 3])),
    "a mixed set": ({"a", 1, None}, mark("set", ["a", 1, None])),
    "a frozen set": (frozenset(), mark("frozenset", [])),
    "bytes": (b"\x00a", mark("bytes", "AGE=")),
    "a byte array": (bytearray(b"a"), mark("bytes", "YQ==")),
    "not a number": (float("nan"), mark("float", "nan")),
    "infinity": ([-float("inf")], [mark("float", "-inf")]),
    "a huge integer": (1 << 2000, mark("int", hex(1 << 2000))),
    "an unpaired surrogate": ("a\ud800", mark("surrogates", "a\\ud800")),
    "number keys": ({1: "a", None: "b"}, mark("dict", [[1, "a"], [None, "b"]])),
    "tuple keys": ({(1, 2): "a"}, mark("dict", [[[1, 2], "a"]])),
    "surrogate keys": ({"\ud800": 1}, mark("dict", [[mark("surrogates", "\\ud800"), 1]])),
    "a datetime": (datetime.datetime(2026, 1, 2, 3), mark("datetime", "2026-01-02T03:00:00")),
    "a date": (datetime.date(2026, 1, 2), mark("date", "2026-01-02")),
    "a time delta": (datetime.timedelta(seconds=90), mark("timedelta", "0:01:30")),
    "a decimal": (decimal.Decimal("1.10"), mark("Decimal", "1.10")),
    "a uuid": (uuid.UUID(int=1), mark("UUID", "00000000-0000-0000-0000-000000000001")),
    "a path": (pathlib.PurePosixPath("a/b"), mark("PurePosixPath", "a/b")),
    "an enum": (Color.RED, mark("Color", "red")),
    "a dataclass": (Point(1, {2}), mark("Point", {"x": 1, "y": mark("set", [2])})),
    "a model": (Model(a=1), mark("Model", {"a": 1})),
    "a mapping": (types.MappingProxyType({"a": 1}), mark("mappingproxy", {"a": 1})),
    "a deque": (collections.deque([1, 2]), mark("deque", [1, 2])),
    "an object": (Opaque(), mark("Opaque", f"<{__name__}.Opaque object>")),
    "an exception": (ValueError("x"), mark("ValueError", "ValueError('x')")),
    "a class": (Opaque, mark("type", f"<class '{__name__}.Opaque'>")),
    "no repr": (Broken(), mark("Broken", "<Broken without a repr>")),
}


@pytest.mark.parametrize(("value", "expected"), CONVERTED.values(), ids=CONVERTED)
def test_TV_03_what_json_cannot_hold_is_marked(value, expected):
    found = normal(value)
    assert found == expected
    assert json.loads(dumps(value)) == found
    assert plain(found)


def test_TV_03_a_cycle_is_cut_and_a_shared_part_is_not():
    shared = [1]
    cycle = {"a": shared, "b": shared}
    cycle["me"] = [cycle]
    assert normal(cycle) == {"a": [1], "b": [1], "me": [mark("cycle", None)]}


def test_TV_03_depth_is_bounded():
    value = []
    for _ in range(100_000):
        value = [value]
    found = dumps(value)
    assert found.startswith("[" * MAX_DEPTH)
    assert f"more than {MAX_DEPTH} levels deep" in found


def test_TV_03_what_unfolds_without_end_is_cut():
    value = ["x"]
    for _ in range(200):
        value = [value, value]
    assert len(dumps(value)) < 50_000_000


def test_objects_that_lie_about_themselves():
    assert normal([Liar()]) == [mark("Liar", f"<{__name__}.Liar object>")]


def test_the_result_is_a_copy():
    value = {"a": [1], "b": {"c": 2}}
    found = normal(value)
    found["a"].append(2)
    found["b"]["d"] = 3
    assert value == {"a": [1], "b": {"c": 2}}
    flat = {"a": 1}
    assert normal(flat) is not flat


def test_equal_values_are_equal_in_every_process():
    code = "from looplet.values import dumps; print(dumps([{'b', 'a', 'c', 'zz', 'y'}, object(), print]))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert len(seen) == 1


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda one: st.lists(one) | st.dictionaries(st.text(st.characters(codec="utf-8")), one),
    max_leaves=10,
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.decimals()
    | st.complex_numbers()
    | st.builds(Opaque)
    | st.builds(Broken),
    lambda one: (
        st.lists(one)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), one)
        | st.tuples(one)
        | st.frozensets(st.integers() | st.text())
        | st.builds(Point, st.integers(), one)
    ),
    max_leaves=10,
)


@given(json_values)
def test_json_stays_as_it_is(value):
    assert plain(value)
    assert normal(value) == value
    assert json.loads(dumps(value)) == value
    assert plain_copy(value) == value


@given(anything)
def test_TV_03_everything_becomes_strict_json(value):
    found = normal(value)
    text = dumps(value)
    assert plain(found)
    assert json.loads(text, parse_constant=pytest.fail) == found
    text.encode()
    assert normal(found) == found


NOT_PLAIN = [
    float("nan"),
    10**301,
    "\ud800",
    {"\ud800": 1},
    {1: 2},
    (1,),
    {"a": {1, 2}},
    Word("a"),
    Level.LOW,
    [[Opaque()]],
]


@pytest.mark.parametrize("value", NOT_PLAIN, ids=lambda value: repr(value).partition(" at 0x")[0])
def test_what_is_not_plain(value):
    assert not plain(value)


def test_plain_has_a_depth():
    assert plain([[[]]], depth=3)
    assert not plain([[[]]], depth=2)
    assert not plain({"a": {}}, depth=1)


@given(st.text(), st.integers(-5, 200))
def test_bounded_text_fits_and_says_how_much_is_missing(text, limit):
    short = bounded(text, limit)
    assert len(short) <= max(limit, 0)
    if len(text) <= limit:
        assert short == text


def test_bounded_text_keeps_both_ends():
    text = "".join(map(str, range(1000)))
    short = bounded(text, 100)
    assert len(short) == 100
    head, _, rest = short.partition(" ... [")
    count, _, tail = rest.partition(" characters left out] ... ")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + len(tail) + int(count.replace(",", "")) == len(text)
