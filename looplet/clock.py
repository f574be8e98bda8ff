"""Where time and fresh identifiers come from, so that a test can fix both.

Everything in looplet that stamps a time or makes an id asks here. `fixed_clock()` makes two runs of
one program byte-equal; threads that looplet starts inherit it, because it lives in a context variable.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Protocol


class Clock(Protocol):
    """A source of time and identifiers."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def perf(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        ...

    def new_id(self) -> str:
        """A fresh identifier: 12 hex characters."""
        ...


class SystemClock:
    """The machine's own time, and identifiers that no other process has: half random, half counted."""

    def __init__(self) -> None:
        # Attributes, and read as such below: Python is quicker with them than with methods of the class.
        self.now = time.time
        self.perf = time.perf_counter
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        # One call of the kernel for each identifier would be the dearest part of making a call.
        start = int.from_bytes(os.urandom(6), "big") >> 1  # half of them are ahead
        self.new_id: Callable[[], str] = map("%012x".__mod__, count(start)).__next__


class FixedClock:
    """Time that stands still until it is told to move, and identifiers that count from 1.

    Args:
        start: Seconds since the epoch that `now` reports.
        tick_s: Seconds that each call of `now` or `perf` moves the clock on.
    """

    def __init__(self, start: float = 1_000_000_000.0, *, tick_s: float = 0.0) -> None:
        self.time = start
        self.tick_s = tick_s
        self._ids = 0

    def now(self) -> float:
        """The fixed time, in seconds since the epoch."""
        self.time += self.tick_s
        return self.time

    def perf(self) -> float:
        """The same time as `now`: durations under a fixed clock are what `advance` says."""
        return self.now()

    def new_id(self) -> str:
        """`000000000001`, `000000000002`, …"""
        self._ids += 1
        return f"{self._ids:012x}"

    def advance(self, seconds: float) -> None:
        """Move the clock on by *seconds*."""
        self.time += seconds


_system: Clock = SystemClock()
_current: ContextVar[Clock] = ContextVar("looplet_clock", default=_system)


def now() -> float:
    """Seconds since the epoch, from the clock in force."""
    read = _current.get().now
    return read()


def perf() -> float:
    """Monotonic seconds, from the clock in force."""
    read = _current.get().perf
    return read()


def new_id() -> str:
    """A fresh 12-character identifier, from the clock in force."""
    read = _current.get().new_id
    return read()


@contextmanager
def use_clock(clock: Clock) -> Iterator[Clock]:
    """Make *clock* the clock in force inside the `with` block."""
    token = _current.set(clock)
    try:
        yield clock
    finally:
        _current.reset(token)


@contextmanager
def fixed_clock(start: float = 1_000_000_000.0, *, tick_s: float = 0.0) -> Iterator[FixedClock]:
    """Put a fresh `FixedClock` in force inside the `with` block."""
    clock = FixedClock(start, tick_s=tick_s)
    with use_clock(clock):
        yield clock
