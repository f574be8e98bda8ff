"""A journal read as a checkpoint: the step number at once, log and conversation when they are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from looplet.checkpoint.lines import STEP, records
from looplet.checkpoint.restore import Restorer, whole
from looplet.checkpoint.snapshot import Checkpoint
from looplet.conversation import Conversation
from looplet.engine.observe import NOBODY
from looplet.engine.run import Plan, Run
from looplet.engine.slots import NO_HOOKS
from looplet.session import SessionLog
from looplet.tools.registry import BaseToolRegistry
from looplet.types import DefaultState


def lines_until(lines: list[bytes], key: str, path: str) -> list[bytes]:
    """The lines up to the step of *key*: `step_3`, or `step_3_done` where it ended the run; else none."""
    number, _, end = key.removeprefix("step_").partition("_")
    places = [index for index, one in enumerate(lines) if one.startswith(STEP)]
    _, *steps, last = records([lines[0], *(lines[index] for index in places), lines[-1]], path)
    at = {str(step["n"]): index for step, index in zip(steps, places, strict=True)}
    done = str(steps[-1]["n"]) if steps and last["kind"] == "end" and last["reason"] == "done" else ""
    if number not in at or end != ("done" if number == done else ""):
        return []
    return lines if end else lines[: at[number] + 1]


class JournalCheckpoint(Checkpoint):
    """The newest state that a journal holds; made by `of`, and copied as any other checkpoint."""

    _lines: list[bytes]
    _path: str

    @classmethod
    def of(cls, lines: list[bytes], path: str) -> JournalCheckpoint:
        """The state at the end of some lines.

        Args:
            lines: The journal's lines, oldest first, as `looplet.checkpoint.lines.bodies` gives them.
            path: The journal, for messages.

        Raises:
            CheckpointError: They are no records.
        """
        self = cls.__new__(cls)
        self._lines, self._path = lines, path
        steps = (one for one in reversed(lines) if one.startswith(STEP))
        telling = [lines[0], next(steps, lines[0]), lines[-1]]
        begin, last, end = records(telling, path)
        status = {"status": end["reason"]} if end["kind"] == "end" else {}
        self.step_number = last.get("n", 0)
        self.config_snapshot = {"queries_used": last.get("queries", 0)}
        if "max_steps" in begin:
            most = begin["max_steps"]
            self.config_snapshot |= {"max_steps": most, "budget_remaining": max(0, most - self.step_number)}
        self.tool_results_store = {}
        self.metadata = {"task": str(begin["task"]), "run_id": begin["run_id"], **status}
        self.created_at = begin["t"] + last.get("after", 0.0)
        return self

    @cached_property
    def _restored(self) -> Run:
        """A run with no tools and no model, brought to where the journal ends."""
        journal = records(self._lines, self._path)
        begin = journal[0]
        plan = Plan(
            llm=None,
            task=begin["task"],
            tools=BaseToolRegistry(),
            context=None,
            session_id=begin["run_id"],
            slots=NO_HOOKS,
            observers=NOBODY,
            wire=begin["wire"],
        )
        run = Run(plan, DefaultState(), SessionLog(), Conversation())
        Restorer(run, self._path).apply(journal[: whole(journal)])
        return run

    @cached_property
    def session_log_data(self) -> dict[str, Any]:  # type: ignore[override]
        """`{"entries": [...], "current_theory": str}`."""
        log = self._restored.session_log
        return {"entries": log.to_list(), "current_theory": log.current_theory}

    @cached_property
    def conversation_data(self) -> dict[str, Any] | None:  # type: ignore[override]
        """What `Conversation.serialize` gives."""
        return self._restored.conversation.serialize()
