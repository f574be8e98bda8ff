"""vcrpy as the one interception: our transports through its custom patches, its stubs for other clients.

Its own cassette is only a switchboard here: it keeps nothing, and asks the tape of the call.
"""

from __future__ import annotations

import functools
import http.client as httplib
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from types import FunctionType
from typing import Any
from unittest import mock

from vcr import patch  # type: ignore[import-untyped]
from vcr.cassette import Cassette as VcrCassette  # type: ignore[import-untyped]
from vcr.stubs import VCRHTTPSConnection  # type: ignore[import-untyped]

from pytest_looplet.cassette import deck, http
from pytest_looplet.cassette.errors import HTTPLibraryUnseen
from pytest_looplet.cassette.exchange import Reply, headers_to_wire, reply_from_wire, request_from_wire


class _Switchboard(VcrCassette):  # type: ignore[misc]
    """Answers vcrpy's stubs (http.client, urllib3, requests, aiohttp, …) from the tape of each call."""

    def _load(self) -> None:
        self.rewound = True

    def _save(self, force: bool = False) -> None:
        pass

    @property
    def write_protected(self) -> bool:
        # A tape that does not record raises by itself, with more to say.
        return False

    def can_play_response_for(self, request: Any) -> bool:
        # A stub asks once when it connects and again when it reads: the answer goes with the request.
        if "looplet" not in vars(request):
            tape = deck.tape_of_this_call()
            request.looplet = tape.ask(_request(request)) if tape else None
        return isinstance(request.looplet, Reply)

    def play_response(self, request: Any) -> dict[str, Any]:
        reply: Reply = request.looplet
        if reply.failure:
            raise ConnectionError(f"{reply.failure}, as recorded")
        headers: dict[str, list[str]] = {}
        for name, value in headers_to_wire(reply):
            headers.setdefault(name, []).append(value)
        return {
            "status": {"code": reply.status, "message": ""},
            "headers": headers,
            "body": {"string": reply.body},
        }

    def append(self, request: Any, response: Mapping[str, Any]) -> None:
        slot = vars(request).get("looplet")
        if slot is None:
            return
        headers = [
            (name, str(value)) for name, values in response["headers"].items() for value in _each(values)
        ]
        slot.finish(reply_from_wire(response["status"]["code"], headers, response["body"]["string"] or b""))


def _request(request: Any) -> Any:
    body = request.body
    if hasattr(body, "read"):
        body = body.read()
    elif body is not None and not isinstance(body, bytes):
        body = b"".join(part if isinstance(part, bytes) else str(part).encode() for part in body)
    headers = [(str(name), str(value)) for name, value in request.headers.items()]
    return request_from_wire(request.method, request.uri, headers, body or b"")


def _each(values: Any) -> list[Any]:
    return [values] if isinstance(values, str) else list(values)


def install() -> ExitStack:
    """Put the interception in place; gives what takes it away."""
    context = _Switchboard.use(path="looplet", custom_patches=http.patches(), skip_patchers=http.LIBRARIES)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(patch, "reset_patchers", _resets_that_are_needed))
        stack.enter_context(mock.patch.object(VCRHTTPSConnection, "_baseclass", _https()))
        stack.enter_context(context)
        return stack.pop_all()


_reset_patchers = patch.reset_patchers


def _resets_that_are_needed() -> Iterator[Any]:
    """What vcrpy takes away while one of its stubs makes a real call, for all threads of the process.

    A call of another thread at that moment would pass the tape, so nothing is taken away that the stubs can
    do without: with `_https` that is all but httplib2, whose classes look up those of http.client by name.
    """
    if "httplib2" not in sys.modules:
        return iter(())
    needed = {httplib, sys.modules["httplib2"]}
    return (found for found in _reset_patchers() if found.getter() in needed)


@functools.cache
def _https() -> type[httplib.HTTPSConnection]:
    """The real HTTPSConnection for the stub to speak through.

    That of http.client finds its own base class by the name that the stub stands under; ours does not.
    """
    real: Any = patch._HTTPSConnection
    init = real.__init__
    names = {
        **init.__globals__,
        "HTTPConnection": patch._HTTPConnection,
        "HTTPSConnection": patch._HTTPSConnection,
    }
    own = FunctionType(init.__code__, names, init.__name__, init.__defaults__, init.__closure__)
    own.__kwdefaults__ = init.__kwdefaults__
    return type("HTTPSConnection", (real,), {"__init__": own})


def check_seen() -> None:
    """The canary: the very methods that a client would call are ours, and each SDK uses such a client.

    Raises:
        HTTPLibraryUnseen: they are not.
    """
    for kind, method, ours in http.patches():
        if getattr(kind, method) is not ours:
            raise HTTPLibraryUnseen(
                f"{kind.__module__}.{kind.__qualname__}.{method} was replaced by something else "
                "(pytest-httpx, respx?), so model calls would pass the cassette; use one of them in a test"
            )
    seen = {kind.__module__.partition(".")[0] for kind, _, _ in http.patches()}
    for sdk, library in http.sdk_libraries().items():
        if library not in seen:
            raise HTTPLibraryUnseen(
                f"{sdk} {version(sdk)} speaks through {library}, which this pytest-looplet does not tape; "
                "pip install -U pytest-looplet vcrpy"
            )
