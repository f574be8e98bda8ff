"""The loop itself: one generator that decides, for the synchronous and the asynchronous driver alike.

It yields needs (`looplet.engine.needs`) and is sent what came of them. It does no I/O, so it can be tested by
feeding it replies by hand.
"""

from __future__ import annotations

from looplet.engine import act, ask, compose, finish, hooks, record
from looplet.engine.hooks import Script
from looplet.engine.needs import Leave
from looplet.engine.run import Reply, Run
from looplet.errors import ModelError
from looplet.events import LifecycleEvent


def script(run: Run) -> Script:
    """A whole run: yields needs, returns the trace.

    However it ends, it ends through `finish.ended`: a reason to stop, an exception anywhere, or `Leave`
    from a driver whose consumer is gone. The exception leaves after that.
    """
    error: BaseException | None = None
    plan = run.plan
    try:
        yield from _begin(run)
        while not run.stop_reason:
            # A resumed run may be in the middle of a batch.
            if not run.pending and run.done_call is None and _may_ask(run):
                if plan.slots.should_compact:
                    yield from _compact(run)
                brief = (yield from compose.briefing(run)) if run.notes or plan.briefed else ""
                reply = yield from ask.ask(run, brief)
                if not _calls_planned(run, reply):
                    yield from _without_calls(run, reply)
            if run.pending or run.done_call is not None:
                yield from act.act(run)
                if run.done_call is not None or run.stop_request is not None or plan.slots.should_stop:
                    yield from _close(run)
    except Leave:
        run.stop_reason = run.stop_reason or "stopped_by_caller"
    except GeneratorExit:
        raise  # The driver is gone too: nobody is left to do what the end would need.
    except BaseException as problem:
        run.stop_reason = run.stop_reason or "error"
        error = problem
    return (yield from finish.ended(run, error))


def _begin(run: Run) -> Script:
    plan = run.plan
    for hear in plan.observers.run_started:
        hear(plan.task, run_id=plan.session_id)
    record.task(run)
    for filled in plan.slots.pre_loop:
        value = yield from hooks.call(filled, run.state, run.session_log, plan.context)
        hooks.decide(run, filled, value, "pre_loop")
    yield from hooks.emit(run, LifecycleEvent.SESSION_START, step_num=0)


def _may_ask(run: Run) -> bool:
    """Whether the run goes on with a question to the model; counts the step that it will decide."""
    plan = run.plan
    if (plan.cancel_token is not None or plan.deadline_s is not None) and act.stop_if_cancelled(run):
        return False
    if run.steps_left() <= 0:
        run.stop_reason = "budget_exhausted"
        return False
    run.first_step = run.next_number()
    run.new_entities = 0
    return True


def _calls_planned(run: Run, reply: Reply | ModelError | None) -> bool:
    """Whether *reply* is done with: its calls are planned, or a hook stopped the run."""
    run.rejection = ""
    if run.stop_request is not None and _stop_requested(run):
        return True
    if not isinstance(reply, Reply) or not reply.calls:
        return False
    run.parse_failures = 0
    run.answer_asked = False
    act.plan_calls(run, reply)
    return True


def _without_calls(run: Run, reply: Reply | ModelError) -> Script:
    """What follows a reply without calls: a step that says why, an answer, or a reply that can be read."""
    if isinstance(reply, ModelError):
        yield from finish.model_failed(run, reply)
    elif reply.request.method == "chat":
        yield from finish.answer_in_text(run, reply)
    else:
        mended = yield from _mended(run, reply)
        if mended is not None and not _stop_requested(run):
            act.plan_calls(run, mended)


def _mended(run: Run, reply: Reply) -> Script:
    """A readable reply in place of one that was not, or None after the step that says so."""
    problem = None
    advise = run.plan.on_parse_failure
    if advise is not None:
        advice = advise(run.first_step, reply.chat.text)
        if advice is not None:
            kind, message = advice
            if message:
                run.notes.append(message)
            if kind == "abort":
                problem = f"Parse error — recovery aborted: {message}"
    again = None
    if problem is None:
        again = yield from ask.recover_reading(run, reply)
    if isinstance(again, ModelError):
        yield from finish.model_failed(run, again)
        return None
    if again is None:
        yield from finish.unreadable(run, reply, problem)
    return again


def _close(run: Run) -> Script:
    """What comes after the steps of one reply: its done call, and whether to go on."""
    if run.done_call is not None:
        if act.stop_if_cancelled(run):
            run.done_call = None
            return
        yield from finish.done(run, run.done_call)
    if _stop_requested(run):
        return
    for filled in run.plan.slots.should_stop:
        value = yield from hooks.call(filled, run.state, run.first_step, run.new_entities)
        decision = hooks.decide(run, filled, value, "should_stop")
        if decision is not None and decision.stop is not None:
            run.stop_reason = decision.stop or "hook_stop"
            return


def _stop_requested(run: Run) -> bool:
    if run.stop_request is not None and not run.stop_reason:
        run.stop_reason = run.stop_request
    return bool(run.stop_reason)


def _compact(run: Run) -> Script:
    for filled in run.plan.slots.should_compact:
        wanted = yield from hooks.call(filled, run.state, run.session_log, run.conversation, run.first_step)
        if wanted:
            break
    else:
        return
    compact = run.plan.proactive_compact
    if compact is not None:
        yield from ask.shorten(run, compact)
