"""Results that are too big, made smaller where one can see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looplet.values import bounded, normal

RESULT_CHARS = 1_000_000
"""Characters of text and JSON that a tool result may hold; what goes beyond is cut with a visible mark."""

TOOL_RESULT_MAX_CHARS = 6000
"""Characters of a text result that a prompt shows."""

TOOL_RESULT_MAX_ROWS = 50
"""Rows of a list result that a prompt shows."""

CUT_KEY = "__cut__"
"""Member of a dict that was cut; says how many members were left out."""


_NUMBERS = frozenset({int, float, bool, type(None)})
_SMALL = 50_000


def size_within(value: object, limit: int) -> int:
    """What *value* takes in characters, roughly; counting stops once it is more than *limit*.

    Records (dataclasses, models, mappings) count as the data they are stored as; other objects as 1.
    """
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value)  # type: ignore[arg-type]
    size = 0
    stack: list[object] = [value]
    while stack and size <= limit:
        value = stack.pop()
        size += 1
        if isinstance(value, (str, bytes, bytearray)):
            size += len(value)
        elif isinstance(value, dict):
            stack.extend(value)
            stack.extend(value.values())
            size += len(value)
        elif isinstance(value, (list, tuple, set, frozenset)):
            stack.extend(value)
            size += len(value)
        elif _has_fields(value):
            stack.append(normal(value))
    return size


def _has_fields(value: object) -> bool:
    kind = type(value)
    return hasattr(kind, "__dataclass_fields__") or hasattr(kind, "model_dump") or isinstance(value, Mapping)


def cut(value: Any, limit: int = RESULT_CHARS) -> Any:
    """*value* itself if it takes at most *limit* characters, else a copy with the rest left out visibly.

    Text is cut in the middle, lists at the end with a last item that says so, dicts with the member
    `__cut__`.
    """
    if limit >= _SMALL and _is_small(value):  # most results are, and cost no walk
        return value
    return value if size_within(value, limit) <= limit else _Cutter(limit).visit(value, 0)


def _is_small(value: object) -> bool:
    """Whether *value* is a scalar, a short text or a short flat dict: most results are, and cost no walk."""
    if type(value) is not dict:
        return _is_short(value)
    if len(value) > 20:
        return False
    for key, item in value.items():
        if type(item) not in _NUMBERS and not _is_short(item):
            return False
        if type(key) is not str or len(key) > 1000:
            return False
    return True


def _is_short(value: object) -> bool:
    return type(value) in _NUMBERS or (type(value) is str and len(value) < 1000)


class _Cutter:
    """Copies a value until the room is used up."""

    def __init__(self, room: int) -> None:
        self.room = room

    def visit(self, value: Any, depth: int) -> Any:
        if isinstance(value, (str, bytes, bytearray)):
            text = value if isinstance(value, str) else repr(bytes(value[: self.room + 1]))
            text = bounded(text, max(self.room, 80))
            self.room -= len(text)
            return text
        self.room -= 2
        if depth > 100:
            return "... [nested too deeply: left out] ..."
        if isinstance(value, dict):
            return self.mapping(value, depth + 1)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self.items(value, depth + 1)
        return self.visit(normal(value), depth + 1) if _has_fields(value) else value

    def mapping(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        kept: dict[Any, Any] = {}
        for key, item in value.items():
            if self.room <= 0:
                kept[CUT_KEY] = f"{len(value) - len(kept):,} members left out"
                break
            short = bounded(key, 1000) if isinstance(key, str) else key
            self.room -= len(short) + 2 if isinstance(short, str) else 2
            kept[short] = self.visit(item, depth)
        return kept

    def items(self, value: Any, depth: int) -> list[Any]:
        kept: list[Any] = []
        for item in value:
            if self.room <= 0:
                kept.append(f"... [{len(value) - len(kept):,} items left out] ...")
                break
            kept.append(self.visit(item, depth))
        return kept


def truncate_tool_result(
    data: Any, max_chars: int = TOOL_RESULT_MAX_CHARS, max_rows: int = TOOL_RESULT_MAX_ROWS
) -> Any:
    """A short copy of a tool's data for a prompt; data that is short already comes back itself.

    Long lists become `{"rows", "total", "showing", "truncated", "note"}`; a long `rows` member, and those of
    the entries of `per_table`, are cut; long text ends with a mark.
    """
    if isinstance(data, str):
        if len(data) <= max_chars:
            return data
        return f"{data[:max_chars]}\n... [truncated, {len(data)} chars total]"
    if isinstance(data, list) and len(data) > max_rows:
        return {
            "rows": data[:max_rows],
            "total": len(data),
            "showing": max_rows,
            "truncated": True,
            "note": _note(max_rows, len(data)),
        }
    return _short_rows(data, max_rows) if isinstance(data, dict) else data


def _note(shown: int, total: int) -> str:
    return f"Showing {shown} of {total} rows; ask for fewer or narrower rows to see the rest."


def _short_rows(data: dict[str, Any], max_rows: int) -> dict[str, Any]:
    short = data
    rows = data.get("rows")
    if isinstance(rows, list) and len(rows) > max_rows:
        short = {**data, "rows": rows[:max_rows], "showing": max_rows, "note": _note(max_rows, len(rows))}
        short.setdefault("total", len(rows))
    tables = data.get("per_table")
    if isinstance(tables, list):
        short = {**short, "per_table": [_short_table(table, max_rows) for table in tables]}
    return short


def _short_table(table: Any, max_rows: int) -> Any:
    rows = table.get("rows") if isinstance(table, dict) else None
    if not isinstance(rows, list) or len(rows) <= max_rows:
        return table
    return {**table, "rows": rows[:max_rows], "showing": max_rows, "total_in_table": len(rows)}
