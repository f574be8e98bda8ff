"""Secrets in texts that come in pieces: what no event of a stream holds by itself, and many say together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from looplet.redact import Redactor
from pytest_looplet.cassette.encoding import strict_json

_Path: TypeAlias = tuple[Any, ...]


class _Leaf(NamedTuple):
    """Where a piece of text stands: in which event, in what container, under which key."""

    number: int
    container: Any
    key: Any
    text: str


def opened(data: str) -> list[Any]:
    """What *data* says, as the one item of a list: JSON where it is that, else the text itself."""
    if data[:1] in ("{", "["):
        try:
            return [strict_json(data)]
        except ValueError:
            pass
    return [data]


def across(redactor: Redactor, holders: Sequence[list[Any]]) -> set[int]:
    """Take out, in place, the secrets in texts that run over *holders*; gives which of those were changed."""
    threads: dict[_Path, list[_Leaf]] = {}
    for number, holder in enumerate(holders):
        for path, container, key, text in _leaves(holder, ()):
            threads.setdefault(path, []).append(_Leaf(number, container, key, text))
    changed: set[int] = set()
    for leaves in threads.values():
        if len(leaves) > 1:
            changed |= _cut(redactor, leaves)
    return changed


def _leaves(value: Any, path: _Path) -> Iterator[tuple[_Path, Any, Any, str]]:
    """The texts in an event, each under a path that is the same for the pieces of one text."""
    if isinstance(value, dict):
        here = (*path, value["index"]) if isinstance(value.get("index"), int) else path
        items: Any = value.items()
    elif isinstance(value, list):
        here, items = path, enumerate(value)
    else:
        return
    for key, item in items:
        below = (*here, key) if isinstance(value, dict) else here
        if isinstance(item, str):
            yield below, value, key, item
        else:
            yield from _leaves(item, below)


def _cut(redactor: Redactor, leaves: list[_Leaf]) -> set[int]:
    changed: set[int] = set()
    joined = "".join(leaf.text for leaf in leaves)
    for secret in reversed(redactor.find(joined)):
        start = 0
        for number, container, key, text in leaves:
            first, last = max(secret.start - start, 0), min(secret.end - start, len(text))
            if first < last:
                put = secret.placeholder if secret.start >= start else ""
                now: str = container[key]
                # What stands behind this secret was cut already; what stands before it is as it was.
                container[key] = now[:first] + put + now[last:]
                changed.add(number)
            start += len(text)
    return changed
