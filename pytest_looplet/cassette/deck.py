"""Which open tape a call belongs to.

The context variable says it, so concurrent cases and trials keep apart. A call without one, from a thread
that was started inside a test, belongs to the one open tape; with several open, or from a thread that
outlived its tape, nobody can say, and it fails.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar, Token
from weakref import WeakSet

from looplet.workers import retire
from pytest_looplet.cassette.errors import NoTape
from pytest_looplet.cassette.tape import Tape

_current: ContextVar[Tape | None] = ContextVar("looplet_tape", default=None)
_open: list[Tape] = []
_outlived: WeakSet[threading.Thread] = WeakSet()
_threads_before: dict[int, frozenset[threading.Thread]] = {}


def put_in(tape: Tape) -> Token[Tape | None]:
    """Make *tape* the one that calls from here on belong to; give the token to `take_out`."""
    _open.append(tape)
    retire()
    _threads_before[id(tape)] = frozenset(threading.enumerate())
    return _current.set(tape)


def take_out(tape: Tape, token: Token[Tape | None]) -> None:
    """Close *tape*: threads that were started under it and still run lose the right to call."""
    _open.remove(tape)
    retire()
    before = _threads_before.pop(id(tape))
    if tape.blocks:
        _outlived.update(thread for thread in threading.enumerate() if thread not in before)
    try:
        _current.reset(token)
    except ValueError:
        # Opened in another context (an async fixture): the tape is marked closed by not being in the list.
        _current.set(None)


def open_tapes() -> tuple[Tape, ...]:
    """The tapes that are open, the oldest first."""
    return tuple(_open)


def has_stragglers() -> bool:
    """Whether a thread that outlived its tape still runs, so that its calls must go on being refused."""
    return any(thread.is_alive() for thread in _outlived)


def tape_of_this_call() -> Tape | None:
    """The tape that a call made here and now belongs to; None when no tape is open.

    Raises:
        NoTape: the tape it belongs to is closed, or several are open and none can be told from it.
    """
    tape = _current.get()
    if tape is not None:
        if tape in _open:
            return tape
        # The task in which anyio runs tests keeps the context of the wide fixture that it was started for.
        if tape.blocks:
            raise NoTape(f"a model call was made after its cassette {tape.name} was closed")
    if threading.current_thread() in _outlived:
        name = threading.current_thread().name
        raise NoTape(
            f"thread {name!r} outlived the test that started it and made a model call; join it there"
        )
    if len(_open) > 1:
        names = ", ".join(t.name for t in _open)
        raise NoTape(
            "a model call came from a thread that carries no context while several cassettes are open "
            f"({names}); start it with contextvars.copy_context().run, or asyncio.to_thread"
        )
    return _open[0] if _open else None
