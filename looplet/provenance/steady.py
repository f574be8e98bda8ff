"""A run's document without what differs from run to run: ids by position, no times."""

from __future__ import annotations

from typing import Any

RUN_ID = "0" * 12

_TIMES = frozenset({"duration_ms", "timestamp"})
_IDS = frozenset({"call_id", "id", "tool_use_id"})
_OWN = frozenset({"args", "artifacts", "context", "data", "final_output", "input", "metadata", "task"})
"""Members that hold what the user, the model or a tool said: their ids and times mean something."""


def steady(value: Any, names: dict[str, str] | None = None) -> Any:
    """A copy of JSON data that is the same for every equal run.

    Call ids become `call_1`, `call_2`, … in the order in which they first appear; times become 0. Tasks,
    arguments and results are left as they are.

    Args:
        names: The names given to ids so far; filled further.
    """
    names = {} if names is None else names

    def visit(value: Any) -> Any:
        if isinstance(value, list):
            return [visit(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: member(key, item) for key, item in value.items()}

    def member(key: str, item: Any) -> Any:
        if key in _OWN:
            return item
        if key in _TIMES and isinstance(item, (int, float)):
            return 0.0
        if key in _IDS and isinstance(item, str) and item:
            return names.setdefault(item, f"call_{len(names) + 1}")
        if key == "pretty" and isinstance(item, str):
            return item.rpartition(" [")[0] if item.endswith("ms]") else item
        return visit(item)

    made = visit(value)
    return {**made, "run_id": RUN_ID} if isinstance(made, dict) and "run_id" in made else made
