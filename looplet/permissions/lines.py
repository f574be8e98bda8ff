"""On which line of a rule file something stands."""

from __future__ import annotations

import re
from dataclasses import dataclass

Place = tuple[int | str, ...]
"""The way to a value: `("rules", 0, "tool")`."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


@dataclass(frozen=True)
class Lines:
    """Line numbers of places in a file, from 1."""

    known: dict[Place, int]
    twice: int = 0
    """The line of the first key that stands in its object for the second time, or 0."""

    def of(self, place: Place) -> int | None:
        """The line of *place*, or of the nearest place around it that is known."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.known:
                return self.known[place[:length]]
        return None


def json_lines(text: str) -> Lines:
    """The lines of all keys and list items of a JSON text that is known to be valid."""
    known: dict[Place, int] = {}
    path: list[int | str] = []
    names = False  # whether the next text is a key
    line, at, twice = 1, 0, 0
    for token in _TOKEN.finditer(text):
        line, at = line + text.count("\n", at, token.start()), token.start()
        sign = token[0]
        if path and isinstance(path[-1], int) and sign not in "]},:":
            known.setdefault(tuple(path), line)
        if sign in "{[":
            path.append("" if sign == "{" else 0)
            names = sign == "{"
        elif sign in "}]":
            path.pop()
            names = False
        elif sign == ",":
            last = path[-1]
            names = isinstance(last, str)
            if isinstance(last, int):
                path[-1] = last + 1
        elif names and sign[0] == '"':
            path[-1], names = sign[1:-1], False
            twice = twice or (line if tuple(path) in known else 0)
            known.setdefault(tuple(path), line)
    return Lines(known, twice)


def line_of(text: str, word: str) -> int:
    """The line of the first *word* of a JSON text that stands in no string."""
    starts = (found.start() for found in _TOKEN.finditer(text) if found[0] == word)
    return text.count("\n", 0, next(starts, 0)) + 1


_RULE = re.compile(r"\s*\[\[\s*[\"']?rules[\"']?\s*\]\]")
_TABLE = re.compile(r"\s*\[{1,2}\s*(?:rules\s*\.\s*)?(\w+)")
_KEY = re.compile(r"(?:^|[{,])\s*[\"']?([\w-]+)[\"']?\s*=")


def toml_lines(text: str, rules: int) -> Lines:
    """The lines of rules and of their keys in a TOML text that is known to be valid.

    Args:
        rules: How many rules it holds; where the count of `[[rules]]` differs, only what stands outside of
            rules is told.
    """
    known: dict[Place, int] = {}
    at: Place = ()
    count = sum(1 for line in text.splitlines() if _RULE.match(line))
    number = -1
    for line_number, line in enumerate(text.splitlines(), 1):
        table = _TABLE.match(line)
        if _RULE.match(line):
            number += 1
            at = ("rules", number)
            known.setdefault(at, line_number)
        elif table and line.lstrip().startswith("["):
            at = (*at[:2], table[1])
            known.setdefault(at, line_number)
        else:
            for key in _KEY.finditer(line):
                known.setdefault((*at, key[1]), line_number)
    return Lines(known if count == rules else {p: n for p, n in known.items() if len(p) == 1})
