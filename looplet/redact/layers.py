"""Text within text: what the escapes of JSON, URLs and terminals stand for, and where that is written."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple

_ESCAPE = r"(?s)\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)"
_PERCENT = r"%[0-9A-Fa-f]{2}"
_COLOUR = r"\x1b\[[0-9;?]{0,20}[A-Za-z]"
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class Layer(NamedTuple):
    """A text without its escapes.

    Attributes:
        text: The text; one character stands for each escape.
        places: Where in it those characters are, ascending.
        shifts: For each number of escapes passed, how much further on a place is in the text with them.
    """

    text: str
    places: list[int]
    shifts: list[int]

    def outside(self, at: int) -> int:
        """The place of `text[at]` in the text that has the escapes."""
        return at + self.shifts[bisect_left(self.places, at)]


def layers_of(text: str) -> Iterator[Layer]:
    """What *text* says below one layer of escapes; nothing where it has none."""
    for mark, pattern, char in _KINDS:
        if mark in text:
            layer = _below(text, pattern, char)
            if layer.places:
                yield layer


def _below(text: str, pattern: str, char: Callable[[str], str]) -> Layer:
    parts: list[str] = []
    places: list[int] = []
    shifts = [0]
    at = 0
    for found in re.finditer(pattern, text):
        start, end = found.span()
        parts += [text[at:start], char(found[0])]
        places.append(start - shifts[-1])
        shifts.append(shifts[-1] + end - start - 1)
        at = end
    return Layer("".join([*parts, text[at:]]), places, shifts)


def _of_escape(escape: str) -> str:
    return chr(int(escape[2:], 16)) if len(escape) > 2 else _CONTROL.get(escape[1], escape[1])


def _of_percent(escape: str) -> str:
    return chr(int(escape[1:], 16))


def _of_colour(escape: str) -> str:
    return " "


_KINDS = (("\\", _ESCAPE, _of_escape), ("%", _PERCENT, _of_percent), ("\x1b", _COLOUR, _of_colour))
