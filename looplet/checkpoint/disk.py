"""What systems do in their own ways: locking a file, and making sure that what was written is on the disk."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress

if sys.platform == "win32":
    import msvcrt

    sync = os.fsync

    def lock(file: int) -> None:
        """Take the open *file* for this process. Raises `OSError` if another one has it."""
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def unlock(file: int) -> None:
        """Nothing: closing the file does it."""

    def sync_directory(folder: str) -> None:
        """Nothing: Windows does not open folders, and needs no such thing."""
else:
    import fcntl

    sync = getattr(os, "fdatasync", os.fsync)

    def lock(file: int) -> None:
        """Take the open *file* for this process. Raises `OSError` if another one has it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(file: int) -> None:
        """Give it back, also where a process that was just forked has the file open still."""
        fcntl.flock(file, fcntl.LOCK_UN)

    def sync_directory(folder: str) -> None:
        """Make it durable which files are in *folder*, the current one if empty. Raises `OSError`."""
        handle = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def require_regular(file: int) -> None:
    """Raise `OSError` for an open *file* that is none: a pipe would never end, and neither would a device."""
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")


def read_regular(path: str) -> bytes:
    """The content of the file at *path*. Raises `OSError`, also where it is no regular file."""
    with open(path, "rb", opener=_at_once) as file:
        require_regular(file.fileno())
        return file.read()


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def make_private(folder: str) -> None:
    """Make *folder* for its owner alone, if it is not there, and make that durable. Raises `OSError`."""
    missing: list[str] = []
    place = os.path.abspath(folder)
    while not os.path.exists(place):
        missing.append(place)
        place = os.path.dirname(place)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for one in missing:
        with suppress(PermissionError):  # a folder above may be one that this process cannot read
            sync_directory(os.path.dirname(one))
