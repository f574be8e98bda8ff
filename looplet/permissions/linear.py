"""How long a regular expression may take, read off its text."""

from __future__ import annotations

import re

_TOKENS = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\((?:\?(?:P<\w+>|:|i\)|[^)]))?)|(?P<close>\))"
    r"|(?P<repeat>[*+?]|\{\d*,?\d*\})[?+]?|(?P<branch>\|)|(?P<other>.)",
    re.DOTALL,
)
_PLAIN_GROUP = re.compile(r"\((?:\?P<\w+>|\?:)?")


def choices_of(pattern: str) -> tuple[int, int]:
    """The most ways in which a text of n characters can be tried: *(r, c)* means c times n to the power r.

    Raises:
        ValueError: The number may explode: a repeat or a choice inside a repeat, a back reference, anything
            with `(?` but a plain or named group.
    """
    repeats, choices = 0, 1
    groups: list[int] = []  # for each open group: how many repeats and branches stood before it
    inside, last = 0, 0  # repeats and branches so far; the same where the last item began
    for token in _TOKENS.finditer(pattern):
        kind, text = token.lastgroup, token[0]
        if kind == "open":
            if not _PLAIN_GROUP.fullmatch(text):
                raise ValueError(f"{text!r} is not supported, use plain groups")
            groups.append(inside)
        elif kind == "close":
            last = groups.pop() if groups else 0
            continue
        elif kind == "branch":
            inside, choices = inside + 1, choices * 2
        elif kind == "repeat":
            if inside > last:
                raise ValueError("a repeat or a choice inside a repeat may take for ever")
            low, high = _bounds(text)
            repeats += high is None
            choices *= 1 if high is None else max(1, high - low + 1)
            inside += 1
        elif kind == "escape" and (text[1].isdigit() and text[1] != "0"):
            raise ValueError("a back reference may take for ever")
        last = inside
    return repeats, choices


def _bounds(repeat: str) -> tuple[int, int | None]:
    body = repeat.rstrip("?+") if repeat[0] == "{" else repeat[0]
    if body in ("*", "+"):
        return 0, None
    if body == "?":
        return 0, 1
    low, comma, high = body[1:-1].partition(",")
    if not comma:
        return int(low or 0), int(low or 0)
    return int(low or 0), int(high) if high else None
