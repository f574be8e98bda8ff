"""A checkpoint as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from looplet import clock
from looplet.errors import CheckpointError


@dataclass
class Checkpoint:
    """A run at one of its steps, as plain data.

    Attributes:
        step_number: The last step that is in it.
        session_log_data: `{"entries": [...], "current_theory": str}`.
        conversation_data: What `Conversation.serialize` gives, or None.
        config_snapshot: Counters: `max_steps`, `queries_used`, `budget_remaining`.
        tool_results_store: The caller's own.
        metadata: `task`, and whatever else the writer adds.
        created_at: Seconds since the epoch.
    """

    step_number: int
    session_log_data: dict[str, Any] = field(default_factory=dict)
    conversation_data: dict[str, Any] | None = None
    config_snapshot: dict[str, Any] = field(default_factory=dict)
    tool_results_store: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    created_at: float = field(default_factory=clock.now)

    def to_dict(self) -> dict[str, Any]:
        """The seven fields as a dict."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Checkpoint:
        """The checkpoint that `to_dict` gave; only `step_number` is required.

        Raises:
            CheckpointError: *data* has another shape.
        """
        number = data.get("step_number")
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise CheckpointError(f"a checkpoint needs a step_number, an int from 0; this one has {number!r}")
        given = {name: data[name] for name in _FIELDS if data.get(name) is not None}
        for name in _DICTS:
            if not isinstance(given.get(name, {}), dict):
                raise CheckpointError(
                    f"{name} of a checkpoint is an object; not {type(given[name]).__name__}"
                )
        return cls(**given)


_FIELDS = tuple(Checkpoint.__dataclass_fields__)
_DICTS = _FIELDS[1:-1]
