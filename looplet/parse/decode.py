"""One JSON object out of text, with what cannot be stored refused."""

from __future__ import annotations

from json import JSONDecodeError, JSONDecoder

from looplet.values import JSON, MAX_DIGITS, plain

MAX_DEPTH = 200
"""Containers inside each other that an argument may have; a deeper reply is a parse failure."""


class Unreadable(Exception):
    """The reply holds something that may be a call and cannot be taken as one."""


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise Unreadable("an integer of too many digits")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits) if len(digits) <= 2 * MAX_DIGITS else float("inf")
    if number - number != 0.0:
        raise Unreadable("a number out of range")
    return number


def _constant(name: str) -> float:
    raise Unreadable(f"{name} is not JSON")


decode = JSONDecoder(parse_int=_whole, parse_float=_real, parse_constant=_constant).raw_decode
# What `raw_decode` calls; typeshed does not know it.
_scan_short = JSONDecoder(parse_float=_real, parse_constant=_constant).scan_once  # type: ignore[attr-defined]


def exactly(text: str) -> dict[str, JSON] | None:
    """The object that *text* is from its first character to its last, or None.

    Raises:
        Unreadable: it is one and cannot be stored.
    """
    try:
        # A text shorter than the longest integer holds none that is too long.
        value, end = _scan_short(text, 0) if len(text) < MAX_DIGITS else decode(text)
    except (JSONDecodeError, StopIteration):  # the latter where there is no value at all
        return None
    if end != len(text):
        return None
    if end > 2 * MAX_DEPTH or "\\u" in text or not text.isascii():
        check_storable(value, text, 0, end)
    return value if type(value) is dict else None


def check_storable(value: JSON, text: str, start: int, end: int) -> None:
    """Refuse a decoded `text[start:end]` that nests too deeply or holds unpaired surrogates.

    Raises:
        Unreadable: it does.
    """
    # Only an escape or a character beyond ASCII can be an unpaired surrogate, and only many brackets can nest
    # deeply: the walk over the value is for texts that have them.
    shallow = end - start <= 2 * MAX_DEPTH or (
        text.count("{", start, end) + text.count("[", start, end) <= MAX_DEPTH
    )
    if shallow and text.find("\\u", start, end) < 0 and text.isascii():
        return
    if not plain(value, MAX_DEPTH + 2):
        raise Unreadable("too deep, or text that cannot be stored")
