"""How many calls may be on their way to one provider at once, from all threads and tasks of the process."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


class Turns:
    """Gives so many turns at once, in the order in which they were asked for.

    Args:
        number: How many.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[Callable[[], object]] = deque()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait for a turn, in a thread.

        Not in one that runs an event loop: those who have the turns may need that loop to go on. Such a call
        stops its loop until it is answered, so that each loop makes at most one beyond the number.
        """
        if _runs_a_loop():
            with self._lock:
                self._free -= 1
            return
        mine = threading.Event()
        if not self._has_one(mine.set):
            mine.wait()

    async def take_async(self) -> None:
        """Wait for a turn, in a task."""
        loop, mine = asyncio.get_running_loop(), asyncio.Event()
        if self._has_one(wake := lambda: loop.call_soon_threadsafe(mine.set)):
            return
        try:
            await mine.wait()
        except asyncio.CancelledError:
            self._leave(wake)
            raise

    def give_back(self) -> None:
        """End a turn; whoever waits longest has it now."""
        with self._lock:
            if not self._waiting or self._free < 0:
                self._free += 1
                return
            wake = self._waiting.popleft()
        wake()

    def _has_one(self, wake: Callable[[], object]) -> bool:
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return True
            self._waiting.append(wake)
            return False

    def _leave(self, wake: Callable[[], object]) -> None:
        """The task does not wait any more; a turn that it was just given goes on to the next."""
        with self._lock:
            if wake in self._waiting:
                self._waiting.remove(wake)
                return
        self.give_back()


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Limits:
    """The turns of each provider.

    Args:
        general: Calls at once to a provider that is not named.
        by_host: The same for single ones, by host.
    """

    def __init__(self, general: int, by_host: Mapping[str, int]) -> None:
        self._general = general
        self._by_host = by_host
        self._turns: dict[str, Turns] = {}
        self._lock = threading.Lock()

    def of(self, host: str) -> Turns:
        """The turns of the provider at *host*."""
        with self._lock:
            if host not in self._turns:
                self._turns[host] = Turns(self._by_host.get(host, self._general))
            return self._turns[host]


_in_force: list[Limits] = []


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Keep the calls of this process within *limits*, as far as they go to a provider."""
    _in_force.append(limits)
    try:
        yield
    finally:
        _in_force.remove(limits)


def turns_of(host: str) -> Turns | None:
    """What a call to *host* has to wait for; None if nothing."""
    return _in_force[-1].of(host) if _in_force else None
