"""The journal of a run: one file, one JSON object a line, only ever appended to.

Each line carries a checksum of itself, so a line that a kill or a power loss cut off is known for what it is.
What must survive a power loss is synced: the line that a call is about to start, and the line of a step
before that step is handed out. Space is reserved ahead of the writing, because a sync that need not grow the
file is the cheaper one; the unused rest is cut off on closing and passed over on reading.
"""

from __future__ import annotations

import errno
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from json import JSONDecoder
from pathlib import Path
from typing import Any

from looplet.checkpoint.json_file import write_whole
from looplet.encode import line_encoder
from looplet.errors import CheckpointError
from looplet.redact import Redactor
from looplet.values import dumps

NAME = "journal.jsonl"
OLD_NAME = "journal.old.jsonl"
VERSION = 1

RESERVE = 64 * 1024
"""Bytes by which the file grows ahead of the writing."""

_decode = JSONDecoder().decode
_encode = line_encoder()


class JournalFile:
    """A journal that is open for appending; nobody else can open it meanwhile.

    Args:
        directory: Made with mode 0700 if it is not there.

    Raises:
        CheckpointError: The folder cannot be used, or another process has the journal open.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.path = Path(directory) / NAME
        self._buffer: list[bytes] = []
        self._redactor = Redactor.of_environment()
        try:
            self._made = not self.path.exists()
            Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as problem:
            raise _unusable(self.path, "cannot be opened", problem) from problem
        self._lock()
        self._end = 0
        self._reserved = os.fstat(self._file).st_size

    def _lock(self) -> None:
        try:
            _lock(self._file)
        except OSError as problem:
            os.close(self._file)
            raise CheckpointError(
                f"{self.path} is in use by another process; wait for it to end, or give this run a folder "
                "of its own"
            ) from problem

    def read(self, *, forgiving: bool = False) -> list[dict[str, Any]]:
        """All whole records, oldest first; what is appended next follows the last of them.

        A line that was cut off at the very end is dropped.

        Args:
            forgiving: End at the first damaged line, with a warning, instead of refusing the journal.

        Raises:
            CheckpointError: A line before the last is damaged.
        """
        data = self.path.read_bytes()
        records, self._end = parse(data, self.path, forgiving=forgiving)
        self._forget_rest()
        return records

    def _forget_rest(self) -> None:
        """Take off what stands behind the last good line, or the next line would end in its remains."""
        os.ftruncate(self._file, self._end)
        self._reserved = self._end

    def set_aside(self) -> None:
        """Begin anew; what was there is kept as `journal.old.jsonl`, in place of an older one."""
        data = self.path.read_bytes()
        data = data.rstrip(b"\0")
        if data:
            write_whole(self.path.with_name(OLD_NAME), data)
        os.ftruncate(self._file, 0)
        self._reserved = 0

    def cut_after(self, records: int) -> None:
        """Forget everything after the first *records* lines."""
        data = self.path.read_bytes()
        place = 0
        for _ in range(records):
            place = data.index(b"\n", place) + 1
        self._end = place
        self._forget_rest()

    def add(self, record: dict[str, Any]) -> None:
        """Append *record* with the next write; secrets in it become placeholders.

        Args:
            record: JSON data, or what `normal` makes JSON data of where the encoder refuses it.
        """
        try:
            body = _encode(record)
            data = body.encode()
        except (TypeError, ValueError, RecursionError):
            body = dumps(record)
            data = body.encode()
        if self._redactor.may_hold(body):
            data = dumps(self._redactor.value(record)).encode()
        data = data[:-1]
        self._buffer.append(b'%b, "crc": "%08x"}\n' % (data, zlib.crc32(data)))

    def write(self, *, sync: bool) -> None:
        """Write what was added; with *sync* it is on the disk when this returns.

        Raises:
            CheckpointError: The disk is full, or cannot be written. What was there before is whole.
        """
        if not self._buffer:
            return
        data = b"".join(self._buffer)
        try:
            self._grow(len(data))
            self._write_all(data)
            if sync:
                _sync(self._file)
                self._sync_directory()
        except OSError as problem:
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise _unusable(self.path, "cannot be written", problem) from problem
        self._end += len(data)
        self._buffer.clear()

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
        os.lseek(self._file, self._end, os.SEEK_SET)
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def _sync_directory(self) -> None:
        if not self._made:
            return
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._made = False

    def close(self) -> None:
        """Cut the reserved rest off and let others in."""
        with suppress(OSError):
            os.ftruncate(self._file, self._end)
        os.close(self._file)


def parse(data: bytes, path: Path, *, forgiving: bool = False) -> tuple[list[dict[str, Any]], int]:
    """The whole records in *data* and where they end.

    Args:
        forgiving: Stop at a damaged line, with a warning that names it.

    Raises:
        CheckpointError: A line before the last is damaged, or the version is one this code does not know.
    """
    end = data.find(b"\0")
    if end >= 0:
        data = data[:end]
    records: list[dict[str, Any]] = []
    place = 0
    for number, line in enumerate(_lines(data), 1):
        record = _record(line)
        if record is None:
            if place + len(line) >= len(data):
                break  # The last line: cut off while it was written.
            if forgiving:
                _warn(f"{path}: line {number} and all after it are damaged and left out")
                break
            raise CheckpointError(
                f"{path}, line {number}: damaged; {len(records)} lines before it are whole. "
                'LoopConfig(resume="force") goes on after those'
            )
        records.append(record)
        place += len(line)
    if records:
        _check_version(records[0], path)
    return records, place


def _lines(data: bytes) -> Iterator[bytes]:
    return iter(data.splitlines(keepends=True))


def _record(line: bytes) -> dict[str, Any] | None:
    body, mark, tail = line.rpartition(b', "crc": "')
    if not mark or len(tail) != 11 or tail[8:] != b'"}\n' or tail[:8] != b"%08x" % zlib.crc32(body):
        return None
    try:
        record = _decode((body + b"}").decode())
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _check_version(first: dict[str, Any], path: Path) -> None:
    version = first.get("version")
    if first.get("kind") != "begin" or version != VERSION:
        raise CheckpointError(
            f"{path}: a journal of version {version!r}; this code reads version {VERSION}. "
            "Resume it with the release that wrote it, or start in another folder"
        )


def _warn(text: str) -> None:
    import logging

    logging.getLogger("looplet.checkpoint").warning(text)


def _unusable(path: Path, what: str, problem: OSError) -> CheckpointError:
    reason = problem.strerror or str(problem)
    return CheckpointError(f"{path} {what}: {reason}. Free the disk, or pass another checkpoint_dir")


if sys.platform == "win32":
    import msvcrt

    _sync = os.fsync

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    _sync = getattr(os, "fdatasync", os.fsync)

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
