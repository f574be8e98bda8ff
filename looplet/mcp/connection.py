"""JSON-RPC with one server: requests and their answers by id, in any order, each with a time limit."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

from looplet.mcp.errors import MCPClosed, MCPError, MCPTimeout
from looplet.mcp.link import Message, Told
from looplet.mcp.process import ServerProcess
from looplet.text import visible
from looplet.types import CancelToken
from looplet.values import bounded

LARGEST = 16_000_000
"""Most bytes of one message; a longer one is passed over, and what was asked meanwhile fails."""

SLICE_S = 0.05
"""Seconds between two looks at a cancel token, and at whether the server is still there."""

REPLY_S = 5.0
"""Seconds for our answer to a request of the server to go out."""

METHOD_NOT_FOUND = -32601

_logger = logging.getLogger("looplet.mcp")


class Connection:
    """Talks to a running server.

    Args:
        process: The server.
        on_notification: Called with method and parameters of what it tells unasked, on the reader's thread.
    """

    def __init__(self, process: ServerProcess, on_notification: Told) -> None:
        self._process = process
        self._on_notification = on_notification
        self._ids = count(1)
        self._waiting: dict[int, SimpleQueue[Message]] = {}
        self._lock = threading.Lock()
        self._over = ""
        threading.Thread(target=self._read, name="looplet-mcp-reader", daemon=True).start()

    def request(
        self,
        method: str,
        params: Message,
        *,
        timeout_s: float,
        cancel_token: CancelToken | None = None,
        on_progress: Callable[[Message], None] | None = None,
    ) -> Message:
        """Ask, and wait for the answer's `result`.

        Args:
            method: Such as `tools/call`.
            params: Its parameters.
            timeout_s: Seconds until the server is told that nobody waits any more.
            cancel_token: Ends the waiting too.
            on_progress: Called here with what the server says of its progress.

        Raises:
            MCPTimeout: The time is over.
            MCPClosed: The server is gone.
            MCPError: It answered with an error or without a result, or the run was cancelled.
        """
        number = next(self._ids)
        inbox: SimpleQueue[Message] = SimpleQueue()
        with self._lock:
            if self._over:
                raise MCPClosed(self._over)
            self._waiting[number] = inbox
        if on_progress is not None:
            params = {**params, "_meta": {"progressToken": number}}
        deadline = time.monotonic() + timeout_s
        try:
            self._send({"id": number, "method": method, "params": params}, timeout_s)
            while True:
                message = self._next(inbox, deadline, cancel_token)
                if message is None:
                    self._give_up(number, method, timeout_s, cancel_token)
                if "progress" not in message:
                    return _result(method, message, self._process.name)
                if on_progress is not None:
                    on_progress(message["progress"])
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def notify(self, method: str, params: Message | None = None) -> None:
        """Tell the server something that it does not answer."""
        self._send({"method": method} | ({"params": params} if params is not None else {}), REPLY_S)

    def _send(self, message: Message, timeout_s: float) -> None:
        try:
            line = json.dumps({"jsonrpc": "2.0", **message}, allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError) as problem:
            raise MCPError(f"{message.get('method')}: the arguments are no JSON: {problem}") from problem
        self._process.write(line + b"\n", timeout_s)

    def _next(
        self, inbox: SimpleQueue[Message], deadline: float, cancel_token: CancelToken | None
    ) -> Message | None:
        while not (cancel_token is not None and cancel_token.is_cancelled):
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                return inbox.get(timeout=min(left, SLICE_S))
            except Empty:
                if self._process.silent():
                    return {"over": self._process.obituary()}
        return None

    def _give_up(
        self, number: int, method: str, timeout_s: float, cancel_token: CancelToken | None
    ) -> NoReturn:
        cancelled = cancel_token is not None and cancel_token.is_cancelled
        reason = "cancelled" if cancelled else f"no answer within {round(timeout_s, 2):g} s"
        if method != "initialize":  # which must not be cancelled
            try:
                self._process.write(_cancellation(number, reason), 0.2)
            except MCPError:
                _logger.debug("the cancellation of request %d could not be sent", number)
        if cancelled:
            raise MCPError(f"{method}: the run was cancelled")
        words = self._process.last_words() if method == "initialize" else ""
        raise MCPTimeout(
            f"{method}: the MCP server {self._process.name!r} gave {reason}; "
            f"MCPToolAdapter(timeout=...) sets the limit{words}"
        )

    # ------------------------------------------------------------------ what comes

    def _read(self) -> None:
        try:
            while (line := self._process.read_line(LARGEST)) is not None:
                if line:
                    self._take_line(line)
                else:
                    self._answer_all(
                        {"failure": f"{self._process.name!r} sent a message of more than {LARGEST} bytes"}
                    )
        finally:
            over = self._process.obituary()
            with self._lock:
                self._over = over
            self._answer_all({"over": over})
            self._process.close_output()

    def _take_line(self, line: bytes) -> None:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            _logger.debug("passed over a line that is no JSON: %r", line[:200])
            return
        for message in found if isinstance(found, list) else [found]:
            if not isinstance(message, dict):
                continue
            if isinstance(message.get("method"), str):
                self._take_call(message)
            else:
                self._take_answer(message)

    def _take_answer(self, message: Message) -> None:
        number = message.get("id")
        with self._lock:
            inbox = self._waiting.get(number) if type(number) is int else None
        if inbox is None:
            _logger.debug("passed over an answer to %r, which nobody waits for", number)
        else:
            inbox.put({key: message[key] for key in ("result", "error") if key in message})

    def _take_call(self, message: Message) -> None:
        method = message["method"]
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        if "id" in message:
            self._serve(message["id"], method)
        elif method == "notifications/progress":
            token = params.get("progressToken")
            with self._lock:
                inbox = self._waiting.get(token) if type(token) is int else None
            if inbox is not None and inbox.qsize() < 1000:
                inbox.put({"progress": params})
        else:
            self._on_notification(method, params)

    def _serve(self, number: Any, method: str) -> None:
        answers: dict[str, Message] = {"ping": {}, "roots/list": {"roots": []}}
        if method in answers:
            answer: Message = {"result": answers[method]}
        else:
            text = f"looplet does not offer {bounded(method, 100)}"
            answer = {"error": {"code": METHOD_NOT_FOUND, "message": text}}
        try:
            self._send({"id": number, **answer}, REPLY_S)
        except MCPError:
            _logger.debug("an answer to the server's request %r could not be sent", number)

    def _answer_all(self, message: Message) -> None:
        with self._lock:
            waiting = list(self._waiting.values())
        for inbox in waiting:
            inbox.put(message)


def _cancellation(number: int, reason: str) -> bytes:
    params = {"requestId": number, "reason": reason}
    message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
    return json.dumps(message).encode() + b"\n"


def _result(method: str, message: Message, name: str) -> Message:
    if "over" in message:
        raise MCPClosed(message["over"])
    if "failure" in message:
        raise MCPError(f"{method}: the MCP server {message['failure']}")
    error = message.get("error")
    if error is not None:
        said = error if isinstance(error, dict) else {"message": error}
        text = f"{bounded(str(said.get('message')), 1500)} (MCP error {bounded(str(said.get('code')), 100)})"
        raise MCPError(f"{method}: the MCP server {name!r} says: {visible(text)}")
    result = message.get("result")
    if not isinstance(result, dict):
        raise MCPError(f"{method}: the answer of the MCP server {name!r} has no result object")
    return result
