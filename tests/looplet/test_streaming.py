"""Streaming: event classes, emitters, the hook, and the observer behind `stream`."""

from __future__ import annotations

import asyncio
import io
import queue
import re
from types import SimpleNamespace

import pytest

from looplet import (
    ConfigError,
    LoopConfig,
    PermissionEngine,
    PermissionHook,
    async_run_loop,
    async_run_sub_loop,
    composable_loop,
    run_loop,
    streaming,
    tool,
    tools_from,
)
from looplet.clock import fixed_clock
from looplet.engine.observe import Decision, ModelCall, Request
from looplet.streaming import (
    CallbackEmitter,
    CompositeEmitter,
    ContextPressureEvent,
    Event,
    EventEmitter,
    EventStream,
    HookEvent,
    LLMCallEndEvent,
    LLMCallStartEvent,
    LLMChunkEvent,
    LoopEndEvent,
    LoopStartEvent,
    QueueEmitter,
    RecoveryEvent,
    StepEndEvent,
    StepStartEvent,
    StreamingHook,
    StreamObserver,
    TerminalPrinter,
    ToolDispatchEvent,
    ToolResultEvent,
)
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, call, calls, chunks
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


# ------------------------------------------------------------------ whole runs


DONE = call("done", answer="ready")
SECONDS = re.compile(r"\[\d+ms\]")


@tool
def grep(q: str) -> str:
    """Search."""
    return q


def printed(script, *, color=False, hooks=(), **fields):
    out = io.StringIO()
    list(
        composable_loop(
            ScriptedChatBackend(script),
            "find x",
            tools_from([grep], include_done=True),
            hooks=list(hooks),
            config=LoopConfig(max_steps=5, **fields),
            stream=TerminalPrinter(out, color=color),
        )
    )
    return SECONDS.sub("[nms]", out.getvalue()).splitlines()


class TestTerminalPrinter:
    def test_a_line_for_each_call(self):
        assert printed([call("grep", q="x"), call("grep"), DONE]) == [
            "▶ find x, at most 5 steps",
            "#1 ✓ grep({'q': 'x'}) [nms]",
            "#2 ✗ grep({}) [nms]",
            "#3 ✓ done({'answer': 'ready'}) [nms]",
            "■ done: 3 steps, 3 model calls",
        ]

    def test_text_as_it_is_written(self):
        lines = printed([calls(call("grep", q="x"), text="Let me look."), DONE], stream_tokens=True)
        assert lines[1:3] == ["Let me look.", "#1 ✓ grep({'q': 'x'}) [nms]"]

    def test_who_denied_a_call(self):
        engine = PermissionEngine(default="allow").deny("grep", reason="not here")
        lines = printed([call("grep", q="x"), DONE], hooks=[PermissionHook(engine)])
        assert any("deny" in line and "not here" in line for line in lines)

    def test_control_characters_are_shown_and_not_obeyed(self):
        text = "\n".join(
            printed([calls(call("grep", q="\x1b[2J"), text="a\x1b]0;b"), DONE], stream_tokens=True)
        )
        assert "\x1b" not in text

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
    def test_signs_that_the_terminal_does_not_have_do_not_end_the_run(self, encoding):
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        tools = tools_from([grep], include_done=True)
        llm = ScriptedChatBackend([call("grep", q="→ \ud800"), DONE])
        assert run_loop(llm, "über → \ud800", tools, stream=TerminalPrinter(file)).stop_reason == "done"
        file.seek(0)
        assert "grep" in file.read()

    def test_colors_only_on_a_terminal_or_on_request(self, monkeypatch):
        assert "\x1b[32m✓" in printed([call("grep", q="x"), DONE], color=True)[1]
        assert not any("\x1b" in line for line in printed([DONE], color=None))

    def test_what_else_is_for_people(self):
        out = io.StringIO()
        printer = TerminalPrinter(out)
        for event in (
            RecoveryEvent(strategy="truncate", success=True),
            RecoveryEvent(strategy="truncate"),
            ContextPressureEvent(level="warning", percent_used=81.2),
            StepStartEvent(step_num=1),
        ):
            printer.emit(event)
        assert out.getvalue().split("\n") == [
            "  truncate: mended",
            "  truncate: not mended",
            "  context warning: 81% used",
            "",
        ]


def test_every_kind_of_news_once_and_in_order():
    events = []
    engine = PermissionEngine(default="allow").deny("grep", reason="not here")
    llm = ScriptedChatBackend([call("grep", q="x"), calls(call("done", answer="ready"), text="Well.")])
    tools, config = tools_from([grep], include_done=True), LoopConfig(stream_tokens=True)
    hooks, emitter = [PermissionHook(engine)], CallbackEmitter(events.append)
    list(composable_loop(llm, "t", tools, hooks=hooks, config=config, stream=emitter))
    assert [type(event) for event in events] == [
        LoopStartEvent,
        *[StepStartEvent, LLMCallStartEvent, LLMCallEndEvent],
        *[HookEvent, ToolResultEvent, StepEndEvent],
        *[StepStartEvent, LLMCallStartEvent, LLMChunkEvent, LLMCallEndEvent],
        *[HookEvent, ToolDispatchEvent, ToolResultEvent, StepEndEvent],
        LoopEndEvent,
    ]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_LB_08_a_screen_that_is_gone_amid_a_reply_is_no_failure_of_the_model(mode, seen):
    def emit(event):
        seen.append(event)
        if isinstance(event, LLMChunkEvent):
            raise ConnectionResetError("the screen is gone")  # which a model would be asked again for

    options = {"stream": CallbackEmitter(emit), "config": LoopConfig(stream_tokens=True)}
    backend, run = ScriptedChatBackend, run_loop
    if mode == "async":
        backend, run = AsyncScriptedChatBackend, lambda *a, **k: asyncio.run(async_run_loop(*a, **k))
    llm = backend([chunks("Hel", "lo")] * 3)
    with pytest.raises(ConnectionResetError, match="the screen is gone"):
        run(llm, "t", [grep], **options)
    assert len(llm.requests) == 1
    assert seen[-1].reason == "error"


class TestEventStream:
    def test_the_events_of_a_run_as_they_come(self):
        async def follow():
            events, heard = EventStream(), []
            llm = AsyncScriptedChatBackend([call("grep", q="x"), DONE])
            tools = tools_from([grep], include_done=True)
            async with asyncio.TaskGroup() as group:
                run = group.create_task(async_run_loop(llm, "t", tools, stream=events))
                async for event in events:
                    heard.append((event.event_type, run.done()))
            return heard

        heard = asyncio.run(follow())
        assert [name for name, _ in heard][0 :: len(heard) - 1] == ["LoopStartEvent", "LoopEndEvent"]
        assert [name for name, _ in heard].count("ToolResultEvent") == 2
        assert not heard[1][1]  # while it runs, not afterwards

    def test_events_of_a_sync_run_on_a_thread(self):
        async def follow():
            events = EventStream()
            tools = tools_from([grep], include_done=True)
            llm = ScriptedChatBackend([call("grep", q="x"), DONE])
            run = asyncio.create_task(asyncio.to_thread(run_loop, llm, "t", tools, stream=events))
            heard = [event.event_type async for event in events]
            await run
            return heard

        assert asyncio.run(follow())[-1] == "LoopEndEvent"

    def test_a_sub_agent_that_tells_the_same_stream_does_not_end_it(self):
        async def follow():
            events = EventStream()
            hook = StreamingHook(events)

            @tool
            async def delegate() -> dict:
                """Delegate."""
                found = await async_run_sub_loop(AsyncScriptedChatBackend([DONE]), "s", [grep], hooks=[hook])
                await asyncio.sleep(0.01)  # the consumer takes all there is
                return found

            llm = AsyncScriptedChatBackend([call("delegate"), call("grep", q="x"), DONE])
            run = asyncio.create_task(async_run_loop(llm, "t", [delegate, grep], hooks=[hook]))
            heard = [event.event_type async for event in events]
            await run
            return heard

        heard = asyncio.run(follow())
        assert heard.count("LoopStartEvent") == heard.count("LoopEndEvent") == 2
        assert heard[-1] == "LoopEndEvent"

    def test_a_run_that_never_begins_ends_the_iteration(self):
        async def follow():
            events = EventStream()
            events.emit(StepStartEvent(step_num=1))
            events.close()
            return [event.event_type async for event in events]

        assert asyncio.run(follow()) == ["StepStartEvent"]

    def test_a_run_that_dies_ends_it_too(self):
        async def follow():
            events = EventStream()
            async with asyncio.TaskGroup() as group:
                group.create_task(async_run_loop(AsyncScriptedChatBackend([]), "t", [grep, 5], stream=events))
                async for _ in events:
                    pass

        with pytest.raises(ExceptionGroup) as caught:
            asyncio.run(follow())
        assert caught.value.subgroup(ConfigError)
