"""glob and grep: finding files and lines in a workspace. Links are not followed, patterns are no options."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate
from typing import Any, TypeAlias

from looplet.workspace.place import Root, open_file
from looplet.workspace.refusal import Refused
from looplet.workspace.running import environment, run

MOST_FILES = 100
"""Files that `glob` lists."""

MOST_MATCHES = 50
"""Lines that `grep` lists."""

MOST_ENTRIES = 100_000
"""Files and folders that one search looks at."""

DEEPEST = 60
"""Folders inside folders that a search goes into."""

_Wanted: TypeAlias = Sequence[Callable[[str], object] | None]  # None for `**`

LINE_CHARS = 300
GREP_S = 30.0


def glob(root: Root, pattern: str, path: str = ".") -> dict[str, Any]:
    """Files whose path matches *pattern*, in the order of their names.

    Args:
        pattern: As `src/**/*.py`: `**` stands for any folders.
        path: The folder to start in.

    Returns:
        `{"pattern", "files", "total"}`, and `truncated` where there are more.

    Raises:
        Refused: The pattern or the folder leaves the workspace.
    """
    parts = pattern.removeprefix("./").split("/")
    if not pattern or pattern.startswith("/") or ".." in parts or "\0" in pattern or len(pattern) > 1000:
        raise Refused(f"{pattern!r:.200} leaves the workspace", "give a pattern such as src/**/*.py")
    wanted = _pattern(parts)
    with root.place(path) as place:
        if place.kind is None or not stat.S_ISDIR(place.kind):
            raise Refused(f"{place.path!r:.200} is no folder", "give a folder, or none for the workspace")
        handle = os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place.folder)
    try:
        seen = list(_files(handle))
    finally:
        os.close(handle)
    prefix = "" if place.path == "." else place.path + "/"
    found = sorted(prefix + name for name in seen if wanted(name))
    result: dict[str, Any] = {"pattern": pattern, "files": found[:MOST_FILES], "total": len(found)}
    if len(found) > MOST_FILES or len(seen) >= MOST_ENTRIES:
        result["truncated"] = True
    return result


def _pattern(parts: list[str]) -> Callable[[str], bool]:
    """Whether a path fits, part by part: in time that no number of stars makes explode."""
    ends = ["*"] if parts[-1] == "**" else []
    wanted = [None if part == "**" else re.compile(translate(part)).match for part in [*parts, *ends]]

    def fits(path: str) -> bool:
        reached = {0}
        for name in path.split("/"):
            reached = {after for at in _skipped(reached, wanted) for after in _after(at, name, wanted)}
        return len(wanted) in reached

    return fits


def _skipped(reached: set[int], wanted: _Wanted) -> set[int]:
    """*reached*, and what is reached where `**` stands for no folder."""
    found = set[int]()
    for at in sorted(reached):
        while at not in found:
            found.add(at)
            at += at < len(wanted) and wanted[at] is None
    return found


def _after(at: int, name: str, wanted: _Wanted) -> list[int]:
    """Where the pattern is after *name*, if it was at *at*."""
    if at == len(wanted):
        return []
    fits = wanted[at]
    if fits is None:
        return [at]
    return [at + 1] if fits(name) else []


def _files(handle: int) -> Iterator[str]:
    """Paths of all plain files below an open folder; `.git` is left out."""
    left = MOST_ENTRIES
    for base, folders, names, _ in os.fwalk(".", dir_fd=handle, follow_symlinks=False):
        folders[:] = sorted(f for f in folders if f != ".git") if base.count("/") < DEEPEST else []
        left -= len(folders) + len(names)
        if left < 0:
            return
        prefix = base[2:] + "/" if base != "." else ""
        yield from (prefix + name for name in sorted(names))


def grep(root: Root, pattern: str, path: str = ".", include: str = "") -> dict[str, Any]:
    """Lines of text files that match an extended regular expression.

    Args:
        path: The file or folder to search.
        include: Search only files whose name matches, as `*.py`.

    Returns:
        `{"pattern", "matches": ["file:line: text"], "total"}`.

    Raises:
        Refused: The path leaves the workspace, or the pattern is no regular expression.
    """
    program = shutil.which("grep")
    if program is None or not pattern or "\0" in pattern + include:
        raise Refused("there is no grep, or no pattern", "give a pattern, or use bash")
    with root.place(path) as place:
        if place.kind is None:
            raise Refused(f"{place.path!r:.200}: there is no such file", "look with glob which there are")
    options = ["-rnHIEZ", "-D", "skip", "-m", "1000", "--exclude-dir=.git"]
    command = [program, *options, *([f"--include={include}"] if include else []), "-e", pattern, "--"]
    ended = run([*command, f"./{place.path}"], cwd=root.path, env=environment(root.path), timeout_s=GREP_S)
    if ended.why_killed or ended.exit_code > 1:
        raise Refused(
            (ended.why_killed or ended.stderr)[:300], "mend the pattern, or search a smaller folder"
        )
    lines = list(_matches(root, ended.stdout))
    result: dict[str, Any] = {"pattern": pattern, "matches": lines[:MOST_MATCHES], "total": len(lines)}
    if len(lines) > MOST_MATCHES:
        result["truncated"] = True
    return result


def _matches(root: Root, output: str) -> Iterator[str]:
    """`file:line: text` of what grep found; files that are not ours alone are left out."""
    own: dict[str, bool] = {}
    for row in output.split("\n"):
        name, zero, rest = row.partition("\0")
        name = name.removeprefix("./").removeprefix("./")
        if not zero:
            continue
        if name not in own:
            own[name] = _is_own(root, name)
        if own[name]:
            line = f"{name}:{rest}".removesuffix("\r")
            yield line if len(line) <= LINE_CHARS else f"{line[:LINE_CHARS]}…"


def _is_own(root: Root, name: str) -> bool:
    try:
        with root.place(name) as place:
            os.close(open_file(place))
    except Refused:
        return False
    return True
