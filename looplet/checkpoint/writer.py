"""Writes a run into its journal as it goes.

Records, by their `kind`:

| kind | holds |
|---|---|
| `begin` | version, task, who the agent is, step budget, run id |
| `call` | one model call: what was new in its prompt, the reply; `turn` where the conversation kept it |
| `said` | a message to the model that is no tool result |
| `calls` | the calls of a reply that asks for several |
| `start` | a call whose tool starts next |
| `finish` | the result of a call whose batch goes on |
| `step` | a step: result, counters, what hooks keep |
| `compact` | what a compaction left of conversation, log and results, as far as it changed them |
| `end` | the stop reason |

Times are seconds since the record `begin`, which has the time of day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import compress, count
from operator import is_, is_not
from typing import Any, NamedTuple, Protocol, runtime_checkable

from looplet import clock
from looplet.checkpoint.journal import JournalFile
from looplet.checkpoint.lines import VERSION
from looplet.conversation import message_to_dict
from looplet.engine.observe import ModelCall
from looplet.engine.run import Pending, Run
from looplet.line_delta import encode
from looplet.session import LogEntry
from looplet.types import ChatReply, Step, ToolCall, ToolResult
from looplet.values import normal, plain


@runtime_checkable
class CheckpointedHook(Protocol):
    """A hook whose state is saved with each step and given back on resume. JSON values only."""

    def save_state(self) -> Any:
        """What the hook must remember."""
        ...

    def load_state(self, state: Any) -> None:
        """Remember what `save_state` gave."""
        ...


class RunJournal:
    """The engine's journal (`looplet.engine.run.Journal`) over a `JournalFile`.

    Also an observer: model calls reach it that way.

    Args:
        file: Open, and read to its end.
        hooks: Those with `save_state` are saved.
    """

    def __init__(self, file: JournalFile, hooks: Sequence[object]) -> None:
        self.file = file
        self._hooks = {_key(i, h): h for i, h in enumerate(hooks) if isinstance(h, CheckpointedHook)}
        self._saved: dict[str, Any] = {}
        self._prompt: list[str] = []
        self._call: dict[str, Any] | None = None
        self._reply: ChatReply | None = None
        self._started: set[str] = set()
        self._steps: list[Step] = []
        self._told: _Told | None = None
        self._is_muted = False
        self._began = 0.0

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Write nothing meanwhile: what is recorded now is in the journal already."""
        self._is_muted = True
        try:
            yield
        finally:
            self._is_muted = False

    def begin(self, run: Run, agent: Mapping[str, Any]) -> None:
        """Write who runs what; the first record of a journal."""
        self._began = clock.now()
        record = {"kind": "begin", "version": VERSION, "task": normal(run.plan.task), "agent": dict(agent)}
        record["max_steps"] = run.plan.shown_max_steps
        self.file.add({**record, "run_id": run.plan.session_id, "wire": run.wire, "t": self._began})

    def resumed(self, run: Run, began: float, prompt: list[str]) -> None:
        """Go on after *run* was restored; *prompt* is the last one in a journal that *began* then."""
        self._began = began
        self._prompt = prompt
        self._steps = list(run.state.steps)

    # ------------------------------------------------------------------ observer

    def model_called(self, call: ModelCall) -> None:
        """Keep a model call; it is written with the next record that is."""
        if self._is_muted:
            return
        self._flush_call()
        request, reply = call.request, call.reply
        lines = request.prompt.split("\n") if request.method != "chat" else []
        record: dict[str, Any] = {"kind": "call", "ms": round(call.duration_ms, 3)}
        if request.method != "generate":
            record["method"] = request.method
        if request.purpose != "step":
            record["purpose"] = request.purpose
        if lines:
            record["prompt"] = encode(self._prompt, lines)
            self._prompt = lines
        if request.trailing:
            record["trailing"] = request.trailing
        if call.attempts > 1:
            record["attempts"] = call.attempts
        record.update(_reply_record(reply) if reply is not None else _failure_record(call))
        self._call, self._reply = record, reply

    def _after(self, when: float) -> float:
        # Finer than a float's steps at today's dates: the sum of both is *when* again.
        return round(when - self._began, 7)

    def _flush_call(self) -> None:
        if self._call is not None:
            self.file.add(self._call)
            self._call = None

    # ------------------------------------------------------------------ the engine's journal

    def turned(self, run: Run, answer: ChatReply, when: float) -> None:
        """The conversation keeps the last model call as a turn, with *answer* as its reply."""
        if self._call is not None:
            self._call["turn"] = self._after(when)
            if answer is not self._reply:  # what several calls gave is one turn
                self._call["whole"] = _content(answer)

    def said(self, text: str, when: float) -> None:
        """The conversation keeps *text* as said to the model."""
        if self._is_muted:
            return
        self._flush_call()
        self.file.add({"kind": "said", "text": text, "after": self._after(when)})

    def planned(self, run: Run) -> None:
        """The calls of the reply are known; none has started."""
        self._flush_call()
        done = run.done_call
        if len(run.pending) + (done is not None) > 1:
            calls = [_call_record(pending.call) for pending in run.pending]
            if done is not None:
                calls.append(_call_record(done))
            place = len(run.pending) if done is not None else None
            self.file.add({"kind": "calls", "calls": calls, "done": place})

    def starting(self, run: Run, pending: Pending) -> None:
        """The tool of *pending* starts next: from here on it may have run."""
        self._flush_call()
        self._started.add(pending.call.call_id)
        self.file.add({"kind": "start", "n": pending.number, "call": _call_record(pending.call)})
        spec = run.plan.specs.get(pending.call.tool)
        # What may run twice need not be known to have started.
        self.file.write(sync=not getattr(spec, "idempotent", False))

    def finished(self, run: Run, pending: Pending) -> None:
        """The call is over while its batch goes on; the next start or step makes this durable."""
        if pending.result is not None:
            result = _result_record(pending.result)
            self.file.add({"kind": "finish", "id": pending.call.call_id, "result": result})
            self.file.write(sync=False)

    def stepped(self, run: Run, pending: Pending, step: Step, when: float) -> None:
        """*step* is about to be handed out; log and conversation hold it already."""
        self._flush_call()
        call = step.tool_call
        record: dict[str, Any] = {"kind": "step", "n": step.number, "after": self._after(when)}
        if call.call_id in self._started:
            record["id"] = call.call_id
            self._started.discard(call.call_id)
        else:
            record["call"] = _call_record(call)
        record["result"] = _result_record(step.tool_result)
        record.update(_counters(run, pending))
        if self._hooks and (hooks := self._hook_states()):
            record["hooks"] = hooks
        self._steps.append(step)
        self.file.add(record)
        self.file.write(sync=True)

    def _hook_states(self) -> dict[str, Any]:
        now = {key: _stored(hook.save_state()) for key, hook in self._hooks.items()}
        changed = {key: state for key, state in now.items() if self._saved.get(key, _UNSAVED) != state}
        self._saved.update(changed)
        return changed

    def compacted(self, run: Run) -> None:
        """A compaction changed what is kept: write what it changed, so that the past need not be repeated."""
        self._flush_call()
        changed: dict[str, Any] = {}
        if results := self._changed_results(run.state.steps):
            changed["results"] = results
        changed |= _changed_messages(run, self._told)
        log = run.session_log
        if self._told is None or not self._told.has(log.entries, len(self._steps)):
            changed |= {"log": log.to_list(), "theory": log.current_theory}
        self._told = _Told(run.conversation.revision, list(log.entries), len(self._steps))
        if changed:
            self.file.add({"kind": "compact", "after": self._after(clock.now()), **changed})
            self.file.write(sync=False)

    def _changed_results(self, steps: list[Step]) -> dict[str, Any]:
        # In one pass without a line of Python for each step: a long run may come here at every step.
        known = len(self._steps)
        changed = [*compress(count(), map(is_not, steps, self._steps)), *range(known, len(steps))]
        self._steps = list(steps)
        return {str(index): _result_record(steps[index].tool_result) for index in changed}

    def ended(self, run: Run) -> None:
        """The run is over; closes the file."""
        self._flush_call()
        record = {"kind": "end", "reason": run.stop_reason, "output": run.final_output}
        self.file.add({**record, "after": self._after(clock.now())})
        try:
            self.file.write(sync=True)
        finally:
            self.file.close()


class _Told(NamedTuple):
    """What the last record of a compaction left.

    Attributes:
        revision: Of the conversation.
        entries: Of the log.
        steps: How many there were.
    """

    revision: int
    entries: list[LogEntry]
    steps: int

    def has(self, entries: list[LogEntry], steps: int) -> bool:
        """Whether *entries* are these, and one for each step since."""
        as_many = len(entries) - len(self.entries) == steps - self.steps
        return as_many and all(map(is_, self.entries, entries))


def _changed_messages(run: Run, told: _Told | None) -> dict[str, Any]:
    """The messages that were replaced since; all of them if more than that happened."""
    conversation = run.conversation
    replaced = None if told is None else conversation.replaced_since(told.revision)
    if replaced is None:
        return {"conversation": conversation.serialize()}
    messages = {str(index): message_to_dict(conversation.messages[index]) for index in replaced}
    return {"messages": messages} if messages else {}


_UNSAVED = object()


def _key(index: int, hook: object) -> str:
    return f"{index}:{type(hook).__name__}"


def _stored(value: Any) -> Any:
    """*value* as JSON data; what an encoder would quietly turn into something else is marked."""
    return value if plain(value) else normal(value)


_COUNTERS = (
    "free",
    "queries",
    "llm_calls",
    "notes",
    "rejection",
    "parse_failures",
    "answer_asked",
    "stop",
    "accepted",
)


def _counters(run: Run, pending: Pending) -> dict[str, Any]:
    """What a resumed run must know besides the step; what is as it mostly is goes without saying."""
    values = (
        pending.free,
        run.state.queries_used,
        run.llm_calls,
        run.notes,
        run.rejection,
        run.parse_failures,
        run.answer_asked,
        run.stop_request,
        run.final_output,
    )
    return {name: value for name, value in zip(_COUNTERS, values, strict=True) if value}


def _content(reply: ChatReply) -> str | list[dict[str, Any]]:
    """A text reply as its text, any other as its blocks."""
    if len(reply.blocks) == 1 and set(reply.blocks[0]) == {"type", "text"}:
        return str(reply.blocks[0]["text"])
    return reply.blocks


def _reply_record(reply: ChatReply) -> dict[str, Any]:
    record: dict[str, Any] = {"reply": _content(reply)}
    if reply.stop_reason:
        record["stop"] = reply.stop_reason
    if reply.model:
        record["model"] = reply.model
    if reply.usage is not None:
        usage = reply.usage
        record["usage"] = [usage.input_tokens, usage.output_tokens, usage.cached_tokens]
    return record


def _failure_record(call: ModelCall) -> dict[str, Any]:
    problem = call.error
    if problem is None:
        return {}
    return {"error": {"text": str(problem), "kind": problem.kind.value, "status": problem.status}}


def _call_record(call: ToolCall) -> dict[str, Any]:
    record: dict[str, Any] = {"tool": call.tool, "args": _stored(call.args), "id": call.call_id}
    if call.reasoning:
        record["why"] = call.reasoning
    return record


def _result_record(result: ToolResult) -> dict[str, Any]:
    record: dict[str, Any] = {"args": result.args_summary}
    if result.data is not None:
        record["data"] = _stored(result.data)
    if result.duration_ms:
        record["ms"] = round(result.duration_ms, 3)
    if result.result_key is not None:
        record["key"] = result.result_key
    if result.error is not None:
        record["error"] = result.error
    detail = result.error_detail
    if detail is not None:
        record["detail"] = {
            "kind": detail.kind.value,
            "message": detail.message,
            "retriable": detail.retriable,
            "context": _stored(detail.context),
        }
    return record
