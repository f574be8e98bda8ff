"""The HTTP side of the local provider: reads requests, sends replies, and breaks off where it is told to."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, cast

from looplet.errors import ConfigError, ModelError
from looplet.testing.misbehave import Cut, Malformed, Never, Slow, Status, from_error
from looplet.testing.provider_script import ProviderRequest
from looplet.testing.provider_wire import DIALECTS, Dialect, embeddings, turn_of


class Player(Protocol):
    """Who decides what is answered."""

    requests: list[ProviderRequest]

    def reply_to(self, request: ProviderRequest) -> object:
        """The reply to *request*: something a script may hold."""
        ...

    def unscripted(self, reason: str) -> Status:
        """Note that there is no reply because of *reason*, and say what to answer instead."""
        ...

    def pause(self, seconds: float | None) -> None:
        """Wait for *seconds*, or for ever, but not beyond the end of the server."""
        ...


class ProviderServer(ThreadingHTTPServer):
    """A threaded server on 127.0.0.1 with kept-alive connections.

    Args:
        player: Decides what is answered.
        port: 0 picks a free one.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, player: Player, port: int = 0) -> None:
        self.player = player
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def close_connections(self) -> None:
        """Close the connections that clients keep alive."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                self.connections.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show what went wrong while a request was served."""
        # A client that hangs up in the middle is part of the game; anything else is our own bug.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._ours.connections.add(self.connection)

    def finish(self) -> None:
        self._ours.connections.discard(self.connection)
        super().finish()

    @property
    def _ours(self) -> ProviderServer:
        return cast("ProviderServer", self.server)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        pass

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            body = json.loads(raw)
        except ValueError:
            body = {}
        request = ProviderRequest(self.path, headers, body, raw)
        key = hashlib.sha256(request.endpoint.encode() + raw).hexdigest()[:12]
        if request.endpoint == "embeddings":
            self._ours.player.requests.append(request)
            self._send(200, json.dumps(embeddings(body)), {"x-request-id": f"req_{key}"})
        elif request.endpoint in DIALECTS:
            self._play(self._ours.player.reply_to(request), request, key, cut_short=False)
        else:
            self._send(404, json.dumps({"error": {"message": f"the local provider has no {self.path}"}}), {})

    def _play(self, reply: object, request: ProviderRequest, key: str, *, cut_short: bool) -> None:
        dialect = DIALECTS[request.endpoint]
        headers = {dialect.request_id_header: f"req_{key}"}
        if isinstance(reply, ModelError):
            reply = from_error(reply)
        if isinstance(reply, Slow):
            self._ours.player.pause(reply.seconds)
            self._play(reply.reply, request, key, cut_short=cut_short)
        elif isinstance(reply, Cut):
            self._play(reply.reply, request, key, cut_short=True)
        elif isinstance(reply, Never):
            self._ours.player.pause(None)
            self.close_connection = True
        elif isinstance(reply, Status):
            error = json.dumps(dialect.error(reply, key))
            self._send(reply.code, error, {**headers, **reply.headers}, cut_short=cut_short)
        elif isinstance(reply, Malformed):
            if request.stream:
                self._stream([f"event: message_start\ndata: {reply.body}\n\n"], headers, cut_short)
            else:
                self._send(200, reply.body, headers, cut_short=cut_short)
        else:
            self._speak(reply, request, dialect, key, headers, cut_short)

    def _speak(
        self,
        reply: object,
        request: ProviderRequest,
        dialect: Dialect,
        key: str,
        headers: dict[str, str],
        cut_short: bool,
    ) -> None:
        try:
            turn = turn_of(reply, request, key)
        except ConfigError as error:
            failed = self._ours.player.unscripted(str(error))
            self._send(500, json.dumps(dialect.error(failed, key)), {**headers, **failed.headers})
            return
        if request.stream:
            self._stream(list(dialect.events(turn)), headers, cut_short)
        else:
            self._send(200, json.dumps(dialect.body(turn)), headers, cut_short=cut_short)

    def _head(self, code: int, headers: Mapping[str, str]) -> bytes:
        # No Date and no Server header: a second recording must be equal to the first.
        reason = self.responses.get(code, ("Error",))[0]
        lines = [f"HTTP/1.1 {code} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _send(self, code: int, text: str, headers: Mapping[str, str], *, cut_short: bool = False) -> None:
        body = text.encode()
        length = {"content-type": "application/json", "content-length": str(len(body))}
        if cut_short:
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(self._head(code, {**length, **headers}) + body)

    def _stream(self, events: list[str], headers: Mapping[str, str], cut_short: bool) -> None:
        kind = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        self.wfile.write(self._head(200, {**kind, **headers}))
        for event in events[: len(events) // 2] if cut_short else events:
            data = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        if cut_short:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")
