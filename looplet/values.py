"""Values from anywhere, as strict JSON that every writer can store and read back.

`normal` turns any Python value into plain JSON data, `dumps` into JSON text, `bounded` makes text short.
None of them raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from json import JSONEncoder
from typing import Any, TypeAlias

from looplet.text import escape_terminal

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
"""What strict JSON can hold."""

MAX_DEPTH = 250
"""Containers inside each other that `normal` keeps; deeper ones are replaced by a mark."""

MAX_DIGITS = 300
"""Decimal digits of an integer that is kept as a number; as many as a float can span."""

MAX_NODES = 200_000
"""Values that one call of `normal` writes; a structure that shares its parts can unfold to more than fits."""

REPR_CHARS = 2_000
"""Characters kept of the `repr` of an object that is no data."""

_INT_BOUND: int = 10**MAX_DIGITS
_SMALL_INT = 1 << 62
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_TEXT_MODULES = frozenset({"decimal", "fractions", "uuid", "pathlib", "ipaddress", "zoneinfo"})
_encode = JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_encode_sorted = JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True).encode


def normal(value: object) -> JSON:
    """A copy of *value* as strict JSON data.

    JSON data comes back equal (tuples as lists). What JSON cannot hold is replaced by
    `{"__converted__": kind, "value": ...}`: sets, bytes (base64), non-finite floats, dates, enums,
    dataclasses, dicts with keys that are no text (as pairs), cycles, any other object (its `repr` without
    addresses). Equal values give equal results, in any process.
    """
    kind = type(value)
    if value is None or kind is bool or (kind is str and _sound(value)):  # type: ignore[arg-type]
        return value  # type: ignore[return-value]
    if kind is dict and _is_flat(value):  # type: ignore[arg-type]
        return value.copy()  # type: ignore[attr-defined, no-any-return]
    try:
        return _Normaliser().visit(value, 0)
    except RecursionError:
        return _mark(kind.__name__, "too deep for the stack that is left")


def dumps(value: object) -> str:
    """*value* as one line of strict JSON text, made `normal` first. Keys stay in their order."""
    return _encode(normal(value))


def plain(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether *value* is strict JSON data as it stands, at most *depth* containers deep."""
    kind = type(value)
    if kind is str:
        return _sound(value)
    if kind is int:
        return bool(-_INT_BOUND < value < _INT_BOUND)
    if kind is float:
        return bool(value - value == 0.0)
    if kind is dict:
        if not depth:
            return False
        for key, item in value.items():
            if type(key) is not str or not _sound(key) or not plain(item, depth - 1):
                return False
        return True
    if kind is list:
        return depth > 0 and all(plain(item, depth - 1) for item in value)
    return value is None or kind is bool


def plain_copy(value: Any) -> Any:
    """A copy of JSON data that shares no container with *value*; other objects are kept as they are."""
    kind = type(value)
    if kind is dict:
        return {key: plain_copy(item) for key, item in value.items()}
    if kind is list:
        return [plain_copy(item) for item in value]
    return value


def bounded(text: str, limit: int) -> str:
    """*text* if it has at most *limit* characters, else head, a visible mark and tail: *limit* characters."""
    if len(text) <= limit:
        return text
    room = limit - len(_gap(len(text)))
    if room < 2:
        return text[: max(limit, 0)]
    mark = _gap(len(text) - room)
    room = limit - len(mark)
    return text[: room - room // 2] + mark + text[len(text) - room // 2 :]


def _gap(count: int) -> str:
    return f" ... [{count:,} characters left out] ... "


def _is_flat(value: dict[Any, Any]) -> bool:
    """Whether *value* holds what most arguments do: ASCII text, small whole numbers, flags, None."""
    for key, item in value.items():
        kind = type(item)
        if type(key) is not str or not key.isascii():
            return False
        if kind is str:
            if not item.isascii():
                return False
        elif kind is int:
            if not -_SMALL_INT < item < _SMALL_INT:
                return False
        elif item is not None and kind is not bool:
            return False
    return True


def _sound(text: str) -> bool:
    """Whether *text* can be written as UTF-8: no unpaired surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mark(kind: str, value: JSON) -> dict[str, JSON]:
    return {"__converted__": kind, "value": value}


def _whole_text(value: str) -> JSON:
    text = str.__str__(value)
    return text if _sound(text) else _mark("surrogates", text.encode("utf-8", "backslashreplace").decode())


def _whole_int(value: int) -> JSON:
    number = int.__pos__(value)
    return number if -_INT_BOUND < number < _INT_BOUND else _mark("int", hex(number))


def _whole_float(value: float) -> JSON:
    number = float.__pos__(value)
    return number if number - number == 0.0 else _mark("float", float.__repr__(number))


def _described(value: object) -> JSON:
    name = type(value).__name__
    try:
        text = _ADDRESS.sub("", repr(value))
    except Exception:  # a broken __repr__ must not cost the run its record
        text = f"<{name} without a repr>"
    return _mark(name, escape_terminal(bounded(text, REPR_CHARS), lines=True))


class _Normaliser:
    """One walk over one value; knows the containers it is inside of, and how much it has written."""

    __slots__ = ("inside", "left")

    def __init__(self) -> None:
        self.inside: set[int] = set()
        self.left = MAX_NODES

    def visit(self, value: object, depth: int) -> JSON:
        self.left -= 1
        kind = type(value)
        if kind is str:
            return _whole_text(value)  # type: ignore[arg-type]
        if kind is int:
            return _whole_int(value)  # type: ignore[arg-type]
        if value is None or kind is bool:
            return value  # type: ignore[return-value]
        if kind is float:
            return _whole_float(value)  # type: ignore[arg-type]
        if depth >= MAX_DEPTH:
            return _mark("depth", f"more than {MAX_DEPTH} levels deep")
        if id(value) in self.inside:
            return _mark("cycle", None)
        self.inside.add(id(value))
        try:
            return self.container(value, depth + 1)
        finally:
            self.inside.discard(id(value))

    def container(self, value: object, depth: int) -> JSON:
        kind = type(value)
        if issubclass(kind, dict):
            return self.mapping(dict.items(value), depth)  # type: ignore[arg-type]
        if issubclass(kind, (list, tuple)):
            return self.items(value, depth)  # type: ignore[arg-type]
        try:
            return self.other(value, kind, depth)
        except RecursionError:
            raise
        except Exception:  # a hostile attribute or iterator: its repr is what is left
            return _described(value)

    def items(self, values: Iterable[object], depth: int) -> list[JSON]:
        found: list[JSON] = []
        for item in values:
            if self.left <= 0:
                found.append(_mark("cut", "too many values"))
                break
            found.append(self.visit(item, depth))
        return found

    def mapping(self, pairs: Iterable[tuple[object, object]], depth: int) -> JSON:
        found: dict[str, JSON] = {}
        pairs = list(pairs)
        for key, item in pairs:
            if type(key) is not str or not _sound(key):
                return _mark("dict", [self.items(pair, depth + 1) for pair in pairs])
            if self.left <= 0:
                found["__cut__"] = "too many values"
                break
            found[key] = self.visit(item, depth)
        return found

    def other(self, value: object, kind: type, depth: int) -> JSON:
        for base, convert in _CONVERSIONS.items():
            if issubclass(kind, base):
                return convert(value)
        if issubclass(kind, (set, frozenset)):
            return _mark(kind.__name__, sorted(self.items(value, depth), key=_encode_sorted))  # type: ignore[arg-type]
        if issubclass(kind, Enum):
            return _mark(kind.__name__, self.visit(value.value, depth))  # type: ignore[attr-defined]
        if kind.__module__ == "datetime" and hasattr(kind, "isoformat"):
            return _mark(kind.__name__, value.isoformat())  # type: ignore[attr-defined]
        if kind.__module__.partition(".")[0] in _TEXT_MODULES or kind.__module__ == "datetime":
            return _mark(kind.__name__, _whole_text(str(value)))
        if hasattr(kind, "__dataclass_fields__"):
            fields = kind.__dataclass_fields__
            return _mark(kind.__name__, self.mapping([(n, getattr(value, n, None)) for n in fields], depth))
        if hasattr(kind, "model_dump"):
            return _mark(kind.__name__, self.visit(value.model_dump(), depth))  # type: ignore[attr-defined]
        if isinstance(value, Mapping):
            return _mark(kind.__name__, self.mapping(value.items(), depth))
        if kind.__module__ == "collections":  # deque and its like
            return _mark(kind.__name__, self.items(value, depth))  # type: ignore[arg-type]
        return _described(value)


def _base64(value: bytes) -> str:
    from binascii import b2a_base64  # a shared library; few values are bytes

    return b2a_base64(value, newline=False).decode()


_CONVERSIONS: dict[type, Callable[..., JSON]] = {
    str: _whole_text,
    int: _whole_int,
    float: _whole_float,
    bytes: lambda value: _mark("bytes", _base64(value)),
    bytearray: lambda value: _mark("bytes", _base64(value)),
    memoryview: lambda value: _mark("bytes", _base64(value)),
}
