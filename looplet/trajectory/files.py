"""Trajectory files: read with a reason when it fails, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from os import PathLike
from pathlib import Path

from looplet.errors import TraceError

NAME = "trajectory.json"
"""The trajectory's file in a run directory."""


def read(path: str | PathLike[str]) -> tuple[bytes, str]:
    """The content of a trajectory file and the name that errors shall use.

    Args:
        path: The file, or a run directory that holds a `trajectory.json`.

    Raises:
        TraceError: Nothing can be read there.
    """
    file = Path(path)
    if file.is_dir():
        file = file / NAME
    try:
        return file.read_bytes(), str(file)
    except OSError as error:
        raise TraceError(f"cannot read {file}: {error.strerror or error}") from error


def write(path: str | PathLike[str], text: str | Iterable[str]) -> None:
    """Put *text* into the file *path*; a reader sees the old content or the new, never a part.

    Args:
        path: The file; folders are made as needed.
        text: Its content, whole or in parts.

    Raises:
        TraceError: It cannot be written; what was there before still is.
    """
    file = Path(path)
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8", newline="") as out:
            out.writelines([text] if isinstance(text, str) else text)
        draft.replace(file)
    except OSError as error:
        raise TraceError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)  # it is gone unless something failed
