"""One file, written whole or not at all."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from looplet.errors import CheckpointError


def write_json(path: Path, value: Any) -> None:
    """Write *value* as indented JSON; see `write_whole`."""
    write_whole(
        path, f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode("utf-8", "backslashreplace")
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write *data* beside *path* and put it in its place; mode 0600, synced.

    Raises:
        CheckpointError: The file cannot be written; what was at *path* is as it was.
    """
    temporary = None
    try:
        handle, temporary = mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as problem:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        reason = problem.strerror or str(problem)
        raise CheckpointError(f"{path} cannot be written: {reason}") from problem
