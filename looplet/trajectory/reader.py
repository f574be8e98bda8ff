"""Reading JSON somebody else may have edited: every value has a place, and errors name it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from looplet.errors import TraceError

T = TypeVar("T")

_KINDS: dict[type, str] = {
    str: "text",
    int: "a whole number",
    dict: "an object",
    list: "a list",
    bool: "true or false",
}


def parse(text: str | bytes, source: str) -> Node:
    """The root of the JSON document *text*.

    Raises:
        TraceError: It is not strict JSON in UTF-8; the text names *source* and the line.
    """
    try:
        whole = text.decode("utf-8") if isinstance(text, bytes) else text
        return Node(json.loads(whole, parse_constant=_no_constant), source, "")
    except UnicodeDecodeError as error:
        raise TraceError(f"cannot read {source}: byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise TraceError(
            f"cannot read {source}: {error.msg} ({where}); it is empty, cut or not JSON"
        ) from error
    except (ValueError, RecursionError) as error:
        raise TraceError(f"cannot read {source}: {error}") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


class Node:
    """One value of a document, and where it stands."""

    __slots__ = ("source", "value", "where")

    def __init__(self, value: Any, source: str, where: str) -> None:
        self.value = value
        self.source = source
        self.where = where

    def fail(self, reason: str) -> NoReturn:
        """Raise `TraceError` that names the file, the place and the reason."""
        raise TraceError(f"cannot read {self.source}: {self.where or 'the document'} {reason}")

    def has(self, key: str) -> bool:
        """Whether this object has *key* with a value other than null."""
        return self.object().get(key) is not None

    def object(self) -> dict[str, Any]:
        """This value, an object."""
        return self._be(dict)

    def at(self, key: str) -> Node:
        """The value under *key*, null where it is missing."""
        where = f"{self.where}.{key}" if self.where else key
        return Node(self.object().get(key), self.source, where)

    def items(self, key: str) -> Iterator[Node]:
        """The values of the list under *key*; none where it is missing."""
        node = self.at(key)
        for number, value in enumerate([] if node.value is None else node._be(list)):
            yield Node(value, self.source, f"{node.where}[{number}]")

    def text(self, key: str, default: str | None = None) -> str:
        """The text under *key*."""
        return self._or(key, str, default)

    def text_or_none(self, key: str) -> str | None:
        """The text under *key*, or None."""
        return self.text(key) if self.has(key) else None

    def whole(self, key: str, default: int | None = None) -> int:
        """The whole number under *key*."""
        return self._or(key, int, default)

    def flag(self, key: str) -> bool:
        """The truth value under *key*, false where it is missing."""
        return self._or(key, bool, False)

    def number(self, key: str, default: float = 0.0) -> float:
        """The number under *key*."""
        node = self.at(key)
        if node.value is None:
            return default
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            node.fail(f"is {node._kind()}, not a number")
        return node.value  # an integer stays one, so that it is written again as it was read

    def mapping(self, key: str) -> dict[str, Any]:
        """The object under *key*, empty where it is missing."""
        return self._or(key, dict, {})

    def one_of(self, key: str, choose: Callable[[Any], T], default: T | None = None) -> T:
        """The value under *key* as *choose* makes it; what it refuses with a ValueError is an error."""
        node = self.at(key)
        if node.value is None and default is not None:
            return default
        try:
            return choose(node.value)
        except ValueError:
            node.fail(f"is {node.value!r}, which this version does not know")

    def _or(self, key: str, kind: type[T], default: T | None) -> T:
        node = self.at(key)
        if node.value is None and default is not None:
            return default
        return node._be(kind)

    def _be(self, kind: type[T]) -> T:
        if not isinstance(self.value, kind) or (kind is int and isinstance(self.value, bool)):
            self.fail(f"is {self._kind()}, not {_KINDS[kind]}" if self.value is not None else "is missing")
        return self.value

    def _kind(self) -> str:
        return next((name for kind, name in _KINDS.items() if type(self.value) is kind), "a number")
