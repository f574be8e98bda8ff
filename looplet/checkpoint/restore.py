"""Puts a run back to where its journal ends, by recording again what was recorded then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from looplet.checkpoint.writer import CheckpointedHook
from looplet.conversation import Conversation, message_from_dict
from looplet.engine import record
from looplet.engine.act import plan_calls
from looplet.engine.ask import read
from looplet.engine.observe import ModelCall, Request
from looplet.engine.run import Pending, Reply, Run
from looplet.engine.thread import Thread, with_trailing
from looplet.errors import CheckpointError, ModelError
from looplet.line_delta import decode
from looplet.prompts import task_text
from looplet.redact import Redactor
from looplet.session import LogEntry
from looplet.tools.dispatch import summarize
from looplet.types import (
    ChatReply,
    ErrorKind,
    Step,
    ThreadMessage,
    ToolCall,
    ToolError,
    ToolResult,
    Usage,
)

FINISHED = "finished"

RESUMABLE = frozenset(
    {
        "",
        "budget_exhausted",
        "cancelled",
        "cost_budget",
        "deadline",
        "error",
        "llm_error",
        "stopped_by_caller",
        "token_budget",
        "waiting_for_approval",
    }
)
"""Stop reasons after which a run can go on; any other means that it is finished."""

IN_DOUBT = (
    "The process ended while this call was running, so it is unknown whether it took effect. "
    "Check before you repeat it."
)


def check_identity(
    records: Sequence[Mapping[str, Any]], task: Any, agent: Mapping[str, Any], where: str
) -> None:
    """Refuse to go on with a run of something else.

    Raises:
        CheckpointError: The task, the tools or the rules differ, or the run is finished; says which.
    """
    begin = records[0]
    problems = []
    # What is on disk has its secrets taken out, so what is compared with it must have, too.
    task = Redactor.of_environment().value(task)
    if begin["task"] != task:
        problems.append(f"it is a run of another task ({_short(begin['task'])}, not {_short(task)})")
    problems += _agent_differences(begin["agent"], agent)
    reason = stop_reason(records)
    if reason not in RESUMABLE:
        problems.append(f"that run is finished (stop reason {reason!r})")
    if problems:
        raise CheckpointError(
            f"{where} cannot be resumed: {'; '.join(problems)}. Pass another checkpoint_dir, or "
            'LoopConfig(resume="force") to go on all the same'
        )


def _agent_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    tools_then, tools_now = then.get("tools", {}), now.get("tools", {})
    problems = []
    for verb, names in (
        ("is gone", tools_then.keys() - tools_now.keys()),
        ("is new", tools_now.keys() - tools_then.keys()),
        (
            "has another schema",
            {n for n in tools_then.keys() & tools_now.keys() if tools_then[n] != tools_now[n]},
        ),
    ):
        problems += [f"tool {name} {verb}" for name in sorted(names)]
    if then.get("rules") != now.get("rules"):
        problems.append("the permission rules changed")
    return problems


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def stop_reason(records: Sequence[Mapping[str, Any]]) -> str:
    """Why the run in a journal stopped last; empty if it was killed."""
    last = records[-1]
    if last["kind"] == "end":
        return str(last["reason"])
    # Killed between its accepted answer and its end, it is finished all the same.
    return "done" if last["kind"] == "step" and "accepted" in last else ""


class Restorer:
    """Applies the records of a journal, one after another, to a fresh run.

    Args:
        run: The run.
        path: The journal, for messages.

    Attributes:
        began: When the run that is restored began, in seconds since the epoch.
        prompt: The lines of the last text prompt.
    """

    def __init__(self, run: Run, path: str) -> None:
        self.run = run
        self.path = path
        self.began = 0.0
        self.prompt: list[str] = []
        self._started: dict[str, ToolCall] = {}
        self._finished: dict[str, ToolResult] = {}
        self._reply: Reply | None = None
        self._hook_states: dict[str, Any] = {}

    def apply(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Restore the run; what was under way becomes its pending calls.

        Raises:
            CheckpointError: A record does not have the shape that this code writes.
        """
        for number, one in enumerate(records, 1):
            try:
                _APPLY[one["kind"]](self, one)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
                raise CheckpointError(
                    f"{self.path}, line {number}: not a record that can stand here: {problem!r}. "
                    'Pass another checkpoint_dir, or LoopConfig(resume="never") to begin anew'
                ) from problem
        self._pending()
        record.refresh(self.run)
        self._load_hooks()

    def _begin(self, one: Mapping[str, Any]) -> None:
        if self.began:
            raise ValueError("a second run begins")
        self.began = one["t"]
        self.run.offset = one.get("offset", 0) - self.run.state.step_count
        record.task(self.run, self.began)

    def _end(self, one: Mapping[str, Any]) -> None:
        self.run.stop_request = None

    def _call(self, one: Mapping[str, Any]) -> None:
        run = self.run
        request = self._request(one)
        reply = _reply(one)
        run.model_calls += 1
        if reply is not None and reply.usage is not None:
            run.usage = run.usage + reply.usage
            run.last_input_tokens = reply.usage.input_tokens
        call = ModelCall(
            number=run.model_calls,
            step=run.next_number(),
            request=request,
            reply=reply,
            error=_error(one),
            duration_ms=one["ms"],
            attempts=one.get("attempts", 1),
        )
        for hear in run.plan.observers.model_called:
            hear(call)
        self._plan([])
        if reply is not None:
            whole = one.get("whole")
            answer = reply if whole is None else replace(reply, blocks=_blocks(whole))
            raw = answer.text if request.method == "generate" else answer.blocks
            self._reply = Reply(request, raw, answer, [], {})
            if "turn" in one:
                record.model_turn(run, self._reply, self.began + one["turn"])

    def _request(self, one: Mapping[str, Any]) -> Request:
        plan = self.run.plan
        method = one.get("method", "generate")
        if "prompt" in one:
            self.prompt = decode(self.prompt, one["prompt"])
        trailing = one.get("trailing", "")
        messages, kept = self._thread(trailing) if method == "chat" else ((), 0)
        return Request(
            method=method,
            messages=messages,
            prompt="\n".join(self.prompt) if method != "chat" else "",
            system_prompt=plan.system_prompt,
            tools=plan.tools.tool_schemas() if method != "generate" else (),
            max_tokens=plan.max_tokens,
            temperature=plan.temperature,
            purpose=one.get("purpose", "step"),
            kept=kept,
            trailing=trailing,
        )

    def _thread(self, trailing: str) -> tuple[list[ThreadMessage], int]:
        """The messages of a request, and how many of them the request before had; as when it was sent."""
        run = self.run
        if run.thread is None:
            run.thread = Thread(task_text(run.plan.task), run.conversation)
        messages = run.thread.messages()
        kept = min(run.thread.unchanged, run.thread_sent)
        run.thread_sent = len(messages) - 1 if trailing else len(messages)
        run.thread.mark_sent()
        return with_trailing(messages, trailing), kept

    def _said(self, one: Mapping[str, Any]) -> None:
        record.say(self.run, one["text"], self.began + one["after"])

    def _planned(self, one: Mapping[str, Any]) -> None:
        self._plan([_tool_call(c) for c in one["calls"]])

    def _plan(self, calls: list[ToolCall]) -> None:
        """Sort *calls* as they were when the reply came: what was not to run then is not to run now."""
        run = self.run
        run.pending.clear()
        run.done_call = None
        run.first_step = run.next_number()
        if calls and self._reply is not None:
            asked = self._reply
            broken = read(run, asked.request, asked.chat).broken if asked.request.method != "generate" else {}
            plan_calls(run, Reply(asked.request, asked.raw, asked.chat, calls, broken))

    def _start(self, one: Mapping[str, Any]) -> None:
        call = _tool_call(one["call"])
        self._started[call.call_id] = call

    def _finish(self, one: Mapping[str, Any]) -> None:
        self._finished[one["id"]] = _tool_result(self._started[one["id"]], one["result"])

    def _step(self, one: Mapping[str, Any]) -> None:
        run = self.run
        if one["n"] != run.next_number():
            raise ValueError(f"step {one['n']} after step {run.next_number() - 1}")
        call = self._started[one["id"]] if "id" in one else _tool_call(one["call"])
        # A call that was in doubt is told in full by the run that settled it; it is over all the same.
        self._started.pop(call.call_id, None)
        self._finished.pop(call.call_id, None)
        run.pending[:] = [p for p in run.pending if p.call.call_id != call.call_id]
        if run.done_call is not None and run.done_call.call_id == call.call_id:
            run.done_call = None
        pending = Pending(call, one["n"], _tool_result(call, one["result"]), free=one.get("free", False))
        record.step(run, pending, self.began + one["after"])
        if "queries" in one:
            _count(run, int(one["queries"]))
        run.llm_calls = int(one.get("llm_calls", 0))
        run.notes = list(one.get("notes", ()))
        run.rejection = one.get("rejection", "")
        run.parse_failures = int(one.get("parse_failures", 0))
        run.answer_asked = one.get("answer_asked", False)
        run.stop_request = one.get("stop")
        self._hook_states.update(one.get("hooks", {}))

    def _compact(self, one: Mapping[str, Any]) -> None:
        run = self.run
        for index, result in one.get("results", {}).items():
            step: Step = run.state.steps[int(index)]
            run.state.steps[int(index)] = replace(step, tool_result=_tool_result(step.tool_call, result))
        if "conversation" in one:
            run.conversation.begin_with(Conversation.deserialize(one["conversation"]).messages)
        for index, message in one.get("messages", {}).items():
            run.conversation.replace(int(index), message_from_dict(message))
        if "log" in one:
            run.session_log.entries[:] = [LogEntry(**entry) for entry in one["log"]]
            run.session_log.current_theory = one["theory"]

    def _pending(self) -> None:
        """What was under way: finished calls keep their results, started ones are in doubt."""
        run = self.run
        if not run.pending and run.done_call is None:
            self._plan(list(self._started.values()))
        for number, pending in enumerate(run.pending, run.next_number()):
            pending.number = number
            self._take_up(pending)
        done = run.done_call
        if done is not None and self._is_in_doubt(done):
            # It becomes a step that says so, like any other.
            run.done_call = None
            run.pending.append(Pending(done, run.next_number() + len(run.pending)))
            self._take_up(run.pending[-1])

    def _take_up(self, pending: Pending) -> None:
        call = pending.call = self._started.get(pending.call.call_id, pending.call)
        if call.call_id in self._finished:
            pending.result = self._finished[call.call_id]
        elif self._is_in_doubt(call):
            detail = ToolError(ErrorKind.EXECUTION, IN_DOUBT, context={"in_doubt": True})
            pending.result = ToolResult(
                call.tool, summarize(call.args), None, IN_DOUBT, detail, call_id=call.call_id
            )
        else:
            return
        pending.judged = pending.ran = True

    def _is_in_doubt(self, call: ToolCall) -> bool:
        spec = self.run.plan.specs.get(call.tool)
        return call.call_id in self._started and not getattr(spec, "idempotent", False)

    def _load_hooks(self) -> None:
        for index, hook in enumerate(self.run.plan.slots.hooks):
            state = self._hook_states.get(f"{index}:{type(hook).__name__}")
            if state is not None and isinstance(hook, CheckpointedHook):
                hook.load_state(state)


_APPLY: dict[str, Callable[[Restorer, Mapping[str, Any]], None]] = {
    "begin": Restorer._begin,
    "call": Restorer._call,
    "said": Restorer._said,
    "calls": Restorer._planned,
    "start": Restorer._start,
    "finish": Restorer._finish,
    "step": Restorer._step,
    "compact": Restorer._compact,
    "end": Restorer._end,
}


def whole(records: Sequence[Mapping[str, Any]]) -> int:
    """How many records to keep: a model's turn that nothing followed is asked for again."""
    count = len(records)
    while count and records[count - 1]["kind"] in ("call", "said"):
        count -= 1
    return count


def _count(run: Run, queries: int) -> None:
    try:
        run.state.queries_used = queries
    except AttributeError:
        return  # A frozen state counts for itself.


def _blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _reply(one: Mapping[str, Any]) -> ChatReply | None:
    if "reply" not in one:
        return None
    usage = Usage(*one["usage"]) if "usage" in one else None
    return ChatReply(_blocks(one["reply"]), one.get("stop"), one.get("model", ""), usage)


def _error(one: Mapping[str, Any]) -> ModelError | None:
    error = one.get("error")
    if error is None:
        return None
    return ModelError(error["text"], kind=ErrorKind(error["kind"]), status=error["status"])


def _tool_call(one: Mapping[str, Any]) -> ToolCall:
    return ToolCall(one["tool"], dict(one["args"]), one.get("why", ""), one["id"])


def _tool_result(call: ToolCall, one: Mapping[str, Any]) -> ToolResult:
    detail = one.get("detail")
    error = None
    if detail is not None:
        error = ToolError(
            ErrorKind(detail["kind"]), detail["message"], detail["retriable"], detail["context"]
        )
    return ToolResult(
        tool=call.tool,
        args_summary=one["args"],
        data=one.get("data"),
        error=one.get("error"),
        error_detail=error,
        duration_ms=one.get("ms", 0.0),
        result_key=one.get("key"),
        call_id=call.call_id,
    )
