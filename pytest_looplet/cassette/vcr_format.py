"""Plain vcrpy cassettes, YAML version 1, read as ours."""

from __future__ import annotations

from typing import Any

from pytest_looplet.cassette.body import BodyReader
from pytest_looplet.cassette.exchange import Reply, Request, reply_from_wire, request_from_wire
from pytest_looplet.cassette.interaction import Interaction


def interactions_of_vcr(data: dict[str, Any]) -> list[Interaction]:
    """The interactions of a vcrpy cassette, as read from its YAML.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is none.
    """
    reader = BodyReader(lambda value: value)
    made = []
    for number, entry in enumerate(data["interactions"], 1):
        request = _request(entry["request"])
        body = reader.read(request.body)
        if body is not None and body.style is not None:
            request = Request(
                request.method, request.path, request.query, request.provider, headers=request.headers
            )
        made.append(Interaction(request, body, _reply(entry["response"]), number))
    return made


def _request(entry: dict[str, Any]) -> Request:
    headers = _headers(entry.get("headers") or {})
    return request_from_wire(entry["method"], entry["uri"], headers, _bytes(entry.get("body")))


def _reply(entry: dict[str, Any]) -> Reply:
    if "status_code" in entry:
        # What vcrpy wrote for httpx before its version 6.
        content = _bytes(entry.get("content"))
        return reply_from_wire(entry["status_code"], _headers(entry["headers"]), content)
    return reply_from_wire(
        entry["status"]["code"], _headers(entry["headers"]), _bytes(entry["body"].get("string"))
    )


def _headers(headers: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, str(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, dict):
        return _bytes(body.get("string") or body.get("base64_string"))
    return body if isinstance(body, bytes) else str(body).encode("utf-8")
