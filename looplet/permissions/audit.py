"""The audit log: one record for each decision, bounded, without secrets."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from looplet import clock
from looplet.permissions.rule import PermissionOutcome
from looplet.redact import Redactor
from looplet.types import ToolCall
from looplet.values import bounded, normal

SHOWN_CHARS = 2000
SHOWN_ITEMS = 50
SHOWN_DEPTH = 8

_LOOKED_AT = 16_000
"""Characters at each end of a text in which secrets are looked for: more than a key has."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One decision. A copy of what was decided about, which later edits do not reach.

    Attributes:
        time: When, in seconds since 1970.
        tool: Name of the tool.
        args: The arguments, cut to a bounded size and without secrets.
        verdict: `allow` or `deny`.
        by: Who answered: `rule`, `default`, `person`, `nobody` or `engine`, as in `PermissionOutcome`.
        asked: Whether a person was asked.
        rule: The rule that decided, in words; empty where none did.
        source: Where that rule is written, as `rules.toml:12`; empty where that is not known.
        reason: Why, in words.
        step: The step that the call becomes, or None where no run was told.
        call_id: The call.
    """

    time: float
    tool: str
    args: dict[str, Any]
    verdict: str
    by: str
    asked: bool = False
    rule: str = ""
    source: str = ""
    reason: str = ""
    step: int | None = None
    call_id: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)


@dataclass
class AuditLog:
    """The newest decisions of an engine, oldest first. Threads may write to it at the same time.

    Attributes:
        limit: Records kept; older ones are counted in `dropped`.
        path: A file that each record is appended to as a line of JSON when it is made, or None.
        dropped: How many records are no longer kept.
    """

    limit: int = 10_000
    path: str | os.PathLike[str] | None = None
    dropped: int = 0
    _records: deque[AuditRecord] = field(default_factory=deque, init=False, repr=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __iter__(self) -> Iterator[AuditRecord]:
        return iter(tuple(self._records))

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, position: int) -> AuditRecord:
        return self._records[position]

    def add(self, record: AuditRecord) -> None:
        """Keep *record*, and append it to the file if there is one.

        Raises:
            OSError: The file cannot be written; the record is kept in memory.
        """
        with self._lock:
            self._records.append(record)
            while len(self._records) > self.limit:
                self._records.popleft()
                self.dropped += 1
            if self.path is not None:
                _append(self.path, _line(record))

    def to_jsonl(self) -> str:
        """All records kept, one JSON object a line."""
        return "".join(_line(record) for record in self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all records kept into a new file at *path*, readable by its owner only."""
        Path(path).unlink(missing_ok=True)
        _append(path, self.to_jsonl())


def _line(record: AuditRecord) -> str:
    return json.dumps(record.to_dict(), ensure_ascii=True, sort_keys=False) + "\n"


def _append(path: str | os.PathLike[str], text: str) -> None:
    # The log holds arguments of tools: it is nobody else's to read.
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, text.encode("ascii"))
    finally:
        os.close(handle)


def record_of(
    outcome: PermissionOutcome, call: ToolCall, redactor: Redactor, step: int | None = None
) -> AuditRecord:
    """The record of what was decided about *call*."""
    seen, rule = outcome.call, outcome.rule
    tool = seen.tool if seen else bounded(str(getattr(call, "tool", "")), 64)
    return AuditRecord(
        time=clock.now(),
        tool=tool,
        args=shown(seen.args, redactor) if seen else {},
        verdict=outcome.decision.value,
        by=outcome.by,
        asked=outcome.asked,
        rule=str(rule) if rule else "",
        source=rule.source if rule else "",
        reason=redactor.text(bounded(outcome.reason, SHOWN_CHARS)),
        step=step,
        call_id=bounded(str(seen.call_id), 64) if seen else "",
    )


def shown(args: dict[str, Any], redactor: Redactor | None = None) -> dict[str, Any]:
    """A copy of a call's arguments for the log, as JSON values.

    Text keeps `SHOWN_CHARS` characters, lists and objects `SHOWN_ITEMS` entries, nesting `SHOWN_DEPTH`
    levels; each cut says so. What is no JSON value is shown as its type.
    """
    # Text is cut last: a secret that is cut in two would no longer be recognised.
    redactor = redactor or Redactor.of_environment()
    redacted = normal(_cut(redactor.value(_pruned(args, SHOWN_DEPTH))))
    return redacted if isinstance(redacted, dict) else {}


def _pruned(value: object, depth: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= 2 * _LOOKED_AT else value[:_LOOKED_AT] + "…" + value[-_LOOKED_AT:]
    if value is None or isinstance(value, int | float):
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
