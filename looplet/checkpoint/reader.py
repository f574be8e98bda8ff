"""A journal read as a checkpoint: the step number at once, log and conversation when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from looplet.checkpoint.restore import Restorer
from looplet.checkpoint.snapshot import Checkpoint
from looplet.conversation import Conversation
from looplet.engine.observe import Observers
from looplet.engine.run import Plan, Run
from looplet.engine.slots import Slots
from looplet.session import SessionLog
from looplet.tools.registry import BaseToolRegistry
from looplet.types import DefaultState


class JournalCheckpoint(Checkpoint):
    """The newest state that a journal holds.

    Args:
        records: The journal's records, oldest first.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self._records = records
        begin = records[0]
        last = next((one for one in reversed(records) if one["kind"] == "step"), None)
        status = {"status": records[-1]["reason"]} if records[-1]["kind"] == "end" else {}
        self.step_number = last["n"] if last else 0
        self.config_snapshot = {"queries_used": last.get("queries", 0) if last else 0}
        self.tool_results_store = {}
        self.metadata = {"task": str(begin["task"]), "run_id": begin["run_id"], **status}
        self.created_at = (last or begin)["t"]

    @cached_property
    def _restored(self) -> Run:
        """A run with no tools and no model, brought to where the journal ends."""
        begin = self._records[0]
        plan = Plan(
            llm=None,
            task=begin["task"],
            tools=BaseToolRegistry(),
            context=None,
            session_id=begin["run_id"],
            slots=Slots(()),
            observers=Observers(),
            wire=begin["wire"],
        )
        run = Run(plan, DefaultState(), SessionLog(), Conversation())
        Restorer(run).apply(self._records)
        return run

    @property
    def session_log_data(self) -> dict[str, Any]:  # type: ignore[override]
        """`{"entries": [...], "current_theory": str}`."""
        log = self._restored.session_log
        return {"entries": log.to_list(), "current_theory": log.current_theory}

    @property
    def conversation_data(self) -> dict[str, Any] | None:  # type: ignore[override]
        """What `Conversation.serialize` gives."""
        return self._restored.conversation.serialize()
