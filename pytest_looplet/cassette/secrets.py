"""Where secrets hide in HTTP: headers, URLs, forms, JSON, and streams that cut a token in pieces."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, unquote_plus

from looplet.redact import Redactor, is_secret_header, is_secret_query, known_secrets
from pytest_looplet.cassette.body import Body
from pytest_looplet.cassette.encoding import bytes_of, shown, strict_json, style_of, styled
from pytest_looplet.cassette.exchange import Headers, Reply, Request
from pytest_looplet.cassette.one_line import OneLine
from pytest_looplet.cassette.pieces import across, opened
from pytest_looplet.cassette.tape import Scrubs


def scrubs(redactors: Sequence[Callable[[str], str]] = ()) -> Scrubs:
    """What takes secrets out of requests and replies, with the environment as it is now."""
    redactor = (
        Redactor.of_environment(extra=redactors)
        if redactors
        else _redactor(tuple(known_secrets(os.environ).items()))
    )
    return Scrubs(
        redactor.value,
        lambda request, body: scrub_request(redactor, request, body),
        lambda reply: scrub_reply(redactor, reply),
    )


@functools.lru_cache(maxsize=1)
def _redactor(secrets: tuple[tuple[str, str], ...]) -> Redactor:
    """The redactor of many cassettes that are opened one after another, while the environment stays."""
    return Redactor(dict(secrets))


def scrub_request(redactor: Redactor, request: Request, body: Body | None) -> Request:
    """*request* without secrets, and without its body where *body* says it exactly."""
    raw = b"" if body is not None and body.style is not None else _body(redactor, request.body)
    if body is None and request.header("content-type").startswith("application/x-www-form-urlencoded"):
        raw = scrub_query(redactor, raw.decode("utf-8", "replace")).encode("utf-8")
    return replace(
        request,
        path=_url_part(redactor, request.path),
        query=scrub_query(redactor, request.query),
        headers=_headers(redactor, request.headers),
        body=raw,
    )


def scrub_reply(redactor: Redactor, reply: Reply) -> Reply:
    """*reply* without secrets."""
    body = _events(redactor, reply.body) if reply.is_events else _body(redactor, reply.body)
    return replace(reply, headers=_headers(redactor, reply.headers), body=body)


def scrub_query(redactor: Redactor, query: str) -> str:
    """A query or form without the values of fields that hold credentials; the rest as it was sent."""
    return "&".join(_pair(redactor, part) for part in query.split("&")) if query else query


def _pair(redactor: Redactor, part: str) -> str:
    name, is_, value = part.partition("=")
    if value and is_secret_query(unquote_plus(name)) and not value.startswith("[redacted:"):
        return f"{name}=[redacted:query]"
    plain = unquote_plus(value)
    clean = redactor.text(plain)
    return part if clean == plain else f"{name}{is_}{clean}"


def _url_part(redactor: Redactor, part: str) -> str:
    plain = unquote(part)
    clean = redactor.text(plain)
    return part if clean == plain else clean


def _headers(redactor: Redactor, headers: Headers) -> Headers:
    return tuple(
        (name, "[redacted:header]" if is_secret_header(name) else redactor.text(value))
        for name, value in headers
    )


def _body(redactor: Redactor, raw: bytes) -> bytes:
    if not raw:
        return raw
    try:
        text, code = raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text, code = raw.decode("latin-1"), "latin-1"
    if text[:1] in ("{", "["):
        try:
            value = strict_json(text)
        except ValueError:
            return _lines(redactor, text).encode(code, "replace")
        style = style_of(value, raw)
        # A stream may also come as one list, whose items hold the pieces.
        cut = isinstance(value, list) and bool(across(redactor, [value]))
        if style is not None or cut:
            clean = redactor.value(value)
            return raw if clean is value and not cut else styled(clean, style or "compact")
    clean_text = redactor.text(text)
    return raw if clean_text == text else clean_text.encode(code, "replace")


def _lines(redactor: Redactor, text: str) -> str:
    """JSON, one value a line: a stream too."""
    lines = [(line, opened(line)) for line in text.split("\n")]
    cut = across(redactor, [holder for _, holder in lines])
    made = [json.dumps(holder[0]) if number in cut else line for number, (line, holder) in enumerate(lines)]
    return redactor.text("\n".join(made))


def _events(redactor: Redactor, raw: bytes) -> bytes:
    """A stream of events: first what a text says that runs over many of them, then each by itself."""
    made = shown(raw, events=True)
    if "events" not in made:
        return _body(redactor, raw)
    events: list[Any] = [*made["events"], made.get("rest", "")]
    holders = [_data_of(event) for event in events]
    cut = across(redactor, holders)
    clean = [
        _event(redactor, _with_data(event, holder[0]) if number in cut else event)
        for number, (event, holder) in enumerate(zip(events, holders, strict=True))
    ]
    return bytes_of({**made, "events": clean[:-1], "rest": clean[-1]})


def _event(redactor: Redactor, event: Any) -> Any:
    if isinstance(event, str):
        clean = redactor.text(event)
        return event if clean == event else clean
    data = event["data"]
    if isinstance(data, OneLine):
        cleaned = redactor.value(data.value)
        return event if cleaned is data.value else {**event, "data": OneLine(cleaned)}
    text = redactor.text(data)
    return event if text == data else {**event, "data": text}


def _data_of(event: Any) -> list[Any]:
    """What an event says, as the one item of a list, in which it can be changed."""
    if isinstance(event, dict):
        return [event["data"].value if isinstance(event["data"], OneLine) else event["data"]]
    return opened("\n".join(_said(line) for line in event.split("\n") if line.startswith("data:")))


def _said(line: str) -> str:
    return line.removeprefix("data:").removeprefix(" ")


def _with_data(event: Any, data: Any) -> Any:
    if isinstance(event, dict):
        return {**event, "data": data if isinstance(data, str) else OneLine(data)}
    said = data if isinstance(data, str) else json.dumps(data)
    others = [line for line in event.split("\n") if not line.startswith("data:")]
    return "\n".join([*others, *(f"data: {line}" for line in said.split("\n"))])
