"""MCP servers on the tape: what they answer is recorded beside what the model answers, and replayed alike.

A cassette without a request of an MCP server says nothing of them: then the server itself is asked, as
every other tool is run for real.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from looplet.mcp.errors import MCPClosed, MCPError, MCPTimeout
from looplet.mcp.link import Link, Message, Starter, Told
from looplet.types import CancelToken
from looplet.values import normal
from pytest_looplet.cassette.backend import compact_json
from pytest_looplet.cassette.deck import tape_of_this_call
from pytest_looplet.cassette.exchange import MCP, Reply, Request
from pytest_looplet.cassette.tape import Slot, Tape

CHANGED = "notifications/tools/list_changed"
"""What a server tells when its list of tools is another one now."""

_ERRORS = {kind.__name__: kind for kind in (MCPError, MCPTimeout, MCPClosed)}


class TapedLink:
    """Stands between an adapter and its server.

    The server is started at once where it may be recorded, and otherwise when a tape has no answer.

    Args:
        name: The server's program, for readers of the cassette.
        prefix: What the adapter puts before its tools' names; tells several servers apart.
        start: Starts the server.
        told: Takes what the server tells unasked.
        early: Opens the tape of the running test where its fixtures have not yet done so, and should. Told
            whether the server is asked something now, which belongs on a tape.
    """

    def __init__(
        self,
        name: str,
        prefix: str,
        start: Starter,
        told: Told,
        early: Callable[[bool], None] = lambda asks: None,
    ) -> None:
        self._name = name
        self._prefix = prefix
        self._start = start
        self._told = told
        self._early = early
        self._server: Link | None = None
        self._starting = threading.Lock()
        self._changed = False
        tape = self._tape()
        if tape is None or tape.records:
            self._running()

    @property
    def scene(self) -> object:
        """The tape that answers: each test lists the tools anew, or its cassette would lack the list."""
        return self._tape()

    def request(
        self,
        method: str,
        params: Message,
        *,
        timeout_s: float,
        cancel_token: CancelToken | None = None,
        on_progress: Callable[[Message], None] | None = None,
    ) -> Message:
        """The result, from the tape or from the server; see `looplet.mcp.link.Link`.

        Raises:
            MCPError: There was none when this was recorded, or there is none now.
            ReplayStopped: The tape has no answer and does not record.
        """
        tape = self._tape(asks=True)
        if tape is not None and not tape.records and not tape.knows_servers:
            tape = None
        answer = tape.ask(self._asked(method, params)) if tape is not None else None
        if isinstance(answer, Reply):
            return self._said(answer)
        try:
            result = self._running().request(
                method, params, timeout_s=timeout_s, cancel_token=cancel_token, on_progress=on_progress
            )
        except MCPError as problem:
            _keep(answer, 500, {"error": type(problem).__name__, "message": str(problem)})
            raise
        changed, self._changed = self._changed, False
        _keep(answer, 200, {"result": normal(result), **({"tools_changed": True} if changed else {})})
        return result

    def close(self) -> None:
        """End the server, if it was started."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _tape(self, *, asks: bool = False) -> Tape | None:
        tape = tape_of_this_call()
        if tape is None:
            self._early(asks)
            tape = tape_of_this_call()
        return tape

    def _running(self) -> Link:
        with self._starting:
            if self._server is None:
                self._server = self._start(self._heard)
            return self._server

    def _heard(self, method: str, params: Message) -> None:
        self._changed = self._changed or method == CHANGED
        self._told(method, params)

    def _asked(self, method: str, params: Message) -> Request:
        return Request(MCP, f"/{method}", self._prefix, self._name, compact_json(normal(params)))

    def _said(self, reply: Reply) -> Message:
        nothing = {"error": "MCPError", "message": "the recording was cut before the MCP server answered"}
        told: dict[str, Any] = json.loads(reply.body) if reply.body else nothing
        if "error" in told:
            raise _ERRORS.get(told["error"], MCPError)(told["message"])
        if told.get("tools_changed"):
            self._told(CHANGED, {})
        result: Message = told["result"]
        return result


def _keep(slot: Slot | None, status: int, told: dict[str, Any]) -> None:
    if slot is not None:
        slot.finish(Reply(status, body=compact_json(told)))
