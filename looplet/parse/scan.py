"""The JSON objects in a text that is more than one: prose, fences, lists, thoughts.

Loaded when the first such reply comes; most replies are one object and nothing else.
"""

from __future__ import annotations

import re
from json import JSONDecodeError

from looplet.parse.calls import looks_like_call
from looplet.parse.decode import Unreadable, check_storable, decode
from looplet.values import JSON

_FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*)\n[ \t]*```", re.DOTALL)
_EVENT = re.compile(r"\{+|\}+|<(/?)think(?:ing)?\s*>", re.IGNORECASE)
_OBJECT_START = re.compile(r'\{\s*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+:|\})', re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CALL_KEY = re.compile(r"\b(?:tools?|args|arguments)[\"']?\s*:")
_AFTER_KEY = re.compile(r"(?:[\"']\s*:|\bAction Input:|<\|tool_call_argument_begin\|>)\s*\Z")
_OTHER_CALL = re.compile(
    # What other ways to write calls put around arguments; `<tool_call>` and its like are around whole calls.
    r"<(?:\w+:)?(?:invoke\b|parameter\b|arg_value\b|function=)[^<>]*>"
    r"|<(/)(?:\w+:)?(?:invoke|parameter|arg_value|function)>",
    re.IGNORECASE,
)

_SHORTEST_TAG = len("<invoke>")
_WINDOW = 512
_EDGE = 16  # an error this close to the end of a window may be the window's fault


def objects_in(text: str) -> list[dict[str, JSON]]:
    """The JSON objects that stand on the top level of *text*.

    Raises:
        Unreadable: one of them may be a call and cannot be read.
    """
    return _Scan(text).run()


def inside_fence(text: str) -> str:
    """What a fence around all of *text* holds, else *text*."""
    fenced = _FENCED.fullmatch(text)
    return fenced[1].strip() if fenced else text


class _Scan:
    """One pass over a text that is more than one object: prose, fences, lists, thoughts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[dict[str, JSON]] = []
        self.open = 0  # braces of prose and code around the place we are at
        self.opened_at = 0
        self.guard = 0  # the most braces that were open where a call was found
        self.tags = 0  # calls written in another way that are open
        self.tags_read = 0  # how far they were looked for

    def run(self) -> list[dict[str, JSON]]:
        place = 0
        while event := _EVENT.search(self.text, place):
            kind = event[0][0]
            if kind == "{":
                place = self.brace(event.start(), event.end())
            elif kind == "}":
                place = event.end()
                self.close(place - event.start())
            elif event[1]:
                # What precedes a closing tag was thought, also where the opening one is in the prompt.
                place = event.end()
                self.found.clear()
                self.open = self.guard = self.tags = 0
                self.tags_read = place
            else:
                self.read_tags(event.start())
                place = self.tags_read = self.thought(event.end())
        return self.found

    def thought(self, start: int) -> int:
        """Where a thought that begins at *start* ends; one that never ends takes the rest of the text."""
        for event in _EVENT.finditer(self.text, start):
            if event[1]:
                return event.end()
        return len(self.text)

    def read_tags(self, end: int) -> None:
        for tag in _OTHER_CALL.finditer(self.text, self.tags_read, end):
            self.tags = max(0, self.tags + (-1 if tag[1] else 1))
        self.tags_read = end

    def close(self, count: int) -> None:
        self.open = max(0, self.open - count)
        if self.open < self.guard:
            raise Unreadable("a call inside braces that are not JSON")

    def enter(self, start: int, count: int) -> None:
        if count > 0 and not self.open:
            self.opened_at = start
        self.open = max(0, self.open + count)

    def brace(self, start: int, end: int) -> int:
        """Read what begins with the run of braces at *start*; where to go on."""
        last = end - 1
        self.enter(start, last - start)
        opening = _OBJECT_START.match(self.text, last)
        if opening is None:
            self.enter(last, 1)
            return end
        if opening[0][-1] == "}":  # empty, and no call
            return opening.end()
        value, stop = self.decode(last)
        if value is None:
            return self.broken(last, max(stop, end))
        check_storable(value, self.text, last, stop)
        self.keep(value, last, stop)
        return stop

    def keep(self, value: dict[str, JSON], start: int, stop: int) -> None:
        if not looks_like_call(value):
            return
        if _AFTER_KEY.search(self.text, max(0, start - 40), start):
            raise Unreadable("a call where a value of something broken would be")
        if start - self.tags_read >= _SHORTEST_TAG:
            self.read_tags(start)
        if self.tags:
            raise Unreadable("a call inside a call that is written in another way")
        self.tags_read = stop
        if self.open:
            self.guard = max(self.guard, self.open)
            if _CALL_KEY.search(self.text, self.opened_at, start):
                raise Unreadable("a call inside a broken one")
            self.opened_at = stop
        self.found.append(value)

    def broken(self, start: int, stop: int) -> int:
        region = self.text[start:stop]
        if _CALL_KEY.search(region):
            raise Unreadable("a call that is not valid JSON")
        rest = _STRING.sub("", region)
        self.enter(start, max(1, rest.count("{") - rest.count("}")))
        return stop

    def decode(self, start: int) -> tuple[dict[str, JSON] | None, int]:
        """The object at *start* and where it ends, or None and where reading failed.

        Reads through windows: an error costs the length of the text it is raised on, so on the whole text
        a thousand broken objects would cost a thousand times its length.
        """
        size = _WINDOW
        while True:
            window = self.text[start : start + size]
            try:
                value, end = decode(window)
                return value, start + end
            except JSONDecodeError as error:
                cut = len(window) == size and start + size < len(self.text)
                if not cut or (error.pos < size - _EDGE and not error.msg.startswith("Unterminated string")):
                    return None, start + error.pos
            size *= 8
