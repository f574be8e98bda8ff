"""Where secrets hide in HTTP: headers, URLs, forms, JSON, and streams that cut a token in pieces."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import unquote, unquote_plus

from looplet.redact import Redactor, is_secret_header, is_secret_query, known_secrets
from pytest_looplet.cassette.body import Body
from pytest_looplet.cassette.encoding import bytes_of, shown, strict_json, style_of, styled
from pytest_looplet.cassette.exchange import Headers, Reply, Request
from pytest_looplet.cassette.one_line import OneLine
from pytest_looplet.cassette.tape import Scrubs

_Leaf: TypeAlias = tuple[Any, Any, str]
"""Where a text stands: its container, its key there, and the text."""


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
            value = None
        style = style_of(value, raw) if value is not None else None
        if style is not None:
            clean = redactor.value(value)
            return raw if clean is value else styled(clean, style)
    clean_text = redactor.text(text)
    return raw if clean_text == text else clean_text.encode(code, "replace")


def _events(redactor: Redactor, raw: bytes) -> bytes:
    """A stream of events: each by itself, then what a text says that runs over many of them."""
    made = shown(raw, events=True)
    if "events" not in made:
        return _body(redactor, raw)
    made["events"] = [_event(redactor, event) for event in made["events"]]
    made["rest"] = redactor.text(made.get("rest", ""))
    _across(redactor, made["events"])
    return bytes_of(made)


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


def _across(redactor: Redactor, events: list[Any]) -> None:
    """Take out, in place, the secrets that no event holds by itself."""
    threads: dict[tuple[Any, ...], list[_Leaf]] = {}
    for event in events:
        if isinstance(event, dict) and isinstance(event["data"], OneLine):
            for path, leaf in _leaves(event["data"].value, ()):
                threads.setdefault(path, []).append(leaf)
    for leaves in threads.values():
        if len(leaves) > 1:
            _cut(redactor, leaves)


def _leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], _Leaf]]:
    """The texts in an event, each under a path that is the same for the pieces of one text."""
    if isinstance(value, dict):
        here = (*path, value["index"]) if isinstance(value.get("index"), int) else path
        items: Any = value.items()
    elif isinstance(value, list):
        here, items = path, enumerate(value)
    else:
        return
    for key, item in items:
        below = (*here, key) if isinstance(value, dict) else here
        if isinstance(item, str):
            yield below, (value, key, item)
        else:
            yield from _leaves(item, below)


def _cut(redactor: Redactor, leaves: list[_Leaf]) -> None:
    joined = "".join(text for _, _, text in leaves)
    for secret in reversed(redactor.find(joined)):
        start = 0
        for container, key, text in leaves:
            first, last = max(secret.start - start, 0), min(secret.end - start, len(text))
            if first < last:
                put = secret.placeholder if secret.start >= start else ""
                now: str = container[key]
                # What stands behind this secret was cut already; what stands before it is as it was.
                container[key] = now[:first] + put + now[last:]
            start += len(text)
