"""One file, written whole or not at all."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from looplet.checkpoint.disk import sync_directory
from looplet.errors import CheckpointError


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write *value* as indented JSON; see `write_whole`."""
    write_whole(
        path, f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode("utf-8", "backslashreplace")
    )


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write *data* beside *path* and put it in its place; mode 0600, synced.

    Raises:
        CheckpointError: The file cannot be written; what was at *path* is as it was.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.urandom(6).hex()}")
    try:
        with open(temporary, "xb", opener=_private) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_directory(folder)
    except OSError as problem:
        with suppress(OSError):
            os.unlink(temporary)
        reason = problem.strerror or str(problem)
        raise CheckpointError(f"{path} cannot be written: {reason}") from problem


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
