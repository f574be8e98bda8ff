"""What a run remembers of itself: state, session log, conversation, and the observers' news."""

from __future__ import annotations

from looplet import clock
from looplet.conversation import ContentBlock, Message, MessageRole
from looplet.engine.run import RECENT_RESULTS, Pending, Plan, Reply, Run
from looplet.engine.thread import result_text
from looplet.prompts import render_result, task_text
from looplet.types import Step

TURN_CHARS = 5_000
"""Most characters that a conversation keeps of a text prompt or reply."""

_ASSISTANT, _TOOL = MessageRole.ASSISTANT, MessageRole.TOOL


def task(run: Run, when: float | None = None) -> None:
    """Open a thread's conversation with the task, for whoever reads it later.

    Args:
        when: The time stamp, here and below: seconds since the epoch; None means now.
    """
    if run.wire == "thread" and not run.conversation.messages:
        text, when = task_text(run.plan.task), clock.now() if when is None else when
        message = Message(MessageRole.USER, text, metadata={"kind": "task"}, timestamp=when)
        run.conversation.append(message)


def model_turn(run: Run, reply: Reply, when: float | None = None) -> None:
    """Add one question and its answer to the conversation."""
    request = reply.request
    if when is None:
        when = clock.now()
    if request.method == "chat":
        blocks = [ContentBlock(block["type"], block) for block in reply.chat.blocks]
        run.conversation.append(Message(_ASSISTANT, blocks, timestamp=when))
    else:
        said = reply.raw if isinstance(reply.raw, str) else str(reply.raw)
        run.conversation.note_turn(when, request.prompt[:TURN_CHARS], said[:TURN_CHARS])
    if run.plan.journal is not None:
        run.plan.journal.turned(run, reply.chat, when)


def step(run: Run, pending: Pending, when: float) -> Step:
    """Make the step of a finished call and add it to everything that keeps steps."""
    call, result = pending.call, pending.result
    assert result is not None
    taken = Step(pending.number, call, result)
    plan = run.plan
    findings = highlights = entities = problem = None
    if plan.extract_step_metadata is not None and _is_regular(call.tool, plan):
        try:
            findings, highlights = plan.extract_step_metadata(run.state, run.state.step_count)
        except Exception as raised:  # what ran has happened, and is kept
            problem = raised
    run.state.steps.append(taken)
    if pending.free:
        run.free_used += 1
    theory = call.args.get("__theory__", "") if call.args else ""
    if plan.extract_entities is not None and result.data is not None and _is_regular(call.tool, plan):
        try:
            entities = list(plan.extract_entities(result.data))
            run.new_entities += len(run.session_log.unknown(entities))
        except Exception as raised:
            entities, problem = None, raised
    run.session_log.record(
        taken.number,
        theory if isinstance(theory, str) else "",
        call.tool,
        call.reasoning,
        entities,
        findings,
        highlights,
        result.result_key or "",
    )
    if run.wire == "thread":
        # The assistant's own blocks hold the call already; the text is what the model reads of the result.
        run.conversation.append(Message(_TOOL, result_text(result), tool_result=result, timestamp=when))
    else:
        run.recent.append(render_result(taken))
        run.conversation.note_step(when, call, result)
    for hear in plan.observers.step_taken:
        hear(taken)
    if problem is not None:
        raise problem
    return taken


def _is_regular(tool: str, plan: Plan) -> bool:
    """Whether a step is of a tool: neither the end of the run nor a failure of the model."""
    return tool != plan.done_tool and not tool.startswith("__")


def say(run: Run, text: str, when: float | None = None) -> None:
    """Tell the model something that is no tool result, in a thread."""
    if run.wire == "thread":
        when = clock.now() if when is None else when
        run.conversation.append(Message(MessageRole.USER, text, timestamp=when))
        if run.plan.journal is not None:
            run.plan.journal.said(text, when)


def refresh(run: Run) -> None:
    """Make the texts that were rendered once follow a history that was shortened."""
    if run.wire != "thread":
        run.recent.clear()
        run.recent.extend(render_result(s) for s in run.state.steps[-RECENT_RESULTS:])
    run.last_input_tokens = None
