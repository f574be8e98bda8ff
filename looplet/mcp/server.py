"""A running server that has shaken hands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from looplet.mcp.connection import Connection
from looplet.mcp.errors import MCPError
from looplet.mcp.link import Message, Told
from looplet.mcp.process import ServerProcess
from looplet.text import escape_terminal
from looplet.types import CancelToken
from looplet.values import bounded

REVISIONS = ("2025-06-18", "2025-03-26", "2024-11-05")
"""Revisions of the protocol that are spoken, the one that is offered first."""


class Server:
    """The link to a server that this process started.

    Args:
        argv: The words of its command.
        env: Its whole environment.
        cwd: Its folder.
        timeout_s: Seconds for the handshake.
        told: Called with what it tells unasked, on the reader's thread.

    Raises:
        MCPError: It cannot be started, does not answer in time, or speaks no revision that we do.
    """

    scene: object = None

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str | None, timeout_s: float, told: Told
    ) -> None:
        self._process = ServerProcess(argv, env, cwd)
        try:
            self._connection = Connection(self._process, told)
            self._shake_hands(timeout_s)
        except BaseException:
            self.close()
            raise

    def request(
        self,
        method: str,
        params: Message,
        *,
        timeout_s: float,
        cancel_token: CancelToken | None = None,
        on_progress: Callable[[Message], None] | None = None,
    ) -> Message:
        """Ask it; see `Link.request`."""
        return self._connection.request(
            method, params, timeout_s=timeout_s, cancel_token=cancel_token, on_progress=on_progress
        )

    def close(self) -> None:
        """End it and its children."""
        self._process.close()

    def _shake_hands(self, timeout_s: float) -> None:
        from looplet import __version__

        hello = {
            "protocolVersion": REVISIONS[0],
            "capabilities": {"roots": {}},
            "clientInfo": {"name": "looplet", "version": __version__},
        }
        answer = self._connection.request("initialize", hello, timeout_s=timeout_s)
        if answer.get("protocolVersion") not in REVISIONS:
            said = bounded(repr(answer.get("protocolVersion")), 100)
            ours, program = ", ".join(REVISIONS), self._process.name
            raise MCPError(f"the MCP server {program!r} speaks revision {said}; we speak {ours}")
        # Many servers are started by one program, such as npx: they are known by what they call themselves.
        info = answer.get("serverInfo")
        name = info.get("name") if isinstance(info, dict) else None
        if isinstance(name, str) and name:
            self._process.name += f" ({bounded(escape_terminal(name), 60)})"
        self._connection.notify("notifications/initialized")
