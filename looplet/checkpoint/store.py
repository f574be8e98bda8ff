"""Stores for checkpoints, and reading back what a run's journal holds."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from json import loads
from typing import Any, Protocol, runtime_checkable

from looplet.checkpoint.disk import make_private, read_regular
from looplet.checkpoint.journal import NAME
from looplet.checkpoint.json_file import write_json
from looplet.checkpoint.lines import bodies
from looplet.checkpoint.snapshot import Checkpoint
from looplet.conversation import Conversation
from looplet.engine.run import Run
from looplet.errors import CheckpointError, ConfigError
from looplet.session import LogEntry, SessionLog
from looplet.values import normal


@runtime_checkable
class CheckpointStore(Protocol):
    """Keeps checkpoints under keys."""

    def save(self, checkpoint: Checkpoint, key: str) -> None:
        """Keep *checkpoint* under *key*, in place of what was there."""
        ...

    def load(self, key: str) -> Checkpoint | None:
        """What is kept under *key*, or None."""
        ...


_KEY = re.compile(r"[^/\\\0]{1,120}")
_LONGEST = 230
"""Bytes of a name; file systems take 255, and there is more to a file's name than its key."""


class FileCheckpointStore:
    """One JSON file for each key in a folder; also reads the journal that a run keeps there.

    Args:
        directory: Made with mode 0700 if it is not there; files have mode 0600, for they hold prompts.

    Raises:
        CheckpointError: The folder cannot be made.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)
        try:
            make_private(self.directory)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise CheckpointError(
                f"{self.directory} cannot be made a folder of checkpoints: {reason}"
            ) from problem

    def save(self, checkpoint: Checkpoint, key: str) -> None:
        """Write `{key}.json`, whole or not at all.

        Raises:
            ValueError: *key* cannot be a file name of its own, or the file has another key.
            CheckpointError: The file cannot be written; the old one is as it was.
        """
        path = self._path(key)
        if os.path.exists(path) and (other := _key_of(path)) not in (None, key):
            raise ConfigError(f"checkpoint key {key!r}: {path} is that of the key {other!r}")
        data = checkpoint.to_dict()
        if key != _plain(path):
            data["key"] = key
        write_json(path, normal(data))

    def load(self, key: str) -> Checkpoint | None:
        """The checkpoint under *key*, or None where there is none.

        A run's journal has `step_{n}` for each step, and `step_{n}_done` for the one that ended the run.

        Raises:
            ValueError: *key* cannot be a file name of its own.
            CheckpointError: The file cannot be read; names it and the reason.
        """
        path = self._path(key)
        if os.path.exists(path):
            return _load(path) if _key_of(path) in (None, key) else None
        if not key.startswith("step_"):
            return None
        return _journalled(os.path.join(self.directory, NAME), key)

    def load_latest(self) -> Checkpoint | None:
        """The checkpoint of the highest step, of all files and the journal; None where there is none.

        A file that cannot be read is passed over with a warning that names it.

        Raises:
            CheckpointError: The folder cannot be read; or the journal, and there is no other checkpoint.
        """
        found: Checkpoint | None = None
        for name in self._names():
            if not name.endswith(".json"):
                continue
            try:
                one = _load(os.path.join(self.directory, name))
            except CheckpointError as problem:
                _warn(f"passed over: {problem}")
                continue
            if found is None or one.step_number > found.step_number:
                found = one
        try:
            journalled = _journalled(os.path.join(self.directory, NAME))
        except CheckpointError as problem:
            if found is None:
                raise
            _warn(f"passed over: {problem}")
            return found
        if journalled is not None and (found is None or journalled.step_number > found.step_number):
            found = journalled
        return found

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.directory))
        except OSError as problem:
            raise CheckpointError(f"{self.directory} cannot be read: {problem}") from problem

    def _path(self, key: str) -> str:
        # Only separators are taken off, as ever; a file whose name is not its key has the key inside.
        name = re.split(r"[/\\]", key)[-1] if isinstance(key, str) else ""
        if name in ("", ".", "..") or not _KEY.fullmatch(name) or not _fits(name):
            raise ConfigError(f"checkpoint key {key!r}: use 1 to 120 characters without separators")
        return os.path.join(self.directory, f"{name}.json")


def _fits(name: str) -> bool:
    try:
        return len(os.fsencode(name)) <= _LONGEST
    except UnicodeEncodeError:
        return False


def _plain(path: str) -> str:
    return os.path.basename(path).removesuffix(".json")


def _key_of(path: str) -> Any:
    """The key under which the file at *path* was saved; None where it cannot be read."""
    try:
        return _read(path).get("key", _plain(path))
    except CheckpointError:
        return None


def _journalled(path: str, key: str = "") -> Checkpoint | None:
    """What the journal at *path* holds, up to the step that *key* names; None where there is none."""
    if not os.path.exists(path):
        return None
    from looplet.checkpoint.reader import JournalCheckpoint, lines_until

    try:
        data = read_regular(path)
    except OSError as problem:
        raise CheckpointError(f"{path} cannot be read: {problem}") from problem
    lines, _ = bodies(data, path)
    if lines and key:
        lines = lines_until(lines, key, path)
    return JournalCheckpoint.of(lines, path) if lines else None


def _load(path: str) -> Checkpoint:
    data = _read(path)
    try:
        checkpoint = Checkpoint.from_dict(data)
        resume_loop_state(checkpoint)
    except CheckpointError as problem:
        raise CheckpointError(f"{path}: {problem}") from problem
    return checkpoint


def _read(path: str) -> dict[str, Any]:
    try:
        data = loads(read_regular(path).decode())
    except (OSError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path} cannot be read: {problem}") from problem
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} is no checkpoint: it holds {type(data).__name__}, not an object")
    return data


def _warn(text: str) -> None:
    import logging

    logging.getLogger("looplet.checkpoint").warning(text)


class CheckpointHook:
    """Saves a checkpoint of the caller's making every few steps.

    Args:
        store: Where to.
        get_checkpoint_data: `(step_num) -> Checkpoint`.
        save_every_n_steps: After each step whose number this divides.
    """

    def __init__(
        self,
        store: CheckpointStore,
        get_checkpoint_data: Callable[[int], Checkpoint],
        save_every_n_steps: int = 5,
    ) -> None:
        self.store = store
        self.get_checkpoint_data = get_checkpoint_data
        self.save_every_n_steps = save_every_n_steps

    def pre_prompt(self, state: Any, session_log: Any, context: Any, step_num: int) -> None:
        """Nothing to say."""

    def pre_dispatch(self, state: Any, session_log: Any, tool_call: Any, step_num: int) -> None:
        """No opinion."""

    def post_dispatch(
        self, state: Any, session_log: Any, tool_call: Any, tool_result: Any, step_num: int
    ) -> None:
        """Save, if it is time."""
        if step_num % self.save_every_n_steps == 0:
            self.store.save(self.get_checkpoint_data(step_num), f"step_{step_num}")

    def check_done(self, state: Any, session_log: Any, context: Any, step_num: int) -> None:
        """No opinion."""

    def should_stop(self, state: Any, step_num: int, new_entities: int) -> bool:
        """Never."""
        return False

    def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
        """No model call was made."""
        return 0


def resume_loop_state(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a loop needs to go on.

    Returns:
        `session_log`, `conversation` (or None), `step_offset`, `state_counters` and `metadata`.

    Raises:
        CheckpointError: Log or conversation do not have the shape of one.
    """
    log = SessionLog()
    data = checkpoint.session_log_data or {}
    kept = checkpoint.conversation_data
    try:
        log.entries.extend(LogEntry(**entry) for entry in data.get("entries", ()))
        conversation = Conversation.deserialize(kept) if kept else None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        raise CheckpointError(
            f"the checkpoint of step {checkpoint.step_number} holds no log and conversation that can be "
            f"read: {problem!r}"
        ) from problem
    log.current_theory = data.get("current_theory", "")
    counters = {
        name: checkpoint.config_snapshot[name]
        for name in ("queries_used", "budget_remaining")
        if name in checkpoint.config_snapshot
    }
    return {
        "session_log": log,
        "conversation": conversation,
        "step_offset": checkpoint.step_number,
        "state_counters": counters,
        "metadata": dict(checkpoint.metadata),
    }


def continue_from(run: Run, checkpoint: Checkpoint) -> None:
    """Start *run* after an explicit checkpoint: its log, conversation, counters and step numbers."""
    kept = resume_loop_state(checkpoint)
    run.session_log.entries[:] = kept["session_log"].entries
    run.session_log.current_theory = kept["session_log"].current_theory
    if kept["conversation"] is not None:
        run.conversation.begin_with(kept["conversation"].messages)
    run.offset = kept["step_offset"]
    for name, value in kept["state_counters"].items():
        try:
            setattr(run.state, name, value)
        except AttributeError:
            continue  # A read-only counter, such as `DefaultState.budget_remaining`, follows from the offset.
