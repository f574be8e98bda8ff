"""Everything a run did, as one frozen value that every judge and every report reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, overload

from looplet.engine.observe import Decision
from looplet.redact import Redactor
from looplet.trajectory import files
from looplet.trajectory.call import RecordedCall, to_next_request
from looplet.trajectory.copies import Copier
from looplet.trajectory.decode import decode
from looplet.trajectory.encode import dump
from looplet.trajectory.messages import read_messages
from looplet.trajectory.traffic import Exchange, read_traffic
from looplet.types import ErrorKind, Prices, Step, ThreadMessage, Usage


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What a run did, from its task to its stop reason. Values are JSON values, copied when recorded.

    It reads like a sequence of its steps: `run[0]`, `run[-1]`, `run[1:3]` (a shorter trajectory),
    `len(run)`, `for step in run`. It is true in a condition also when no step was taken.

    Attributes:
        run_id: The run's identifier.
        task: What was asked for.
        steps: The steps, in order.
        model_calls: The model calls, in order; see `messages_of`.
        decisions: What hooks and permission rules decided, in order.
        stop_reason: Why the run ended; `done` when the agent finished, empty when the end was not seen.
        error: What killed the run, or None.
        usage: Tokens of all model calls together, those of `children` included.
        cost_usd: The same in US dollars, or None where a price or a token count is missing.
        final_output: Arguments of the accepted done call, or `{"answer": text}`.
        artifacts: What collectors found in the world after the run.
        duration_ms: Milliseconds from start to end.
        metadata: The caller's own; `cassette`, `run_dir` and `rerecord` are shown with a failure.
        children: Runs that this run started.
    """

    run_id: str = ""
    task: Any = None
    steps: tuple[Step, ...] = ()
    model_calls: tuple[RecordedCall, ...] = ()
    decisions: tuple[Decision, ...] = ()
    stop_reason: str = ""
    error: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    final_output: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, Any] = field(default_factory=dict)
    duration_ms: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)
    children: tuple[Trajectory, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> Trajectory: ...
    def __getitem__(self, index: int | slice) -> Step | Trajectory:
        return self._part(self.steps[index]) if isinstance(index, slice) else self.steps[index]

    @property
    def tools(self) -> list[str]:
        """Names of the tools that were asked for, one for each step, refused and failed ones included."""
        return [step.tool_call.tool for step in self.steps]

    @property
    def errors(self) -> list[Step]:
        """Steps whose result is an error."""
        return [step for step in self.steps if step.tool_result.error]

    @property
    def completed(self) -> bool:
        """Whether the agent finished by its own done call or answer."""
        return self.stop_reason == "done" and self.error is None

    def calls(self, tool: str) -> list[Step]:
        """Steps that asked for *tool*, refused and failed ones included."""
        return [step for step in self.steps if step.tool_call.tool == tool]

    def denied(self, tool: str | None = None) -> list[Step]:
        """Steps that were refused by a permission rule or hook, of *tool* or of any."""
        refused = (s for s in self.errors if s.tool_result.error_kind is ErrorKind.PERMISSION_DENIED)
        return [step for step in refused if tool in (None, step.tool_call.tool)]

    def messages_of(self, call: RecordedCall | int) -> list[ThreadMessage]:
        """Everything that was sent with a model call, put together again.

        Args:
            call: The call or its number, from 1.

        Raises:
            LookupError: This run has no such call.
        """
        number = call if isinstance(call, int) else call.number
        request: list[ThreadMessage] = []
        for recorded in self.model_calls:
            to_next_request(request, recorded)
            if recorded.number == number:
                return request
        raise LookupError(f"this run has {len(self.model_calls)} model calls; there is no number {number}")

    def cost(self, prices: Prices) -> float | None:
        """US dollars of all model calls, from prices for a million tokens.

        None if a call names no priced model or has no token count: a sum that leaves calls out would
        look like a cheap run.
        """
        return cost_of(self.model_calls, prices)

    def to_json(self) -> str:
        """This trajectory as strict JSON: sorted keys, one trailing newline, nothing lost."""
        return "".join(dump(self))

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str = "the text") -> Trajectory:
        """The trajectory that `to_json` wrote, or one in the older form of run directories.

        Args:
            text: The JSON document.
            source: What errors call it.

        Raises:
            TraceError: It is not a trajectory; the text names *source*, the place and the reason.
        """
        return decode(text, source, cls)

    def save(self, path: str | PathLike[str], *, redact: Redactor | bool = True) -> None:
        """Write this trajectory to *path*: the whole file or nothing, folders made as needed.

        Args:
            path: The file.
            redact: What takes secrets out before they are written; True knows those of the environment
                and the known shapes. A recorded trajectory has none left, one put together by hand may.

        Raises:
            TraceError: It cannot be written; the text names the file and the reason.
        """
        files.write(path, dump(self, Copier(redact)))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Trajectory:
        """Read a file that `save` wrote, or a run directory, by its `trajectory.json`.

        Raises:
            TraceError: It cannot be read; the text names the file and the reason.
        """
        text, source = files.read(path)
        return cls.from_json(text, source=source)

    @classmethod
    def from_messages(cls, messages: Sequence[Any], *, task: object = None, **fields: Any) -> Trajectory:
        """The run that a message list of another framework tells of.

        Args:
            messages: Messages of OpenAI's Chat Completions or Responses API or of Anthropic's Messages
                API, as dicts or as the SDKs' own objects.
            task: What was asked for; the first user text if not given.
            fields: Any other field of a trajectory, such as `usage` or `final_output`.

        Raises:
            TraceError: A message has a shape that none of the three has.
        """
        return Copier().run(cls(**{**read_messages(messages, task), **fields}))

    @classmethod
    def from_traffic(cls, exchanges: Iterable[Exchange], **fields: Any) -> Trajectory:
        """The run that the traffic with a model's provider tells of, whatever framework made it.

        Args:
            exchanges: Requests to OpenAI's Chat Completions or Responses API or Anthropic's Messages API
                and their replies, streamed or whole, in the order they were made.
            fields: Any other field of a trajectory, such as `metadata`.

        Raises:
            TraceError: A request holds a message that none of the three knows.
        """
        return Copier().run(cls(**{**read_traffic(exchanges), **fields}))

    def with_metadata(self, **metadata: Any) -> Trajectory:
        """The same trajectory with more metadata."""
        return replace(self, metadata={**self.metadata, **metadata})

    def behaviour(self) -> Trajectory:
        """What the agent did and decided, without what is new in every run.

        Left out are ids, durations, model calls, tokens, cost and metadata. Two runs that did the same
        have an equal behaviour.
        """
        return replace(
            self,
            run_id="",
            steps=tuple(_timeless(step) for step in self.steps),
            model_calls=(),
            decisions=tuple(replace(decision, call_id=str(decision.step)) for decision in self.decisions),
            usage=Usage(),
            cost_usd=None,
            duration_ms=0.0,
            metadata={},
            children=tuple(child.behaviour() for child in self.children),
        )

    def _part(self, steps: tuple[Step, ...]) -> Trajectory:
        if steps == self.steps:
            return self
        numbers = {step.number for step in steps}
        calls = tuple(self._calls_of(numbers))
        return replace(
            self,
            steps=steps,
            model_calls=calls,
            decisions=tuple(d for d in self.decisions if d.step in numbers),
            usage=total_usage(calls),
            cost_usd=None,
        )

    def _calls_of(self, numbers: set[int]) -> Iterator[RecordedCall]:
        """The calls that decided these steps; one whose predecessor is left out holds its whole request."""
        request: list[ThreadMessage] = []
        follows = True
        for call in self.model_calls:
            to_next_request(request, call)
            if call.step in numbers:
                yield call if follows else replace(call, kept=0, added=tuple(request))
            follows = call.step in numbers


def _timeless(step: Step) -> Step:
    """*step* with its number for an id and without a duration."""
    number = str(step.number)
    call = replace(step.tool_call, call_id=number)
    return replace(
        step, tool_call=call, tool_result=replace(step.tool_result, call_id=number, duration_ms=0.0)
    )


def total_usage(calls: Sequence[RecordedCall]) -> Usage:
    """The tokens of *calls* together; calls without a count add nothing."""
    return sum((call.usage for call in calls if call.usage), Usage())


def cost_of(calls: Sequence[RecordedCall], prices: Mapping[str, Any]) -> float | None:
    """US dollars of *calls*, or None where a price or a token count is missing."""
    total = 0.0
    for call in calls:
        price = prices.get(call.model)
        if call.error is not None and call.usage is None:
            continue  # a call that failed was not billed
        if price is None or call.usage is None:
            return None
        total += price.cost(call.usage)
    return total
