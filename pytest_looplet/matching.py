"""When a value is what was expected: equality first, then what the expectation itself can say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from looplet.text import show_value
from looplet.values import normal


def matches(expected: Any, actual: Any) -> bool:
    """Whether *actual*, a JSON value, is what *expected* asks for.

    Equality decides, so `dirty-equals` and `unittest.mock.ANY` work. Beyond it a compiled regular
    expression is searched in a text, a class asks for an instance, and any other callable is asked.
    Mappings and sequences are compared by their parts, each by these rules; true and 1 differ.
    """
    if isinstance(expected, int | float) and isinstance(expected, bool) != isinstance(actual, bool):
        return False
    if isinstance(expected, Mapping) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(matches(v, actual[k]) for k, v in expected.items())
    if isinstance(expected, list | tuple) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(matches, expected, actual))
    return _equal(expected, actual) or _asked(expected, actual)


def _equal(expected: Any, actual: Any) -> bool:
    return bool(expected == actual)


def _asked(expected: Any, actual: Any) -> bool:
    if isinstance(expected, re.Pattern):
        return isinstance(actual, str) and expected.search(actual) is not None
    if isinstance(expected, type):
        return isinstance(actual, expected)
    if callable(expected):
        return bool(expected(actual))
    # A set, a date or a dataclass is recorded in its JSON form.
    return not isinstance(expected, str | int | float | None) and _equal(normal(expected), actual)


def differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[str]:
    """How *actual* arguments fall short of the *expected* ones, one text for each."""
    found = []
    for name, wanted in expected.items():
        if name not in actual:
            found.append(f"{name} is missing")
        elif not matches(wanted, actual[name]):
            found.append(f"{name} is {show_value(actual[name], 40)}, not {shown(wanted, 40)}")
    return found


def shown(expected: Any, width: int) -> str:
    """An expected value for people: regular expressions as `/…/`, callables and classes by name."""
    if isinstance(expected, re.Pattern):
        return f"/{expected.pattern}/"
    if isinstance(expected, type) or (callable(expected) and hasattr(expected, "__name__")):
        return str(expected.__name__)
    return show_value(expected, width)


def times_text(times: object) -> str:
    """How often, for people: `once`, `twice`, `3 times`, `2 to 4 times`."""
    if isinstance(times, range) and len(times) and times.step == 1:
        return f"{times[0]} to {times[-1]} times"
    words: Sequence[str] = ("never", "once", "twice")
    if isinstance(times, int) and not isinstance(times, bool):
        return words[times] if 0 <= times < len(words) else f"{times} times"
    return f"{shown(times, 40)} times"


def times_match(times: object, count: int) -> bool:
    """Whether *count* calls are as many as *times* asks for: a number, a range, or any matcher."""
    return count in times if isinstance(times, range) else matches(times, count)
