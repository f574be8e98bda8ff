"""The done call: the gate it passes, what an answer in plain text becomes, and the failed model call."""

from __future__ import annotations

from functools import partial
from typing import Any

from looplet import clock
from looplet.engine import act, hooks, record
from looplet.engine.ask import PARSE_ERROR, cancelled
from looplet.engine.hooks import Script
from looplet.engine.needs import RunTool, Save
from looplet.engine.run import Pending, Reply, Run
from looplet.errors import ModelError
from looplet.events import LifecycleEvent
from looplet.tools.failure import told
from looplet.types import ErrorKind, ToolCall, ToolError, ToolResult

LLM_ERROR = "__llm_error__"

CALL_DONE = (
    "You answered in text. If that was your final answer, call the tool {done} with it; "
    "otherwise call the next tool."
)
EMPTY_REPLY = "Your reply was empty. Call a tool, or {done} to finish."


def done(run: Run, call: ToolCall) -> Script:
    """Let the done call through its gate, run its tool, end the run if that succeeds."""
    pending = Pending(call, run.next_number())
    refusal = yield from _refusal(run, pending)
    if refusal is not None:
        run.rejection = refusal.error or refusal.data["reason"]
        pending.result = refusal
    else:
        yield from _run_done(run, pending)
        run.rejection = ""
    when = clock.now()
    step, problem = act.recorded(run, pending, when)
    result = pending.result
    if refusal is None and result is not None and not result.error and not cancelled(run):
        try:
            _accept(run, {k: v for k, v in call.args.items() if not k.startswith("__")})
        except Exception as raised:
            problem = problem or raised
    run.done_call = None
    yield from act.hand_out(run, pending, step, when)
    if problem is not None:
        raise problem


def _accept(run: Run, output: dict[str, Any]) -> None:
    run.stop_reason = "done"
    run.final_output = output
    for hear in run.plan.observers.answered:
        hear(output)


def _refusal(run: Run, pending: Pending) -> Script:
    """Why the done call is turned down, as its result; None lets it through."""
    plan, call = run.plan, pending.call
    for filled in plan.slots.check_done_permission:
        value = yield from hooks.call(filled, call, run.state)
        decision = hooks.decide(run, filled, value, "check_permission")
        if decision is not None and decision.is_block():
            reason = decision.block or f"Permission denied for tool '{call.tool}'"
            run.decide(pending, "deny", filled.name, reason, decision.metadata.get("decided"))
            return act.failed(call, reason, ErrorKind.PERMISSION_DENIED)
        if decision is not None and (told := decision.metadata.get("decided")):
            run.decide(pending, "allow", filled.name, told.get("reason", ""), told)
    for filled in plan.slots.check_done:
        value = yield from hooks.call(filled, run.state, run.session_log, plan.context, run.first_step)
        decision = hooks.decide(run, filled, value, "check_done")
        if decision is not None and decision.is_block():
            return _rejected(call, decision.block or "blocked by hook")
    if plan.check_output is not None:
        clean = {k: v for k, v in call.args.items() if not k.startswith("__")}
        problems = plan.check_output(clean)
        if problems:
            return _rejected(call, f"Output schema validation failed: {'; '.join(problems)}")
    return None


def _rejected(call: ToolCall, reason: str) -> ToolResult:
    data = {"rejected": True, "reason": reason}
    return ToolResult(call.tool, "rejected", data, call_id=call.call_id)


def _run_done(run: Run, pending: Pending) -> Script:
    plan = run.plan
    if plan.journal is not None:
        yield Save(partial(plan.journal.starting, run, pending))
    for hear in plan.observers.tool_started:
        hear(pending.number, pending.call)
    make = plan.tool_context
    context = make(run, pending.call, pending.number) if make is not None else None
    pending.result = yield RunTool(pending.call, context, run)


def answer_in_text(run: Run, reply: Reply) -> Script:
    """A thread's reply without a call: the agent's answer, where `done` can take one."""
    text = reply.chat.text.strip()
    plan = run.plan
    if not text:
        record.say(run, EMPTY_REPLY.format(done=plan.done_tool))
        yield from unreadable(run, reply, "The model's reply was empty")
        return
    spec = plan.specs.get(plan.done_tool)
    if spec is None:
        _accept(run, {"answer": text})
        return
    parameter = _one_text_parameter(spec)
    if parameter is not None:
        yield from done(run, ToolCall(plan.done_tool, {parameter: text}))
    elif run.answer_asked:
        yield from unreadable(run, reply, f"The model answered in text and did not call {plan.done_tool}")
        record.say(run, CALL_DONE.format(done=plan.done_tool))
    else:
        run.answer_asked = True
        record.say(run, CALL_DONE.format(done=plan.done_tool))


def _one_text_parameter(spec: Any) -> str | None:
    """The only parameter that done needs, if text fits it."""
    schema = spec.to_json_schema()
    names = schema.get("required") or list(schema.get("properties", {}))
    if len(names) != 1:
        return None
    said = schema.get("properties", {}).get(names[0])
    kind = said.get("type", "string") if isinstance(said, dict) else "string"
    name: str = names[0]
    return name if kind == "string" or (isinstance(kind, list) and "string" in kind) else None


def unreadable(run: Run, reply: Reply, problem: str | None = None) -> Script:
    """A reply that holds no call becomes a step of its own, so that it costs budget and is seen."""
    raw = reply.chat.text
    stopped = reply.chat.stop_reason
    error = problem or f"Could not parse JSON: {raw[:200]}"
    if problem is None and stopped in ("max_tokens", "refusal"):
        error += f" (the model stopped with {stopped})"
    yield from _synthetic(run, PARSE_ERROR, raw[:200], error, ToolError(ErrorKind.PARSE, error))


def model_failed(run: Run, problem: ModelError) -> Script:
    """The model did not answer: a last step that says why, and the end of the run."""
    if cancelled(run):
        run.stop_reason = "cancelled"
        return
    left = run.seconds_left()
    run.stop_reason = "deadline" if left is not None and left <= 0 else "llm_error"
    status = f", HTTP {problem.status}" if problem.status else ""
    attempts = f"{problem.attempts} attempt{'s' if problem.attempts != 1 else ''}{status}"
    how = f"all retry attempts ({attempts})" if problem.attempts > 1 else attempts
    error = f"LLM call failed after {how}: {told(str(problem))}"
    detail = ToolError(
        problem.kind, error, problem.retriable, {"status": problem.status, "attempts": problem.attempts}
    )
    yield from _synthetic(run, LLM_ERROR, "LLM call failed after retries", error, detail)


def _synthetic(run: Run, tool: str, reasoning: str, error: str, detail: ToolError) -> Script:
    call = ToolCall(tool, {}, reasoning)
    result = ToolResult(tool, "", None, error=error, error_detail=detail, call_id=call.call_id)
    pending = Pending(call, run.next_number(), result)
    when = clock.now()
    step, problem = act.recorded(run, pending, when)
    yield from act.hand_out(run, pending, step, when)
    if problem is not None:
        raise problem


def ended(run: Run, error: BaseException | None) -> Script:
    """The one door out of a run: tell hooks, observers and journal why it ends; gives the trace.

    Every hook's `on_loop_end` is called even if an earlier one raises; the first exception is raised
    in the end.
    """
    plan = run.plan
    problems: list[BaseException] = [error] if error is not None else []
    reason = run.stop_reason
    _leave_reason(run)
    yield from hooks.emit(run, LifecycleEvent.STOP, termination_reason=reason)
    for filled in plan.slots.on_loop_end:
        try:
            spent = yield from hooks.call(filled, run.state, run.session_log, plan.context, plan.llm)
        except Exception as problem:
            problems.append(problem)
        else:
            run.llm_calls += spent if isinstance(spent, int) else 0
    for hear in plan.observers.run_ended:
        try:
            hear(reason, error)
        except Exception as problem:
            problems.append(problem)
    if plan.journal is not None:
        try:
            yield Save(partial(plan.journal.ended, run))
        except Exception as problem:
            problems.append(problem)
    trace = _trace(run)
    if problems:
        raise problems[0]
    return trace


def _leave_reason(run: Run) -> None:
    try:
        run.state._stop_reason = run.stop_reason  # type: ignore[attr-defined]
    except AttributeError:
        return  # A frozen or slotted state cannot carry it; STOP and the observers still tell it.


def _trace(run: Run) -> Any:
    plan = run.plan
    elapsed_ms = (clock.perf() - run.started) * 1000
    if plan.build_trace is not None:
        return plan.build_trace(
            task=plan.task,
            state=run.state,
            session_log=run.session_log,
            done=run.stop_reason == "done",
            llm=plan.llm,
            llm_calls=run.llm_calls,
            elapsed_ms=elapsed_ms,
        )
    return {
        "task": plan.task,
        "steps": [s.to_dict() for s in run.state.steps],
        "llm_calls": run.llm_calls,
        "total_time_ms": elapsed_ms,
        "conversation": run.conversation,
    }
