"""What an adapter talks to: its server, or whoever was put between them to record and replay it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from looplet.types import CancelToken

Message = dict[str, Any]
"""A JSON object: parameters, a result."""


class Link(Protocol):
    """Answers the requests of one adapter."""

    @property
    def scene(self) -> object:
        """What answers belong to; a list of tools is asked for again where this is another one."""
        ...

    def request(
        self,
        method: str,
        params: Message,
        *,
        timeout_s: float,
        cancel_token: CancelToken | None = None,
        on_progress: Callable[[Message], None] | None = None,
    ) -> Message:
        """The `result` of one request.

        Args:
            method: Such as `tools/call`.
            params: Its parameters.
            timeout_s: Seconds until nobody waits any more.
            cancel_token: Ends the waiting too.
            on_progress: Called with what the server says of its progress.

        Raises:
            MCPError: There is no result; the text says why.
        """
        ...

    def close(self) -> None:
        """End the server, if it runs."""
        ...


Told = Callable[[str, Message], None]
"""Takes what a server tells unasked: method and parameters."""

Starter = Callable[[Told], Link]
"""Starts the server; what it tells unasked goes to the argument."""

Between = Callable[[str, str, Starter, Told], Link]
"""`(name, prefix, start, told) -> link`: what an adapter gets instead of its server."""

_between: list[Between] = []


def put_between(between: Between) -> Callable[[], None]:
    """From now on, adapters that start talk to what *between* gives; call the result to undo it."""
    _between.append(between)
    return lambda: _between.remove(between)


def opened(name: str, prefix: str, start: Starter, told: Told) -> Link:
    """The link of an adapter that starts: its server, unless something was put between.

    Args:
        name: The server's program, for people.
        prefix: What the adapter puts before the names of its tools.
        start: Starts the server.
        told: Takes what it tells unasked.

    Raises:
        MCPError: The server cannot be started.
    """
    return _between[-1](name, prefix, start, told) if _between else start(told)
