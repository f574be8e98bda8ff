"""Matching paths by the place they really lead to: `path_within`."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from dataclasses import dataclass
from fnmatch import fnmatchcase
from os import PathLike
from typing import Any

from looplet.errors import ConfigError
from looplet.permissions.matcher import Described, Unsure, argument

LONGEST = 4096
"""Characters of a path."""

MOST_FILES = 2000
"""Files that a pattern for file names may stand for."""

MOST_ENTRIES = 20_000
"""Files and folders in which links are looked for."""

_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\\]|://")


class Root:
    """A folder, and the question whether a path leads into it."""

    def __init__(self, root: str | PathLike[str], cwd: str | PathLike[str] | None = None) -> None:
        self.path = _folder(root, "root")
        self.cwd = self.path if cwd is None else _folder(cwd, "cwd")

    def __str__(self) -> str:
        return self.path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Root) and (other.path, other.cwd) == (self.path, self.cwd)

    def __hash__(self) -> int:
        return hash((self.path, self.cwd))

    def holds(self, path: str) -> bool:
        """Whether *path* leads to a place in this folder.

        Raises:
            Unsure: It leads to different places for different readers, or to a device, or nowhere.
        """
        _check(path)
        return self.leads_in(path, self.cwd)

    def leads_in(self, path: str, start: str) -> bool:
        """As `holds`, for a path from the folder *start*, and for every spelling that the system takes."""
        real = os.path.realpath(self.path)
        full = os.path.join(start, path)
        # Some programs shorten `a/../b` before they follow links, the system does it afterwards.
        spellings = [full, os.path.normpath(full)]
        places = [os.path.realpath(spelling) for spelling in spellings]
        inside = {_is_in(place, real) for place in places}
        if spellings[1] != self.path:
            # What removes or moves something takes a link for itself.
            inside |= {_is_in(_entry(spelling), real) for spelling in spellings}
        if inside == {False} and not any(_is_in(_folded(place), _folded(real)) for place in places):
            return False
        if inside != {True}:
            raise Unsure(f"{path!r:.80} leads to different places for different readers")
        if re.match(r"/+(?:proc|dev/fd)/", os.path.normpath(full)):
            raise Unsure(f"{path!r:.80} leads to different places for different processes")
        for place in places:
            _check_place(place)
        return True

    def check_links(self) -> None:
        """Raise `Unsure` if a link in the folder leads out of it, or there is too much to look at."""
        todo, looked_at = [self.path], 0
        while todo:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    looked_at += 1
                    if looked_at > MOST_ENTRIES:
                        raise Unsure(f"more than {MOST_ENTRIES:,} files may hold links")
                    if entry.is_symlink() and not self.leads_in(entry.path, self.cwd):
                        raise Unsure(f"the link {entry.name!r:.60} is followed, out of the folder")
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)

    def files_of(self, pattern: str) -> list[str]:
        """What the shell may put in for *pattern*, which may lead out of the folder.

        Raises:
            Unsure: That cannot be told, or is too much, or would be read as an option.
        """
        _check(pattern)
        if "**" in pattern or "[" in pattern:
            raise Unsure(f"the pattern {pattern!r:.80}")
        found, left = [""], MOST_FILES
        for part in pattern.split("/"):
            wild = "*" in part or "?" in part
            matched = [name for base in found for name in self._names(base, part)] if wild else None
            found = [base + part + "/" for base in found] if matched is None else matched
            left -= len(found)
            if left < 0:
                raise Unsure(f"the pattern {pattern!r:.80} stands for too many files")
        for name in found:
            if name.startswith("-"):
                raise Unsure(f"a file called {name!r:.60} would be read as an option")
        return [name.rstrip("/") for name in found if name.rstrip("/")]

    def _names(self, base: str, part: str) -> list[str]:
        if not self.holds(base or "."):
            raise Unsure(f"{base!r:.80} is outside the folder")
        try:
            names = os.listdir(os.path.join(self.cwd, base))
        except OSError:
            return []
        names += [".", ".."] if part.startswith(".") else []  # some shells put these in
        return [base + name + "/" for name in names if fnmatchcase(name, part)]


def _folder(path: object, name: str) -> str:
    text = os.fspath(path) if isinstance(path, (str, PathLike)) else None
    if not isinstance(text, str) or not text or _ODD.search(text):
        raise ConfigError(f"{name} {path!r:.80}: give the path of a folder")
    return os.path.abspath(os.path.expanduser(text))


def _check(path: str) -> None:
    if not path or path != path.strip() or len(path) > LONGEST or _ODD.search(path):
        raise Unsure(f"{path!r:.80} is no plain path")
    if path.startswith("~"):
        raise Unsure(f"{path!r:.80} may mean a home folder")


def _is_in(place: str, root: str) -> bool:
    return place == root or place.startswith(root.rstrip("/") + "/")


def _entry(path: str) -> str:
    """The place at which *path* stands in its folder: that of the link, where the last part is one."""
    folder, name = os.path.split(path.rstrip("/"))
    return os.path.realpath(path) if name in ("", ".", "..") else os.path.join(os.path.realpath(folder), name)


def _folded(path: str) -> str:
    """A path as file systems see it that know no case and one form of each letter."""
    return unicodedata.normalize("NFKC", path).casefold()


def _check_place(place: str) -> None:
    """Raise `Unsure` for links that go round in circles, and for what is neither file nor folder."""
    try:
        mode = os.lstat(place).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as problem:
        raise Unsure(f"{type(problem).__name__} on the way to it") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise Unsure("it is neither a file nor a folder")


@dataclass(frozen=True)
class _PathWithin(Described):
    root: Root
    arg: str
    default: str | None = None

    def __call__(self, args: dict[str, Any]) -> bool:
        if self.default is not None and self.arg not in args:
            return self.root.holds(self.default)
        return self.root.holds(argument(args, self.arg, str))

    def __str__(self) -> str:
        return f"{self.arg} inside {self.root}"


def path_within(
    root: str | PathLike[str],
    *,
    arg: str = "path",
    cwd: str | PathLike[str] | None = None,
    default: str | None = None,
) -> Described:
    """Paths that lead into the folder *root*.

    Judged by the place that the path really leads to, links followed, part by part and never by how it
    begins. What need not exist yet may be inside too. Devices, pipes and sockets are never. A link that lies
    on one side and leads to the other is in doubt: whoever removes it means the link itself.

    Args:
        root: The folder; it may be a link itself.
        arg: The argument with the path.
        cwd: Folder that relative paths start from, which has to be the one where the tool looks for them;
            *root* by default.
        default: The path that the tool takes where the argument is left out; without it, a call that leaves
            it out is in doubt.

    Raises:
        ConfigError: *root* or *cwd* cannot be a folder.
    """
    return _PathWithin(Root(root, cwd), arg, default)
