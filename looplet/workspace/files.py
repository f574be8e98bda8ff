"""read, write and edit: files of a workspace, by bytes, bounded."""

from __future__ import annotations

import os
from typing import Any

from looplet.clock import new_id
from looplet.workspace.place import Place, Root, open_file, replace_file
from looplet.workspace.refusal import Refused

READ_BYTES = 1_000_000
"""Bytes of a file that `read` looks at."""

READ_LINES = 2000
"""Lines that `read` shows at once."""

LINE_CHARS = 2000
"""Characters of one line that `read` shows."""

WRITE_BYTES = 10_000_000
"""Bytes that `write` and `edit` put into one file."""


def read(root: Root, file_path: str, offset: int = 1, limit: int = READ_LINES) -> dict[str, Any]:
    """Lines of a text file, numbered.

    Args:
        offset: The first line shown, from 1.
        limit: Most lines shown.

    Returns:
        `{"path", "content", "line_count"}`, and `truncated` where something was left out.

    Raises:
        Refused: It is no text file in the workspace.
    """
    with root.place(file_path) as place:
        data, size = _bytes(place, READ_BYTES)
    if b"\0" in data:
        raise Refused(f"{place.path!r:.200} is no text", "look at it with a program, through bash")
    lines = data.decode("utf-8", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    first = max(offset, 1)
    shown = lines[first - 1 : first - 1 + max(min(limit, READ_LINES), 1)]
    content = "\n".join(f"{number:4} | {_short(line)}" for number, line in enumerate(shown, first))
    result: dict[str, Any] = {"path": place.path, "content": content, "line_count": len(lines)}
    if size > len(data):
        result["truncated"] = f"the file has {size:,} bytes; only the first {len(data):,} were read"
    elif len(shown) < len(lines):
        result["truncated"] = f"lines {first} to {first + len(shown) - 1} of {len(lines)}; give offset"
    return result


def write(root: Root, file_path: str, content: str) -> dict[str, Any]:
    """Put *content* into a file, which is made if it is not there, folders too.

    Returns:
        `{"written": path, "lines": count}`.

    Raises:
        Refused: The path is outside, or no file, or the content is too much or cannot be UTF-8.
    """
    data = _encoded(content)
    if len(data) > WRITE_BYTES:
        raise Refused(f"more than {WRITE_BYTES:,} bytes", "write less, or in several files")
    with root.place(file_path, make_folders=True) as place:
        if place.kind is not None:
            os.close(open_file(place))
        replace_file(place, data, f".{new_id()}.tmp", place.kind)
    return {"written": place.path, "lines": len(content.splitlines())}


def edit(root: Root, file_path: str, old_string: str, new_string: str) -> dict[str, Any]:
    """Replace the one place where *old_string* stands in a file; no other byte changes.

    Line ends of the file are kept: `\\n` in the strings means what the file uses.

    Returns:
        `{"edited": path, "replacements": 1}`.

    Raises:
        Refused: The text is not there, or there several times, or the file is no text.
    """
    if not old_string or old_string == new_string:
        raise Refused("old_string is empty, or the same as new_string", "give the text to replace")
    old, new = _encoded(old_string), _encoded(new_string)
    with root.place(file_path) as place:
        data, size = _bytes(place, WRITE_BYTES)
        if size > len(data) or b"\0" in data:
            raise Refused(
                f"{place.path!r:.200} is too large or no text", "change it with a program, through bash"
            )
        if not (old.isascii() and new.isascii()) and not _is_utf8(data):
            raise Refused(f"{place.path!r:.200} is not in UTF-8", "edit parts that have plain letters only")
        if b"\r\n" in data and b"\r" not in old:
            old, new = old.replace(b"\n", b"\r\n"), new.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        count = data.count(old)
        if count != 1 or data.find(old) != data.rfind(old):
            problem = "is not in the file" if not count else "stands there several times"
            raise Refused(f"old_string {problem}", "read the file again and give more of the text around it")
        replace_file(place, data.replace(old, new), f".{new_id()}.tmp", place.kind)
    return {"edited": place.path, "replacements": 1}


def _bytes(place: Place, most: int) -> tuple[bytes, int]:
    """At most *most* bytes of a file, and its size."""
    with os.fdopen(open_file(place), "rb") as file:
        data = file.read(most)
        return data, max(os.fstat(file.fileno()).st_size, len(data))


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("the text has half a character, which no file can hold", "leave it out") from None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _short(line: str) -> str:
    line = line.removesuffix("\r")
    return line if len(line) <= LINE_CHARS else f"{line[:LINE_CHARS]}… [{len(line):,} characters]"
