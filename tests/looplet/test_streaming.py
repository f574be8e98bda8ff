"""Streaming: event classes, emitters, the hook, and the observer behind `stream`."""

from __future__ import annotations

import asyncio
import queue
from types import SimpleNamespace

import pytest

from looplet import streaming
from looplet.clock import fixed_clock
from looplet.engine.observe import Decision, ModelCall, Request
from looplet.streaming import (
    CallbackEmitter,
    CompositeEmitter,
    Event,
    EventEmitter,
    LoopEndEvent,
    LoopStartEvent,
    QueueEmitter,
    StepStartEvent,
    StreamingHook,
    StreamObserver,
)
from looplet.types import ChatReply, DefaultState, Step, ToolCall, ToolResult

EVENTS = [
    v for v in vars(streaming).values() if isinstance(v, type) and issubclass(v, Event) and v is not Event
]
CALL = ToolCall("grep", {"q": "x" * 300})
FAILED = ToolResult("grep", "q='x'", None, error="no", duration_ms=2.0)


def told(event: Event) -> str:
    fields = {k: v for k, v in vars(event).items() if k not in ("event_type", "timestamp")}
    return f"{event.event_type}({', '.join(f'{k}={str(v)[:20]}' for k, v in fields.items())})"


@pytest.fixture
def seen():
    return []


@pytest.mark.parametrize("kind", EVENTS, ids=lambda k: k.__name__)
def test_an_event_knows_its_name_and_time_and_needs_nothing(kind):
    with fixed_clock(7.0):
        event = kind()
    assert (event.event_type, event.timestamp) == (kind.__name__, 7.0)
    assert kind(event_type="other").event_type == kind.__name__


def test_there_are_twelve_kinds_of_event():
    assert len(EVENTS) == 12
    assert Event("custom").event_type == "custom"


class TestEmitters:
    @pytest.mark.parametrize("make", [queue.Queue, queue.SimpleQueue, asyncio.Queue])
    def test_queue(self, make):
        q = make()
        QueueEmitter(q).emit(StepStartEvent(step_num=3))
        assert q.get_nowait().step_num == 3

    def test_a_full_queue_never_makes_the_run_wait(self):
        emitter = QueueEmitter(queue.Queue(maxsize=1))
        emitter.emit(Event())
        with pytest.raises(queue.Full):
            emitter.emit(Event())

    def test_callback_and_composite_keep_the_order(self, seen):
        emitters = [CallbackEmitter(lambda e, n=n: seen.append((n, e.step_num))) for n in (1, 2)]
        composite = CompositeEmitter(emitters)
        for number in (5, 6):
            composite.emit(StepStartEvent(step_num=number))
        assert seen == [(1, 5), (2, 5), (1, 6), (2, 6)]

    @pytest.mark.parametrize(
        "emitter", [CallbackEmitter(print), QueueEmitter(queue.Queue()), CompositeEmitter([])]
    )
    def test_all_are_emitters(self, emitter):
        assert isinstance(emitter, EventEmitter)


def test_the_hook_tells_a_run_and_decides_nothing(seen):
    hook = StreamingHook(CallbackEmitter(lambda e: seen.append(told(e))))
    state = DefaultState(max_steps=5)
    returned = [
        hook.pre_loop(state, None, None),
        hook.should_compact(state, None, None, 1),
        hook.build_briefing(state, None, None),
        hook.pre_prompt(state, None, None, 1),
        hook.build_prompt(task="x"),
        hook.pre_dispatch(state, None, CALL, 1),
        hook.check_permission(CALL, state),
        hook.post_dispatch(state, None, CALL, FAILED, 1),
        hook.check_done(state, None, None, 1),
        hook.should_stop(state, 1, 0),
        hook.on_event(None),
        hook.on_loop_end(state, None, None, None),
    ]
    assert returned == [None, False, None, None, None, None, True, None, None, False, None, 0]
    assert seen == [
        "LoopStartEvent(task_summary=, max_steps=5)",
        "StepStartEvent(step_num=1)",
        f"ToolDispatchEvent(step_num=1, tool_name=grep, args_summary={str(CALL.args)[:20]})",
        "ToolResultEvent(step_num=1, tool_name=grep, duration_ms=2.0, has_error=True)",
        "StepEndEvent(step_num=1, classification=continue, new_entities_count=0)",
        "LoopEndEvent(total_steps=0, total_llm_calls=1, reason=completed)",
    ]


def test_the_hook_reads_what_a_state_of_the_users_has():
    seen = []
    hook = StreamingHook(CallbackEmitter(seen.append))
    state = SimpleNamespace(task_summary="find it", max_steps=9, step_count=4, _stop_reason="done")
    hook.pre_loop(state, None, None)
    hook.on_loop_end(state, None, None, None)
    assert (seen[0].task_summary, seen[0].max_steps) == ("find it", 9)
    assert (seen[1].total_steps, seen[1].reason) == (4, "done")


def model_call(**fields) -> ModelCall:
    base = {"number": 1, "step": 1, "request": Request("chat"), "reply": None, "error": None}
    return ModelCall(**{**base, "duration_ms": 5.0, "attempts": 1, **fields})


def test_the_observer_tells_everything(seen):
    observer = StreamObserver(CallbackEmitter(lambda e: seen.append(told(e))), max_steps=5)
    observer.run_started({"id": "case-1"}, run_id="r")
    observer.step_started(1)
    observer.model_asked(1, Request("generate", prompt="x" * 400))
    observer.model_chunk(1, "hel", 0)
    observer.model_called(model_call(reply=ChatReply([{"type": "text", "text": "hello"}])))
    observer.decided(Decision(1, "grep", "c1", "deny", "Guard", "not here"))
    observer.tool_started(1, CALL)
    observer.step_taken(Step(1, CALL, ToolResult("grep", "", 1, duration_ms=2.0)))
    observer.recovered("truncate", True)
    observer.model_called(model_call(step=2))
    observer.step_taken(Step(2, CALL, FAILED))
    observer.run_ended("done", None)
    assert seen == [
        "LoopStartEvent(task_summary=case-1, max_steps=5)",
        "StepStartEvent(step_num=1)",
        "LLMCallStartEvent(step_num=1, prompt_tokens_est=100)",
        "LLMChunkEvent(step_num=1, chunk=hel, chunk_index=0)",
        "LLMCallEndEvent(step_num=1, response_length=5, duration_ms=5.0)",
        "HookEvent(hook_name=Guard, method=deny, message=not here)",
        f"ToolDispatchEvent(step_num=1, tool_name=grep, args_summary={str(CALL.args)[:20]})",
        "ToolResultEvent(step_num=1, tool_name=grep, duration_ms=2.0, has_error=False)",
        "StepEndEvent(step_num=1, classification=productive, new_entities_count=0)",
        "RecoveryEvent(strategy=truncate, success=True)",
        "LLMCallEndEvent(step_num=2, response_length=0, duration_ms=5.0)",
        "ToolResultEvent(step_num=2, tool_name=grep, duration_ms=2.0, has_error=True)",
        "StepEndEvent(step_num=2, classification=error, new_entities_count=0)",
        "LoopEndEvent(total_steps=2, total_llm_calls=2, reason=done)",
    ]


@pytest.mark.parametrize(("ends", "kinds"), [(True, [LoopStartEvent, LoopEndEvent]), (False, [])])
def test_the_ends_are_told_once_when_a_hook_tells_them_too(ends, kinds):
    seen = []
    observer = StreamObserver(CallbackEmitter(seen.append), ends=ends)
    observer.run_started("a task", run_id="r")
    observer.run_ended("done", None)
    assert [type(e) for e in seen] == kinds
