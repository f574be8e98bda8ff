"""What the processes of one session do once for all of them, and what they count together."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file *path*; wait for whoever holds it. The system frees that of a process that died."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+b") as file:
        _lock(file.fileno())
        yield


@contextmanager
def try_locked(path: Path) -> Iterator[bool]:
    """Hold the lock file *path* if nobody else does; tells whether it is held."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+b") as file:
        yield _try_lock(file.fileno())


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        import msvcrt

        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            except OSError:  # it gives up after ten seconds
                continue
            return

    def _try_lock(descriptor: int) -> bool:
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _lock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _try_lock(descriptor: int) -> bool:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def share_of(config: pytest.Config) -> Path | None:
    """In a worker of xdist, the folder that all of its session share; elsewhere None."""
    share = getattr(config, "workerinput", {}).get("looplet_share")
    return Path(share) if share else None


def runs_all_in_each(config: pytest.Config) -> bool:
    """Whether xdist runs everything in each of its processes, instead of sharing it out (`--dist each`)."""
    told = getattr(config, "workerinput", {}).get("looplet_dist")
    return bool((told or config.getoption("dist", "no")) == "each")


@contextmanager
def once(config: pytest.Config, what: str, wanted: bool = True) -> Iterator[bool]:
    """Do *what* in one worker of xdist only; the others wait, and are told that it is done.

    Gives True where another worker has done it. One that failed leaves it to the next.
    """
    share = share_of(config) if wanted else None
    if share is None:
        yield False
        return
    name = hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    done = share / f"{name}.done"
    with locked(share / f"{name}.lock"):
        by = done.read_text() if done.exists() else None
        yield by is not None and by != str(os.getpid())
        done.write_text(by or str(os.getpid()))
