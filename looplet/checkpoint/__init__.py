"""Runs that survive: a journal written as the run goes, and explicit checkpoints in a store.

`LoopConfig(checkpoint_dir=...)` is all it takes: the run is written as it goes, and a run found in the folder
is resumed where it was.
"""

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

_HOMES = {name: f"looplet.checkpoint.{module}" for module, names in _NAMES.items() for name in names.split()}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'looplet.checkpoint' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(home), name)
    globals()[name] = value  # the next look-up does not come here
    return value
