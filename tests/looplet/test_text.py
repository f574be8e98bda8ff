"""Text that is shown commands nobody and fits."""

import re

import pytest
from hypothesis import given, settings, strategies as st

from looplet.text import clip, columns, escape_terminal, shorten, show_value

ESCAPED = {
    "plain text": ("as it is, é 日本 👩‍💻", "as it is, é 日本 👩‍💻"),
    "a colour": ("\x1b[31mred", "\\x1b[31mred"),
    "a C1 control": ("\x9b31m", "\\x9b31m"),
    "an overwrite": ("safe\rEVIL", "safe\\rEVIL"),
    "a bell and a delete": ("\x07\x7f", "\\x07\\x7f"),
    "turned around": ("\u202egpj.exe\u2066", "\\u202egpj.exe\\u2066"),
    "invisible": ("a\u200bb\ufeff\u2060\xad", "a\\u200bb\\ufeff\\u2060\\xad"),
    "hidden tags": ("\U000e0041", "\\U000e0041"),
    "half a character": ("\ud800", "\\ud800"),
    "line ends": ("a\nb\tc\u2028d\x85e", "a\\nb\\tc\\u2028d\\x85e"),
    "a GitHub command": ("::error::x", "\\x3a:error::x"),
    "an indented GitHub command": ("  ::set-output name=x", "  \\x3a:set-output name=x"),
    "an older command": ("see ##[error]x", "see #\\x23[error]x"),
    "Azure and TeamCity": ("##vso[task]##teamcity[x]", "#\\x23vso[task]#\\x23teamcity[x]"),
    "colons and hashes inside": ("a::b ## c", "a::b ## c"),
}


@pytest.mark.parametrize(("text", "shown"), ESCAPED.values(), ids=ESCAPED)
def test_PP_04_escaped(text, shown):
    assert escape_terminal(text) == shown


def test_PP_04_lines_stay_lines_when_they_are_wanted():
    assert escape_terminal("a\n\tb\n::x\r\n", lines=True) == "a\n\tb\n\\x3a:x\\r\n"


UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
WORDS = st.text(st.characters(), max_size=60) | st.text("#:[v\n \x1b", max_size=12)


@settings(max_examples=80, deadline=None)
@given(WORDS)
def test_PP_04_no_text_commands_a_terminal_or_a_ci_system(text):
    for shown in (
        escape_terminal(text),
        show_value(text, 200),
        *escape_terminal(text, lines=True).split("\n"),
    ):
        assert not UNSAFE.search(shown.replace("\t", ""))
        assert not shown.lstrip().startswith(("::", "##["))
        assert "##[" not in shown


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=90),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=50), inner, max_size=4),
)


@settings(max_examples=60, deadline=None)
@given(JSON, st.integers(12, 120))
def test_a_value_fits_its_width(value, width):
    assert columns(show_value(value, width)) <= width


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.integers(1, 80))
def test_a_text_fits_its_width(text, width):
    for shown in (shorten(text, width), clip(text, width)):
        assert columns(shown) <= width
        assert shown == text or columns(text) > width


SHOWN = {
    "short": ({"a": 1, "b": None}, 40, "{'a': 1, 'b': None}"),
    "a long text tells its size": ("x" * 5000, 40, "'xxxxxxxxxxxxxxxxx…5,000 chars…xxxxxxxx'"),
    "a long list tells its rest": (list(range(1000)), 30, "[0, 1, 2, 3, 4, 5, … 994 more]"),
    "a big list in an object": ({"n": [1] * 1000}, 40, "{'n': [1, 1, 1, 1, 1, 1, 1, … 993 more]}"),
    "many keys": ({f"k{n}": n for n in range(99)}, 40, "{'k0': 0, 'k1': 1, 'k2': 2, … 96 more}"),
    "empty": ({}, 20, "{}"),
    "text in quotes": ("it's", 20, '"it\'s"'),
}


@pytest.mark.parametrize(("value", "width", "shown"), SHOWN.values(), ids=SHOWN)
def test_values_are_shown(value, width, shown):
    assert show_value(value, width) == shown


def test_the_work_does_not_grow_with_the_value():
    class Counting(dict):
        seen = 0

        def __getitem__(self, key):
            Counting.seen += 1
            return super().__getitem__(key)

    show_value(Counting({str(n): n for n in range(100_000)}), 60)
    assert Counting.seen < 20


def test_wide_characters_take_two_columns():
    assert columns("日本a") == 5
    assert columns("e\u0301") == 1
