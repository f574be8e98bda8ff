"""Tool calls in what a model wrote.

A call is a JSON object `{"tool": name, "args": {...}}`, the same in the spelling `{"name", "arguments"}`
(arguments as an object or as JSON text), or `{"tools": [...]}` around several. It stands alone, in a list, on
lines, in fences or in prose; `<think>` blocks are skipped, and objects nested in other data are data.

All functions take what comes and never raise. Where one call of a reply cannot be read the whole reply gives
nothing, so that a caller can ask again: a call is never dropped from between its neighbours, and a broken
one never gives up its insides.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from json import JSONDecodeError, JSONDecoder

from looplet.types import Block, ToolCall
from looplet.values import JSON, MAX_DIGITS, plain

MAX_DEPTH = 200
"""Containers inside each other that an argument may have; a deeper reply is a parse failure."""


class _Unreadable(Exception):
    """The reply holds something that may be a call and cannot be taken as one."""


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _Unreadable("an integer of too many digits")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits) if len(digits) <= 2 * MAX_DIGITS else float("inf")
    if number - number != 0.0:
        raise _Unreadable("a number out of range")
    return number


def _constant(name: str) -> float:
    raise _Unreadable(f"{name} is not JSON")


_decode = JSONDecoder(parse_int=_whole, parse_float=_real, parse_constant=_constant).raw_decode
_decode_short = JSONDecoder(parse_float=_real, parse_constant=_constant).raw_decode

_FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*)\n[ \t]*```", re.DOTALL)
_EVENT = re.compile(r"\{+|\}+|<(/?)think(?:ing)?\s*>", re.IGNORECASE)
_OBJECT_START = re.compile(r'\{\s*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+:|\})', re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CALL_KEY = re.compile(r"\b(?:tools?|args|arguments)[\"']?\s*:")
_AFTER_KEY = re.compile(r"[\"']\s*:\s*\Z")

_ARGS_KEYS = ("args", "arguments")
_WINDOW = 512
_EDGE = 16  # an error this close to the end of a window may be the window's fault


def to_text(raw: str | list[Block] | None) -> str | None:
    """The text of a reply: a string is itself, blocks give their text joined, None stays None."""
    if raw is None or isinstance(raw, str):
        return raw
    if not isinstance(raw, list):
        return None
    texts = [b.get("text") for b in raw if isinstance(b, dict) and b.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def parse_multi_tool_calls(raw: str | list[Block] | None) -> list[ToolCall]:
    """Every call in a reply, in the order written; `[]` where there is none or one cannot be read.

    `theory` beside a call is kept as the argument `__theory__`; `reasoning` stays with the call.
    """
    text = raw if type(raw) is str else to_text(raw)
    if not text:
        return []
    text = text.strip()
    try:
        whole = _exactly(text) if text[:1] == "{" and text[-1] == "}" else None
        if whole is None:
            return [call for found in _Scan(text).run() for call in _calls_in(found)]
        if "tool" in whole and "tools" not in whole:
            return [_call_of(whole, "tool", _ARGS_KEYS, whole)]
        return _calls_in(whole)
    except (_Unreadable, RecursionError):
        return []


def parse_tool_call(raw: str | list[Block] | None) -> ToolCall | None:
    """The one call of a reply, or None where there is none, more than one, or a `tools` list."""
    text = to_text(raw)
    if not text:
        return None
    try:
        objects = [found for found in _objects(text.strip()) if "tools" not in found]
        calls = [call for found in objects for call in _calls_in(found)]
    except (_Unreadable, RecursionError):
        return None
    return calls[0] if len(calls) == 1 else None


def contract_call(text: str, names: Collection[str]) -> ToolCall | None:
    """The call of a tool in *names* that *text* is as a whole (a fence around it is allowed), or None."""
    whole = text.strip()
    if whole.startswith("```") and (fenced := _FENCED.fullmatch(whole)):
        whole = fenced[1].strip()
    if not (whole.startswith("{") and whole.endswith("}")):
        return None
    try:
        found = _exactly(whole)
        call = _call_of(found, "tool", ("args",)) if found and "tool" in found else None
    except (_Unreadable, RecursionError):
        return None
    return call if call and call.tool in names else None


def parse_native_tool_use(blocks: list[Block]) -> list[ToolCall]:
    """The calls of a block list: one for each `tool_use` block, under the block's id.

    `[]` where a block has no name or an input that is no JSON object: the reply as a whole is unreadable.
    """
    if not isinstance(blocks, list):
        return []
    uses = [b for b in blocks if isinstance(b, dict) and b.get("type") == "tool_use"]
    calls = [native_call(block) for block in uses]
    found = [call for call in calls if call is not None]
    return found if len(found) == len(calls) else []


def native_call(block: Block) -> ToolCall | None:
    """The call of one `tool_use` block, or None where its name or its input cannot be one."""
    name, given, call_id = block.get("name"), block.get("input"), block.get("id")
    given = {} if given is None else given
    if not isinstance(name, str) or not name or not isinstance(given, dict):
        return None
    try:
        if not plain(given, MAX_DEPTH + 1):
            return None
    except RecursionError:
        return None
    return ToolCall(tool=name, args=dict(given), call_id=call_id if isinstance(call_id, str) else "")


def _objects(text: str) -> Iterator[dict[str, JSON]]:
    """The JSON objects that stand on the top level of *text*."""
    if text.startswith("{") and text.endswith("}"):
        whole = _exactly(text)
        if whole is not None:
            return iter((whole,))
    return iter(_Scan(text).run())


def _exactly(text: str) -> dict[str, JSON] | None:
    """The object that *text* is from its first character to its last."""
    try:
        # A text shorter than the longest integer holds none that is too long.
        value, end = _decode_short(text) if len(text) < MAX_DIGITS else _decode(text)
    except JSONDecodeError:
        return None
    if end != len(text):
        return None
    if end > 2 * MAX_DEPTH or "\\u" in text or not text.isascii():
        _check_storable(value, text, 0, end)
    return value if type(value) is dict else None


def _check_storable(value: JSON, text: str, start: int, end: int) -> None:
    # Only an escape or a character beyond ASCII can be an unpaired surrogate, and only many brackets can nest
    # deeply: the walk over the value is for texts that have them.
    shallow = end - start <= 2 * MAX_DEPTH or (
        text.count("{", start, end) + text.count("[", start, end) <= MAX_DEPTH
    )
    if shallow and text.find("\\u", start, end) < 0 and text.isascii():
        return
    if not plain(value, MAX_DEPTH + 2):
        raise _Unreadable("too deep, or text that cannot be stored")


class _Scan:
    """One pass over a text that is more than one object: prose, fences, lists, thoughts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[dict[str, JSON]] = []
        self.open = 0  # braces of prose and code around the place we are at
        self.opened_at = 0
        self.guard = 0  # the most braces that were open where a call was found

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
                self.open = self.guard = 0
            else:
                place = self.thought(event.end())
        return self.found

    def thought(self, start: int) -> int:
        """Where a thought that begins at *start* ends; one that never ends takes the rest of the text."""
        for event in _EVENT.finditer(self.text, start):
            if event[1]:
                return event.end()
        return len(self.text)

    def close(self, count: int) -> None:
        self.open = max(0, self.open - count)
        if self.open < self.guard:
            raise _Unreadable("a call inside braces that are not JSON")

    def enter(self, start: int, count: int) -> None:
        if count > 0 and not self.open:
            self.opened_at = start
        self.open = max(0, self.open + count)

    def brace(self, start: int, end: int) -> int:
        """Read what begins with the run of braces at *start*; where to go on."""
        last = end - 1
        self.enter(start, last - start)
        if not _OBJECT_START.match(self.text, last):
            self.enter(last, 1)
            return end
        value, stop = self.decode(last)
        if value is None:
            return self.broken(last, max(stop, end))
        _check_storable(value, self.text, last, stop)
        self.keep(value, last, stop)
        return stop

    def keep(self, value: dict[str, JSON], start: int, stop: int) -> None:
        if not _looks_like_call(value):
            return
        if _AFTER_KEY.search(self.text, max(0, start - 40), start):
            raise _Unreadable("a call where a value of something broken would be")
        if self.open:
            self.guard = max(self.guard, self.open)
            if _CALL_KEY.search(self.text, self.opened_at, start):
                raise _Unreadable("a call inside a broken one")
            self.opened_at = stop
        self.found.append(value)

    def broken(self, start: int, stop: int) -> int:
        region = self.text[start:stop]
        if _CALL_KEY.search(region):
            raise _Unreadable("a call that is not valid JSON")
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
                value, end = _decode(window)
                return value, start + end
            except JSONDecodeError as error:
                cut = len(window) == size and start + size < len(self.text)
                if not cut or (error.pos < size - _EDGE and not error.msg.startswith("Unterminated string")):
                    return None, start + error.pos
            size *= 8


def _looks_like_call(value: dict[str, JSON]) -> bool:
    return "tool" in value or "tools" in value or ("name" in value and "arguments" in value)


def _calls_in(value: dict[str, JSON]) -> list[ToolCall]:
    if "tools" in value and isinstance(several := value["tools"], list):
        if "tool" in value:
            raise _Unreadable("both a call and a list of calls")
        items = [item for item in several if isinstance(item, dict)]
        return [call for item in items for call in _single(item, value)]
    return _single(value, value)


def _single(value: dict[str, JSON], around: dict[str, JSON]) -> list[ToolCall]:
    if "tool" in value:
        return [_call_of(value, "tool", _ARGS_KEYS, around)]
    if "name" in value and "arguments" in value:
        return [_call_of(value, "name", ("arguments",), around)]
    return []


def _call_of(
    value: dict[str, JSON], name_key: str, args_keys: tuple[str, ...], around: dict[str, JSON] | None = None
) -> ToolCall:
    name = value[name_key]
    if not isinstance(name, str) or not name:
        raise _Unreadable("a call whose name is no text")
    args = value.get(args_keys[0])
    if type(args) is not dict:
        args = _args_of(value, args_keys)
    around = value if around is None else around
    theory = value.get("theory") or around.get("theory")
    if isinstance(theory, str) and theory:
        args["__theory__"] = theory
    reasoning = value.get("reasoning") or around.get("reasoning")
    return ToolCall(name, args, reasoning if isinstance(reasoning, str) else "")


def _args_of(value: dict[str, JSON], keys: tuple[str, ...]) -> dict[str, JSON]:
    for key in keys:
        if key in value:
            args = value[key]
            if key == "arguments" and isinstance(args, str):
                args = _exactly(args.strip())
            if not isinstance(args, dict):
                raise _Unreadable(f"{key} that are no object")
            return args
    return {}
