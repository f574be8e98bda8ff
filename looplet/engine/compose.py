"""What goes to the model: the texts that hooks and settings add, and the request made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looplet.engine import hooks
from looplet.engine.hooks import Script
from looplet.engine.observe import Method, Purpose, Request
from looplet.engine.run import RECENT_RESULTS, Run
from looplet.engine.thread import Thread, with_trailing
from looplet.prompts import (
    ACTION_PROMPT,
    NATIVE_ACTION_PROMPT,
    build_plain_prompt,
    build_prompt,
    prompt_head,
    task_text,
)
from looplet.session import SessionLog
from looplet.types import DefaultState

LOW_BUDGET = 3
"""Steps left from which a thread is told that its budget is nearly used up."""

TRUNCATED = "(briefing truncated — token budget exceeded)"

_DEFAULT_SUMMARY = DefaultState.context_summary


def briefing(run: Run) -> Script:
    """The briefing and what hooks want to say before this step, joined; empties the notes."""
    plan, slots = run.plan, run.plan.slots
    text = None
    if slots.build_briefing:
        text = yield from hooks.first_text(
            run, slots.build_briefing, run.state, run.session_log, plan.context
        )
    if text is None and plan.build_briefing is not None:
        text = plan.build_briefing(run.state, run.session_log, plan.context)
    parts = [text] if text else []
    if slots.pre_prompt:
        parts += yield from _pre_prompts(run, len(text or ""))
    if run.notes:
        parts += run.notes
        run.notes = []
    return "\n".join(parts)


def _pre_prompts(run: Run, used: int) -> Script:
    plan = run.plan
    limit = None if plan.max_briefing_tokens is None else plan.max_briefing_tokens * 4
    texts: list[str] = []
    for filled in plan.slots.pre_prompt:
        value = yield from hooks.call(filled, run.state, run.session_log, plan.context, run.first_step)
        decision = hooks.decide(run, filled, value, "pre_prompt")
        if decision is None or not decision.additional_context:
            continue
        used += len(decision.additional_context)
        if limit is not None and used > limit:
            texts.append(TRUNCATED)
            break
        texts.append(decision.additional_context)
    return texts


def request(run: Run, brief: str, purpose: Purpose = "step") -> Script:
    """The request for this step, in the protocol of the run; the first hook with a prompt gives it."""
    if not run.plan.slots.build_prompt:
        return own_request(run, brief, purpose)
    fields = _prompt_fields(run, brief)
    prompt = yield from hooks.first_text(run, run.plan.slots.build_prompt, **fields)
    if prompt is None:
        return own_request(run, brief, purpose)
    if run.wire == "thread":
        return _prompt_request(run, prompt, "text", purpose)
    return _prompt_request(run, _rendered(run, prompt), run.wire, purpose)


def own_request(run: Run, brief: str, purpose: Purpose = "step") -> Request:
    """The request for this step where no hook builds the prompt."""
    if run.wire == "thread":
        return _thread_request(run, brief, purpose)
    plan = run.plan
    if plan.build_prompt is not None:
        prompt = plan.build_prompt(**_prompt_fields(run, brief))
    else:
        prompt = _default_prompt(run, brief)
    if plan.render_messages is not None:
        prompt = _rendered(run, prompt)
    return _prompt_request(run, prompt, run.wire, purpose)


def _default_prompt(run: Run, brief: str) -> str:
    plan, state, log = run.plan, run.state, run.session_log
    action_prompt = NATIVE_ACTION_PROMPT if run.wire == "native" else ACTION_PROMPT
    if type(state) is not DefaultState or type(log) is not SessionLog or state.metadata or plan.memory:
        return build_prompt(**_prompt_fields(run, brief), action_prompt=action_prompt)
    return build_plain_prompt(
        _head(run, plan.tools.tool_catalog_text()),
        log.recent_lines(),
        brief,
        _recent_lines(run),
        run.first_step,
        state.max_steps,
        run.steps_left(),
        action_prompt,
    )


def _head(run: Run, catalog: str) -> str:
    """The head of the prompt; remembered where it can be seen whether the task is still the same."""
    task, told = run.plan.task, run.told_head
    if told is not None and told[0] == task and told[1] == catalog:
        return told[2]
    head = prompt_head(task_text(task), catalog)
    if type(task) is dict and all(type(value) is str for value in task.values()):
        run.told_head = task.copy(), catalog, head
    return head


def _facts(run: Run) -> dict[str, Any]:
    facts = run.state.snapshot()
    if isinstance(run.state, DefaultState):
        facts["budget_remaining"] = run.steps_left()
    return facts


def _rendered(run: Run, prompt: str) -> str:
    render = run.plan.render_messages
    if render is None:
        return prompt
    messages = list(run.conversation.messages)
    return render(messages=messages, default_prompt=prompt, step_num=run.first_step)


def _prompt_fields(run: Run, brief: str) -> dict[str, Any]:
    plan = run.plan
    return {
        "task": plan.task,
        "tool_catalog": plan.tools.tool_catalog_text(),
        "state_summary": _facts(run),
        "context_history": _recent_results(run),
        "step_number": run.first_step,
        "max_steps": run.state.max_steps if isinstance(run.state, DefaultState) else plan.shown_max_steps,
        "session_log": run.session_log.render_recent(),
        "briefing": brief,
        "memory": plan.memory(run.state) if plan.memory else "",
    }


def _recent_results(run: Run) -> str:
    kind = type(run.state)
    # A state with a summary of its own knows better than we do what the model should see.
    if kind is DefaultState or getattr(kind, "context_summary", None) is _DEFAULT_SUMMARY:
        return "\n".join(_recent_lines(run))
    text = run.state.context_summary()
    return f"{text}\n{run.rejection}" if run.rejection else text


def _recent_lines(run: Run) -> Sequence[str]:
    lines: Sequence[str] = run.recent
    if len(lines) != min(len(run.state.steps), RECENT_RESULTS):
        lines = [run.state.context_summary()]
    return [*(lines or ("",)), run.rejection] if run.rejection else lines


def _prompt_request(run: Run, prompt: str, protocol: str, purpose: Purpose) -> Request:
    plan = run.plan
    marks = None if plan.cache_breakpoints is None else _breakpoints(run)
    if protocol == "native":
        tools = plan.tools.tool_schemas()
        method: Method = "generate_with_tools"
    else:
        tools, method = (), "generate"
    return Request(
        method, (), prompt, plan.system_prompt, tools, plan.max_tokens, plan.temperature, purpose, marks
    )


def _thread_request(run: Run, brief: str, purpose: Purpose) -> Request:
    plan = run.plan
    if run.thread is None:
        run.thread = Thread(task_text(plan.task), run.conversation)
    messages = run.thread.messages()
    kept = min(run.thread.unchanged, run.thread_sent)
    trailing = _trailing(run, brief)
    # A trailing block makes the last message one that the next request will not repeat.
    run.thread_sent = len(messages) - 1 if trailing else len(messages)
    run.thread.mark_sent()
    return Request(
        method="chat",
        messages=with_trailing(messages, trailing),
        prompt="\n\n".join(_new_texts(messages[kept:], trailing)),
        system_prompt=plan.system_prompt,
        tools=plan.tools.tool_schemas(),
        max_tokens=plan.max_tokens,
        temperature=plan.temperature,
        purpose=purpose,
        cache_breakpoints=_breakpoints(run),
        kept=kept,
        trailing=trailing,
    )


def _trailing(run: Run, brief: str) -> str:
    memory = run.plan.memory(run.state) if run.plan.memory else ""
    left = run.steps_left()
    low = f"Steps left, this one included: {left}. Finish with what you have." if left <= LOW_BUDGET else ""
    return "\n\n".join(part for part in (memory, brief, low) if part)


def _new_texts(messages: Sequence[dict[str, Any]], trailing: str) -> list[str]:
    texts = [
        str(block.get("text") or block.get("content") or "")
        for message in messages
        if message["role"] == "user"
        for block in message["content"]
    ]
    return [text for text in (*texts, trailing) if text]


def _breakpoints(run: Run) -> list[Any] | None:
    plan = run.plan
    if plan.cache_breakpoints is None:
        return None
    memory = plan.memory(run.state) if plan.memory else ""
    return plan.cache_breakpoints(run.first_step, plan.system_prompt, plan.tools.tool_catalog_text(), memory)
