"""The lines of a journal: one JSON object each, with a checksum of itself at its end.

A line that a kill or a power loss cut off, and one that was changed since, are known by their checksum.
"""

from __future__ import annotations

import os
import zlib
from json import JSONDecoder
from typing import Any

from looplet.encode import line_encoder
from looplet.errors import CheckpointError
from looplet.values import dumps

VERSION = 1

_decode = JSONDecoder().decode
_encode = line_encoder()


def body(record: dict[str, Any]) -> bytes:
    """*record* as JSON; what the encoder refuses is made JSON data first."""
    try:
        return _encode(record).encode()
    except (TypeError, ValueError, RecursionError):
        return dumps(record).encode()


def line(body: bytes) -> bytes:
    """The line for a JSON object."""
    data = body[:-1]
    return b'%b, "crc": "%08x"}\n' % (data, zlib.crc32(data))


def parse(
    data: bytes, path: str | os.PathLike[str], *, forgiving: bool = False
) -> tuple[list[dict[str, Any]], int]:
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
    for number, one in enumerate(data.splitlines(keepends=True), 1):
        record = _record(one)
        if record is None:
            if place + len(one) >= len(data):
                break  # The last line: cut off while it was written.
            if forgiving:
                _warn(f"{path}: line {number} and all after it are damaged and left out")
                break
            raise CheckpointError(
                f"{path}, line {number}: damaged; {len(records)} lines before it are whole. "
                'LoopConfig(resume="force") goes on after those'
            )
        records.append(record)
        place += len(one)
    if records:
        _check_version(records[0], path)
    return records, place


def _record(one: bytes) -> dict[str, Any] | None:
    data, mark, tail = one.rpartition(b', "crc": "')
    if not mark or len(tail) != 11 or tail[8:] != b'"}\n' or tail[:8] != b"%08x" % zlib.crc32(data):
        return None
    try:
        record = _decode((data + b"}").decode())
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _check_version(first: dict[str, Any], path: str | os.PathLike[str]) -> None:
    version = first.get("version")
    if first.get("kind") != "begin" or version != VERSION:
        raise CheckpointError(
            f"{path}: a journal of version {version!r}; this code reads version {VERSION}. "
            "Resume it with the release that wrote it, or start in another folder"
        )


def _warn(text: str) -> None:
    import logging

    logging.getLogger("looplet.checkpoint").warning(text)
