"""Plain vcrpy cassettes, YAML version 1, read as ours."""

from __future__ import annotations

from typing import Any

from pytest_looplet.cassette.body import BodyReader
from pytest_looplet.cassette.exchange import Reply, Request, reply_from_wire, request_from_wire
from pytest_looplet.cassette.interaction import Interaction
from pytest_looplet.cassette.members import member, must_be


class VcrReader:
    """Reads the interactions of one vcrpy cassette, in their order."""

    def __init__(self) -> None:
        self._reader = BodyReader(lambda value: value)

    def interaction(self, entry: dict[str, Any], number: int, earlier: list[Interaction]) -> Interaction:
        """The interaction of that number, from 1, as read from its YAML.

        Raises:
            ValueError: it is none; the text says what is missing or wrong.
        """
        request = _request(member(entry, "request", dict, "it"))
        body = self._reader.read(request.body)
        if body is not None and body.style is not None:
            request = Request(
                request.method, request.path, request.query, request.provider, headers=request.headers
            )
        return Interaction(request, body, _reply(member(entry, "response", dict, "it")), number)


def _request(entry: dict[str, Any]) -> Request:
    method, uri = (member(entry, name, str, "the request") for name in ("method", "uri"))
    return request_from_wire(method, uri, _headers(entry), _bytes(entry.get("body")))


def _reply(entry: dict[str, Any]) -> Reply:
    if "status_code" in entry:
        # What vcrpy wrote for httpx before its version 6.
        status, body = member(entry, "status_code", int, "the response"), entry.get("content")
    else:
        told = member(entry, "status", dict, "the response")
        status, body = member(told, "code", int, "the status"), member(entry, "body", dict, "the response")
    return reply_from_wire(status, _headers(entry), _bytes(body))


def _headers(entry: dict[str, Any]) -> list[tuple[str, str]]:
    headers = must_be(entry.get("headers") or {}, dict, "`headers`")
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
