"""Writes a run into its journal as it goes.

Records, by their `kind`:

| kind | holds |
|---|---|
| `begin` | version, task, who the agent is, step budget, run id; `offset`, the steps before its first |
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
from looplet.checkpoint.lines import VERSION, data_text, text
from looplet.conversation import message_to_dict
from looplet.engine.observe import ModelCall
from looplet.engine.run import Pending, Run
from looplet.errors import CheckpointError
from looplet.line_delta import Following
from looplet.session import LogEntry
from looplet.types import ChatReply, Step, ToolCall, ToolResult
from looplet.values import normal


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
        self._saved: dict[str, str] = {}
        self._prompts = Following()
        self._call = ""
        self._call_told = ""
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
        record = {"task": normal(run.plan.task), "agent": dict(agent)}
        record["max_steps"] = run.plan.shown_max_steps
        if before := run.next_number() - 1:
            record["offset"] = before
        self._steps = list(run.state.steps)
        record |= {"run_id": run.plan.session_id, "wire": run.wire, "t": self._began}
        self._add("begin", f'"version": {VERSION}', text(record)[1:-1])

    def _add(self, kind: str, own: str, told: str) -> None:
        """Add a record: its *own* members, numbers mostly, and what it was *told*, by the model or a tool."""
        self.file.add(f'"kind": "{kind}", {own}', told)

    def resumed(self, run: Run, began: float, prompt: list[str]) -> None:
        """Go on after *run* was restored; *prompt* is the last one in a journal that *began* then."""
        self._began = began
        self._prompts = Following(prompt)
        self._steps = list(run.state.steps)

    # ------------------------------------------------------------------ observer

    def model_called(self, call: ModelCall) -> None:
        """Keep a model call; it is written with the next record that is."""
        if self._is_muted:
            return
        self._flush_call()
        request, reply = call.request, call.reply
        head = f'"ms": {call.duration_ms:.3f}'
        if request.method != "generate":
            head += f', "method": "{request.method}"'
        if request.purpose != "step":
            head += f', "purpose": "{request.purpose}"'
        if call.attempts > 1:
            head += f', "attempts": {call.attempts}'
        told = _reply_text(reply) if reply is not None else _failure_text(call)
        if request.method != "chat":
            told = f'"prompt": {self._prompts.encode(self.file.over_lines(request.prompt))}, {told}'
        if request.trailing:
            told = f'"trailing": {text(request.trailing)}, {told}'
        self._call, self._call_told, self._reply = head, told, reply

    def _after(self, when: float) -> str:
        # Finer than a float's steps at today's dates: the sum of both is *when* again.
        return f"{when - self._began:.7f}"

    def _flush_call(self) -> None:
        if self._call:
            self._add("call", self._call, self._call_told)
            self._call = ""

    # ------------------------------------------------------------------ the engine's journal

    def turned(self, run: Run, answer: ChatReply, when: float) -> None:
        """The conversation keeps the last model call as a turn, with *answer* as its reply."""
        if self._call:
            self._call += f', "turn": {self._after(when)}'
            if answer is not self._reply:  # what several calls gave is one turn
                self._call_told += f', "whole": {text(_content(answer))}'

    def said(self, message: str, when: float) -> None:
        """The conversation keeps *message* as said to the model."""
        if self._is_muted:
            return
        self._flush_call()
        self._add("said", f'"after": {self._after(when)}', f'"text": {text(message)}')

    def planned(self, run: Run) -> None:
        """The calls of the reply are known; none has started."""
        self._flush_call()
        done = run.done_call
        if len(run.pending) + (done is not None) > 1:
            calls = [_call_text(pending.call) for pending in run.pending]
            if done is not None:
                calls.append(_call_text(done))
            place = len(run.pending) if done is not None else "null"
            self._add("calls", f'"done": {place}', f'"calls": [{", ".join(calls)}]')

    def starting(self, run: Run, pending: Pending) -> None:
        """The tool of *pending* starts next: from here on it may have run."""
        self._flush_call()
        self._started.add(pending.call.call_id)
        self._add("start", f'"n": {pending.number}', f'"call": {_call_text(pending.call)}')
        spec = run.plan.specs.get(pending.call.tool)
        try:
            # What may run twice need not be known to have started.
            self.file.write(sync=not getattr(spec, "idempotent", False))
        except CheckpointError:
            self.file.take_back()  # or it would be in doubt later, though it never runs
            self._started.discard(pending.call.call_id)
            raise

    def finished(self, run: Run, pending: Pending) -> None:
        """The call is over while its batch goes on; the next start or step makes this durable."""
        if pending.result is not None:
            result = _result_text(pending.result)
            self._add(
                "finish", f'"n": {pending.number}', f'"id": {text(pending.call.call_id)}, "result": {result}'
            )
            self.file.write(sync=False)

    def stepped(self, run: Run, pending: Pending, step: Step, when: float) -> None:
        """*step* is about to be handed out; log and conversation hold it already."""
        self._flush_call()
        call = step.tool_call
        if call.call_id in self._started:
            told = f'"id": {text(call.call_id)}'
            self._started.discard(call.call_id)
        else:
            told = f'"call": {_call_text(call)}'
        told += f', "result": {_result_text(step.tool_result)}'
        if more := _more(run, pending):
            told += f", {text(more)[1:-1]}"
        if self._hooks and (hooks := self._hook_states()):
            told += f', "hooks": {hooks}'
        self._steps.append(step)
        self._add("step", f'"n": {step.number}, "after": {self._after(when)}{_counters(run)}', told)
        self.file.write(sync=True)

    def _hook_states(self) -> str:
        """What changed of them since it was last asked for, as JSON text; empty if nothing did."""
        # Kept as text: a hook may go on with the very object that it gave.
        now = {key: data_text(hook.save_state()) for key, hook in self._hooks.items()}
        changed = [f"{text(key)}: {state}" for key, state in now.items() if self._saved.get(key) != state]
        self._saved = now
        return f"{{{', '.join(changed)}}}" if changed else ""

    def compacted(self, run: Run) -> None:
        """A compaction changed what is kept: write what it changed, so that the past need not be repeated."""
        self._flush_call()
        results = self._changed_results(run.state.steps)
        changed: dict[str, Any] = _changed_messages(run, self._told)
        log = run.session_log
        if self._told is None or not self._told.has(log.entries, len(self._steps)):
            changed |= {"log": log.to_list(), "theory": log.current_theory}
        self._told = _Told(run.conversation.revision, list(log.entries), len(self._steps))
        told = ([f'"results": {results}'] if results else []) + ([text(changed)[1:-1]] if changed else [])
        if told:
            self._add("compact", f'"after": {self._after(clock.now())}', ", ".join(told))
            self.file.write(sync=False)

    def _changed_results(self, steps: list[Step]) -> str:
        # In one pass without a line of Python for each step: a long run may come here at every step.
        known = len(self._steps)
        changed = [*compress(count(), map(is_not, steps, self._steps)), *range(known, len(steps))]
        self._steps = list(steps)
        results = [f'"{index}": {_result_text(steps[index].tool_result)}' for index in changed]
        return f"{{{', '.join(results)}}}" if results else ""

    def ended(self, run: Run) -> None:
        """The run is over; closes the file."""
        if self.file.is_let_go:
            return  # The run is another process's, and only a copy of it ends here.
        self._flush_call()
        record = {"reason": run.stop_reason, "output": run.final_output}
        self._add("end", f'"after": {self._after(clock.now())}', text(record)[1:-1])
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


def _key(index: int, hook: object) -> str:
    return f"{index}:{type(hook).__name__}"


_FOREVER_MS = 1e12


def _counters(run: Run) -> str:
    """What a resumed run counts on from."""
    queries, calls = run.state.queries_used, run.llm_calls
    counted = f', "queries": {text(queries)}' if queries else ""
    return f'{counted}, "llm_calls": {calls}' if calls else counted


def _more(run: Run, pending: Pending) -> dict[str, Any]:
    """What else it must know besides the step; what is as it mostly is goes without saying."""
    more: dict[str, Any] = {}
    if pending.free:
        more["free"] = True
    if run.notes:
        more["notes"] = run.notes
    if run.rejection:
        more["rejection"] = run.rejection
    if run.parse_failures:
        more["parse_failures"] = run.parse_failures
    if run.answer_asked:
        more["answer_asked"] = True
    if run.stop_request:
        more["stop"] = run.stop_request
    if run.final_output:
        more["accepted"] = run.final_output
    return more


def _content(reply: ChatReply) -> str | list[dict[str, Any]]:
    """A text reply as its text, any other as its blocks."""
    if len(reply.blocks) == 1 and set(reply.blocks[0]) == {"type", "text"}:
        return str(reply.blocks[0]["text"])
    return reply.blocks


def _reply_text(reply: ChatReply) -> str:
    told = f'"reply": {text(_content(reply))}'
    if reply.stop_reason:
        told += f', "stop": {text(reply.stop_reason)}'
    if reply.model:
        told += f', "model": {text(reply.model)}'
    if reply.usage is not None:
        usage = reply.usage
        told += f', "usage": {text([usage.input_tokens, usage.output_tokens, usage.cached_tokens])}'
    return told


def _failure_text(call: ModelCall) -> str:
    problem = call.error
    if problem is None:
        return '"error": null'
    error = {"text": str(problem), "kind": problem.kind.value, "status": problem.status}
    return f'"error": {text(error)}'


def _call_text(call: ToolCall) -> str:
    told = f'{{"tool": {text(call.tool)}, "args": {data_text(call.args)}, "id": {text(call.call_id)}'
    return f'{told}, "why": {text(call.reasoning)}}}' if call.reasoning else f"{told}}}"


def _result_text(result: ToolResult) -> str:
    told = f'{{"args": {text(result.args_summary)}'
    if result.data is not None:
        told += f', "data": {data_text(result.data)}'
    if 0.0 < result.duration_ms < _FOREVER_MS:
        told += f', "ms": {result.duration_ms:.3f}'
    if result.result_key is not None:
        told += f', "key": {text(result.result_key)}'
    if result.error is not None:
        told += f', "error": {text(result.error)}'
    detail = result.error_detail
    if detail is not None:
        error = {"kind": detail.kind.value, "message": detail.message, "retriable": detail.retriable}
        told += f', "detail": {text(error)[:-1]}, "context": {data_text(detail.context)}}}'
    return f"{told}}}"
