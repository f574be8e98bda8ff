"""OpenTelemetry: the spans of a run as its own in-memory exporter gets them, against the conventions."""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import anthropic
import openai
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from looplet import (
    ConfigError,
    LoopConfig,
    PermissionEngine,
    PermissionHook,
    Tracer,
    TracingHook,
    async_run_loop,
    async_run_sub_loop,
    run_loop,
    run_sub_loop,
    tool,
    tools_from,
)
from looplet.backends import AnthropicBackend, AsyncAnthropicBackend, AsyncOpenAIBackend, OpenAIBackend
from looplet.clock import fixed_clock
from looplet.examples.hello_world import SCRIPT, TASK, greet
from looplet.telemetry import OpenTelemetryHook
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, bad_request, call, calls
from looplet.testing.provider import LocalProvider

pytestmark = pytest.mark.slow

DONE = call("done", answer="ready")
INTERNAL, CLIENT = trace.SpanKind.INTERNAL, trace.SpanKind.CLIENT

# What the conventions ask of each operation: kind, required attributes, and those required when known.
CONVENTIONS = {
    "invoke_agent": (INTERNAL, {"gen_ai.provider.name", "gen_ai.conversation.id"}, {"gen_ai.request.model"}),
    "chat": (CLIENT, {"gen_ai.provider.name", "gen_ai.conversation.id"}, {"gen_ai.request.model"}),
    "execute_tool": (INTERNAL, {"gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.type"}, set()),
}
NAMED_AFTER = {"chat": "gen_ai.request.model", "execute_tool": "gen_ai.tool.name"}


class Exported:
    """A tracer provider, and the spans that it exported."""

    def __init__(self):
        self._memory = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._memory))

    def hook(self, **options):
        return OpenTelemetryHook(tracer_provider=self.provider, **options)

    @property
    def spans(self):
        return sorted(self._memory.get_finished_spans(), key=lambda span: span.start_time)

    def named(self, start):
        return [span for span in self.spans if span.name.startswith(start)]

    def tree(self, parent=None):
        """The names as nested pairs, in the order of their starts."""
        identity = parent.context.span_id if parent else None
        inside = [s for s in self.spans if (s.parent.span_id if s.parent else None) == identity]
        return [(span.name, self.tree(span)) for span in inside]


@pytest.fixture
def exported():
    return Exported()


def run(mode, script, tools, hook, **options):
    options["hooks"] = [*options.pop("hooks", ()), hook]
    tools = tools_from(tools, include_done=True)
    if mode == "sync":
        return run_loop(ScriptedChatBackend(script), "t", tools, **options)
    return asyncio.run(async_run_loop(AsyncScriptedChatBackend(script), "t", tools, **options))


both = pytest.mark.parametrize("mode", ["sync", "async"])


def follows_the_conventions(span, *, model_known=True):
    operation = span.attributes["gen_ai.operation.name"]
    kind, required, if_known = CONVENTIONS[operation]
    assert span.kind is kind
    missing = (required | (if_known if model_known else set())) - set(span.attributes)
    assert missing == set()
    named_after = NAMED_AFTER.get(operation, "gen_ai.agent.name")
    assert span.name == f"{operation} {span.attributes.get(named_after, '')}".rstrip()
    failed = span.status.status_code is trace.StatusCode.ERROR
    assert failed == ("error.type" in span.attributes)


CLIENTS = {
    "openai": (OpenAIBackend, openai.OpenAI, "base_url"),
    "openai-async": (AsyncOpenAIBackend, openai.AsyncOpenAI, "base_url"),
    "anthropic": (AnthropicBackend, anthropic.Anthropic, "url"),
    "anthropic-async": (AsyncAnthropicBackend, anthropic.AsyncAnthropic, "url"),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_the_demo_run_has_what_the_conventions_require(exported, name):
    backend, client, url = CLIENTS[name]
    hook = exported.hook(agent_name="greeter")
    options = {"hooks": [hook], "config": LoopConfig(max_steps=8, system_prompt="You greet people.")}
    tools = tools_from([greet], include_done=True)

    async def run_async(client):
        async with client:
            return await async_run_loop(backend(client, model="test-model"), TASK, tools, **options)

    with LocalProvider(list(SCRIPT)) as provider:
        made = client(api_key="k", base_url=getattr(provider, url))
        if name.endswith("async"):
            found = asyncio.run(run_async(made))
        else:
            with made:
                found = run_loop(backend(made, model="test-model"), TASK, tools, **options)
    spans = exported.spans
    for span in spans:
        follows_the_conventions(span)
    model = ("chat test-model", [])
    tools_asked = [(f"execute_tool {tool}", []) for tool in ("greet", "greet", "done")]
    inside = [part for pair in zip([model] * 3, tools_asked, strict=True) for part in pair]
    assert exported.tree() == [("invoke_agent greeter", inside)]
    (root, first, *_) = spans
    assert first.attributes["gen_ai.provider.name"] == name.removesuffix("-async")
    assert first.attributes["gen_ai.request.max_tokens"] == 2000
    assert first.attributes["gen_ai.response.finish_reasons"] == ("tool_use",)
    assert first.attributes["gen_ai.response.model"]
    asked = exported.named("chat")
    for count, attribute in (
        (found.usage.input_tokens, "gen_ai.usage.input_tokens"),
        (found.usage.output_tokens, "gen_ai.usage.output_tokens"),
    ):
        assert count == root.attributes[attribute] == sum(span.attributes[attribute] for span in asked)
        assert count > 0
    ids = [span.attributes["gen_ai.tool.call.id"] for span in exported.named("execute_tool")]
    assert ids == [step.tool_call.call_id for step in found.steps]
    greeted = exported.named("execute_tool greet")[0]
    assert greeted.attributes["gen_ai.tool.description"] == "Greet one person by name."


@both
def test_what_failed_is_an_error_and_nothing_else(exported, mode):
    @tool
    def broken() -> str:
        """Broken."""
        raise OSError("disk")

    @tool
    def bash(cmd: str) -> str:
        """Run."""
        return cmd

    engine = PermissionEngine(default="allow").deny("bash", reason="no shell")
    script = [calls(call("broken"), call("bash", cmd="x")), bad_request("no")]
    run(mode, script, [broken, bash], exported.hook(), hooks=[PermissionHook(engine)])
    for span in exported.spans:
        follows_the_conventions(span, model_known=False)
    errors = {span.name: span.attributes.get("error.type") for span in exported.spans}
    assert errors == {
        "invoke_agent": "llm_error",
        "chat": "400",
        "execute_tool broken": "execution",
        "execute_tool bash": "permission_denied",
    }
    assert "disk" in exported.named("execute_tool broken")[0].status.description


@both
def test_a_failure_is_told_without_its_secrets(exported, mode, monkeypatch):
    monkeypatch.setenv("SHOP_API_KEY", "k3y-of-the-shop-1")

    @tool
    def broken() -> str:
        """Broken."""
        raise OSError("cannot log in with k3y-of-the-shop-1")

    run(mode, [call("broken"), bad_request("no k3y-of-the-shop-1")], [broken], exported.hook())
    told = [span.status.description for span in exported.spans if span.status.description]
    assert len(told) >= 2
    assert not any("k3y-of-the-shop-1" in text for text in told)
    assert any("cannot log in with [env:SHOP_API_KEY]" in text for text in told)


@both
def test_calls_at_once_keep_apart_and_a_sub_agent_is_inside_its_call(exported, mode):
    meet = threading.Barrier(2, timeout=20)

    def script(name):
        return [call("done", answer=name)]

    @tool(name="delegate", concurrent_safe=True)
    def sync(name: str) -> object:
        """Ask a sub-agent."""
        meet.wait()
        return run_sub_loop(ScriptedChatBackend(script(name)), name, subagent_id=name)

    @tool(name="delegate", concurrent_safe=True)
    async def asynchronous(name: str) -> object:
        """Ask a sub-agent."""
        await asyncio.sleep(0.01)
        return await async_run_sub_loop(AsyncScriptedChatBackend(script(name)), name, subagent_id=name)

    asking = calls(call("delegate", name="a"), call("delegate", name="b"))
    config = LoopConfig(concurrent_dispatch=True)
    run(mode, [asking, DONE], [sync if mode == "sync" else asynchronous], exported.hook(), config=config)
    inner = [("invoke_agent", [("chat", []), ("execute_tool done", [])])]
    delegated = ("execute_tool delegate", inner)
    assert exported.tree() == [
        ("invoke_agent", [("chat", []), delegated, delegated, ("chat", []), ("execute_tool done", [])])
    ]
    outer, *inside = [s.attributes["gen_ai.conversation.id"] for s in exported.named("invoke_agent")]
    assert sorted(inside) == [f"{outer}/a", f"{outer}/b"]
    delegates = {s.context.span_id: s.attributes for s in exported.named("execute_tool delegate")}
    assert len(delegates) == 2


@both
def test_our_own_tracer_too_knows_which_of_two_calls_a_run_is_in(mode):
    @tool(name="delegate", concurrent_safe=True)
    def sync(name: str) -> object:
        """Ask a sub-agent."""
        return run_sub_loop(ScriptedChatBackend([call("done", answer=name)]), name)

    @tool(name="delegate", concurrent_safe=True)
    async def asynchronous(name: str) -> object:
        """Ask a sub-agent."""
        return await async_run_sub_loop(AsyncScriptedChatBackend([call("done", answer=name)]), name)

    tracer = Tracer()
    asking = calls(call("delegate", name="a"), call("delegate", name="b"))
    config = LoopConfig(concurrent_dispatch=True, tracer=tracer)
    delegate = sync if mode == "sync" else asynchronous
    run(mode, [asking, DONE], [delegate], TracingHook(tracer), config=config)
    (root,) = tracer.root_spans
    inside = [[s.name for s in span.children] for span in root.children if span.name == "tool.delegate"]
    assert inside == [["loop.run"], ["loop.run"]]


@both
def test_what_a_tool_exports_is_inside_its_call_and_the_callers_context_is_given_back(exported, mode):
    tracer = exported.provider.get_tracer("app")

    @tool
    def query() -> str:
        """Query."""
        tracer.start_span("db").end()
        return "x"

    with tracer.start_as_current_span("request") as around:
        run(mode, [call("query"), DONE], [query], exported.hook())
        assert trace.get_current_span() is around
    assert exported.tree() == [
        (
            "request",
            [
                (
                    "invoke_agent",
                    [
                        ("chat", []),
                        ("execute_tool query", [("db", [])]),
                        ("chat", []),
                        ("execute_tool done", []),
                    ],
                )
            ],
        )
    ]
    assert context.get_current() == {}


def test_times_are_those_of_the_calls(exported):
    with fixed_clock() as clock:

        @tool
        def wait(seconds: int) -> str:
            """Wait."""
            clock.advance(seconds)
            return "x"

        run("sync", [call("wait", seconds=3), DONE], [wait], exported.hook())
    (waited,) = exported.named("execute_tool wait")
    assert (waited.start_time, waited.end_time - waited.start_time) == (10**18, 3 * 10**9)


@both
def test_an_exception_leaves_nothing_open(exported, mode):
    @tool
    def stop() -> str:
        """Stop."""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(mode, [call("stop")], [stop], exported.hook())
    kinds = {span.name: span.attributes.get("error.type") for span in exported.spans}
    assert kinds == {
        "invoke_agent": "KeyboardInterrupt",
        "chat": None,
        "execute_tool stop": "KeyboardInterrupt",
    }


def test_content_only_on_request_and_without_secrets(exported, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "hush-hush-hush-1")

    @tool
    def look(q: str) -> str:
        """Look."""
        return "found hush-hush-hush-1"

    run("sync", [call("look", q="x"), DONE], [look], exported.hook())
    names = {name for span in exported.spans for name in span.attributes}
    assert not {n for n in names if "messages" in n or "arguments" in n or "call.result" in n}

    told = Exported()
    hook = told.hook(capture_content=True)
    run("sync", [call("look", q="x"), DONE], [look], hook, config=LoopConfig(system_prompt="Be kind."))
    looked = told.named("execute_tool look")[0].attributes
    assert json.loads(looked["gen_ai.tool.call.arguments"]) == {"q": "x"}
    assert looked["gen_ai.tool.call.result"] == '"found [env:MY_API_KEY]"'
    second = told.named("chat")[1].attributes
    assert json.loads(second["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be kind."}]
    kinds = [part["type"] for m in json.loads(second["gen_ai.input.messages"]) for part in m["parts"]]
    assert kinds == ["text", "tool_call", "tool_call_response"]
    assert json.loads(second["gen_ai.output.messages"])[0]["parts"][0]["name"] == "done"
    assert "hush-hush" not in str([dict(span.attributes) for span in told.spans])


def test_pieces_of_a_reply_are_told(exported):
    llm = ScriptedChatBackend(["Hello."])
    run_loop(llm, "t", tools_from([], include_done=True), hooks=[exported.hook()],
             config=LoopConfig(stream_tokens=True))  # fmt: skip
    asked = exported.named("chat")[0].attributes
    assert asked["gen_ai.request.stream"] is True
    assert asked["gen_ai.response.time_to_first_chunk"] >= 0


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError, match=r"pytest-looplet\[otel\]"):
        OpenTelemetryHook()


def test_any_run_may_use_it_without_a_provider_set_up():
    assert run("sync", [DONE], [], OpenTelemetryHook()).stop_reason == "done"
