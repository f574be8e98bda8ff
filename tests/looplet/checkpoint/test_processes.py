"""Two processes and one folder; folders that were made, but not made durable."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from looplet.checkpoint import FileCheckpointStore, JournalFile
from looplet.errors import CheckpointError
from looplet.loop import LoopConfig, composable_loop
from looplet.testing import ScriptedChatBackend, call
from looplet.tools import tool, tools_from
from looplet.types import DefaultState

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@tool
def add(a: int) -> int:
    """Give it back."""
    return a


def start(folder: Path, first: int = 0, state: DefaultState | None = None) -> Any:
    script = [call("add", a=n) for n in range(first, 6)]
    settings = LoopConfig(checkpoint_dir=str(folder), max_steps=20)
    tools = tools_from([add], include_done=True)
    llm = ScriptedChatBackend(*script, call("done", answer="ok"))
    return composable_loop(llm, "t", tools, config=settings, state=state or DefaultState(max_steps=20))


def in_a_fork(work: Any) -> int:
    """Do *work* in a forked process; gives its exit status."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@needs_fork
def test_CK_05_a_forked_process_cannot_write_on(tmp_path: Path) -> None:
    steps = start(tmp_path)
    next(steps)

    def go_on() -> int:
        try:
            next(steps)
        except CheckpointError as problem:
            return 5 if "forked" in str(problem) else 6
        return 7

    assert in_a_fork(go_on) == 5
    assert [step.number for step in steps] == [2, 3, 4, 5, 6, 7]


@needs_fork
def test_CK_05_a_forked_process_that_leaves_its_copy_of_a_run_changes_nothing(tmp_path: Path) -> None:
    steps = start(tmp_path)
    next(steps)
    ready, go = os.pipe()

    def leave_late() -> int:
        os.read(ready, 1)
        steps.close()
        return 0

    child = os.fork()
    if child == 0:
        os._exit(leave_late())
    next(steps), next(steps)
    before = (tmp_path / "journal.jsonl").read_bytes()
    os.write(go, b"!")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tmp_path / "journal.jsonl").read_bytes() == before
    steps.close()
    state = DefaultState(max_steps=20)
    assert [step.number for step in start(tmp_path, 3, state)] == [4, 5, 6, 7]
    assert len(state.steps) == 7


@needs_fork
def test_CK_05_a_forked_process_does_not_keep_the_folder(tmp_path: Path) -> None:
    run = os.fork()
    if run == 0:
        JournalFile(tmp_path)
        child = os.fork()
        if child == 0:
            (tmp_path / "up").write_text(str(os.getpid()))
        time.sleep(30)
        os._exit(0)
    try:
        while not (tmp_path / "up").exists() or not (tmp_path / "up").read_text():
            time.sleep(0.005)
        child = int((tmp_path / "up").read_text())
        with pytest.raises(CheckpointError, match="in use by another process"):
            JournalFile(tmp_path)
        os.kill(run, 9)
        os.waitpid(run, 0)
        JournalFile(tmp_path).close()
    finally:
        os.kill(child, 9)


class Synced:
    """The folders that were synced, by inode."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folders: set[int] = set()
        sync = os.fsync

        def watched(file: int) -> None:
            sync(file)
            about = os.fstat(file)
            if stat.S_ISDIR(about.st_mode):
                self.folders.add(about.st_ino)

        monkeypatch.setattr(os, "fsync", watched)

    def __contains__(self, folder: Path) -> bool:
        return folder.stat().st_ino in self.folders


needs_folders = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not sync folders")


@needs_folders
@pytest.mark.parametrize("made", [0, 100], ids=["empty", "before its first step"])
def test_CK_03_a_folder_whose_maker_was_killed_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: int
) -> None:
    steps = start(tmp_path / "first")
    next(steps)
    written = (tmp_path / "first" / "journal.jsonl").read_bytes()
    steps.close()
    folder = tmp_path / "again"
    folder.mkdir()
    (folder / "journal.jsonl").write_bytes(written[:made])
    synced = Synced(monkeypatch)
    next(start(folder))
    assert folder in synced


@needs_folders
def test_CK_03_a_folder_that_is_made_is_in_its_own_folder_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = Synced(monkeypatch)
    next(start(tmp_path / "a" / "b"))
    assert tmp_path in synced
    assert tmp_path / "a" in synced
    FileCheckpointStore(tmp_path / "c" / "d")
    assert tmp_path / "c" in synced
