"""Bytes of a body as something to read: structure, event by event, text, or base64.

The first that gives back exactly the same bytes is taken. `shown` and `bytes_of` are each other's inverse.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from pytest_looplet.cassette.members import must_be
from pytest_looplet.cassette.one_line import OneLine

Shown: TypeAlias = dict[str, Any]
"""The members that say what a body is: one of `json`, `events`, `text`, `base64`, perhaps a `style`."""

STYLES: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "spaced": {"separators": (", ", ": "), "ensure_ascii": False},
    "compact ascii": {"separators": (",", ":"), "ensure_ascii": True},
    "spaced ascii": {"separators": (", ", ": "), "ensure_ascii": True},
    "indent 2": {"indent": 2, "ensure_ascii": False},
    "indent 2 ascii": {"indent": 2, "ensure_ascii": True},
    "indent 4": {"indent": 4, "ensure_ascii": False},
}
"""The ways JSON is commonly written; with ` newline` behind the name, followed by a line break."""

_DEEPEST = 40
_LONGEST_KEY = 500  # YAML ends a key at 1,024 characters, escapes included
_UNREADABLE = re.compile("[\ud800-\udfff]")
_EVENT = re.compile(r"(?:event: (?P<event>[^\n]*)\n)?data: (?P<data>[^\n]*)")


def styled(value: Any, style: str) -> bytes:
    """*value* as JSON in one of `STYLES`.

    Raises:
        KeyError: there is no such style.
    """
    name = style.removesuffix(" newline")
    end = "\n" if name != style else ""
    return (json.dumps(value, allow_nan=False, **STYLES[name]) + end).encode("utf-8")


def style_of(value: Any, raw: bytes) -> str | None:
    """The style in which *value* is exactly *raw*; None where there is none, or YAML has no word for it."""
    if not can_be_shown(value):
        return None
    for name in STYLES:
        for style in (name, f"{name} newline"):
            if styled(value, style) == raw:
                return style
        if b"\n" not in raw and not name.startswith(("compact", "spaced")):
            break
    return None


def can_be_shown(value: Any, depth: int = 0) -> bool:
    """Whether YAML has a word for *value*: no lone surrogates, no infinity, not too deep, no huge keys."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return not _UNREADABLE.search(value)
    if isinstance(value, dict):
        return depth < _DEEPEST and all(
            len(k) <= _LONGEST_KEY and can_be_shown(k, depth) and can_be_shown(v, depth + 1)
            for k, v in value.items()
        )
    if isinstance(value, list):
        return depth < _DEEPEST and all(can_be_shown(item, depth + 1) for item in value)
    return True


def strict_json(text: str | bytes) -> Any:
    """JSON without NaN, infinities or a key that comes twice.

    Raises:
        ValueError: it is not that.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("nested too deep") from None


def strict_decoder() -> json.JSONDecoder:
    """A decoder as strict as `strict_json`."""
    return json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_once)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key comes twice")
    return made


def shown(raw: bytes, *, events: bool = False) -> Shown:
    """*raw* in its most readable exact form; empty for an empty body.

    Args:
        events: It is a stream of server-sent events.
    """
    if not raw:
        return {}
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode("ascii")}
    if events:
        return _events(text)
    if text[0] in "{[":
        try:
            value = strict_json(text)
        except ValueError:
            return {"text": text}
        if style := style_of(value, raw):
            return _with_style({"json": value}, style)
    return {"text": text}


def _with_style(made: Shown, style: str) -> Shown:
    return made if style == "compact" else {"style": style, **made}


def bytes_of(made: Mapping[str, Any]) -> bytes:
    """The bytes of a body that `shown` gave.

    Raises:
        ValueError: it is no such thing.
    """
    style = style_in(made)
    if "json" in made:
        return styled(made["json"], style)
    if "events" in made:
        return _events_text(made, style).encode("utf-8")
    if "text" in made:
        return must_be(made["text"], str, "`text`").encode("utf-8")
    try:
        return base64.b64decode(must_be(made.get("base64", ""), str, "`base64`"), validate=True)
    except binascii.Error as error:
        raise ValueError(f"`base64` is no base64: {error}") from None


def style_in(made: Mapping[str, Any]) -> str:
    """The style that a body which `shown` gave is to be written in.

    Raises:
        ValueError: there is no such style.
    """
    style = must_be(made.get("style", "compact"), str, "`style`")
    if style.removesuffix(" newline") not in STYLES:
        raise ValueError(f"`style` must be {', '.join(STYLES)}; not {style!r}")
    return style


def _events(text: str) -> Shown:
    made: Shown = {}
    if "\r" in text:
        plain = text.replace("\r\n", "\n")
        if plain.replace("\n", "\r\n") != text:
            return {"text": text}
        text, made["newline"] = plain, "crlf"
    *blocks, rest = text.split("\n\n")
    styles = _event_styles(blocks)
    if styles:
        made["style"] = styles
    if made.get("style") == "compact":
        del made["style"]
    made["events"] = [_event(block, styles or "compact") for block in blocks]
    if rest:
        made["rest"] = rest
    return made


def _event_styles(blocks: list[str]) -> str:
    """The style of the first event whose data is JSON; a stream keeps to one."""
    for block in blocks:
        found = _EVENT.fullmatch(block)
        if found and found["data"][:1] in ("{", "["):
            try:
                return style_of(strict_json(found["data"]), found["data"].encode("utf-8")) or ""
            except ValueError:
                continue
    return ""


def _event(block: str, style: str) -> Any:
    """`{"event", "data"}` with the data as structure or text; the block's text where that is not exact."""
    found = _EVENT.fullmatch(block)
    if found is None:
        return block
    data: Any = found["data"]
    if data[:1] in ("{", "["):
        try:
            value = strict_json(data)
        except ValueError:
            return block
        if not can_be_shown(value) or styled(value, style) != data.encode("utf-8"):
            return block
        data = OneLine(value)
    return {"data": data} if found["event"] is None else {"event": found["event"], "data": data}


def _events_text(made: Mapping[str, Any], style: str) -> str:
    rest, events = must_be(made.get("rest", ""), str, "`rest`"), must_be(made["events"], list, "`events`")
    text = "".join(_event_text(event, style) + "\n\n" for event in events) + rest
    return text.replace("\n", "\r\n") if made.get("newline") == "crlf" else text


def _event_text(event: Any, style: str) -> str:
    if isinstance(event, str):
        return event
    told = must_be(event, dict, "an event")
    if "data" not in told:
        raise ValueError("an event has no `data`")
    data = told["data"].value if isinstance(told["data"], OneLine) else told["data"]
    text: str = data if isinstance(data, str) else styled(data, style).decode("utf-8")
    named = f"event: {must_be(told['event'], str, '`event`')}\n" if "event" in told else ""
    return f"{named}data: {text}"
