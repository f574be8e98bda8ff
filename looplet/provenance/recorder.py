"""The recorder of a run: a hook, and an observer of the loop, so that no step and no ending escapes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from looplet import clock
from looplet.engine.observe import Decision, ModelCall, RunObserver
from looplet.errors import TraceError
from looplet.provenance.call import LLMCall
from looplet.provenance.call_log import CallLog
from looplet.provenance.folder import RunFolder
from looplet.provenance.steady import steady
from looplet.redact import Redactor
from looplet.trajectory.builder import TrajectoryBuilder
from looplet.trajectory.encode import encode, encode_step
from looplet.types import Step
from looplet.values import normal


@dataclass
class StepRecord:
    """One step as it is kept.

    Attributes:
        step_num: Its number.
        timestamp: Seconds since the epoch when it was final.
        duration_ms: Milliseconds its tool took.
        pretty: The step's line for people.
        tool_call, tool_result: The short views, as dicts.
        context_before: The briefing's context, `str(context)`.
        llm_call_indices: The recorded model calls that led to it.
    """

    step_num: int
    timestamp: float
    duration_ms: float
    pretty: str
    tool_call: dict[str, Any]
    tool_result: dict[str, Any]
    context_before: str = ""
    llm_call_indices: list[int] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """All fields."""
        return dict(vars(self))


@dataclass
class Trajectory:
    """What a recorder has so far; `looplet.Trajectory` is the frozen one.

    Attributes:
        run_id: 12 hex characters.
        started_at, ended_at: Seconds since the epoch; `ended_at` is None while the run is on.
        steps: A record of each step.
        llm_calls: The recorded model calls.
        spans: Root spans of the tracer, if one was given.
        termination_reason: The run's stop reason; `unknown` while it is on.
        metadata: The caller's own.
    """

    run_id: str
    started_at: float
    ended_at: float | None = None
    steps: list[StepRecord] = field(default_factory=list)
    llm_calls: list[LLMCall] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    termination_reason: str = "unknown"
    metadata: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The short view: `steps` and `llm_calls` as dicts, with their counts."""
        return {
            "run_id": self.run_id,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "termination_reason": self.termination_reason,
            "metadata": self.metadata,
            "step_count": len(self.steps),
            "llm_call_count": len(self.llm_calls),
            "steps": [step.to_dict() for step in self.steps],
            "llm_calls": [call.to_dict() for call in self.llm_calls],
        }


class TrajectoryRecorder(RunObserver):
    """Records a run: give it to the loop among the hooks.

    Args:
        recording_llm: The recording backend that the run uses, so that steps are linked to its calls.
        capture_context: Keep `str(context)` with the first step of each reply.
        tracer: Its root spans are kept.
        folder: Where each step is written as soon as it is final; without it, `save` writes.
        redact: Called with every text before it is kept, besides what is secret by itself.
    """

    def __init__(
        self,
        *,
        recording_llm: CallLog | None = None,
        capture_context: bool = True,
        tracer: Any = None,
        folder: RunFolder | None = None,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self.trajectory = Trajectory(clock.new_id(), clock.now())
        self._llm = recording_llm
        self._capture_context = capture_context
        self._tracer = tracer
        self._folder = folder
        self._redactor = Redactor.of_environment(extra=[redact] if redact else [])
        self._builder = TrajectoryBuilder(redact=self._redactor)
        self._observes = False
        self._names: dict[str, str] = {}
        self._context = ""
        self._calls_before = 0
        self._asked_for = 0

    def record_calls_of(self, recording_llm: CallLog) -> None:
        """Link steps to the calls of *recording_llm*."""
        self._llm = recording_llm

    # ------------------------------------------------------------------ hook

    def pre_loop(self, state: Any, session_log: Any, context: Any) -> None:
        """Start the clock."""
        self.trajectory.started_at = clock.now()

    def pre_prompt(self, state: Any, session_log: Any, context: Any, step_num: int) -> None:
        """Stamp the model calls that follow with the step they decide."""
        self._asked_for = step_num
        if self._llm is not None:
            self._llm.current_step_num = step_num
            self._calls_before = len(self._llm.calls)
        if self._capture_context and context is not None:
            self._context = self._redactor.text(str(context))

    def post_dispatch(
        self, state: Any, session_log: Any, tool_call: Any, tool_result: Any, step_num: int
    ) -> None:
        """Record the step, where nobody tells us of final ones: outside this library's loop."""
        if not self._observes:
            self.step_taken(Step(step_num, tool_call, tool_result))

    def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
        """Close the record."""
        if not self._observes:
            self._sweep(getattr(state, "steps", ()))
            self._close(getattr(state, "_stop_reason", "") or self._inferred())
        return 0

    def _sweep(self, steps: Any) -> None:
        known = {record.step_num for record in self.trajectory.steps}
        for step in steps:
            if isinstance(step, Step) and step.number not in known:
                self.step_taken(step)
        self.trajectory.steps.sort(key=lambda record: record.step_num)

    def _inferred(self) -> str:
        steps = self.trajectory.steps
        if not steps:
            return "no_steps"
        last = steps[-1]
        if last.tool_result.get("error"):
            return "error"
        return "done" if last.tool_call["tool"] == "done" else "max_steps_or_stop"

    # ------------------------------------------------------------------ observer

    def run_started(self, task: object, *, run_id: str) -> None:
        """The loop tells us everything from here on.

        Raises:
            TraceError: It recorded another run into its folder already.
        """
        if self._observes and self._folder is not None:
            raise TraceError(
                f"{self._folder.path} holds another run of this recorder; make a sink for each run"
            )
        self._observes = True
        self.trajectory.run_id = run_id
        self._builder.run_started(task, run_id=run_id)

    def for_child(self) -> TrajectoryBuilder:
        """The recorder of a run that a tool of this run starts; what it records is kept in `children`."""
        return self._builder.for_child()

    def model_called(self, call: ModelCall) -> None:
        """Keep a model call for the lossless trajectory."""
        if self._llm is not None and call.step != self._asked_for:  # told again by a run that is resumed
            self._asked_for, self._calls_before = call.step, max(0, len(self._llm.calls) - 1)
        self._builder.model_called(call)

    def decided(self, decision: Decision) -> None:
        """Keep a decision."""
        self._builder.decided(decision)

    def answered(self, output: dict[str, Any]) -> None:
        """Keep the final output."""
        self._builder.answered(output)

    def step_taken(self, step: Step) -> None:
        """Keep a step, and write it if there is a folder."""
        self._builder.step_taken(step)
        record = StepRecord(
            step_num=step.number,
            timestamp=clock.now(),
            duration_ms=step.tool_result.duration_ms,
            pretty=self._redactor.text(step.pretty()),
            tool_call=self._clean(step.tool_call.to_dict()),
            tool_result=self._clean(step.tool_result.to_dict()),
            context_before=self._context,
            llm_call_indices=self._linked(),
        )
        self._context = ""
        self.trajectory.steps.append(record)
        if self._folder is not None:
            self._write_step(self._folder, record, self._builder.newest, self._names)

    def _clean(self, value: dict[str, Any]) -> dict[str, Any]:
        plain: Any = normal(value)
        return dict(self._redactor.value(plain))

    def _linked(self) -> list[int]:
        if self._llm is None:
            return []
        return list(range(self._calls_before, len(self._llm.calls)))

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        """Close the record, and write it if there is a folder."""
        if self.trajectory.ended_at is not None and self._folder is not None:
            return  # another run, which was refused
        self._builder.run_ended(stop_reason, error)
        self._close(stop_reason)
        if self._folder is not None:
            self.write_run(self._folder)

    def _close(self, reason: str) -> None:
        self.trajectory.ended_at = clock.now()
        self.trajectory.termination_reason = reason
        if self._llm is not None:
            self.trajectory.llm_calls = list(self._llm.calls)
        if self._tracer is not None:
            self.trajectory.spans = list(self._tracer.root_spans)

    # ------------------------------------------------------------------ out

    def summary(self) -> str:
        """`4 steps, 1 failed, done, 12.3s`."""
        kept = self.trajectory
        failed = sum(bool(step.tool_result.get("error")) for step in kept.steps)
        seconds = (kept.ended_at or clock.now()) - kept.started_at
        parts = [f"{len(kept.steps)} steps", *([f"{failed} failed"] if failed else [])]
        return ", ".join([*parts, kept.termination_reason, f"{seconds:.1f}s"])

    def save(self, directory: str | Path) -> Path:
        """Write the whole run directory; gives its path."""
        folder = RunFolder(directory)
        for call in self._llm.calls if self._llm is not None else ():
            folder.write_call(call)
        names: dict[str, str] = {}
        for record, step in zip(self.trajectory.steps, self._in_order(), strict=True):
            self._write_step(folder, record, step, names)
        self.write_run(folder)
        return folder.path

    def _in_order(self) -> list[Step]:
        return sorted(self._builder.trajectory.steps, key=lambda step: step.number)

    def _write_step(self, folder: RunFolder, record: StepRecord, step: Step, names: dict[str, str]) -> None:
        times = {"timestamp": record.timestamp, "duration_ms": record.duration_ms}
        folder.write_step(record.step_num, steady(_encoded(step, record), names), times)

    def write_run(self, folder: RunFolder) -> None:
        """Write `trajectory.json` and `volatile.json`."""
        kept = self.trajectory
        steps = map(_encoded, self._in_order(), kept.steps)
        whole = encode(self._builder.trajectory)
        lines = self._llm.calls if self._llm is not None else ()
        whole |= {"steps": list(steps), "llm_calls": _with_lines(whole["llm_calls"], lines)}
        document = {
            **steady(whole),
            "started_at": 0.0,
            "ended_at": None if kept.ended_at is None else 0.0,
            "metadata": kept.metadata,
        }
        folder.write_json("trajectory.json", document)
        folder.write_volatile(run_id=kept.run_id, started_at=kept.started_at, ended_at=kept.ended_at)


def _encoded(step: Step, record: StepRecord) -> dict[str, Any]:
    """A step as the run's document and its own file have it."""
    linked = {"context_before": record.context_before, "llm_call_indices": record.llm_call_indices}
    return {**encode_step(step), **linked, "timestamp": record.timestamp}


def _with_lines(calls: list[dict[str, Any]], lines: Sequence[LLMCall]) -> list[dict[str, Any]]:
    """The calls, each with what the manifest has besides; of one that was repeated, its last attempt."""
    ends = list(accumulate(call["attempts"] for call in calls))
    if not ends or ends[-1] != len(lines):  # others have asked the model too
        return calls
    said = [lines[end - 1].to_dict() for end in ends]
    return [{**call, **{name: line[name] for name in _ALSO}} for call, line in zip(calls, said, strict=True)]


_ALSO = ("timestamp", "prompt_chars", "response_chars", "response_blocks")
