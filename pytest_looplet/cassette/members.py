"""Members of a cassette file, each of the kind it must be, or a sentence that says which is not.

A cassette is committed, merged and edited by people, so every shape of it can be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from looplet.text import show_value

T = TypeVar("T")

_WORDS: dict[type, str] = {dict: "a mapping", list: "a list", str: "text", int: "a whole number"}


def must_be(value: Any, kind: type[T], what: str) -> T:
    """*value*, which *what* names.

    Raises:
        ValueError: it is not of that kind; true is no number.
    """
    if type(value) is not kind:
        raise ValueError(f"{what} must be {_WORDS[kind]}, not {show_value(value, 40)}")
    return value


def member(entry: Mapping[str, Any], name: str, kind: type[T], of: str, otherwise: T | None = None) -> T:
    """The member *name* of *entry*.

    Args:
        kind: What it must be: dict, list, str or int.
        of: What *entry* is, for the sentence: `the request`.
        otherwise: Taken where there is none; None where there must be one.

    Raises:
        ValueError: it is missing, or no such thing.
    """
    if name not in entry:
        if otherwise is None:
            raise ValueError(f"{of} has no `{name}`")
        return otherwise
    return must_be(entry[name], kind, f"`{name}` of {of}")
