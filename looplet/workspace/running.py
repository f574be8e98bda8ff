"""Running a program in a workspace: its own process group, bounded time and output, a bare environment."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from tempfile import mkdtemp
from typing import IO

from looplet.clock import perf

KEPT_BYTES = 30_000
"""Bytes kept of each end of an output."""

LINGER_S = 0.2
"""Seconds in which a child that outlives its command may still write."""

PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "VIRTUAL_ENV", "SYSTEMROOT")
"""Variables that a command gets from ours; nothing else of them is seen."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Attributes:
        stdout: What it wrote, cut in the middle.
        stderr: The same of its errors.
        exit_code: Its code; minus a signal's number where that killed it.
        why_killed: Why we killed it, or an empty text.
    """

    stdout: str
    stderr: str
    exit_code: int
    why_killed: str = ""


class _Ends:
    """The first and last bytes of a stream."""

    def __init__(self) -> None:
        self.head, self.tail, self.size = b"", b"", 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        room = KEPT_BYTES - len(self.head)
        self.head += data[:room]
        self.tail = (self.tail + data[room:])[-KEPT_BYTES:] if len(data) > room else self.tail

    def text(self) -> str:
        left_out = self.size - len(self.head) - len(self.tail)
        mark = f"\n... [{left_out:,} bytes left out] ...\n".encode() if left_out else b""
        return (self.head + mark + self.tail).decode("utf-8", "replace")


def environment(home: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a command sees of the environment: where programs are, and *home* as its home folder.

    The virtual environment that we run in is in force for it, as if it had been activated.
    """
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if sys.prefix != sys.base_prefix and "VIRTUAL_ENV" not in passed:
        programs = [os.path.dirname(sys.executable), passed.get("PATH", "/usr/bin:/bin")]
        passed |= {"VIRTUAL_ENV": sys.prefix, "PATH": os.pathsep.join(programs)}
    quiet = {
        "TERM": "dumb",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "true",
    }
    return {"PATH": "/usr/bin:/bin", **passed, **quiet, "HOME": home, **(more or {})}


CONFINE = os.path.join(os.path.dirname(__file__), "confine.py")
"""A program, and never imported: it loads ctypes, which only it needs."""

WAYS = ("mounts", "landlock")
"""How the system can hold a program to some folders, the strictest first."""


@lru_cache(maxsize=1)
def confinement() -> str:
    """The strictest of `WAYS` that this system has; empty if it has none. Tried out once a process."""
    if sys.platform != "linux" or not sys.executable:
        return ""
    with temporary_folder() as folder:
        return next((way for way in WAYS if _holds(way, folder)), "")


@contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder that is gone afterwards, as far as what a command left in it lets itself be removed."""
    folder = mkdtemp(prefix="looplet-")
    try:
        yield folder
    finally:
        # Not TemporaryDirectory: some versions of it follow links when they cannot remove a file.
        shutil.rmtree(folder, ignore_errors=True)


def _holds(way: str, folder: str) -> bool:
    command = _held(way, ["sh", "-c", "exit 0"], [folder])
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, cwd=folder, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def confined(command: Sequence[str], folders: Sequence[str]) -> list[str]:
    """*command* so that it can change files in *folders* only; as it is where the system cannot do that."""
    way = confinement()
    if way == "mounts" and any(os.stat(folder).st_uid != os.geteuid() for folder in folders):
        way = "landlock"  # in a namespace of its own, root is nobody to the files of others
    return _held(way, command, folders) if way else list(command)


def _held(way: str, command: Sequence[str], folders: Sequence[str]) -> list[str]:
    # Isolated and without site, so that no file of a workspace is imported on the way.
    return [sys.executable, "-I", "-S", CONFINE, way, *folders, "--", *command]


def run(
    command: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    timeout_s: float,
    cancelled: Callable[[], bool] = lambda: False,
) -> Ended:
    """Run a program and wait for its end; what it started and left behind is killed.

    Args:
        timeout_s: Seconds until it is killed, with all of its process group.
        cancelled: Asked ten times a second; True kills it as well.

    Raises:
        OSError: It cannot be started.
    """
    process = subprocess.Popen(
        list(command),
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        close_fds=True,
    )
    try:
        out, err, why = _watch(process, perf() + timeout_s, cancelled)
    finally:
        _kill(process)
    told = f"killed after {timeout_s:g} s" if why == "time" else why
    return Ended(out.text(), err.text(), process.returncode, told)


def _watch(
    process: subprocess.Popen[bytes], end: float, cancelled: Callable[[], bool]
) -> tuple[_Ends, _Ends, str]:
    out, err = _Ends(), _Ends()
    ended_at: float | None = None
    with selectors.DefaultSelector() as selector:
        for stream, ends in ((process.stdout, out), (process.stderr, err)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, ends)
        while True:
            _take(selector, process)
            now = perf()
            if process.poll() is not None:
                ended_at = ended_at or now
                if not selector.get_map() or now - ended_at > LINGER_S:
                    return out, err, ""
            if cancelled():
                return out, err, "cancelled"
            if now > end:
                return out, err, "time"


def _take(selector: selectors.BaseSelector, process: subprocess.Popen[bytes]) -> None:
    """Read what is there, waiting a tenth of a second at most."""
    if not selector.get_map():
        # It has closed its outputs and goes on.
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
        return
    for key, _ in selector.select(0.1):
        stream: IO[bytes] = key.fileobj  # type: ignore[assignment]
        data = os.read(stream.fileno(), 65_536)
        if data:
            key.data.add(data)
        else:
            selector.unregister(stream)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End everything in the process group, and close the pipes."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
