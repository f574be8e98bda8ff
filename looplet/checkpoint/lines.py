"""The lines of a journal: one JSON object each, with a checksum of itself at its end.

A line that a kill or a power loss cut off, and one that was changed since, are known by their checksum.
"""

from __future__ import annotations

import os
import zlib
from json import loads
from typing import Any

from looplet.encode import line_encoder, quoted
from looplet.errors import CheckpointError
from looplet.values import dumps, normal, plain

VERSION = 1

_encode = line_encoder()
_SMALL = 1 << 62
_TAIL = len(', "crc": "00000000"}\n')


def text(value: object) -> str:
    """*value* as JSON text; what the encoder refuses is made JSON data first."""
    if type(value) is str:
        return quoted(value)
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError):
        return dumps(value)


def data_text(value: object) -> str:
    """*value* as JSON text; what an encoder would quietly turn into something else is marked."""
    if type(value) is dict and (flat := _flat(value)):
        return flat
    return text(value if plain(value) else normal(value))


def _flat(value: dict[Any, Any]) -> str:
    """The JSON text of what most arguments and results are, texts and small whole numbers; else nothing."""
    members = []
    for name, item in value.items():
        kind = type(item)
        if type(name) is not str:
            return ""
        if kind is str:
            members.append(f"{quoted(name)}: {quoted(item)}")
        elif kind is int and -_SMALL < item < _SMALL:
            members.append(f"{quoted(name)}: {item}")
        else:
            return ""
    return f"{{{', '.join(members)}}}"


def members(told: str) -> bytes:
    """Members of a record, JSON text, in UTF-8; halves of characters, which it cannot hold, are marked."""
    try:
        return told.encode()
    except UnicodeEncodeError:
        return dumps(loads(f"{{{told}}}"))[1:-1].encode()


def line(data: bytes) -> bytes:
    """The line for a JSON object, given without its closing brace."""
    return data + _tail(data)


def _tail(data: bytes) -> bytes:
    return b', "crc": "%08x"}\n' % zlib.crc32(data)


def parse(
    data: bytes, path: str | os.PathLike[str], *, forgiving: bool = False
) -> tuple[list[dict[str, Any]], int]:
    """The records of the whole lines in *data*, and where those end; see `bodies` and `records`."""
    whole, end = bodies(data, path, forgiving=forgiving)
    return records(whole, path), end


def bodies(data: bytes, path: str | os.PathLike[str], *, forgiving: bool = False) -> tuple[list[bytes], int]:
    """The JSON objects of the whole lines in *data*, unread, and where those lines end.

    Args:
        forgiving: Stop at a damaged line, with a warning that names it.

    Raises:
        CheckpointError: A line before the last is damaged.
    """
    end = data.find(b"\0")
    if end >= 0:
        data = data[:end]
    found: list[bytes] = []
    place = 0
    for one in data.splitlines(keepends=True):
        whole = one[:-_TAIL]
        if one[-_TAIL:] != _tail(whole):
            if place + len(one) >= len(data):
                break  # The last line: cut off while it was written.
            number = len(found) + 1
            if forgiving:
                _warn(f"{path}: line {number} and all after it are damaged and left out")
                break
            raise CheckpointError(
                f"{path}, line {number}: damaged; {len(found)} lines before it are whole. "
                'LoopConfig(resume="force") goes on after those'
            )
        found.append(whole + b"}")
        place += len(one)
    return found, place


def records(whole: list[bytes], path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The records of a journal's lines, or of some of them from the first on.

    Raises:
        CheckpointError: They are no records, or of a version that this code does not know.
    """
    try:
        found: list[Any] = loads(b"[%b]" % b",".join(whole))  # faster than one by one
    except ValueError as problem:
        raise CheckpointError(f"{path} is no journal: {problem}") from problem
    if not all(isinstance(record, dict) for record in found):
        raise CheckpointError(f"{path} is no journal: it holds lines that are no records")
    if found:
        _check_version(found[0], path)
    return found


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
