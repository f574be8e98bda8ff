"""What differs between a request and its recording, told in one screen.

The nearest recorded call is looked for; of the thread, only the first message that differs is shown, with
the step and tool its content came from; then what else changed, and the command that records it again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from looplet.text import escape_terminal
from pytest_looplet.cassette.difference import MOST_LINES, Difference, differences, last_message
from pytest_looplet.cassette.interaction import Interaction
from pytest_looplet.cassette.matching import DriftClass, Matcher

_PLACEHOLDER = re.compile(r"\[env:([A-Za-z_][A-Za-z0-9_]*)\]")


@dataclass(frozen=True, slots=True)
class Drift:
    """How one request differs from the cassette.

    Attributes:
        call: Which call of the run, from 1.
        interaction: The recorded call it was compared with; 0 if there is none.
        differences: What differs; the thread first.
        fails: Whether a class of it has no `warn` policy.
        text: All of it, for people.
    """

    call: int
    interaction: int
    differences: tuple[Difference, ...]
    fails: bool
    text: str

    @property
    def classes(self) -> tuple[DriftClass, ...]:
        """The classes of drift, each once."""
        return tuple(dict.fromkeys(d.kind for d in self.differences))


class Explainer:
    """Finds and words the differences of one call.

    Args:
        cassette: Path of the cassette.
        call: Number of the call in this run, from 1.
        matcher: Tells which turns are the same.
        policy: Which classes only warn.
        rerecord: The command that records the cassette again, or an empty string.
        noun: What the call is.
    """

    def __init__(
        self,
        cassette: str,
        call: int,
        matcher: Matcher,
        policy: Mapping[DriftClass, Literal["fail", "warn"]],
        rerecord: str,
        *,
        noun: str = "model call",
    ) -> None:
        self._noun = noun
        self._cassette = cassette
        self._call = call
        self._matcher = matcher
        self._policy = policy
        self._rerecord = rerecord

    def differs(self, call: Interaction, recorded: Interaction) -> Drift:
        """How *call* differs from the recorded call that stands for it."""
        found = tuple(differences(call, recorded, self._matcher))
        head = (
            f"{self._noun} {self._call} differs from the recording "
            f"(cassette {self._cassette}, interaction {recorded.number})"
        )
        return self._drift(head, recorded.number, found or (Difference("params", "the request"),))

    def out_of_order(self, call: Interaction, recorded: Interaction) -> Drift:
        """*call* was recorded, but other calls before it."""
        head = (
            f"{self._noun} {self._call} came out of order: it is interaction {recorded.number} "
            f"(cassette {self._cassette}), and calls recorded before it were not made"
        )
        return self._drift(head, recorded.number, (Difference("calls", _asks(call)),))

    def no_answer(self, call: Interaction, recorded: Sequence[Interaction]) -> Drift:
        """Why none of the *recorded* calls answers *call*."""
        same = [
            i
            for i in recorded
            if i.request.path == call.request.path and i.request.method == call.request.method
        ]
        if not same:
            head = f"{self._noun} {self._call} is not on the recording (cassette {self._cassette})"
            asked = f"nothing was recorded for {call.request.method} {call.request.url}"
            return self._drift(head, 0, (Difference("calls", asked),))
        nearest = max(same, key=lambda i: self._nearness(call, i))
        over = all(i.played for i in same)
        found = tuple(differences(call, nearest, self._matcher))
        if not over and found and not self._goes_on(call, nearest):
            return self.differs(call, nearest)
        if not found and not nearest.played:
            return self.out_of_order(call, nearest)
        return self._one_more(call, nearest, recorded, over)

    def _one_more(
        self, call: Interaction, nearest: Interaction, recorded: Sequence[Interaction], over: bool
    ) -> Drift:
        """*call* has no counterpart: the recording is over, or the thread that it continues is."""
        count = f"{len(recorded)} call" + ("s" if len(recorded) > 1 else "")
        head = f"the recording has {count}; call {self._call} is new (cassette {self._cassette})"
        if not over:
            head = f"{self._noun} {self._call} is one more than was recorded (cassette {self._cassette})"
        found = [last_message(call)]
        if not any(differences(call, nearest, self._matcher)):
            found.append(
                Difference("calls", f"interaction {nearest.number} asked the same and is played already")
            )
        elif self._goes_on(call, nearest):
            where = f"it goes on where interaction {nearest.number}, the last of its thread, ended"
            found.append(Difference("calls", where))
        return self._drift(head, nearest.number, tuple(found), "its last message")

    def _nearness(self, call: Interaction, other: Interaction) -> tuple[int, int, int, bool, int]:
        """Shared turns first, then length, then how much else is the same, then the earliest unplayed."""
        shared = length = 0
        if call.body is not None and other.body is not None:
            differing = self._matcher.first_difference(call.body, other.body)
            shared = len(call.body.turns) if differing is None else differing
            length = -abs(len(call.body.turns) - len(other.body.turns))
        mine = self._matcher.key(call.request, call.body)
        theirs = self._matcher.key(other.request, other.body)
        equal = sum(a == b for a, b in zip(mine, theirs, strict=True))
        return shared, length, equal, not other.played, -other.number

    def _goes_on(self, call: Interaction, nearest: Interaction) -> bool:
        """Whether *call* only adds turns to a call that was played: the agent did not stop where it had."""
        if not nearest.played or call.body is None or nearest.body is None:
            return False
        return self._matcher.first_difference(call.body, nearest.body) == len(nearest.body.turns)

    def _drift(
        self,
        head: str,
        interaction: int,
        found: tuple[Difference, ...],
        what: str = "the first difference",
    ) -> Drift:
        lines = [head]
        for difference in found:
            lines.append(f"  {difference.where}" + (":" if difference.lines else ""))
            lines.extend(f"  {line}" for line in difference.lines)
        origin = next((d.origin for d in found if d.origin), None)
        if origin:
            tool = f"tool {origin.tool}" if origin.tool else "the tool"
            lines.append(f"{what} came from {tool} at step {origin.step}")
        lines.extend(_unset(found))
        if self._rerecord:
            lines.append(f"meant to change it? {self._rerecord}")
        fails = any(self._policy.get(d.kind, "fail") == "fail" for d in found)
        return Drift(self._call, interaction, found, fails, _safe(lines))


def unplayed_text(cassette: str, left: Sequence[Interaction], total: int, rerecord: str) -> str:
    """What to say of recorded calls that a replay did not make."""
    lines = [f"{len(left)} of {total} recorded calls were not made (cassette {cassette}):"]
    lines += [f"  interaction {i.number}: {_asks(i)}" for i in left[:MOST_LINES]]
    if len(left) > MOST_LINES:
        lines.append(f"  … and {len(left) - MOST_LINES} more")
    if rerecord:
        lines.append(f"meant to change it? {rerecord}")
    return _safe(lines)


def _safe(lines: Sequence[str]) -> str:
    """What models and tools said, shown without being obeyed by the terminal."""
    return escape_terminal("\n".join(lines), lines=True)


def _asks(call: Interaction) -> str:
    asked = f"{call.request.method} {call.request.url}"
    return f"{asked} ({call.model})" if call.model else asked


def _unset(found: Sequence[Difference]) -> Iterator[str]:
    """Names of variables whose value stood in the recording, and which are not set now."""
    names = {
        name for d in found for line in d.lines if line[:1] == "-" for name in _PLACEHOLDER.findall(line)
    }
    for name in sorted(names):
        if name not in os.environ:
            yield f"the recording held the value of {name} there, which is not set now"
