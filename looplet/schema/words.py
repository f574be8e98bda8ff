"""The words that all checks share: JSON's types, equality, and how a value is shown in a message."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

from looplet.text import escape_terminal
from looplet.values import bounded

Found: TypeAlias = Sequence[tuple[str, str]]
"""Violations, each a path below the value that was tested and a text."""

Test: TypeAlias = Callable[[object], Found]
"""Looks at a value; `OK` where it fits."""

OK: Found = ()
"""Nothing wrong; shared, so that a value that fits allocates nothing."""

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
    "null": (type(None),),
}
"""JSON's words for types, and the Python types that hold them."""


def type_word(value: object) -> str:
    """JSON's word for the type of *value*, or the Python type's name where JSON has none."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    for word, kinds in TYPES.items():
        if isinstance(value, kinds):
            return word
    return type(value).__name__


def is_type(value: object, word: str) -> bool:
    """Whether *value* is of JSON type *word*; 2.0 is an integer, True is no number."""
    found = type_word(value)
    if found == word or (found == "integer" and word == "number"):
        return True
    return word == "integer" and isinstance(value, float) and value.is_integer()


def same(one: object, other: object) -> bool:
    """Equality of JSON values: 1 equals 1.0, and True equals neither."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def key_of(value: object) -> Hashable:
    """The same for values that are the `same`, and for no others."""
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, dict):
        return dict, frozenset((name, key_of(item)) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return list, tuple(map(key_of, value))
    return value if value is None or isinstance(value, (str, int, float)) else (type(value), repr(value))


def shown(value: object) -> str:
    """*value* in a message: its type, and the value itself where it is short."""
    word = type_word(value)
    if value is None or word in ("object", "array"):
        return word
    return f"{word} {escape_terminal(bounded(repr(value), 60))}"
