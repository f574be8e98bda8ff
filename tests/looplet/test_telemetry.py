"""Telemetry: spans as trees with true times, and counts."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from looplet import (
    LoopConfig,
    MetricsCollector,
    MetricsHook,
    PermissionEngine,
    PermissionHook,
    ToolCall,
    ToolResult,
    Tracer,
    TracingHook,
    async_composable_loop,
    composable_loop,
    tool,
    tools_from,
)
from looplet.clock import fixed_clock
from looplet.telemetry import Span
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, bad_request, call, calls

DONE = call("done", answer="ready")


def traced(script, tools, **fields):
    tracer = Tracer()
    hooks = [*fields.pop("hooks", ()), TracingHook(tracer)]
    config = LoopConfig(tracer=tracer, **fields)
    llm = ScriptedChatBackend(script)
    for _ in composable_loop(llm, "task", tools_from(tools, include_done=True), hooks=hooks, config=config):
        pass
    return tracer


def names(span):
    return [child.name for child in span.children]


class TestTracer:
    def test_spans_nest(self):
        tracer = Tracer()
        outer = tracer.start_span("outer", attributes={"a": 1})
        inner = tracer.start_span("inner")
        assert tracer.current_span is inner
        tracer.end_span(inner, status="error", attributes={"b": 2})
        assert tracer.current_span is outer
        tracer.end_span(outer)
        assert (tracer.current_span, tracer.root_spans, outer.children) == (None, [outer], [inner])
        assert (inner.parent_id, inner.status, inner.attributes) == (outer.span_id, "error", {"b": 2})
        assert len(inner.span_id) == 12

    def test_the_order_of_ends_does_not_matter(self):
        tracer = Tracer()
        outer, inner = tracer.start_span("outer"), tracer.start_span("inner")
        tracer.end_span(outer)
        assert tracer.current_span is inner
        tracer.end_span(inner)
        assert tracer.current_span is None

    def test_a_closed_span_stays_as_it_is(self):
        with fixed_clock(tick_s=1.0):
            tracer = Tracer()
            span = tracer.start_span("one")
            assert span.duration_ms is None
            tracer.end_span(span)
            tracer.end_span(span, status="error")
        assert (span.duration_ms, span.status) == (1000.0, "ok")

    def test_threads_do_not_see_each_others_spans(self):
        tracer = Tracer()
        mine = tracer.start_span("mine")
        thread = threading.Thread(target=lambda: tracer.start_span("theirs"))
        thread.start()
        thread.join()
        assert [span.name for span in tracer.root_spans] == ["mine", "theirs"]
        assert tracer.current_span is mine

    def test_two_tracers_do_not_mix(self):
        one, other = Tracer(), Tracer()
        span = one.start_span("one")
        other.start_span("other")
        assert one.current_span is span
        assert [s.name for s in one.root_spans] == ["one"]


class TestTracingHook:
    def test_a_run_is_one_tree(self):
        @tool
        def look(q: str) -> str:
            """Look."""
            return q

        (root,) = traced([call("look", q="x"), DONE], [look]).root_spans
        assert root.name == "loop.run"
        assert names(root) == ["llm.call.step_1", "tool.look", "llm.call.step_2", "tool.done"]
        assert root.attributes["stop_reason"] == "done"
        about = root.children[1].attributes
        assert (about["tool"], about["step"], about["has_error"]) == ("look", 1, False)
        assert about["duration_ms"] >= 0
        assert root.children[0].attributes["attempts"] == 1

    def test_a_tool_span_covers_the_time_its_tool_took(self):
        with fixed_clock() as clock:

            @tool
            def slow() -> str:
                """Slow."""
                clock.advance(3)
                return "x"

            (root,) = traced([call("slow"), DONE], [slow]).root_spans
        span = root.children[1]
        assert (span.start_time, span.end_time, span.duration_ms) == (1e9, 1e9 + 3, 3000)
        assert root.duration_ms == 3000

    def test_calls_of_one_batch_end_when_they_end(self):
        with fixed_clock() as clock:

            @tool
            def wait(seconds: int) -> str:
                """Wait."""
                clock.advance(seconds)
                return "x"

            script = [calls(call("wait", seconds=1), call("wait", seconds=5)), DONE]
            (root,) = traced(script, [wait]).root_spans
        spans = [span for span in root.children if span.name == "tool.wait"]
        assert [span.duration_ms for span in spans] == [1000, 5000]
        assert spans[1].start_time == spans[0].end_time

    def test_failures_are_errors(self):
        @tool
        def broken() -> str:
            """Broken."""
            raise OSError("disk")

        (root,) = traced([call("broken"), bad_request("no")], [broken]).root_spans
        ends = {span.name: (span.status, span.attributes.get("error", "")) for span in root.children}
        assert ends["tool.broken"][0] == "error"
        assert "disk" in ends["tool.broken"][1]
        assert ends["llm.call.step_2"][0] == "error"
        assert "no" in ends["llm.call.step_2"][1]
        assert ends["tool.__llm_error__"][0] == "error"

    def test_a_denied_call_has_a_span_that_says_who_denied_it(self):
        @tool
        def bash(cmd: str) -> str:
            """Run."""
            return cmd

        hooks = [PermissionHook(PermissionEngine())]
        (root,) = traced([call("bash", cmd="x"), DONE], [bash], hooks=hooks).root_spans
        denied = root.children[1]
        assert (denied.name, denied.status, denied.duration_ms) == ("tool.bash", "error", 0)
        assert denied.attributes["decisions"][0]["verdict"] == "deny"

    def test_a_tool_may_open_spans_of_its_own(self):
        tracer = Tracer()

        @tool(timeout_s=5)
        def query() -> str:
            """Query, on a thread."""
            tracer.end_span(tracer.start_span("db"))
            return "x"

        tools = tools_from([query], include_done=True)
        list(
            composable_loop(
                ScriptedChatBackend([call("query"), DONE]), "t", tools, hooks=[TracingHook(tracer)]
            )
        )
        assert names(tracer.root_spans[0].children[0]) == ["db"]

    def test_an_exception_leaves_nothing_open(self):
        @tool
        def stop() -> str:
            """Stop."""
            raise KeyboardInterrupt

        tracer = Tracer()
        loop = composable_loop(ScriptedChatBackend([call("stop")]), "t", [stop], hooks=[TracingHook(tracer)])
        with pytest.raises(KeyboardInterrupt):
            list(loop)
        (root,) = tracer.root_spans
        assert [root.status, root.children[0].status] == ["error", "error"]
        assert tracer.current_span is None

    def test_driven_by_hand(self):
        tracer = Tracer()
        hook = TracingHook(tracer)
        hook.pre_prompt(None, None, None, 1)
        result = ToolResult("look", "", None, error="no", duration_ms=7.0)
        hook.post_dispatch(None, None, ToolCall("look"), result, 1)
        assert hook.check_done(None, None, None, 1) is None
        assert hook.should_stop(None, 1, 0) is False
        assert hook.on_loop_end(None, None, None, None) == 0
        (root,) = tracer.root_spans
        assert root.end_time is not None
        assert names(root) == ["tool.look"]
        assert root.children[0].duration_ms == pytest.approx(7.0, abs=0.01)

    def test_runs_on_one_event_loop_keep_their_trees_apart(self):
        tracer = Tracer()

        @tool
        async def look(q: str) -> str:
            """Look."""
            await asyncio.sleep(0)
            return q

        async def one(q):
            llm = AsyncScriptedChatBackend([call("look", q=q), DONE])
            tools = tools_from([look], include_done=True)
            config = LoopConfig(tracer=tracer)
            return [
                s
                async for s in async_composable_loop(
                    llm, q, tools, hooks=[TracingHook(tracer)], config=config
                )
            ]

        async def both():
            await asyncio.gather(one("a"), one("b"))

        asyncio.run(both())
        expected = ["llm.call.step_1", "tool.look", "llm.call.step_2", "tool.done"]
        assert [names(root) for root in tracer.root_spans] == [expected, expected]


class TestMetrics:
    def test_a_run_is_counted_with_done_models_and_tokens(self):
        @tool
        def look(q: str) -> str:
            """Look."""
            return q

        collector = MetricsCollector()
        llm = ScriptedChatBackend([call("look", q="x"), call("look"), DONE])
        tools = tools_from([look], include_done=True)
        list(composable_loop(llm, "t" * 400, tools, hooks=[MetricsHook(collector)]))
        assert (collector.total_steps, collector.total_llm_calls, collector.total_errors) == (3, 3, 1)
        assert collector.tool_call_histogram == {"look": 2, "done": 1}
        assert collector.step_classifications == {"productive": 2, "error": 1}
        assert collector.total_input_tokens_est >= 100

    def test_classes_of_ones_own(self):
        collector = MetricsCollector()
        hook = MetricsHook(collector, classify=lambda call, result, state: f"{call.tool}-{state.mood}")
        hook.post_dispatch(SimpleNamespace(mood="good"), None, ToolCall("a"), ToolResult("a", "", 1), 1)
        assert collector.step_classifications == {"a-good": 1}

    def test_the_report(self):
        collector = MetricsCollector(total_llm_calls=2)
        collector.record_step("a", "k", 10, 4, 12.4, True)
        assert collector.report().splitlines() == [
            "═══ AGENT METRICS ═══",
            "Steps: 1  |  Errors: 1",
            "Tokens (est): 10 in / 4 out",
            "Duration: 12ms",
            "Tools: a×1",
            "Classifications: k=1",
            "LLM calls: 2",
        ]


def test_a_span_needs_only_a_name():
    with fixed_clock(5.0):
        span = Span("x")
    assert (span.start_time, span.end_time, span.status, span.children) == (5.0, None, "ok", [])
