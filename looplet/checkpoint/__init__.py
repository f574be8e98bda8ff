"""Runs that survive: a journal written as the run goes, and explicit checkpoints in a store.

`LoopConfig(checkpoint_dir=...)` is all it takes: the run is written as it goes, and a run found in the folder
is resumed where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looplet.checkpoint.journal import JournalFile
from looplet.checkpoint.restore import Restorer, check_identity, whole
from looplet.checkpoint.snapshot import Checkpoint
from looplet.checkpoint.store import (
    CheckpointHook,
    CheckpointStore,
    FileCheckpointStore,
    resume_loop_state,
)
from looplet.checkpoint.writer import CheckpointedHook, RunJournal
from looplet.engine.run import Run
from looplet.values import normal

__all__ = [
    "Checkpoint",
    "CheckpointHook",
    "CheckpointStore",
    "CheckpointedHook",
    "FileCheckpointStore",
    "JournalFile",
    "RunJournal",
    "continue_from",
    "resume_loop_state",
    "resume_or_begin",
]


def resume_or_begin(journal: RunJournal, run: Run, agent: Mapping[str, Any], mode: str) -> None:
    """Bring *run* to where its journal ends, or begin a new journal.

    Args:
        agent: Who the agent is: `{"tools": {name: fingerprint}, "rules": fingerprint}`.
        mode: "auto" resumes only the same task and agent, "force" anything, "never" begins anew and keeps the
            old journal beside the new one.

    Raises:
        CheckpointError: The journal is another run's, is finished, or is damaged.
    """
    file = journal.file
    if mode == "never":
        file.set_aside()
    records = file.read(forgiving=mode == "force")
    if not records:
        journal.begin(run, agent)
        return
    if mode == "auto":
        check_identity(records, normal(run.plan.task), agent, str(file.path))
    keep = whole(records)
    if keep < len(records):
        file.cut_after(keep)
    restorer = Restorer(run)
    with journal.muted():
        restorer.apply(records[:keep])
    journal.resumed(run, restorer.prompt)


def continue_from(run: Run, checkpoint: Checkpoint) -> None:
    """Start *run* after an explicit checkpoint: its log, conversation, counters and step numbers."""
    kept = resume_loop_state(checkpoint)
    run.session_log.entries[:] = kept["session_log"].entries
    run.session_log.current_theory = kept["session_log"].current_theory
    if kept["conversation"] is not None:
        run.conversation.messages[:] = kept["conversation"].messages
        run.conversation.revision += 1
    run.offset = kept["step_offset"]
    for name, value in kept["state_counters"].items():
        try:
            setattr(run.state, name, value)
        except AttributeError:
            continue  # A read-only counter, such as `DefaultState.budget_remaining`, follows from the offset.
