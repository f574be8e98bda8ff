"""What a run remembers of itself: state, session log, conversation, and the observers' news."""

from __future__ import annotations

from typing import Any

from looplet import clock
from looplet.conversation import ContentBlock, Message, MessageRole
from looplet.engine.observe import Request
from looplet.engine.run import RECENT_RESULTS, Pending, Run
from looplet.engine.thread import result_text
from looplet.prompts import render_result, task_text
from looplet.types import ChatReply, Step

TURN_CHARS = 5_000
"""Most characters that a conversation keeps of a text prompt or reply."""

_USER, _ASSISTANT, _TOOL = MessageRole.USER, MessageRole.ASSISTANT, MessageRole.TOOL


def task(run: Run, when: float | None = None) -> None:
    """Open a thread's conversation with the task, for whoever reads it later.

    Args:
        when: The time stamp, here and below: seconds since the epoch; None means now.
    """
    if run.wire == "thread" and not run.conversation.messages:
        text, when = task_text(run.plan.task), clock.now() if when is None else when
        message = Message(MessageRole.USER, text, metadata={"kind": "task"}, timestamp=when)
        run.conversation.append(message)


def model_turn(run: Run, request: Request, answer: ChatReply, when: float | None = None) -> None:
    """Add one question and its answer to the conversation."""
    if when is None:
        when = clock.now()
    if request.method == "chat":
        blocks = [ContentBlock(block["type"], block) for block in answer.blocks]
        run.conversation.append(Message(_ASSISTANT, blocks, timestamp=when))
    else:
        prompt, reply = request.prompt[:TURN_CHARS], _reply_text(request, answer)[:TURN_CHARS]
        run.conversation.note(when, (_USER, prompt, None, None), (_ASSISTANT, reply, None, None))
    if run.plan.journal is not None:
        run.plan.journal.turned(run, answer, when)


def _reply_text(request: Request, answer: ChatReply) -> str:
    return answer.text if request.method == "generate" else str(answer.blocks)


def step(run: Run, pending: Pending, when: float) -> Step:
    """Make the step of a finished call and add it to everything that keeps steps."""
    call, result = pending.call, pending.result
    assert result is not None
    taken = Step(pending.number, call, result)
    findings, highlights = _metadata(run)
    run.state.steps.append(taken)
    if pending.free:
        run.free_used += 1
    if run.wire != "thread":
        run.recent.append(render_result(taken))
    theory = call.args.get("__theory__", "")
    entities = _entities(run, result.data)
    run.session_log.record(
        taken.number,
        theory if isinstance(theory, str) else "",
        call.tool,
        call.reasoning,
        entities=entities,
        findings=findings,
        highlights=highlights,
        recall_key=result.result_key or "",
    )
    _to_conversation(run, taken, when)
    for hear in run.plan.observers.step_taken:
        hear(taken)
    return taken


def _metadata(run: Run) -> tuple[list[str] | None, list[str] | None]:
    extract = run.plan.extract_step_metadata
    return extract(run.state, run.state.step_count) if extract is not None else (None, None)


def _entities(run: Run, data: Any) -> list[str] | None:
    if run.plan.extract_entities is None or data is None:
        return None
    entities = list(run.plan.extract_entities(data))
    run.new_entities += len(run.session_log.unknown(entities))
    return entities


def _to_conversation(run: Run, taken: Step, when: float) -> None:
    result = taken.tool_result
    if run.wire == "thread":
        # The assistant's own blocks hold the call already; the text is what the model reads of the result.
        run.conversation.append(Message(_TOOL, result_text(result), tool_result=result, timestamp=when))
    else:
        run.conversation.note(when, (_ASSISTANT, "", taken.tool_call, None), (_TOOL, "", None, result))


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
