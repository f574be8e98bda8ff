"""Which recorded call answers a request, and when the answer is none: no I/O, no HTTP library.

A request is answered by the earliest unplayed call with the same key, so identical requests play in the
order they were recorded, from whatever thread or task they come.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pytest_looplet.cassette.body import Body, BodyReader
from pytest_looplet.cassette.errors import BudgetSpent, CassetteDrift, NotRecorded, ReplayStopped
from pytest_looplet.cassette.exchange import MCP, Reply, Request
from pytest_looplet.cassette.interaction import Interaction, Recording
from pytest_looplet.cassette.matching import DriftClass, Key, Matcher, Normalizer
from pytest_looplet.cassette.meter import meter

if TYPE_CHECKING:
    from pytest_looplet.cassette.drift import Drift, Explainer

Mode: TypeAlias = Literal["replay", "rewrite", "missing", "tail"]
"""`replay`: never touch the network. `rewrite`: record afresh. `missing`: record where there is no cassette.
`tail`: play up to the first request that differs, record from there."""

Match: TypeAlias = Literal["strict", "sequence"]
"""`strict`: a request must equal a recorded one. `sequence`: replies in order, whatever the request."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How requests are compared.

    Attributes:
        match: See `Match`.
        drift: For each class of drift, whether it fails or only warns; a class not named fails.
        normalizers: What shall not count, beyond what never does.
        rerecord: The command that records this cassette again, for messages.
    """

    match: Match = "strict"
    drift: Mapping[DriftClass, Literal["fail", "warn"]] = field(default_factory=dict)
    normalizers: tuple[Normalizer, ...] = ()
    rerecord: str = ""

    @property
    def warned(self) -> frozenset[str]:
        """The classes that only warn."""
        return frozenset(name for name, policy in self.drift.items() if policy == "warn")


class Tape:
    """The state of one open cassette: what is on it, what was played, what is being recorded.

    Args:
        name: Path of the cassette, for messages.
        recording: What was read from the file; None if there is no file.
        plays: Whether recorded calls answer.
        records: Whether a request that no recorded call answers goes to the provider.
        rules: How requests are compared.
        scrubs: Take secrets out of a JSON value, of a request, of a reply.

    Attributes:
        calls: Requests so far, those of MCP servers left out.
        knows_servers: Whether there are requests of MCP servers on it.
        recorded: Calls made to the provider, in the order they were begun.
        drifts: Differences that did not stop the replay.
        stopped: What did, if anything; raised again when the cassette is closed.
        only_plays: Whether nothing may go to the network.
        blocks: Whether threads that outlive it lose the right to call.
        drift_expected: Why requests may differ from now on, because the test itself changed something;
            recorded replies that match no longer then play in their order. Empty if they may not.
        allowed: Hosts that may be connected to all the same, and what their names stand for.
    """

    def __init__(
        self,
        name: str,
        recording: Recording | None,
        *,
        plays: bool,
        records: bool,
        rules: Rules,
        scrubs: Scrubs,
    ) -> None:
        self.name = name
        self.plays = plays
        self.records = records
        self.calls = 0
        self._server_calls = 0
        self.recorded: list[Interaction] = []
        self.drifts: list[Drift] = []
        self.stopped: ReplayStopped | None = None
        self._rules = rules
        self._scrubs = scrubs
        self._missing = recording is None
        self.recording = recording or Recording()
        self.knows_servers = any(i.request.method == MCP for i in self.recording.interactions)
        self._reader = BodyReader(scrubs.value)
        self._strict = Matcher(rules.normalizers)
        self._matcher = Matcher(rules.normalizers, rules.warned) if rules.warned else self._strict
        self._index: dict[Key | str, deque[Interaction]] | None = None
        self.only_plays = plays and not records
        self.blocks = True
        self.drift_expected = ""
        self.allowed: set[str] = set()
        self._slots: list[Slot] = []
        self._front = 0
        self._lock = threading.Lock()
        self._caller: tuple[int, object] | None = None
        self._many_callers = False

    @property
    def unplayed(self) -> list[Interaction]:
        """Recorded calls that were not made."""
        return [i for i in self.recording.interactions if not i.played]

    @property
    def played(self) -> list[Interaction]:
        """Recorded calls that answered a request."""
        return [i for i in self.recording.interactions if i.played]

    @property
    def interactions(self) -> list[Interaction]:
        """All calls that a complete recording of this run holds: those played, then those recorded."""
        return self.played + self.recorded

    @property
    def free_order(self) -> bool:
        """Whether calls came from several threads or tasks."""
        return self._many_callers or (bool(self.played) and self.recording.free_order)

    def ask(self, request: Request) -> Reply | Slot:
        """The recorded answer, or a slot for the one the provider will give.

        Raises:
            CassetteDrift: no recorded call answers, and this tape does not record.
            NotRecorded: there is no cassette.
        """
        with self._lock:
            if request.method == MCP:  # a tool asks; neither its thread nor its place says anything
                self._server_calls += 1
            else:
                self.calls += 1
                self._note_caller()
            body = self._reader.read(request.body)
            call = Interaction(self._scrubs.request(request, body), body)
            if self.plays:
                found = self._find(call) or self._next(call)
                if found is not None:
                    found.played = True
                    assert found.reply is not None
                    return found.reply
                if not self.records:
                    raise self._stop(call)
                self.plays = False
            slot = Slot(call, self._scrubs, self._set_aside(call, request))
            self.recorded.append(call)
            self._slots.append(slot)
            return slot

    def _set_aside(self, call: Interaction, request: Request) -> Callable[[Reply], None] | None:
        """Let the call's cost be counted, if it is; gives what to tell of its reply."""
        counting = meter()
        if counting is None:
            return None
        try:
            most = counting.set_aside(call, request)
        except BudgetSpent as stop:
            raise self.note(stop) from None
        return lambda reply: counting.settle(call, most, reply)

    def close_slots(self) -> None:
        """No more replies are waited for; a stream that still runs is kept as far as it got."""
        for slot in self._slots:
            slot.close()

    def note(self, stop: ReplayStopped) -> ReplayStopped:
        """Remember what ended the replay, in case the code under test hides it."""
        self.stopped = self.stopped or stop
        return stop

    def _find(self, call: Interaction) -> Interaction | None:
        index = self._indexed()
        key = self._key(call)
        waiting = index.get(key)
        while waiting and waiting[0].played:  # in its order, when drift was expected
            waiting.popleft()
        if not waiting:
            return None
        found = waiting[0]
        explained = self._explain(call, found)
        if explained is not None:
            if explained.fails and self._rules.match == "strict":
                return None
            self.drifts.append(explained)
        waiting.popleft()
        return found

    def _next(self, call: Interaction) -> Interaction | None:
        """The earliest call that was not played, where drift is expected; it is noted what differs."""
        if not self.drift_expected or self.records:
            return None
        where = call.request.method, call.request.path
        for found in self.unplayed:
            if (found.request.method, found.request.path) == where:
                self.drifts.append(self._explainer(call).differs(call, found))
                return found
        return None

    def _explain(self, call: Interaction, found: Interaction) -> Drift | None:
        """What differs although the key is the same; only looked for where something may."""
        explainer = self._explainer(call)
        if self._rules.match == "sequence" or self._rules.warned:
            strict = self._strict.key
            if strict(call.request, call.body) != strict(found.request, found.body):
                return explainer.differs(call, found)
        if call.request.method == MCP or self._in_order(found):
            return None
        return explainer.out_of_order(call, found)

    def _in_order(self, found: Interaction) -> bool:
        if self._many_callers or self.recording.free_order:
            return True
        calls = self.recording.interactions
        while self._front < len(calls) and calls[self._front].played:
            self._front += 1
        return found.number <= self._front + 1

    def _indexed(self) -> dict[Key | str, deque[Interaction]]:
        if self._index is None:
            self._index = {}
            for interaction in self.recording.interactions:
                self._index.setdefault(self._key(interaction), deque()).append(interaction)
        return self._index

    def _key(self, call: Interaction) -> Key | str:
        if self._rules.match == "sequence":
            return f"{call.request.method} {call.request.path}"
        return self._matcher.key(call.request, call.body)

    def _stop(self, call: Interaction) -> ReplayStopped:
        if self._missing:
            mend = f"\nrecord it: {self._rules.rerecord}" if self._rules.rerecord else ""
            asked = f"{call.request.method} {call.request.url}"
            return self.note(NotRecorded(f"no cassette for {asked}: {self.name} does not exist{mend}"))
        drift = self._explainer(call).no_answer(call, self.recording.interactions)
        return self.note(CassetteDrift(drift.text, drift))

    def _explainer(self, call: Interaction) -> Explainer:
        from pytest_looplet.cassette.drift import Explainer

        of_server = call.request.method == MCP
        number, noun = (self._server_calls, "MCP request") if of_server else (self.calls, "model call")
        return Explainer(self.name, number, self._strict, self._rules.drift, self._rules.rerecord, noun=noun)

    def _note_caller(self) -> None:
        caller = (threading.get_ident(), _current_task())
        if self._caller is None:
            self._caller = caller
        elif caller[0] != self._caller[0] or caller[1] is not self._caller[1]:
            self._many_callers = True


def _current_task() -> object:
    asyncio = sys.modules.get("asyncio")  # not loaded for this: without it there is no task
    try:
        return asyncio.current_task() if asyncio is not None else None
    except RuntimeError:
        return None


@dataclass(frozen=True, slots=True)
class Scrubs:
    """What takes secrets out, before anything is compared or kept."""

    value: Callable[[Any], Any]
    request: Callable[[Request, Body | None], Request]
    reply: Callable[[Reply], Reply]


class Slot:
    """The place of a call that is being made; filled once, by whichever end of the reply comes first."""

    def __init__(
        self, call: Interaction, scrubs: Scrubs, told: Callable[[Reply], None] | None = None
    ) -> None:
        self._call = call
        self._scrubs = scrubs
        self._told = told
        self._answered: Callable[[], None] | None = None
        self._at_close: Callable[[], None] | None = None

    def when_answered(self, tell: Callable[[], None]) -> None:
        """Call *tell*, once, when the reply is there, or has begun to stream in."""
        self._answered = tell

    def begun(self) -> None:
        """The reply has begun to come."""
        tell, self._answered = self._answered, None
        if tell is not None:
            tell()

    def at_close(self, finish: Callable[[], None]) -> None:
        """What fills the slot with what came so far, should the tape be closed first."""
        self._at_close = finish

    def close(self) -> None:
        """The tape is closed: no more comes."""
        if self.is_open and self._at_close is not None:
            self._at_close()
        if self.is_open:
            self.finish(Reply(0, failure="NoAnswer"))

    @property
    def is_open(self) -> bool:
        """Whether no reply was put in yet."""
        return self._call.reply is None

    def finish(self, reply: Reply) -> None:
        """The reply, or as much of it as came. Only the first one counts."""
        if self._call.reply is None:
            self._call.reply = self._scrubs.reply(reply)
            if self._told is not None:
                self._told(reply)
            self.begun()

    def fail(self, error: BaseException) -> None:
        """No reply came."""
        self.finish(Reply(0, failure=type(error).__name__))
