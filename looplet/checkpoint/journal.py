"""The journal of a run: one file of lines (`looplet.checkpoint.lines`), only ever appended to.

What must survive a power loss is synced: the line that a call is about to start, and the line of a step
before that step is handed out. Space is reserved ahead of the writing, because a sync that need not grow the
file is the cheaper one; the unused rest is cut off on closing and passed over on reading.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from json import loads
from typing import Any

from looplet.checkpoint.disk import (
    lock as _lock,
    make_private,
    require_regular,
    sync as _sync,
    sync_directory,
    unlock,
)
from looplet.checkpoint.lines import line, members, parse, text
from looplet.errors import CheckpointError
from looplet.redact import Redactor

NAME = "journal.jsonl"
OLD_NAME = "journal.old.jsonl"
RESERVE = 64 * 1024
"""Bytes by which the file grows ahead of the writing."""


class JournalFile:
    """A journal that is open for appending; nobody else can open it meanwhile.

    Args:
        directory: Made with mode 0700 if it is not there.

    Raises:
        CheckpointError: The folder cannot be used, or another process has the journal open.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.path = os.path.join(directory, NAME)
        self._open: list[bytes] = []
        self._told: list[bytes] = []
        self._redactor = Redactor.of_environment()
        try:
            self._made = not os.path.exists(self.path)
            make_private(os.fspath(directory))
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as problem:
            raise _unusable(self.path, "cannot be opened", problem) from problem
        self._lock()
        _open_now.add(self)
        # All of it, until it is read: what cannot be read is left as it is.
        self._end = self._reserved = os.fstat(self._file).st_size
        self._read = 0, 0

    def _lock(self) -> None:
        try:
            require_regular(self._file)
            _lock(self._file)
        except OSError as problem:
            os.close(self._file)
            if problem.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                raise _unusable(self.path, "cannot be used", problem) from problem
            raise CheckpointError(
                f"{self.path} is in use by another process; wait for it to end, or give this run a folder "
                "of its own"
            ) from problem

    def read(self, *, forgiving: bool = False) -> list[dict[str, Any]]:
        """All whole records, oldest first; nothing is changed before `cut_after`.

        A line that was cut off at the very end is left out.

        Args:
            forgiving: End at the first damaged line, with a warning, instead of refusing the journal.

        Raises:
            CheckpointError: A line before the last is damaged.
        """
        records, end = parse(self._whole(), self.path, forgiving=forgiving)
        self._read = len(records), end
        # Whoever made it may have been killed before its folder was synced, if nobody was handed a step yet.
        self._made = self._made or all(record["kind"] != "step" for record in records)
        return records

    def _whole(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()

    def _forget_rest(self) -> None:
        """Take off what stands behind the last good line, or the next line would end in its remains."""
        # Where the next write goes comes first: a disk that fails may not cut a file either.
        os.lseek(self._file, self._end, os.SEEK_SET)
        os.ftruncate(self._file, self._end)
        self._reserved = self._end

    def set_aside(self) -> None:
        """Begin anew; what was there is kept as `journal.old.jsonl`, in place of an older one."""
        data = self._whole().rstrip(b"\0")
        if data:
            from looplet.checkpoint.json_file import write_whole  # a run that goes on does without

            write_whole(os.path.join(os.path.dirname(self.path), OLD_NAME), data)
        self._end = 0
        self._forget_rest()

    def cut_after(self, records: int) -> None:
        """Forget everything after the first *records* lines; what is appended next follows them."""
        count, place = self._read
        if records < count:
            data = self._whole()
            place = 0
            for _ in range(records):
                place = data.index(b"\n", place) + 1
        self._end = place
        self._forget_rest()

    def add(self, own: str, told: str) -> None:
        """Append a record with the next write.

        Args:
            own: Its first members as JSON text: this code's own, kinds and numbers.
            told: The others, from elsewhere: secrets are looked for in them.
        """
        rest = members(told)
        self._told.append(rest)
        self._open.append(b"{%b, %b" % (own.encode(), rest))

    def take_back(self) -> None:
        """Forget what was added last and could not be written."""
        self._told.pop()
        self._open.pop()

    def write(self, *, sync: bool) -> None:
        """Write what was added, secrets as placeholders; with *sync* it is on the disk when this returns.

        Raises:
            CheckpointError: The disk is full, or cannot be written. What was there before is whole.
        """
        records = self._open
        if not records:
            return
        if self.is_let_go:
            raise CheckpointError(
                f"{self.path} is written by the process that opened it; this one was forked from it. "
                "Start the run after the fork, or with a checkpoint_dir of its own"
            )
        if self._redactor.may_hold(b"\n".join(self._told)):
            records = [self._redacted(one) for one in records]
        data = b"".join(map(line, records))
        try:
            self._grow(len(data))
            self._write_all(data)
            if sync:
                _sync(self._file)
                if self._made:
                    sync_directory(os.path.dirname(self.path))
                    self._made = False
        except OSError as problem:
            with suppress(OSError):
                self._forget_rest()
            raise _unusable(self.path, "cannot be written", problem) from problem
        self._end += len(data)
        self._open.clear()
        self._told.clear()

    def over_lines(self, text: str) -> str:
        """*text*, to be written line by line, without the secrets that are on several of its lines."""
        return self._redactor.over_lines(text)

    def _redacted(self, record: bytes) -> bytes:
        return b"{" + members(text(self._redactor.value(loads(record + b"}")))[1:-1])

    def _grow(self, size: int) -> None:
        if self._end + size <= self._reserved:
            return
        reserve = self._end + size + RESERVE
        try:
            os.posix_fallocate(self._file, self._end, reserve - self._end)
        except (OSError, AttributeError) as problem:
            # Not every file system reserves; then each write grows the file.
            if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            reserve = self._end + size
        self._reserved = reserve

    def _write_all(self, data: bytes) -> None:
        written = os.write(self._file, data)
        while written < len(data):
            written += os.write(self._file, data[written:])

    @property
    def is_let_go(self) -> bool:
        """Whether this process has no part in it: it is closed, or another process's."""
        return self._file < 0

    def close(self) -> None:
        """Cut the reserved rest off and let others in."""
        if self.is_let_go:
            return
        with suppress(OSError):
            os.ftruncate(self._file, self._end)
            unlock(self._file)
        self.let_go()

    def let_go(self) -> None:
        """Close it as it is."""
        _open_now.discard(self)
        file, self._file = self._file, -1
        os.close(file)


_open_now: set[JournalFile] = set()


def _let_all_go() -> None:
    # A forked process would keep the lock when the run's own is gone, and would cut off what that one wrote.
    for journal in list(_open_now):
        journal.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_all_go)


def _unusable(path: str, what: str, problem: OSError) -> CheckpointError:
    reason = problem.strerror or str(problem)
    return CheckpointError(f"{path} {what}: {reason}. Free the disk, or pass another checkpoint_dir")
