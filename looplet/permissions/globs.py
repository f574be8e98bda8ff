"""Patterns in which `*` is any text and `?` any one character; nothing else is special."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate


def glob(pattern: str) -> Callable[[str], bool]:
    """A function that says whether a whole text matches *pattern*, in time linear in the text."""
    if "?" in pattern:
        compiled = re.compile(translate(re.sub(r"\*+", "*", pattern).replace("[", "[[]")))
        return lambda text: compiled.match(text) is not None
    head, *parts = pattern.split("*")
    if not parts:
        return pattern.__eq__
    *middle, tail = parts
    if not tail and not any(middle):
        return lambda text: text.startswith(head)
    return lambda text: _fits(text, head, middle, tail)


def _fits(text: str, head: str, middle: list[str], tail: str) -> bool:
    if not text.startswith(head):
        return False
    at = len(head)
    for part in middle:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return len(text) - len(tail) >= at and text.endswith(tail)
