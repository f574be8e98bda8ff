"""Runs that survive: a journal written as the run goes, and explicit checkpoints in a store.

`LoopConfig(checkpoint_dir=...)` is all it takes: the run is written as it goes, and a run found in the folder
is resumed where it was.
"""

from looplet.lazy import names_of

TYPE_CHECKING = False  # what typing.TYPE_CHECKING is at run time, without importing typing
if TYPE_CHECKING:
    from looplet.checkpoint.journal import JournalFile as JournalFile
    from looplet.checkpoint.resume import resume_or_begin as resume_or_begin
    from looplet.checkpoint.snapshot import Checkpoint as Checkpoint
    from looplet.checkpoint.store import (
        CheckpointHook as CheckpointHook,
        CheckpointStore as CheckpointStore,
        FileCheckpointStore as FileCheckpointStore,
        continue_from as continue_from,
        resume_loop_state as resume_loop_state,
    )
    from looplet.checkpoint.writer import CheckpointedHook as CheckpointedHook, RunJournal as RunJournal

_NAMES = {
    "journal": "JournalFile",
    "resume": "resume_or_begin",
    "snapshot": "Checkpoint",
    "store": "CheckpointHook CheckpointStore FileCheckpointStore continue_from resume_loop_state",
    "writer": "CheckpointedHook RunJournal",
}
"""Module, and the public names it gives to this package."""

__all__, __getattr__ = names_of(__name__, _NAMES)  # pyright: ignore[reportUnsupportedDunderAll]
