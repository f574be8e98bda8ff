"""Asking the model: attempts and their pauses, a prompt that is too long, a reply that cannot be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

from looplet import clock
from looplet.engine import compose, hooks, record
from looplet.engine.hooks import Script
from looplet.engine.needs import Ask, Compact, Save, Wait
from looplet.engine.observe import Decision, ModelCall, Request
from looplet.engine.run import Reply, Run
from looplet.engine.thread import with_trailing
from looplet.errors import ModelError
from looplet.events import LifecycleEvent
from looplet.parse import contract_call, parse_multi_tool_calls
from looplet.prompts import build_parse_recovery_prompt
from looplet.types import ChatReply, ErrorKind, ToolCall, Usage, capabilities_of

RETRIES = 2
"""Attempts after the first, for a backend that does not retry by itself."""

BACKOFF_S = 1.0
"""Seconds before the first retry; doubled for each further one, plus up to a quarter at random."""

LONGEST_WAIT_S = 60.0
"""A provider that asks for a longer pause than this is not waited for."""

PARSE_RECOVERIES = 2
"""Consecutive unreadable replies that each get one more question before they cost a step."""

CONTINUE = "Your reply was cut off. Continue exactly where it stopped; do not repeat anything."

PARSE_ERROR = "__parse_error__"
"""The tool of a step that no tool of the registry could be asked for."""

PARTIAL_HEADER = "Your reply so far:"


def ask(run: Run, brief: str) -> Script:
    """One turn of the model.

    Gives a `Reply`, a `ModelError` when there is none for good, or None when a hook stopped the run.
    """
    if run.plan.select_model is not None:
        run.llm, wire = run.plan.select_model()
        if wire != run.wire:
            run.wire = wire
            record.refresh(run)
    # Most runs have no hook here: what may wait for one is entered only when there is one.
    plan = run.plan
    if plan.slots.build_prompt:
        request = yield from compose.request(run, brief)
    else:
        request = compose.own_request(run, brief)
    if plan.observers.step_started or plan.slots.on_event:
        yield from _before(run, request)
        if run.stop_request is not None:
            return None
    answer = None
    if plan.overflow and (run.wire != "text" or len(request.prompt) > plan.max_prompt_tokens):
        answer = _too_long(run, request)
    if answer is None:
        need = _question(run, request)
        answer = (yield need) if run.at_once is None else run.at_once[Ask](need)
        if not isinstance(answer, ChatReply) or answer.usage is not None or plan.observers.after_model:
            answer = yield from _taken(run, need.request, answer)
    if not isinstance(answer, ChatReply):
        answer, request = yield from _ask_shrinking(run, request, brief, answer)
    if isinstance(answer, ChatReply):
        if answer.stop_reason == "max_tokens":
            answer = yield from _continued(run, request, answer)
        reply = read(run, request, answer)
        record.model_turn(run, reply)
        raw = reply.raw
    else:
        reply, raw = answer, None
    if plan.slots.on_event:
        event = LifecycleEvent.POST_LLM_RESPONSE
        decided = yield from hooks.emit(
            run, event, step_num=run.first_step, prompt=request.prompt, raw_response=raw
        )
        hooks.take_notes(run, decided)
    return reply


def _before(run: Run, request: Request) -> Script:
    for hear in run.plan.observers.step_started:
        hear(run.first_step)
    if run.plan.slots.on_event:
        event = LifecycleEvent.PRE_LLM_CALL
        decided = yield from hooks.emit(run, event, step_num=run.first_step, prompt=request.prompt)
        hooks.take_notes(run, decided)


def _ask_shrinking(run: Run, request: Request, brief: str, answer: ModelError) -> Script:
    """Ask again after *answer*; while the prompt is too long, make it shorter by the next means."""
    if _refuses_tools(run, answer):
        _fall_back_to_text(run, answer)
        request = yield from compose.request(run, brief)
        answer = yield from call(run, request)
    for name, shrink in run.plan.overflow:
        if not isinstance(answer, ModelError) or answer.kind is not ErrorKind.CONTEXT_OVERFLOW:
            break
        yield from shorten(run, shrink)
        request = yield from compose.request(run, brief)
        answer = yield from call(run, request)
        for hear in run.plan.observers.recovered:
            hear(name, isinstance(answer, ChatReply))
    return answer, request


def shorten(run: Run, work: Callable[[Run], object]) -> Script:
    """Let *work* make the history shorter, and everything that was rendered or saved of it follow."""
    yield Compact(partial(work, run))
    record.refresh(run)
    if run.plan.journal is not None:
        yield Save(partial(run.plan.journal.compacted, run))


def _too_long(run: Run, request: Request) -> ModelError | None:
    """What a provider would say to a prompt that is clearly too long, without asking it."""
    limit = run.plan.max_prompt_tokens
    size = _estimate(run, request)
    if size <= limit:
        return None
    return ModelError(f"the prompt is about {size} tokens; {limit} fit", kind=ErrorKind.CONTEXT_OVERFLOW)


def _estimate(run: Run, request: Request) -> int:
    # What the provider counted last time plus what is new beats any estimate of the whole.
    if request.method == "chat" and run.last_input_tokens is not None:
        return run.last_input_tokens + len(request.prompt) // 4
    if request.method == "chat":
        return run.conversation.token_estimate + len(request.system_prompt) // 4
    return len(request.prompt) // 4


def _refuses_tools(run: Run, answer: ModelError) -> bool:
    if run.wire == "text" or answer.status != 400:
        return False
    if answer.kind is ErrorKind.CONTEXT_OVERFLOW:
        return False
    text = str(answer)
    # A complaint about one of them (`tools[0].function.name`) is about a schema, not about tools as such.
    return "tool_choice" in text or ("tools" in text and "tools[" not in text and "tools." not in text)


def _fall_back_to_text(run: Run, problem: ModelError) -> None:
    run.wire = "text"
    warnings.warn(
        f"the provider refuses tools ({problem}); going on in the text protocol. "
        "Pass LoopConfig(use_native_tools=False) to start with it.",
        UserWarning,
        stacklevel=2,
    )


def call(run: Run, request: Request) -> Script:
    """Send one request until it is answered or cannot be; gives `ChatReply` or `ModelError`."""
    need = _question(run, request)
    answer = yield need
    return (yield from _taken(run, need.request, answer))


def _question(run: Run, request: Request) -> Ask:
    plan, observers = run.plan, run.plan.observers
    if observers.model_asked:
        able = capabilities_of(run.llm)
        request = request._replace(provider=able.provider, model=able.model)
        for hear in observers.model_asked:
            hear(run.first_step, request)
    if observers.model_called:
        run.asked_at = clock.perf()
    run.llm_calls += 1
    run.model_calls += 1
    on_chunk = _chunk_teller(run) if plan.stream_tokens and observers.model_chunk else None
    seconds = plan.llm_timeout_s if plan.deadline_s is None else timeout_of(run)
    return Ask(run.llm, request, seconds, plan.cancel_token, on_chunk)


def _taken(run: Run, request: Request, answer: ChatReply | ModelError) -> Script:
    """What comes of the first *answer*: further attempts if it is an error, and news for the observers."""
    attempts, observers = 1, run.plan.observers
    if run.unheard is not None:
        _raise_unheard(run)
    if not isinstance(answer, ChatReply):
        answer, attempts = yield from _again(run, request, answer)
    reply, error = (answer, None) if isinstance(answer, ChatReply) else (None, answer)
    if reply is not None and reply.usage is not None:
        run.usage = run.usage + reply.usage
        run.last_input_tokens = reply.usage.input_tokens
    if observers.model_called:
        if reply is not None:
            _name_calls(reply)
        told = ModelCall(
            number=run.model_calls,
            step=run.first_step,
            request=request,
            reply=reply,
            error=error,
            duration_ms=(clock.perf() - run.asked_at) * 1000,
            attempts=attempts if reply is None else attempts + reply.attempts - 1,
        )
        for hear in observers.model_called:
            hear(told)
    if reply is not None and observers.decided and hasattr(type(run.llm), "last_fallback"):
        _tell_fallback(run, run.llm.last_fallback)
    return answer


def _tell_fallback(run: Run, why: str) -> None:
    """Tell that another backend answered than the one that was asked first, if one did."""
    if why:
        for hear in run.plan.observers.decided:
            hear(Decision(run.first_step, "", "", "fallback", "FallbackRouter", why))


def _again(run: Run, request: Request, answer: ChatReply | ModelError) -> Script:
    """Further attempts after the first gave an error; gives the last answer and the attempts made."""
    plan = run.plan
    attempt = 1
    while True:
        if isinstance(answer, ChatReply):
            return answer, attempt
        retries = 0 if capabilities_of(run.llm).own_retries else RETRIES
        pause = _pause(answer, attempt)
        left = run.seconds_left()
        too_late = left is not None and left < pause
        if not answer.retriable or attempt > retries or too_late or pause > LONGEST_WAIT_S or cancelled(run):
            return _final(answer, attempt), max(attempt, answer.attempts)
        yield Wait(pause, plan.cancel_token)
        if cancelled(run):
            return _final(answer, attempt), attempt
        attempt += 1
        on_chunk = _chunk_teller(run) if plan.stream_tokens and plan.observers.model_chunk else None
        answer = yield Ask(run.llm, request, timeout_of(run), plan.cancel_token, on_chunk)
        if run.unheard is not None:
            _raise_unheard(run)


def _pause(problem: ModelError, attempt: int) -> float:
    if problem.retry_after_s is not None:
        return problem.retry_after_s
    import random  # only a model that failed is waited for

    pause: float = BACKOFF_S * 2 ** (attempt - 1)
    return pause * (1 + random.random() / 4)


def _final(problem: ModelError, attempts: int) -> ModelError:
    problem.attempts = max(attempts, problem.attempts)
    return problem


def timeout_of(run: Run) -> float | None:
    """Seconds that a question put now may take, or None where only the client limits it."""
    left = run.seconds_left()
    limit = run.plan.llm_timeout_s
    if left is None:
        return limit
    return max(0.001, left if limit is None else min(limit, left))


def _chunk_teller(run: Run) -> Callable[[str], None]:
    index = 0

    def tell(text: str) -> None:
        nonlocal index
        try:
            for hear in run.plan.observers.model_chunk:
                hear(run.first_step, text, index)
        except Exception as problem:
            run.unheard = problem  # a backend would take it for a failure of its own
            raise
        index += 1

    return tell


def _raise_unheard(run: Run) -> None:
    problem, run.unheard = run.unheard, None
    if problem is not None:
        raise problem


def cancelled(run: Run) -> bool:
    """Whether the run's cancel token is set."""
    token = run.plan.cancel_token
    return token is not None and token.is_cancelled


def _continued(run: Run, request: Request, answer: ChatReply) -> Script:
    """Text that was cut at `max_tokens`, asked on for as often as the run allows."""
    used = 0
    while answer.stop_reason == "max_tokens" and used < run.plan.max_continuations and not _has_call(answer):
        used += 1
        more = yield from call(run, _continuation(request, answer.text))
        if not isinstance(more, ChatReply):
            break
        text = answer.text + more.text
        others = [b for b in more.blocks if b.get("type") != "text"]
        usage = (answer.usage or Usage()) + (more.usage or Usage())
        blocks = [{"type": "text", "text": text}, *others]
        answer = ChatReply(blocks, more.stop_reason, more.model, usage)
    return answer


def _has_call(answer: ChatReply) -> bool:
    return any(b.get("type") == "tool_use" for b in answer.blocks)


def _continuation(request: Request, partial: str) -> Request:
    if request.method != "chat":
        prompt = f"{request.prompt}\n\n{PARTIAL_HEADER}\n{partial}\n\n{CONTINUE}"
        return request._replace(method="generate", prompt=prompt, tools=(), purpose="continuation")
    turns = [{"role": "assistant", "content": [{"type": "text", "text": partial}]}] if partial else []
    messages = with_trailing([*request.messages, *turns], CONTINUE)
    return request._replace(messages=messages, prompt=CONTINUE, purpose="continuation")


def read(run: Run, request: Request, answer: ChatReply) -> Reply:
    """What a reply asks for."""
    if request.method == "generate":
        text = answer.text
        return Reply(request, text, answer, parse_multi_tool_calls(text), {})
    calls: list[ToolCall] = []
    broken: dict[str, str] = {}
    _name_calls(answer)
    for block in answer.blocks:
        if block.get("type") == "tool_use":
            one, problem = _native_call(block, cut=answer.stop_reason == "max_tokens")
            calls.append(one)
            if problem:
                broken[one.call_id] = problem
    if not calls and request.method == "chat":
        alone = contract_call(answer.text, run.plan.specs)
        calls = [alone] if alone else []
    elif not calls:
        calls = parse_multi_tool_calls(answer.text)
    return Reply(request, answer.blocks, answer, calls, broken)


def _name_calls(answer: ChatReply) -> None:
    """Give each call an id of its own; not every provider does."""
    known: set[object] = set()
    for block in answer.blocks:
        if block.get("type") == "tool_use":
            given = str(block.get("id") or "")
            block["id"] = clock.new_id() if not given or given in known else given
            known.add(block["id"])


def _native_call(block: dict[str, object], *, cut: bool) -> tuple[ToolCall, str]:
    call_id, name = str(block["id"]), block.get("name")
    args = block.get("input")
    problem = ""
    if not isinstance(name, str) or not name:
        name, problem = PARSE_ERROR, "the call names no tool; nothing was run"
    elif block.get("truncated") or (cut and not isinstance(args, dict)):
        problem = "the reply was cut off at max_tokens inside this call's arguments; it was not run"
    elif not isinstance(args, dict) or set(args) == {"_raw_arguments"}:
        problem = "the arguments are not a JSON object; the tool was not run"
    clean = {} if problem or not isinstance(args, dict) else dict(args)
    return ToolCall(name, clean, "", call_id), problem


def recover_reading(run: Run, reply: Reply) -> Script:
    """Ask once more, by the recovery prompt, for a reply that can be read.

    Gives a `Reply`, None where the second one is as unreadable, or the `ModelError` of a model that failed.
    """
    run.parse_failures += 1
    if run.parse_failures > PARSE_RECOVERIES:
        return None
    plan = run.plan
    prompt = build_parse_recovery_prompt(reply.request.prompt, reply.chat.text)
    request = reply.request._replace(prompt=prompt, temperature=plan.recovery_temperature, purpose="recovery")
    answer = yield from call(run, request)
    if not isinstance(answer, ChatReply):
        # The question that was too long is not the one the run goes on with.
        return None if answer.kind is ErrorKind.CONTEXT_OVERFLOW else answer
    again = read(run, request, answer)
    for hear in plan.observers.recovered:
        hear("parse", bool(again.calls))
    return again if again.calls else None
