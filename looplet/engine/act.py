"""Turning a reply's calls into steps: judge every call, run those that may, hand out each in order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import Any

from looplet import clock
from looplet.engine import hooks, record
from looplet.engine.ask import cancelled
from looplet.engine.hooks import Script
from looplet.engine.needs import Leave, Resolve, RunTool, RunTools, Save
from looplet.engine.run import Pending, Reply, Run
from looplet.engine.slots import Filled
from looplet.events import LifecycleEvent
from looplet.hook_decision import PLAIN_NO, Deny, HookDecision
from looplet.tools.dispatch import TOO_DEEP
from looplet.tools.failure import describe
from looplet.types import ErrorKind, Step, ToolCall, ToolError, ToolResult
from looplet.values import plain_copy


def plan_calls(run: Run, reply: Reply) -> None:
    """Sort a reply's calls into those that become steps, within the budget, and the done call after them."""
    plan, number = run.plan, run.first_step
    left, free_left = run.steps_left(), plan.free_steps - run.free_used
    specs = plan.tools._tools
    for call in reply.calls:
        problem = reply.broken.get(call.call_id) if reply.broken else None
        is_done = call.tool == plan.done_tool and not problem
        if is_done and left > 0:
            run.done_call = call
            break
        pending = Pending(call, number)
        if problem:
            pending.result = failed(call, problem, ErrorKind.PARSE)
            pending.judged = True
        if free_left > 0 and not is_done and (spec := specs.get(call.tool)) is not None and spec.free:
            pending.free = True
            free_left -= 1
        elif left > 0:
            left -= 1
        else:
            _refuse_over_budget(pending)
        run.pending.append(pending)
        number += 1
        if is_done:
            break


def _refuse_over_budget(pending: Pending) -> None:
    text = "Not run: the step budget is used up."
    pending.result = failed(pending.call, text, ErrorKind.CANCELLED)
    pending.judged = pending.free = True


def act(run: Run) -> Script:
    """Judge, run and hand out all pending calls."""
    journal, at_once = run.plan.journal, run.at_once
    if journal is not None:
        journal.planned(run)
    if run.plan.slots.before_tool:
        for pending in run.pending:
            if not pending.judged:
                yield from _judge(run, pending)
    # A result that hooks look at, or that waits for other calls, is kept before it becomes a step.
    waits = journal is not None and (len(run.pending) > 1 or run.plan.slots.after_tool)
    try:
        for pending in run.pending:
            if pending.result is None:
                if run.plan.concurrent and len(group := _at_once(run)) > 1:
                    yield from _dispatch_together(run, group)
                    continue
                if journal is not None:
                    yield Save(partial(journal.starting, run, pending))
                need = _body(run, pending)
                pending.result = (yield need) if at_once is None else at_once[RunTool](need)
                while run.loose:
                    yield Resolve(run.loose.pop(0))
                if waits and journal is not None:
                    yield Save(partial(journal.finished, run, pending))
    except Exception:
        yield from _show_finished(run)
        raise
    except BaseException:
        _keep_finished(run)
        raise
    watched = journal is not None or run.plan.slots.after_tool
    try:
        while run.pending:
            pending = run.pending[0]
            if pending.ran and not pending.free:
                _count_query(run)
            if watched:
                yield from _settle(run, pending)
            else:
                step = record.step(run, pending, clock.now())
                del run.pending[0]
                yield step
    except Exception:
        yield from _show_finished(run)
        raise
    except (Leave, GeneratorExit):
        raise  # what nobody was handed is handed out when the run goes on
    except BaseException:
        _keep_finished(run)
        raise


def _at_once(run: Run) -> list[Pending]:
    """The next calls that are given to the registry together.

    A journal knows of each call when it starts, so it is given only those that do start together.
    """
    waiting = [pending for pending in run.pending if pending.result is None]
    if run.plan.journal is None:
        return waiting
    specs = run.plan.specs
    return list(takewhile(lambda p: getattr(specs.get(p.call.tool), "concurrent_safe", False), waiting))


def _finished(run: Run) -> list[Pending]:
    finished = list(takewhile(lambda pending: pending.result is not None, run.pending))
    run.pending.clear()
    return finished


def _keep_finished(run: Run) -> None:
    """Make steps of the calls that are over, though the reply they belong to will never be finished."""
    for pending in _finished(run):
        if _recorded(run, pending) is None:
            record.step(run, pending, clock.now())


def _show_finished(run: Run) -> Script:
    """`_keep_finished` where something failed, while there is still somebody to hand the steps to."""
    for pending in _finished(run):
        when = clock.now()
        with suppress(Exception):  # what failed first is raised
            step = _recorded(run, pending) or recorded(run, pending, when)[0]
            yield from hand_out(run, pending, step, when)


def recorded(run: Run, pending: Pending, when: float) -> tuple[Step, Exception | None]:
    """The step of *pending*, recorded; with what an observer raised when it was told."""
    try:
        return record.step(run, pending, when), None
    except Exception as problem:
        step = _recorded(run, pending)
        if step is None:
            raise
        return step, problem


def _recorded(run: Run, pending: Pending) -> Step | None:
    """The step of *pending* where it is recorded already, and an observer raised when it was told."""
    last = run.state.steps[-1:]
    return last[0] if last and last[0].number == pending.number else None


def failed(call: ToolCall, error: str, kind: ErrorKind, **context: Any) -> ToolResult:
    """The result of a call whose tool did not run."""
    return ToolResult(
        tool=call.tool,
        args_summary=str(call.args)[:100],
        data=None,
        error=error,
        error_detail=ToolError(kind, error, context=context),
        call_id=call.call_id,
    )


# ------------------------------------------------------------------ before the tool


def _judge(run: Run, pending: Pending) -> Script:
    """Ask every hook about a call. A denial beats everything; what was judged last is what runs."""
    pending.judged = True
    call = pending.call
    # Arguments of a wrong shape never reach a rule: it could not know what it judges.
    if run.plan.slots.check_permission and hasattr(run.plan.tools, "refusal"):
        pending.result = run.plan.tools.refusal(call)
        if pending.result is not None:
            return
    event = LifecycleEvent.PRE_TOOL_USE
    decided = yield from hooks.emit(run, event, step_num=pending.number, tool_call=call)
    for filled, decision in decided:
        _apply(run, pending, filled, decision)
    for filled in run.plan.slots.pre_dispatch:
        decision = yield from _ask_policy(
            run, filled, "pre_dispatch", run.state, run.session_log, call, pending.number
        )
        if decision is not None:
            _apply(run, pending, filled, decision)
    try:
        judged = plain_copy(call.args)
    except RecursionError:
        emptied = ToolCall(call.tool, {}, call.reasoning, call.call_id)
        pending.result = failed(emptied, TOO_DEEP, ErrorKind.PARSE)
        return
    for filled in run.plan.slots.check_permission:
        decision = yield from _ask_policy(run, filled, "check_permission", call, run.state)
        if decision is not None:
            _apply(run, pending, filled, decision)
    if call.args != judged:
        _deny(run, pending, "the loop", "the arguments changed while permission was asked")
    # Hooks may keep the call object; what runs is a copy that they do not hold.
    pending.call = ToolCall(call.tool, judged, call.reasoning, call.call_id)


def _ask_policy(run: Run, filled: Filled, slot: str, *args: Any) -> Script:
    """One hook's decision before a tool runs. A hook that raises forbids the call, and says so."""
    try:
        value = yield from hooks.call(filled, *args)
    except Exception as problem:
        return Deny(f"{filled.name}.{slot} raised {describe(problem)}")
    return hooks.decide(run, filled, value, slot)


def _apply(run: Run, pending: Pending, filled: Filled, decision: HookDecision) -> None:
    told = decision.metadata.get("decided")
    if decision.is_block():
        retriable = bool(decision.metadata.get("retry"))
        _deny(run, pending, filled.name, decision.block, retriable=retriable, told=told)
        return
    if told and decision.permission == "allow":
        run.decide(pending, "allow", filled.name, told.get("reason", ""), told)
    if decision.updated_args is not None:
        pending.call.args = decision.updated_args
        run.decide(pending, "rewrite", filled.name)
    if decision.updated_result is not None and pending.result is None:
        pending.result = decision.updated_result
        run.decide(pending, "intercept", filled.name)
    if decision.additional_context:
        run.notes.append(decision.additional_context)


def _deny(
    run: Run,
    pending: Pending,
    by: str,
    reason: str | None,
    *,
    retriable: bool = False,
    told: dict[str, Any] | None = None,
) -> None:
    already = pending.result is not None and pending.result.error_kind is ErrorKind.PERMISSION_DENIED
    text = reason or f"Permission denied for tool '{pending.call.tool}'"
    if not already or reason != PLAIN_NO:  # a bare no after a denial with its reason is no news
        run.decide(pending, "deny", by, text, told)
    if not already:
        pending.result = failed(pending.call, text, ErrorKind.PERMISSION_DENIED)
        if retriable and pending.result.error_detail is not None:
            pending.result.error_detail.retriable = True


# ------------------------------------------------------------------ the tool


def _body(run: Run, pending: Pending) -> RunTool:
    """What starts the tool of a call, told to the observers."""
    plan, call = run.plan, pending.call
    for hear in plan.observers.tool_started:
        hear(pending.number, call)
    pending.ran = True
    context = plan.tool_context(run, call, pending.number) if plan.tool_context is not None else None
    return RunTool(call, context, run)


def _dispatch_together(run: Run, batch: Sequence[Pending]) -> Script:
    plan = run.plan
    journal, make = plan.journal, plan.tool_context
    for pending in batch:
        if journal is not None:
            yield Save(partial(journal.starting, run, pending))
        for hear in plan.observers.tool_started:
            hear(pending.number, pending.call)
        pending.ran = True
    contexts = [make(run, p.call, p.number) if make is not None else None for p in batch]
    results = yield RunTools([p.call for p in batch], contexts, run)
    while run.loose:
        yield Resolve(run.loose.pop(0))
    for pending, result in zip(batch, results, strict=True):
        pending.result = result
        if journal is not None:
            yield Save(partial(journal.finished, run, pending))


# ------------------------------------------------------------------ after the tool


def _settle(run: Run, pending: Pending) -> Script:
    """Let hooks see a result, make the step, save it, hand it out."""
    problem: Exception | None = None
    if run.plan.slots.after_tool:
        try:
            yield from _after(run, pending)
        except Exception as raised:
            # What ran has happened: the step is kept and shown before the hook's exception leaves.
            problem = raised
    when = clock.now()
    step, untold = recorded(run, pending, when)
    problem = problem or untold
    run.pending.pop(0)
    yield from hand_out(run, pending, step, when)
    if problem is not None:
        raise problem


def _count_query(run: Run) -> None:
    try:
        run.state.queries_used += 1
    except AttributeError:
        return  # A frozen state counts for itself.


def _after(run: Run, pending: Pending) -> Script:
    result = pending.result
    for filled in run.plan.slots.post_dispatch:
        value = yield from hooks.call(
            filled, run.state, run.session_log, pending.call, pending.result, pending.number
        )
        decision = hooks.decide(run, filled, value, "post_dispatch")
        if decision is not None:
            _take(run, pending, filled, decision)
    failed_ = pending.result is not None and bool(pending.result.error)
    event = LifecycleEvent.POST_TOOL_FAILURE if failed_ else LifecycleEvent.POST_TOOL_USE
    decided = yield from hooks.emit(
        run, event, step_num=pending.number, tool_call=pending.call, tool_result=pending.result
    )
    for filled, decision in decided:
        _take(run, pending, filled, decision)
    if pending.result is not result and pending.result is not None and pending.result.call_id is None:
        pending.result.call_id = pending.call.call_id


def _take(run: Run, pending: Pending, filled: Filled, decision: HookDecision) -> None:
    if decision.updated_result is not None:
        pending.result = decision.updated_result
        run.decide(pending, "replace", filled.name)
    hooks.take_notes(run, [(filled, decision)])


def hand_out(run: Run, pending: Pending, step: Step, when: float) -> Script:
    """Make a step durable, then give it to the consumer; one that cannot be saved is shown all the same."""
    journal = run.plan.journal
    problem: Exception | None = None
    if journal is not None:
        try:
            yield Save(partial(journal.stepped, run, pending, step, when))
        except Exception as raised:
            problem = raised
    yield step
    if problem is not None:
        raise problem


def stop_if_cancelled(run: Run) -> bool:
    """End the run if its token is set or its time is up; whether it ended."""
    plan = run.plan
    if plan.cancel_token is None and plan.deadline_s is None:
        return bool(run.stop_reason)
    left = run.seconds_left()
    if cancelled(run):
        run.stop_reason = "cancelled"
    elif left is not None and left <= 0:
        run.stop_reason = "deadline"
    return bool(run.stop_reason)
