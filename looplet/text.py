"""Text for people: what models, tools and files say, made fit for a terminal and cut to a width.

Such text is data. Shown as it is, it could move the cursor, hide itself, reverse what stands before it
or give commands to the CI system that reads the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

# Patterns, compiled when the first text needs them: most are plain.
_UNSAFE = (
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 controls, ESC among them; tab and newline are decided below
    "\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, and bidi
    "\u2028\u2029"  # line ends that only some programs know
    "\ud800-\udfff\U000e0000-\U000e0fff"  # half characters; tags, which hide text inside text
    "]"
)
_COMMAND_AT_START = r"(?m)^(\s*):(?=:)"  # GitHub: ::error::
_COMMAND_ANYWHERE = r"##(?=\w*\[)"  # GitHub, Azure, TeamCity: ##[error], ##vso[…], ##teamcity[…]


def visible(text: str) -> str:
    r"""*text* with control, invisible and direction-changing characters as escapes such as `\x1b`.

    Newlines and tabs stay.
    """
    return text if text.isascii() and text.isprintable() else re.sub(_UNSAFE, _escape, text)


def escape_terminal(text: str, *, lines: bool = False) -> str:
    r"""*text* with everything replaced that a terminal or a CI log would act on.

    Control characters, invisible and direction-changing ones become escapes (`\x1b`, `\u202e`); the
    first colon of a line that starts with `::` and the second hash of `##[` become `\x3a` and `\x23`.

    Args:
        text: Any text.
        lines: Keep newlines and tabs; else they become `\n` and `\t`, and the result is one line.
    """
    safe = visible(text)
    if not lines:
        safe = safe.replace("\n", "\\n").replace("\t", "\\t")
    if "##" in safe:
        safe = re.sub(_COMMAND_ANYWHERE, r"#\\x23", safe)
    if "::" in safe:
        safe = re.sub(_COMMAND_AT_START, r"\1\\x3a", safe)
    return safe


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code == 13:
        return "\\r"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def columns(text: str) -> int:
    """How many columns of a terminal *text* takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # a shared library; most texts do without

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def shorten(text: str, width: int, *, size: int | None = None) -> str:
    """*text* in at most *width* columns: cut in the middle, with its size where it was cut.

    Args:
        text: One line.
        width: Columns; where there is no room for a size, an ellipsis stands alone.
        size: The number of characters to tell, where *text* is itself only a part.
    """
    if columns(text) <= width and size is None:
        return text
    total = len(text) if size is None else size
    mark = f"…{total:,} chars…"
    if width < len(mark) + 8 or total < width + len(mark):
        mark = "…"  # a size that costs as many characters as it tells of helps nobody
    room = max(0, width - len(mark))
    head = _fitting(text, room - room // 3)
    tail = _fitting(text[::-1], room // 3)[::-1]
    return f"{head}{mark}{tail}"[: max(width, 1)]


def clip(text: str, width: int) -> str:
    """*text* in at most *width* columns: cut at its end, with an ellipsis."""
    return text if columns(text) <= width else f"{_fitting(text, width - 1)}…"


def _fitting(text: str, width: int) -> str:
    """The longest start of *text* that takes at most *width* columns."""
    part = text[:width]
    while columns(part) > width:
        part = part[:-1]
    return part


def show_value(value: object, width: int) -> str:
    """A JSON value in one line of at most *width* columns, as Python writes it and safe to print.

    Long texts are cut in the middle and tell their size, long lists and objects at the end and tell how
    much is left. The work is bounded by *width*, whatever the size of the value.
    """
    if isinstance(value, str):
        return _show_text(value, width)
    shown = "".join(_pieces(value, width))
    return clip(shown, width)


def _show_text(text: str, width: int) -> str:
    if len(text) <= 2 * width:
        shown = _quoted(text)
        return shown if columns(shown) <= width else shorten(shown, width, size=len(text))
    return shorten(_quoted(text[:width])[:-1] + _quoted(text[-width:])[1:], width, size=len(text))


def _quoted(text: str) -> str:
    return escape_terminal(repr(text))


def _pieces(value: object, width: int) -> Iterator[str]:
    if isinstance(value, Mapping):
        entries: Iterator[tuple[str, object]] = ((f"{_show_text(str(k), 40)}: ", value[k]) for k in value)
        yield from _container("{", entries, "}", len(value), width)
    elif isinstance(value, list | tuple):
        yield from _container("[", (("", item) for item in value), "]", len(value), width)
    else:
        yield _show_text(value, width) if isinstance(value, str) else repr(value)


_LEAST = 10
"""Columns below which a part of a value tells nothing."""


def _container(
    opening: str, entries: Iterator[tuple[str, object]], closing: str, size: int, width: int
) -> Iterator[str]:
    yield opening
    room = width - 2
    for position, (key, item) in enumerate(entries):
        rest = f", … {size - position - 1:,} more" if position < size - 1 else ""
        limit = room - len(rest)
        entry = f", {key}" if position else key
        entry += "".join(_pieces(item, max(_LEAST, limit - len(entry))))
        if columns(entry) > limit:
            yield f", … {size - position:,} more" if position else f"{clip(entry, max(limit, 1))}{rest}"
            break
        room -= columns(entry)
        yield entry
    yield closing


def count(number: int, noun: str) -> str:
    """A number with its noun, such as `1 step` or `1,200 steps`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
