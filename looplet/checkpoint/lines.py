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

_BEGIN = b'{"kind": "begin"'
STEP = b'{"kind": "step"'
"""How the line of a step begins."""

_ENDS_OF_WRITES = (STEP, b'{"kind": "end"')


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

    A last line that was cut off, by a kill, is passed over. Where the last line is damaged, or a power cut
    left a hole in the last write, a warning names the steps that are lost.

    Args:
        forgiving: Stop at any damaged line, with such a warning.

    Raises:
        CheckpointError: There are lines after a damaged one.
    """
    data = data.rstrip(b"\0")  # reserved
    found: list[bytes] = []
    place = 0
    for one in data.splitlines(keepends=True):
        whole = one[:-_TAIL]
        if one[-_TAIL:] != _tail(whole):
            _judge(data[place:], found, path, forgiving)
            break
        found.append(whole + b"}")
        place += len(one)
    return found, place


def _judge(rest: bytes, found: list[bytes], path: str | os.PathLike[str], forgiving: bool) -> None:
    """Say what a journal lost with its *rest*, which begins with a damaged line."""
    if b"\n" not in rest and (found or _BEGIN.startswith(rest[: len(_BEGIN)])):
        return  # It was cut off while it was written.
    number, last = len(found) + 1, _last_step(found)
    if not (forgiving or _was_last_write(rest, found)):
        raise CheckpointError(
            f"{path}, line {number}: damaged; {len(found)} lines before it are whole, up to step {last}. "
            'LoopConfig(resume="force") goes on after those'
        )
    what = f"line {number} and all after it are damaged and left out"
    _warn(f"{path}: {what}; step {last + 1} and later ones are lost, if there were any")


def _was_last_write(rest: bytes, found: list[bytes]) -> bool:
    """Whether nothing was synced after the damage: it may be what a power cut left, shown to nobody."""
    first, *others = rest.splitlines(keepends=True)
    if b"\0" not in first:
        return bool(found) and not others
    whole = [one for one in others if one[-_TAIL:] == _tail(one[:-_TAIL])]
    # Only the last line of a write that is synced is one of these.
    return sum(one.startswith(_ENDS_OF_WRITES) for one in whole) <= 1


def _last_step(found: list[bytes]) -> int:
    return next((int(loads(one)["n"]) for one in reversed(found) if one.startswith(STEP)), 0)


def records(whole: list[bytes], path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The records of a journal's lines, or of some of them from the first on.

    Raises:
        CheckpointError: They are no records, or of a version that this code does not know.
    """
    try:
        found: list[Any] = loads(b"[%b]" % b",".join(whole))  # faster than one by one
    except (ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path} is no journal: {problem}") from problem
    if not all(isinstance(record, dict) for record in found):
        raise CheckpointError(f"{path} is no journal: it holds lines that are no records")
    if found:
        _check_version(found[0], path)
        for record in found:
            _check_members(record, path)
    return found


_MEMBERS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "begin": {"task": object, "agent": dict, "run_id": str, "wire": str, "t": (int, float)},
    "step": {"n": int, "after": (int, float)},
    "end": {"reason": str},
}
"""What readers of single records rely on, by kind; the rest is found out when all are applied."""


def _check_members(record: dict[str, Any], path: str | os.PathLike[str]) -> None:
    kind = record.get("kind")
    for name, wanted in _MEMBERS.get(str(kind), {}).items():
        if name not in record or not isinstance(record[name], wanted):
            raise CheckpointError(f"{path} is no journal: a record of kind {kind!r} has no proper {name!r}")
    if not isinstance(kind, str):
        raise CheckpointError(f"{path} is no journal: it holds a record of kind {kind!r}")
    if kind == "begin" and not (
        isinstance(record.get("max_steps", 0), int) and isinstance(record["agent"].get("tools", {}), dict)
    ):
        raise CheckpointError(f"{path} is no journal: its first record is not one of a run")


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
