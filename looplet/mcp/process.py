"""A server's process: its pipes, its last words, and its end together with all its children."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import selectors
import signal
import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence

from looplet.mcp.errors import MCPClosed, MCPError, MCPTimeout
from looplet.text import escape_terminal

LAST_LINES, LINE_CHARS = 20, 500
"""Lines of stderr that are kept for messages, and the most characters of one."""

GRACE_S = 0.5
"""Seconds a server has to go after its stdin was closed, and again after SIGTERM; and seconds for what it
said before it ended."""

SLICE_S = 0.05
"""Seconds between two looks at whether a server that does not read was closed meanwhile."""

# Ends the group when its stdin closes: when our process is gone, however it went.
_GUARD = 'read -r _; kill -s TERM -- "-$1" 2>/dev/null; sleep 1; kill -s KILL -- "-$1" 2>/dev/null'

_alive: weakref.WeakSet[ServerProcess] = weakref.WeakSet()
_logger = logging.getLogger("looplet.mcp")


class ServerProcess:
    """A running server, in a process group of its own.

    Args:
        argv: The words of its command.
        env: Its whole environment.
        cwd: Its folder.

    Attributes:
        name: What messages call it.

    Raises:
        MCPClosed: It cannot be started.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: str | None) -> None:
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd=cwd, start_new_session=True
            )
        except (OSError, ValueError, TypeError) as problem:
            raise MCPClosed(f"the MCP server {argv[0]!r} cannot be started: {problem}") from problem
        self._group = self._process.pid
        guard = ["/bin/sh", "-c", _GUARD, "looplet-mcp-guard", str(self._group)]
        nowhere = subprocess.DEVNULL
        self._guard = subprocess.Popen(
            guard,
            stdin=pipe,
            stdout=nowhere,
            stderr=nowhere,
            env={"PATH": os.defpath},
            start_new_session=True,
        )
        self.name = os.path.basename(argv[0])
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._writing = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False
        self._how = ""
        self._ended: float | None = None
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        self._drain = threading.Thread(target=self._drain_stderr, name="looplet-mcp-stderr", daemon=True)
        self._drain.start()
        _alive.add(self)

    def read_line(self, limit: int) -> bytes | None:
        """The next line of stdout; None at its end. Of a line longer than *limit* bytes, `b""`."""
        assert self._process.stdout is not None
        out = self._process.stdout
        try:
            line = out.readline(limit)
            if len(line) < limit or line.endswith(b"\n"):
                return line or None
            while line and not line.endswith(b"\n"):
                line = out.readline(65_536)
        except (OSError, ValueError):  # closed meanwhile
            return None
        return b""

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send *data* to stdin.

        Raises:
            MCPTimeout: The server does not read. If half of *data* is on its way, it is ended.
            MCPClosed: It is gone.
        """
        deadline = time.monotonic() + timeout_s
        try:
            if not self._writing.acquire(timeout=max(0.0, timeout_s)):
                raise MCPTimeout(f"the MCP server {self.name!r} reads nothing from its stdin")
            try:
                self._write_all(memoryview(data), deadline)
            finally:
                self._writing.release()
        except MCPError:
            raise
        except (OSError, ValueError) as problem:
            raise MCPClosed(self.obituary("closed its input")) from problem

    def _write_all(self, data: memoryview, deadline: float) -> None:
        assert self._process.stdin is not None
        file, size = self._process.stdin.fileno(), len(data)
        with selectors.DefaultSelector() as selector:
            selector.register(file, selectors.EVENT_WRITE)
            while data:
                left = deadline - time.monotonic()
                if self._closed:
                    raise BrokenPipeError
                if left <= 0 and len(data) < size:
                    self._how = "stopped reading in the middle of a message and was ended"
                    self.kill()
                    raise MCPTimeout(self.obituary())
                if left <= 0:
                    raise MCPTimeout(f"the MCP server {self.name!r} reads nothing from its stdin")
                if selector.select(min(left, SLICE_S)):
                    with contextlib.suppress(BlockingIOError):
                        data = data[os.write(file, data) :]

    def close_output(self) -> None:
        """Close our end of stdout; for its reader, because whoever else closes it waits for the reader."""
        assert self._process.stdout is not None
        self._process.stdout.close()

    def silent(self) -> bool:
        """Whether nothing more will come, although somebody still holds its stdout open.

        So it is once it was closed, or failed and left a child behind. One that ended well may have been a
        launcher, and have left its pipes to the server itself.
        """
        if not self._closed and not self._process.poll():
            return False
        now = time.monotonic()
        self._ended = self._ended or now
        return now - self._ended > GRACE_S

    def last_words(self) -> str:
        """The end of what it wrote to stderr, as the end of a message."""
        return f"; its last lines: {' | '.join(self._last)}" if self._last else ""

    def obituary(self, alive: str = "closed its output") -> str:
        """That the server is gone, how it went, and its last words.

        Args:
            alive: What it did if its process is still there.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        self._drain.join(0.2)
        code = self._process.poll()
        how = self._how or (alive if code is None else f"ended with exit code {code}")
        return f"the MCP server {self.name!r} {how}; call start() for a new one{self.last_words()}"

    def kill(self) -> None:
        """End it at once, with all its children."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """End it with all its children: by closing its stdin, by SIGTERM, by SIGKILL. Takes at most 1.5 s."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            if self._process.poll() is None:
                self._how = self._how or "was closed"
            _alive.discard(self)
            assert self._process.stdin is not None
            with self._writing, contextlib.suppress(OSError):  # whoever writes lets go when it is closed
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
            if self._signal(signal.SIGTERM):
                self._wait_for_group(GRACE_S)
                self._signal(signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
            self._end_guard()
            self._drain.join(0.2)

    def disown(self) -> None:
        """Leave it to our parent process, which forked us: its pipes must close when the parent ends."""
        self._writing, self._closing = threading.Lock(), threading.Lock()
        self._closed, self._how = True, "belongs to the process that forked this one"
        nowhere = os.open(os.devnull, os.O_RDWR)
        for pipe in (self._process.stdin, self._guard.stdin):
            if pipe is not None and not pipe.closed:
                os.dup2(nowhere, pipe.fileno(), inheritable=False)
        os.close(nowhere)

    def _end_guard(self) -> None:
        self._guard.kill()  # before its stdin closes: the group's number may be somebody else's by now
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def _signal(self, number: signal.Signals) -> bool:
        try:
            os.killpg(self._group, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _wait_for_group(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._process.poll()
            try:
                os.killpg(self._group, 0)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(0.01)

    def _drain_stderr(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            while line := lines.readline(65_536):
                text = escape_terminal(line[:LINE_CHARS].decode("utf-8", "replace").rstrip("\r\n"))
                self._last.append(text)
                _logger.debug("%s: %s", self.name, text)


@atexit.register
def _close_all() -> None:
    for process in list(_alive):
        process.close()


def _disown_all() -> None:
    for process in list(_alive):
        process.disown()
    _alive.clear()


os.register_at_fork(after_in_child=_disown_all)
