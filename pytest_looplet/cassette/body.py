"""Reading a request body that is mostly the one before it.

An agent sends its whole thread again with each call. What a body shares with an earlier one is found by
comparing bytes, and only the rest is parsed, redacted and later digested: the work for call n does not
grow with n.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_looplet.cassette.encoding import strict_decoder, style_of

THREADS = ("messages", "input", "contents")
"""The members that hold a thread of turns: chat completions and messages, responses, Gemini."""

_SPACE = re.compile(r"[ \t\n\r]*")
_HEADS = 64  # conversations that one cassette may hold at the same time and still be read incrementally


@dataclass(slots=True, eq=False)
class Body:
    """A request body that is a JSON object.

    Attributes:
        json: All of it, redacted; turns shared with another body are the same objects.
        thread: Which member holds the turns; empty if none does.
        style: How to write `json` so that it is what was sent (redactions aside); None: it cannot be.
        kept: Number of turns shared with `base`.
        base: The earlier body that it continues, or None.
        chain: What the matcher knows of the turns; its own.
    """

    json: dict[str, Any]
    thread: str = ""
    style: str | None = "compact"
    kept: int = 0
    base: Body | None = None
    chain: object = None

    @property
    def turns(self) -> list[Any]:
        """The thread; empty without one."""
        turns = self.json.get(self.thread)
        return turns if isinstance(turns, list) else []


@dataclass(frozen=True, slots=True, eq=False)
class _Head:
    """The newest body of a conversation, with the places in it where a turn ends."""

    raw: bytes
    body: Body
    start: int
    ends: list[int]

    def shared_turns(self, raw: bytes) -> int:
        """How many of its turns *raw* begins with."""
        if not self.ends or not raw.startswith(self.raw[: self.ends[0]]):
            return 0
        if raw.startswith(self.raw[: self.ends[-1]]):
            return len(self.ends)
        return bisect_right(self.ends, _common(self.raw, raw, self.ends[0]))


def _common(a: bytes, b: bytes, known: int) -> int:
    """Length of the prefix *a* and *b* share; at least *known*."""
    low, high = known, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if b.startswith(a[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


class BodyReader:
    """Reads the bodies of one cassette's requests, each with the help of the ones before.

    Args:
        scrub: Takes secrets out of a JSON value.
    """

    def __init__(self, scrub: Callable[[Any], Any]) -> None:
        self._scrub = scrub
        self._heads: list[_Head] = []

    def read(self, raw: bytes) -> Body | None:
        """The body in *raw*; None if it is no JSON object."""
        if raw.lstrip()[:1] != b"{":
            return None
        head, kept = self._nearest(raw)
        try:
            new = self._read_on(raw, head, kept) if head else None
            new = new or self._read_all(raw)
        except (ValueError, IndexError, RecursionError):
            return None
        if new.ends:
            if head and kept == len(head.ends):
                self._heads.remove(head)
            self._heads.append(new)
            del self._heads[:-_HEADS]
        return new.body

    def _nearest(self, raw: bytes) -> tuple[_Head | None, int]:
        best, most = None, 0
        for head in reversed(self._heads):
            shared = head.shared_turns(raw)
            if shared > most:
                best, most = head, shared
        return best, most

    def _read_all(self, raw: bytes) -> _Head:
        text = raw.decode("utf-8")
        value, thread, spans = _read_object(text)
        style = style_of(value, raw)
        body = Body(self._scrub(value), thread, style)
        if not spans:
            return _Head(raw, body, 0, [])
        start = len(text[: spans[0][0]].encode("utf-8"))
        return _Head(raw, body, start, _byte_ends(text, spans, start))

    def _read_on(self, raw: bytes, head: _Head, kept: int) -> _Head | None:
        """Read what follows the turns shared with *head*.

        None where that cannot be told apart, or is not written alike.
        """
        rest = raw[head.ends[kept - 1] :].lstrip(b" \t\r\n")
        comma = rest[:1] == b","
        after = rest[1:].lstrip(b" \t\r\n") if comma else rest
        if comma == after.startswith(b"]"):
            return None
        short = raw[: head.start] + after
        text = short.decode("utf-8")
        value, thread, spans = _read_object(text)
        if thread != head.body.thread:
            return None
        style = style_of(value, short)
        if style is None or style != head.body.style or style.startswith("indent"):
            return None
        scrubbed = self._scrub(value)
        turns = head.body.turns[:kept] + scrubbed[thread]
        body = Body({**scrubbed, thread: turns}, thread, style, kept, head.body)
        moved = len(raw) - len(short)
        ends = head.ends[:kept] + [end + moved for end in _byte_ends(text, spans, head.start)]
        return _Head(raw, body, head.start, ends)


def _byte_ends(text: str, spans: Sequence[tuple[int, int]], start: int) -> list[int]:
    if text.isascii():
        return [end for _, end in spans]
    ends, at, chars = [], start, spans[0][0] if spans else 0
    for _, end in spans:
        at += len(text[chars:end].encode("utf-8"))
        chars = end
        ends.append(at)
    return ends


def _read_object(text: str) -> tuple[dict[str, Any], str, list[tuple[int, int]]]:
    """A JSON object, the name of its thread, and where each turn begins and ends in *text*.

    Raises:
        ValueError, IndexError: it is not one, or says something twice.
    """
    members: dict[str, Any] = {}
    thread = ""
    spans: list[tuple[int, int]] = []
    at = _skip(text, _expect(text, _skip(text, 0), "{"))
    while text[at] != "}":
        _expect(text, at, '"')
        key, at = _decoder.raw_decode(text, at)
        at = _skip(text, _expect(text, _skip(text, at), ":"))
        if key in members:
            raise ValueError(f"{key!r} comes twice")
        if key in THREADS and not thread and text[at] == "[":
            members[key], spans, at = _read_turns(text, at)
            thread = key
        else:
            members[key], at = _decoder.raw_decode(text, at)
        at = _next(text, at, "}")
    if _skip(text, at + 1) != len(text):
        raise ValueError("more than one value")
    return members, thread, spans


def _read_turns(text: str, at: int) -> tuple[list[Any], list[tuple[int, int]], int]:
    turns: list[Any] = []
    spans = []
    at = _skip(text, at + 1)
    while text[at] != "]":
        start = at
        value, at = _decoder.raw_decode(text, at)
        if not isinstance(value, (dict, list, str)):
            raise ValueError("a turn is an object or text")
        turns.append(value)
        spans.append((start, at))
        at = _next(text, at, "]")
    return turns, spans, at + 1


_decoder = strict_decoder()


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, char: str) -> int:
    if text[at] != char:
        raise ValueError(f"{char!r} expected at {at}")
    return at + 1


def _next(text: str, at: int, close: str) -> int:
    """Where the next member starts, or where *close* is."""
    at = _skip(text, at)
    if text[at] == close:
        return at
    at = _skip(text, _expect(text, at, ","))
    if text[at] == close:
        raise ValueError("nothing follows the comma")
    return at
