"""What goes over the wire, freed of the wire: one request, one reply.

Host and port become a label, compression is undone, and headers that only serve the transport are left
out, so that the same call recorded twice gives the same text.
"""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Names in lower case, in the order they came; a name may come more than once."""

MCP = "MCP"
"""The method of requests that go to an MCP server."""

Ended: TypeAlias = Literal["whole", "cut", "cancelled"]
"""How a reply's body ended: all of it came, the connection broke, or the client stopped reading."""

# What the network in between adds, what only holds for one connection, and what tells the time of day.
_TRANSPORT = re.compile(
    r"connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length|content-encoding"
    r"|date|age|expires|last-modified|server|server-timing|via|alt-svc|nel|report-to|reporting-endpoints"
    r"|cf-.*|x-envoy-.*|x-amz-cf-.*|x-cache.*|x-served-by|x-timer|x-content-type-options|vary"
    r"|strict-transport-security|openai-processing-ms|x-runtime|etag"
)
# Of a request, only these can matter to a person who reads the cassette.
_TELLING = frozenset({"content-type", "anthropic-version", "anthropic-beta", "openai-beta"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Request:
    """A call to a provider.

    Attributes:
        method: `POST`, … ; `CALL` for a backend that does not speak HTTP, `MCP` for an MCP server.
        path: The path of the URL, as sent.
        query: What follows the question mark, without it.
        provider: The host without its port, `localhost` for any loopback address. Never matched on.
        body: The body, decoded where it was compressed.
        headers: The few that matter to a reader.
    """

    method: str
    path: str
    query: str = ""
    provider: str = ""
    body: bytes = b""
    headers: Headers = ()

    def header(self, name: str) -> str:
        """The first value of *name* (lower case), or an empty string."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def url(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        status: HTTP status; 0 where no reply came.
        headers: Without those of the transport.
        body: Decoded; as far as it was read.
        ended: How the body ended.
        failure: Name of the error that came in place of a reply, such as `ConnectTimeout`.
        kept_encoding: The body could not be decoded and is as it came, under this content encoding.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""
    ended: Ended = "whole"
    failure: str = ""
    kept_encoding: str = field(default="", kw_only=True)

    @property
    def is_events(self) -> bool:
        """Whether the body is a stream of server-sent events."""
        return any(k == "content-type" and v.startswith("text/event-stream") for k, v in self.headers)


def request_from_wire(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
    """The request as it is kept, from what a client sends to *url*."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    lower = [(name.lower(), value) for name, value in headers]
    decoded, left = _decoded(body, next((v for k, v in lower if k == "content-encoding"), ""))
    kept = [(k, v) for k, v in lower if k in _TELLING and (k, v) != ("content-type", "application/json")]
    if left:
        kept.append(("content-encoding", left))
    label = "localhost" if host in _LOOPBACK else host
    return Request(method.upper(), parts.path or "/", parts.query, label, decoded, tuple(kept))


def reply_from_wire(
    status: int, headers: Iterable[tuple[str, str]], body: bytes, ended: Ended = "whole"
) -> Reply:
    """The reply as it is kept, from the raw bytes that came."""
    lower = [(name.lower(), value) for name, value in headers]
    decoded, left = _decoded(body, next((v for k, v in lower if k == "content-encoding"), ""))
    kept = tuple((k, v) for k, v in lower if not _TRANSPORT.fullmatch(k))
    return Reply(status, kept, decoded, ended, kept_encoding=left)


def headers_to_wire(reply: Reply) -> list[tuple[str, str]]:
    """The headers a client is given in replay.

    A reply that makes the SDK try again says that it may do so at once.
    """
    headers = list(reply.headers)
    if reply.status in {408, 409, 429} or reply.status >= 500:
        headers = [(k, v) for k, v in headers if k not in {"retry-after", "retry-after-ms"}]
        headers.append(("retry-after-ms", "1"))
    if reply.kept_encoding:
        headers.append(("content-encoding", reply.kept_encoding))
    if not reply.is_events and reply.ended == "whole":
        headers.append(("content-length", str(len(reply.body))))
    return headers


def _decoded(body: bytes, encoding: str) -> tuple[bytes, str]:
    """The body without its compression, and the encoding that is left on it."""
    names = [name.strip().lower() for name in encoding.split(",") if name.strip() not in ("", "identity")]
    try:
        decoded = body
        for name in reversed(names):
            decoded = _undo(name, decoded)
    except (OSError, EOFError, zlib.error, ValueError, ArithmeticError):
        return body, encoding
    return decoded, ""


def _undo(encoding: str, body: bytes) -> bytes:
    if not body:
        return body
    if encoding in {"gzip", "x-gzip"}:
        return gzip.decompress(body)
    if encoding == "deflate":
        try:
            return zlib.decompress(body)
        except zlib.error:
            return zlib.decompress(body, -zlib.MAX_WBITS)
    return _undo_as_client(encoding, body)


def _undo_as_client(encoding: str, body: bytes) -> bytes:
    """br and zstd, which an HTTP library only asks for when it can undo them."""
    http = sys.modules.get("httpx2") or sys.modules.get("httpx")
    if http is None:
        raise ValueError(f"nothing here undoes {encoding}")
    try:
        decoded: bytes = http.Response(200, headers={"content-encoding": encoding}, content=body).content
    except http.DecodingError as error:
        raise ValueError(str(error)) from error
    if decoded == body:
        raise ValueError(f"{encoding} is unknown")
    return decoded
