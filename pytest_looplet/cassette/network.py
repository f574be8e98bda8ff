"""No network in a replay: connecting, sending and looking up names fail with the host's name.

The guard is installed while a tape is open that only plays. It stops code that belongs to such a tape;
UNIX sockets and allowed hosts pass.
"""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Callable
from typing import Any

from pytest_looplet.cassette import deck
from pytest_looplet.cassette.errors import NetworkBlocked, NoTape
from pytest_looplet.cassette.tape import Tape

_SOCKET_METHODS = ("connect", "connect_ex", "sendto", "sendmsg")
_LOOKUPS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")


class _Guard:
    """Counts the tapes that need it; the same for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._undo: list[Callable[[], None]] = []

    def acquire(self) -> None:
        """Install it if it is not there."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._undo = [
                    _put(socket.socket, name, _method(getattr(socket.socket, name)))
                    for name in _SOCKET_METHODS
                ]
                self._undo += [_put(socket, name, _lookup(getattr(socket, name))) for name in _LOOKUPS]

    def release(self) -> None:
        """Take it away with the last tape that needs it."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for undo in reversed(self._undo):
                    undo()
                self._undo = []


guard = _Guard()
"""The one guard of this process."""


def _put(owner: Any, name: str, value: object) -> Callable[[], None]:
    """Put *value* in the place of an attribute; gives what undoes that."""
    inherited, before = name not in vars(owner), vars(owner).get(name)
    setattr(owner, name, value)
    return (
        functools.partial(delattr, owner, name)
        if inherited
        else functools.partial(setattr, owner, name, before)
    )


def _method(real: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, *args: Any, **kwargs: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            address = next(
                (a for a in args[::-1] if isinstance(a, tuple) and a and isinstance(a[0], str)), None
            )
            if address is not None:
                _check(address[0], address[1], "connection to")
        return real(self, *args, **kwargs)

    return guarded


def _lookup(real: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        tape = _check(name, args[0] if args else None, "look-up of") if name else None
        found = real(host, *args, **kwargs)
        if tape is not None:
            # What an allowed name stands for is allowed, too: the connection that follows has only that.
            tape.allowed.update(_addresses(found))
        return found

    return guarded


def _addresses(found: Any) -> set[str]:
    if isinstance(found, str):
        return {found}
    if isinstance(found, tuple):
        return set(found[2])
    return {entry[4][0] for entry in found}


def _check(host: str, port: object, what: str) -> Tape | None:
    """The tape that allows *host*; None where no replay is on.

    Raises:
        NetworkBlocked: the tape of this call does not allow it.
    """
    try:
        tape = deck.tape_of_this_call()
    except NoTape:
        tape = next((t for t in deck.open_tapes() if t.only_plays), None)
    if tape is None or not tape.only_plays:
        return None
    shown = host if port is None else f"{host}:{port}"
    if host in tape.allowed or shown in tape.allowed:
        return tape
    raise tape.note(NetworkBlocked(shown, what))
