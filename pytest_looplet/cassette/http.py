"""The two transport methods of httpx and httpx2, taped.

A request is answered from the tape, or goes out and is written down while the client reads the reply:
streams pass through as they come, and a stream that nobody reads to its end is kept as far as it got.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any, TypeAlias

from looplet.backends.failures import no_reply_note
from pytest_looplet.cassette.deck import tape_of_this_call
from pytest_looplet.cassette.exchange import Ended, Reply, headers_to_wire, reply_from_wire, request_from_wire
from pytest_looplet.cassette.limit import turns_of
from pytest_looplet.cassette.tape import Slot

Handler: TypeAlias = Callable[[Any, Any], Any]
Patch: TypeAlias = tuple[type, str, Handler]
"""What vcrpy is told to replace: the transport class, its method, our method."""

LIBRARIES = ("httpx", "httpx2")
"""HTTP libraries of this shape; those that are installed are taped."""


@functools.cache
def patches() -> tuple[Patch, ...]:
    """Our methods for every installed library, made once: the classes hold the real ones until then."""
    made: list[Patch] = []
    for name in LIBRARIES:
        if importlib.util.find_spec(name) is not None:
            http = importlib.import_module(name)
            made.append(_patch(http, http.HTTPTransport, "handle_request", _taped))
            made.append(_patch(http, http.AsyncHTTPTransport, "handle_async_request", _taped_async))
    return tuple(made)


def sdk_libraries() -> dict[str, str]:
    """For each SDK that is loaded, the HTTP library its clients are made of."""
    found: dict[str, str] = {}
    for sdk in ("openai", "anthropic"):
        client = getattr(sys.modules.get(sdk), "DefaultHttpxClient", None)
        if isinstance(client, type):
            roots = [base.__module__.partition(".")[0] for base in client.__mro__]
            found[sdk] = next((root for root in roots if root not in (sdk, "builtins")), "")
    return found


def _patch(
    http: ModuleType, kind: type, method: str, make: Callable[[ModuleType, Handler], Handler]
) -> Patch:
    real: Handler = getattr(kind, method)
    return kind, method, functools.wraps(real)(make(http, real))


def _taped(http: ModuleType, real: Handler) -> Handler:
    def handle_request(self: Any, request: Any) -> Any:
        asked = _ask(request, request.read)
        if asked is None:
            return real(self, request)
        if isinstance(asked, Reply):
            return _played(http, asked, request)
        turns = turns_of(request.url.host)
        try:
            if turns is not None:
                turns.take()
                asked.when_answered(turns.give_back)
            response = real(self, request)
        except BaseException as error:
            _failed(http, asked, error, request)
            raise
        response.stream = _streams(http)[0](response, asked)
        _begun(response, asked)
        return response

    return handle_request


def _taped_async(http: ModuleType, real: Callable[[Any, Any], Awaitable[Any]]) -> Handler:
    async def handle_async_request(self: Any, request: Any) -> Any:
        body = await request.aread()
        asked = _ask(request, lambda: body)
        if asked is None:
            return await real(self, request)
        if isinstance(asked, Reply):
            return _played(http, asked, request)
        turns = turns_of(request.url.host)
        try:
            if turns is not None:
                await turns.take_async()
                asked.when_answered(turns.give_back)
            response = await real(self, request)
        except BaseException as error:
            _failed(http, asked, error, request)
            raise
        response.stream = _streams(http)[1](response, asked)
        _begun(response, asked)
        return response

    return handle_async_request


def _failed(http: ModuleType, slot: Slot, error: BaseException, request: Any) -> None:
    """What an SDK makes of the error names no address, and a person who records needs it."""
    slot.fail(error)
    if isinstance(error, http.TransportError):
        error.add_note(no_reply_note(request.method, str(request.url), error))


def _begun(response: Any, slot: Slot) -> None:
    """A stream is read when its reader likes, who may call again meanwhile: no other call waits for it."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        slot.begun()


def _ask(request: Any, body: Callable[[], bytes]) -> Reply | Slot | None:
    tape = tape_of_this_call()
    if tape is None:
        return None
    headers = request.headers.multi_items()
    return tape.ask(request_from_wire(request.method, str(request.url), headers, body()))


def _played(http: ModuleType, reply: Reply, request: Any) -> Any:
    if reply.failure:
        raise _failure(http, reply.failure, request)
    stream = _streams(http)[2](reply, request)
    return http.Response(reply.status, headers=headers_to_wire(reply), stream=stream, request=request)


def _failure(http: ModuleType, name: str, request: Any) -> BaseException:
    """The error that was recorded in place of a reply; one that the client itself caused is a time-out."""
    kind = getattr(http, name, None)
    if not (isinstance(kind, type) and issubclass(kind, http.TransportError)):
        kind = http.ReadTimeout
    error: BaseException = kind(f"{name}, as recorded", request=request)
    return error


class _Tee:
    """The bytes of a reply on their way to the client, and into the tape's slot."""

    def __init__(self, response: Any, slot: Slot) -> None:
        self.inner = response.stream
        self._response = response
        self._slot = slot
        self._parts: list[bytes] = []

    def keep(self, part: bytes) -> bytes:
        self._parts.append(part)
        return part

    def finish(self, ended: Ended) -> None:
        if self._slot.is_open:
            headers = self._response.headers.multi_items()
            self._slot.finish(
                reply_from_wire(self._response.status_code, headers, b"".join(self._parts), ended)
            )

    def closed(self) -> None:
        self.finish("whole" if self._is_over() else "cancelled")

    def _is_over(self) -> bool:
        """Whether the client stopped where the events say that no more comes."""
        tail = b"".join(self._parts[-4:])[-400:].rstrip()
        return tail.endswith(b"data: [DONE]") or b"event: message_stop\n" in tail


@functools.cache
def _streams(http: ModuleType) -> tuple[type, type, type]:
    """Our stream classes on the base classes of one library: taped, taped async, played."""

    class Taped(http.SyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, response: Any, slot: Slot) -> None:
            self.tee = _Tee(response, slot)
            slot.at_close(lambda: self.tee.closed())

        def __iter__(self) -> Iterator[bytes]:
            try:
                for part in self.tee.inner:
                    yield self.tee.keep(part)
            except GeneratorExit:
                raise
            except BaseException:
                self.tee.finish("cut")
                raise
            self.tee.finish("whole")

        def close(self) -> None:
            self.tee.inner.close()
            self.tee.closed()

    class TapedAsync(http.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, response: Any, slot: Slot) -> None:
            self.tee = _Tee(response, slot)
            slot.at_close(lambda: self.tee.closed())

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for part in self.tee.inner:
                    yield self.tee.keep(part)
            except GeneratorExit:
                raise
            except http.TransportError:
                self.tee.finish("cut")
                raise
            self.tee.finish("whole")

        async def aclose(self) -> None:
            await self.tee.inner.aclose()
            self.tee.closed()

    class Played(http.SyncByteStream, http.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, reply: Reply, request: Any) -> None:
            self.reply = reply
            self.request = request

        def __iter__(self) -> Iterator[bytes]:
            yield from _pieces(self.reply)
            self.end()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in _pieces(self.reply):
                yield piece
            self.end()

        def end(self) -> None:
            if self.reply.ended == "cut":
                raise http.RemoteProtocolError("the connection broke here, as recorded", request=self.request)
            if self.reply.ended == "cancelled":
                raise http.ReadError(
                    "the client stopped reading here when this was recorded", request=self.request
                )

    return Taped, TapedAsync, Played


def _pieces(reply: Reply) -> Iterator[bytes]:
    """A body in one piece; a stream of events one by one, as a server sends it."""
    if not reply.is_events:
        if reply.body:
            yield reply.body
        return
    mark = b"\r\n\r\n" if b"\r\n\r\n" in reply.body else b"\n\n"
    *events, rest = reply.body.split(mark)
    for event in events:
        yield event + mark
    if rest:
        yield rest
