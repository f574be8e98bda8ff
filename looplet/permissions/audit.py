"""What the log of denials shows of a call: bounded, and without secrets."""

from __future__ import annotations

from typing import Any

from looplet.redact import Redactor
from looplet.values import bounded

SHOWN_CHARS = 2000
SHOWN_ITEMS = 50
SHOWN_DEPTH = 8


def shown(args: dict[str, Any]) -> dict[str, Any]:
    """A copy of a call's arguments for the log.

    Text keeps `SHOWN_CHARS` characters, lists and objects `SHOWN_ITEMS` entries, nesting `SHOWN_DEPTH`
    levels; each cut says so. What is no JSON value is shown as its type.
    """
    # Text is cut last: a secret that is cut in two would no longer be recognised.
    redacted: dict[str, Any] = _cut(Redactor.of_environment().value(_pruned(args, SHOWN_DEPTH)))
    return redacted


def _pruned(value: object, depth: int) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if depth == 0 or not isinstance(value, dict | list | tuple):
        return f"<{type(value).__name__}>"
    if isinstance(value, dict):
        kept: dict[str, Any] = {str(k): _pruned(v, depth - 1) for k, v in list(value.items())[:SHOWN_ITEMS]}
        return kept | ({"…": f"{len(value)} entries"} if len(value) > SHOWN_ITEMS else {})
    items = [_pruned(item, depth - 1) for item in value[:SHOWN_ITEMS]]
    return items + ([f"… [{len(value)} items]"] if len(value) > SHOWN_ITEMS else [])


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return bounded(value, SHOWN_CHARS)
    if isinstance(value, dict):
        return {bounded(key, SHOWN_CHARS): _cut(item) for key, item in value.items()}
    return [_cut(item) for item in value] if isinstance(value, list) else value
