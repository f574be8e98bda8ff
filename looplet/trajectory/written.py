"""JSON text with a line for each value, as `json.dumps(indent=1, sort_keys=True)` writes it, only faster.

The standard library leaves its C code as soon as it is to indent; a file of ten thousand steps would take
seconds. It is also written part by part, so that a large document never stands in memory as one text.
"""

from __future__ import annotations

from collections.abc import Iterator
from json.encoder import encode_basestring_ascii
from typing import Any

_WORDS = {True: "true", False: "false", None: "null"}
_PLAIN: tuple[type[Any], ...] = (str, int, dict, list)
_text = encode_basestring_ascii


def pieces(document: dict[str, Any]) -> Iterator[str]:
    """The text of *document* in parts; members that are iterators are taken item by item.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value is no JSON value.
    """
    before = "{\n "
    for name in sorted(document):
        value = document[name]
        yield f"{before}{_text(name)}: "
        if isinstance(value, Iterator):
            yield from _listed(value)
        else:
            yield _whole(value, "\n ")
        before = ",\n "
    yield "\n}\n" if document else "{}\n"


def _listed(values: Iterator[Any]) -> Iterator[str]:
    before = "[\n  "
    for value in values:
        yield before + _whole(value, "\n  ")
        before = ",\n  "
    yield "[]" if before.startswith("[") else "\n ]"


def _whole(value: Any, margin: str) -> str:
    """The text of *value*; *margin* is a line feed and the blanks that its last line begins with."""
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is dict:
        if not value:
            return "{}"
        inner = margin + " "
        members = [f"{_text(name)}: {_whole(value[name], inner)}" for name in sorted(value)]
        return f"{{{inner}{f',{inner}'.join(members)}{margin}}}"
    if kind is list or kind is tuple:
        if not value:
            return "[]"
        inner = margin + " "
        return f"[{inner}{f',{inner}'.join([_whole(item, inner) for item in value])}{margin}]"
    if kind is int:
        return int.__repr__(value)
    if value is None or kind is bool:
        return _WORDS[value]
    return _rare(value, margin)


def _rare(value: Any, margin: str) -> str:
    """Floats, and values of derived types."""
    if isinstance(value, float):
        if value - value != 0.0:
            raise ValueError(f"{value!r} is no JSON value")
        return float.__repr__(value)
    for plain in _PLAIN:
        if isinstance(value, plain):
            return _whole(plain(value), margin)
    raise TypeError(f"{type(value).__name__} is no JSON value")
