"""`looplet_workspace`: a folder that tools may write to, and what they changed there."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

LARGEST = 1_000_000
"""Bytes of a file whose text is kept for a diff; of a larger one, only whether it changed is known."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of a workspace since its last snapshot; false if nothing did.

    Attributes:
        added: Files that are new, as paths below the workspace with `/`, sorted.
        modified: Files with other content.
        removed: Files that are gone.
        diff: All of it as a unified diff; files that are no text are only named.
    """

    added: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    diff: str = ""

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed)


class Workspace(os.PathLike[str]):
    """A folder of one test. `workspace / "a.txt"` is a path in it; one that leads out of it is refused.

    Args:
        path: The folder; it is made.

    Attributes:
        path: The folder, without symbolic links.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path.resolve()
        self._before: dict[str, bytes] = {}
        self.snapshot()

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Workspace({str(self.path)!r})"

    def __truediv__(self, name: str | os.PathLike[str]) -> Path:
        """The path of *name*, which is relative or inside; symbolic links are followed.

        Raises:
            PermissionError: It is outside.
        """
        found = (self.path / name).resolve()
        if not found.is_relative_to(self.path):
            raise PermissionError(f"{os.fspath(name)!r} leads out of the workspace {self.path}")
        return found

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file, with the folders above it.

        Raises:
            PermissionError: It is outside.
        """
        file = self / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return file

    def read(self, name: str) -> str:
        """The text of a file.

        Raises:
            PermissionError: It is outside.
            OSError: It cannot be read.
        """
        return (self / name).read_text(encoding="utf-8")

    def seed(self, files: Mapping[str, str | bytes]) -> None:
        """Put *files* there, path and content, before the agent begins: they are no changes."""
        for name, content in files.items():
            self.write(name, content)
        self.snapshot()

    @property
    def files(self) -> list[str]:
        """All files, as paths below the workspace with `/`, sorted."""
        return sorted(self._state())

    def snapshot(self) -> None:
        """From now on, `changes` tells what happened since now."""
        self._before = self._state()

    @property
    def changes(self) -> Changes:
        """What happened since the last snapshot; the first is taken when the workspace is made or seeded."""
        before, now = self._before, self._state()
        added = tuple(sorted(now.keys() - before.keys()))
        removed = tuple(sorted(before.keys() - now.keys()))
        modified = tuple(sorted(name for name in now.keys() & before.keys() if now[name] != before[name]))
        lines = (
            line
            for name in sorted({*added, *removed, *modified})
            for line in _diff(name, before.get(name), now.get(name))
        )
        return Changes(added, modified, removed, "\n".join(lines))

    def _state(self) -> dict[str, bytes]:
        """Each file with its content; of a symbolic link, where it points; of a large file, a digest."""
        found: dict[str, bytes] = {}
        for folder, folders, names in os.walk(self.path):
            links = [name for name in folders if Path(folder, name).is_symlink()]
            for name in [*names, *links]:
                file = Path(folder, name)
                found[file.relative_to(self.path).as_posix()] = _content(file)
        return found


def _content(file: Path) -> bytes:
    if file.is_symlink():
        return b"-> " + os.fsencode(os.readlink(file))
    if not file.is_file():
        return b"\0no regular file"
    if file.stat().st_size <= LARGEST:
        return file.read_bytes()
    with file.open("rb") as stream:
        return b"\0" + hashlib.file_digest(stream, "sha256").digest()


def _diff(name: str, before: bytes | None, now: bytes | None) -> Iterator[str]:
    old, new = _lines(before), _lines(now)
    names = ("/dev/null" if before is None else f"a/{name}", "/dev/null" if now is None else f"b/{name}")
    if old is None or new is None:
        yield f"{names[0]} and {names[1]} differ, and are no text"
    else:
        head = [f"--- {names[0]}", f"+++ {names[1]}"]
        yield from list(difflib.unified_diff(old, new, *names, lineterm="")) or head


def _lines(content: bytes | None) -> list[str] | None:
    if content is None:
        return []
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.splitlines()


def make(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    """What the fixture gives: empty, or with the files of the case that the agent is run on."""
    workspace = Workspace(tmp_path / "workspace")
    cell = getattr(request.node, "cell", None)  # only the run of a case has one
    if cell is not None:
        workspace.seed(cell.case.files)
    return workspace
