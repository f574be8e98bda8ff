"""Cassette files on the disk: read whole, written atomically."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from pytest_looplet.cassette.errors import CassetteNotWritten, CassetteUnreadable


def read(path: Path, *, mend: str = "") -> bytes | None:
    """The bytes of a cassette file; None if there is none.

    Raises:
        CassetteUnreadable: it is there and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CassetteUnreadable(str(path), error.strerror or str(error), mend=mend) from error


def write(path: Path, text: str) -> None:
    """Put *text* at *path*, whole or not at all: an older file stays until the new one is on the disk.

    Raises:
        CassetteNotWritten: the disk refused it.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode_of(path))
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        reason = error.strerror or str(error)
        raise CassetteNotWritten(
            f"cannot write cassette {path}: {reason}; the recording is lost, an older file is untouched"
        ) from error


def _mode_of(path: Path) -> int:
    """As the file it replaces, else what any new file would get: a repository shares its cassettes."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask


def remove(path: Path) -> None:
    """Take a cassette away that holds nothing any more.

    Raises:
        CassetteNotWritten: the disk refused it.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CassetteNotWritten(f"cannot remove cassette {path}: {error.strerror or error}") from error
