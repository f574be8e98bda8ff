"""The events of a run as an async iterator."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Self

from looplet.streaming.event import Event, LoopEndEvent, LoopStartEvent

if TYPE_CHECKING:
    import asyncio


class EventStream:
    """An emitter whose events are iterated, until the run ends.

        events = EventStream()
        async with asyncio.TaskGroup() as group:
            group.create_task(async_run_loop(llm, task, tools, stream=events))
            async for event in events:
                ...

    Events may come from any thread; nothing is lost that came before the iteration began. One consumer.
    """

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._runs = 0  # that have begun and not ended: a sub-agent may tell the same stream
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._more: asyncio.Event | None = None

    def emit(self, event: Event) -> None:
        """Take one event; the last one of a run, its sub-agents' aside, closes the stream."""
        self._events.append(event)
        if isinstance(event, LoopStartEvent):
            self._runs += 1
        elif isinstance(event, LoopEndEvent):
            self._runs -= 1
            self._closed = self._closed or self._runs <= 0
        self._wake()

    def close(self) -> None:
        """Let the iteration end after what has come, for a run that never began."""
        self._closed = True
        self._wake()

    def __aiter__(self) -> Self:
        import asyncio

        self._loop, self._more = asyncio.get_running_loop(), asyncio.Event()
        return self

    async def __anext__(self) -> Event:
        assert self._more is not None, "iterate with `async for`"
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._more.clear()
            if not self._events and not self._closed:  # or it came just before the clear
                await self._more.wait()
        return self._events.popleft()

    def _wake(self) -> None:
        if self._loop is not None and self._more is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._more.set)
