"""Trajectory files: read with a reason when it fails, written whole or not at all."""

from __future__ import annotations

import os
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


def write(path: str | PathLike[str], text: str) -> None:
    """Put *text* into the file *path*; a reader sees the old content or the new, never a part.

    Raises:
        TraceError: It cannot be written; what was there before still is.
    """
    file = Path(path)
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(text.encode("utf-8"))
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise TraceError(f"cannot write {file}: {error.strerror or error}") from error
