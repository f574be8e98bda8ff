"""A folder that nothing leaves: paths are walked part by part from an open folder, links checked by hand.

What was checked is what is opened: every step goes through the folder that the step before opened, so
that renaming a folder or putting a link in its place between two steps leads nowhere else.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from looplet.errors import ConfigError
from looplet.workspace.refusal import Refused

LONGEST = 4096
"""Characters of a path."""

MOST_LINKS = 40
"""Links on the way of one path, as in the system."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_INSIDE = "give a path inside the workspace, such as src/main.py"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: a name in an open folder.

    Attributes:
        folder: Descriptor of the folder; open while the place is held.
        name: The last part, which is no link; `.` for the folder itself.
        path: The same from the root, links resolved, `/` between parts.
        kind: `st_mode`, or None where there is nothing.
    """

    folder: int
    name: str
    path: str
    kind: int | None


class Root:
    """The folder of a workspace.

    Args:
        root: An existing folder.

    Raises:
        ConfigError: It is none, or the system cannot open files relative to a folder.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        if os.open not in os.supports_dir_fd:
            raise ConfigError("a workspace needs a system that opens files relative to a folder (POSIX)")
        self.given = os.path.abspath(os.fspath(root))
        self.path = os.path.realpath(self.given)
        if not os.path.isdir(self.path):
            raise ConfigError(f"workspace {self.given}: there is no such folder; make it first")

    @contextmanager
    def place(self, path: str, *, make_folders: bool = False) -> Iterator[Place]:
        """Walk to *path*, and hold the folder in which it is.

        Args:
            path: Relative to the root, or absolute and in it.
            make_folders: Make missing folders on the way.

        Raises:
            Refused: The path leaves the workspace, or cannot be one.
        """
        walk = _Walk(os.open(self.path, _FOLDER), self, make_folders)
        try:
            yield walk.to(self.parts(path))
        except OSError as problem:
            raise Refused(f"{path!r:.200}: {problem.strerror or problem}", _INSIDE) from None
        finally:
            walk.close()

    def parts(self, path: str) -> list[str]:
        """The parts of *path* from the root, `..` and `.` still in it."""
        if not isinstance(path, str) or not path or "\0" in path or len(path) > LONGEST:
            raise Refused(f"{path!r:.200} is no path", _INSIDE)
        if path.startswith("/"):
            for root in (self.path, self.given):
                if path == root or path.startswith(root.rstrip("/") + "/"):
                    return path[len(root) :].split("/")
            raise Refused(f"{path!r:.200} is outside the workspace", _INSIDE)
        return path.split("/")


class _Walk:
    def __init__(self, handle: int, root: Root, make_folders: bool) -> None:
        self.handles = [handle]
        self.names: list[str] = []
        self.root, self.make_folders = root, make_folders

    def to(self, parts: list[str]) -> Place:
        todo, links = deque(parts), 0
        while todo:
            part = todo.popleft()
            if part in ("", "."):
                continue
            if part == "..":
                self._up()
                continue
            mode = self._mode(part)
            if mode is not None and stat.S_ISLNK(mode):
                links += 1
                if links > MOST_LINKS:
                    raise Refused("too many links on the way", _INSIDE)
                todo.extendleft(reversed(self._target(part)))
            elif not any(rest not in ("", ".") for rest in todo):
                return Place(self.handles[-1], part, "/".join([*self.names, part]), mode)
            else:
                self._down(part, mode)
        here = os.fstat(self.handles[-1]).st_mode
        return Place(self.handles[-1], ".", "/".join(self.names) or ".", here)

    def close(self) -> None:
        for handle in self.handles:
            os.close(handle)

    def _mode(self, part: str) -> int | None:
        try:
            return os.stat(part, dir_fd=self.handles[-1], follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None

    def _up(self) -> None:
        if len(self.handles) == 1:
            raise Refused("the path leaves the workspace", _INSIDE)
        os.close(self.handles.pop())
        self.names.pop()

    def _target(self, part: str) -> list[str]:
        target = os.readlink(part, dir_fd=self.handles[-1])
        if not target.startswith("/"):
            return target.split("/")
        parts = self.root.parts(target)
        while len(self.handles) > 1:
            self._up()
        return parts

    def _down(self, part: str, mode: int | None) -> None:
        if mode is None and self.make_folders:
            os.mkdir(part, dir_fd=self.handles[-1])
        self.handles.append(os.open(part, _FOLDER, dir_fd=self.handles[-1]))
        self.names.append(part)


def open_file(place: Place) -> int:
    """A descriptor of the file at *place*, to read from.

    Raises:
        Refused: It is no plain file, or has other names that may lie outside.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    if place.kind is None:
        raise Refused(f"{place.path!r:.200}: there is no such file", "look with glob which files there are")
    if not stat.S_ISREG(place.kind):
        raise Refused(f"{place.path!r:.200} is no file", "give the path of a file; glob lists folders")
    try:
        handle = os.open(place.name, flags, dir_fd=place.folder)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise Refused(f"{place.path!r:.200} became a link", _INSIDE) from None
        raise
    seen = os.fstat(handle)
    if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1:
        return handle
    os.close(handle)
    raise Refused(
        f"{place.path!r:.200} is a file with several names, which may lie outside", "copy it with bash first"
    )


def replace_file(place: Place, content: bytes, temporary: str, mode: int | None = None) -> None:
    """Put *content* at *place*: all of it or nothing. A file that was there keeps its mode.

    Args:
        temporary: A name that nothing in the folder has.
        mode: Permission bits; those of a new file by default.

    Raises:
        Refused: There is something else than a file.
    """
    if place.kind is not None and not stat.S_ISREG(place.kind):
        raise Refused(f"{place.path!r:.200} is no file", "give the path of a file")
    if any(part.casefold() == ".git" for part in PurePosixPath(place.path).parts):
        raise Refused("git's own files decide what git runs", "use git commands to change the repository")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(temporary, flags, 0o666, dir_fd=place.folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if mode is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
        os.replace(temporary, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
    except BaseException:
        os.unlink(temporary, dir_fd=place.folder)
        raise
