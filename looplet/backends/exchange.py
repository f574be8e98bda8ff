"""One model call from the question to the reply, without doing any of it.

`exchange`, `chat` and `text` are generators that yield what is to be done (`Send`, `Wait`, `Drain`) and are
sent what came of it; an exception is sent like any other outcome. The backends do these things, one kind by
blocking and one by awaiting, so that retries, limits and cancelling are written once.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from looplet.backends.failures import ATTEMPTS, failure_of
from looplet.backends.wire import Gatherer, Json, Question, Wire, judged, understood
from looplet.errors import ModelError
from looplet.types import CancelToken, ErrorKind

LONGEST_PAUSE_S = 120.0
"""A provider that asks for a longer pause than this is not waited for."""

SLICE_S = 0.1
"""Longest sleep between two looks at the cancel token, in seconds."""

OnChunk: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Send:
    """Call the client; the outcome is its reply, its stream, or the exception."""

    endpoint: Callable[..., Any]
    request: Json

    def now(self) -> object:
        """Do it."""
        try:
            return self.endpoint(**self.request)
        except Exception as problem:
            return problem

    async def soon(self) -> object:
        """Do it on the event loop."""
        try:
            return await self.endpoint(**self.request)
        except Exception as problem:
            return problem


@dataclass(frozen=True, slots=True)
class Wait:
    """Let some seconds pass."""

    seconds: float

    def now(self) -> None:
        """Do it."""
        time.sleep(self.seconds)

    async def soon(self) -> None:
        """Do it on the event loop."""
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Drain:
    """Read a stream to its end; the outcome is None, or the exception."""

    stream: Any
    hear: Callable[[Any], None]

    def now(self) -> Exception | None:
        """Do it, and close the stream."""
        try:
            for event in self.stream:
                self.hear(event)
        except Exception as problem:
            return problem
        finally:
            close(self.stream)
        return None

    async def soon(self) -> Exception | None:
        """Do it on the event loop, and close the stream."""
        try:
            async for event in self.stream:
                self.hear(event)
        except Exception as problem:
            return problem
        finally:
            await close_async(self.stream)
        return None


def close(stream: Any) -> None:
    """Close *stream*, if it can be closed."""
    if hasattr(stream, "close"):
        stream.close()


async def close_async(stream: Any) -> None:
    """Close an async *stream*, whether it is an SDK's or a generator."""
    for name in ("close", "aclose"):
        if hasattr(stream, name):
            await getattr(stream, name)()
            return


Script: TypeAlias = Generator[Send | Wait | Drain, Any, Any]


class Limits:
    """How long a call may take and how often it may be tried.

    Args:
        timeout_s: Seconds for the call with all its retries; None leaves it to the client's own limit.
        cancel_token: Ends the call at the next pause or streamed event.
        retries: Requests after the first that failed.

    Attributes:
        retries: How many of them are left.
        requests: How many requests were made.
    """

    def __init__(self, timeout_s: float | None, cancel_token: CancelToken | None, retries: int) -> None:
        self.retries = retries
        self.requests = 0
        self._token = cancel_token
        self._timeout_s = timeout_s
        self._end = None if timeout_s is None else time.monotonic() + timeout_s

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, at least a millisecond; None without a limit."""
        return None if self._end is None else max(0.001, self._end - time.monotonic())

    def check(self) -> None:
        """Raise `ModelError` if the call was cancelled or its time is up."""
        if self._token is not None and self._token.is_cancelled:
            raise ModelError("the model call was cancelled", kind=ErrorKind.CANCELLED)
        if self._end is not None and time.monotonic() >= self._end:
            text = f"the model did not answer within {self._timeout_s:g} s"
            raise ModelError(text, kind=ErrorKind.TIMEOUT, retriable=True)

    def allow(self, pause_s: float) -> bool:
        """Whether there is leave and time for a pause and another request."""
        if self.retries <= 0:
            return False
        return pause_s <= LONGEST_PAUSE_S and (self._end is None or time.monotonic() + pause_s < self._end)

    def pause(self, seconds: float) -> Generator[Wait, Any, None]:
        """Wait for *seconds* before another request, in slices, looking at the token between them."""
        self.retries -= 1
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            yield Wait(min(left, SLICE_S))
            self.check()


class Habits:
    """Request fields that this model has turned out to refuse, and what is sent in their place.

    Args:
        instead: The fields for which there is a way out: another name, or None to leave them out.
    """

    def __init__(self, instead: Any) -> None:
        self._instead: dict[str, str | None] = dict(instead)
        self._refused: set[str] = set()

    def apply(self, request: Json) -> Json:
        """*request* as this model takes it."""
        if not self._refused:
            return request
        kept: Json = {}
        for name, value in request.items():
            new = self._instead[name] if name in self._refused else name
            if new is not None:
                kept[new] = value
        return kept

    def learn(self, problem: Exception, request: Json) -> bool:
        """Whether *problem* is a 400 that refuses one of the fields, which is from now on not sent."""
        if getattr(problem, "status_code", None) != 400:
            return False
        text = str(problem)
        for name in self._instead.keys() - self._refused:
            named = getattr(problem, "param", None) == name or re.search(rf"\b{name}\b", text)
            if name in request and named and _REFUSED.search(text):
                self._refused.add(name)
                return True
        return False


_REFUSED = re.compile(
    r"unsupported|not (?:be )?support|not permitted|unrecognized|unknown|unexpected|deprecated|instead", re.I
)


def exchange(endpoint: Any, request: Json, habits: Habits, limits: Limits) -> Script:
    """Send *request* until it is answered; returns the client's reply or stream.

    Raises:
        Exception: What the client raised last, with the number of requests noted on it.
        ModelError: The call was cancelled, or its time is up.
    """
    attempt = 0
    while True:
        limits.check()
        limits.requests += 1
        timed = {} if limits.left_s is None else {"timeout": limits.left_s}
        outcome = yield Send(endpoint, {**habits.apply(request), **timed})
        if not isinstance(outcome, Exception):
            return outcome
        if isinstance(outcome, UnicodeEncodeError) and request != (sendable := _sendable(request)):
            request = sendable
            limits.requests -= 1  # nothing was sent
            continue
        if habits.learn(outcome, request):
            continue
        failure = failure_of(outcome)
        pause_s = _pause_s(failure, attempt)
        if not failure.retriable or not limits.allow(pause_s):
            setattr(outcome, ATTEMPTS, limits.requests)
            raise outcome
        attempt += 1
        yield from limits.pause(pause_s)


def _sendable(said: Any) -> Any:
    """*said* with escapes for half characters, which file names may hold and UTF-8 has no bytes for."""
    if isinstance(said, str):
        return said.encode("utf-8", "backslashreplace").decode()
    if isinstance(said, dict):
        return {_sendable(name): _sendable(value) for name, value in said.items()}
    return [_sendable(item) for item in said] if isinstance(said, (list, tuple)) else said


def _pause_s(failure: ModelError, attempt: int) -> float:
    if failure.retry_after_s is not None:
        return failure.retry_after_s
    return min(8.0, 0.5 * float(2**attempt)) * (1 - random.random() / 4)


def chat(
    wire: Wire, endpoint: Any, question: Question, habits: Habits, limits: Limits, on_chunk: OnChunk | None
) -> Script:
    """Ask *question*; returns a `ChatReply` that says something.

    Raises:
        ModelError: Every other outcome.
    """
    request = wire.request(question)
    try:
        if on_chunk is None:
            raw = yield from exchange(endpoint, request, habits, limits)
            reply = judged(understood(wire.reply, raw))
        else:
            request.update(wire.streaming)
            gatherer = yield from _streamed(wire, endpoint, request, habits, limits, on_chunk)
            reply = judged(gatherer.reply())
    except Exception as problem:
        failure = failure_of(problem)
        failure.attempts = max(failure.attempts, limits.requests)
        raise failure from (None if failure is problem else problem)
    reply.attempts = limits.requests
    return reply


def _streamed(
    wire: Wire, endpoint: Any, request: Json, habits: Habits, limits: Limits, on_chunk: OnChunk
) -> Script:
    """Read a stream to its end; a stream that breaks before any text was told is asked for again."""
    attempt = 0
    while True:
        gatherer = wire.gatherer()
        told: list[str] = []

        def hear(event: Any, gatherer: Gatherer = gatherer, told: list[str] = told) -> None:
            limits.check()
            text = understood(gatherer.feed, event)
            if text:
                told.append(text)
                on_chunk(text)

        raw = yield from exchange(endpoint, request, habits, limits)
        problem = yield Drain(raw, hear)
        if problem is None:
            return gatherer
        failure = failure_of(problem)
        pause_s = _pause_s(failure, attempt)
        if told or failure.kind is not ErrorKind.NETWORK or not limits.allow(pause_s):
            setattr(problem, ATTEMPTS, limits.requests)
            raise problem
        attempt += 1
        yield from limits.pause(pause_s)


def once(wire: Wire, endpoint: Any, question: Question, habits: Habits, limits: Limits) -> Script:
    """Ask *question* for the text protocols; returns a `ChatReply`, perhaps an empty one.

    Raises:
        ModelError: The reply has no choices, or the model refused.
        Exception: What the client raised.
    """
    raw = yield from exchange(endpoint, wire.request(question), habits, limits)
    try:
        reply = understood(wire.reply, raw)
        if reply.stop_reason in ("refusal", "content_filter") and not reply.text:
            judged(reply)
    except ModelError as failure:
        failure.attempts = limits.requests
        raise
    reply.attempts = limits.requests
    return reply
