"""What systems do in their own ways: locking a file, and making sure that what was written is on the disk."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt

    sync = os.fsync

    def lock(file: int) -> None:
        """Take the open *file* for this process. Raises `OSError` if another one has it."""
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def sync_directory(folder: str) -> None:
        """Nothing: Windows does not open folders, and needs no such thing."""
else:
    import fcntl

    sync = getattr(os, "fdatasync", os.fsync)

    def lock(file: int) -> None:
        """Take the open *file* for this process. Raises `OSError` if another one has it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def sync_directory(folder: str) -> None:
        """Make it durable which files are in *folder*, the current one if empty. Raises `OSError`."""
        handle = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
