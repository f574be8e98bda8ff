"""Routers, fallback, cost: wrappers can do what the backend behind them can do."""

from __future__ import annotations

import asyncio
import inspect
import sys
from threading import Thread

import pytest

from looplet import LoopConfig, Trajectory, async_run_loop, run_loop, tool, tools_from
from looplet.errors import ConfigError, ModelError
from looplet.router import (
    CostTracker,
    FallbackRouter,
    ModelProfile,
    ModelRouter,
    RoutingLLMBackend,
    SimpleRouter,
)
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, call
from looplet.types import Capabilities, ChatReply, ErrorKind, LLMBackend, Usage, capabilities_of


class Text:
    """A backend for text; raises what it is told to."""

    def __init__(self, answer: str = "fine", problem: Exception | None = None) -> None:
        self.answer, self.problem, self.asked = answer, problem, []
        self.last_stop_reason = f"stop of {answer}"
        self.context_window = 1000

    def _say(self, **asked):
        self.asked.append(asked)
        if self.problem is not None:
            raise self.problem
        return self.answer

    def generate(self, prompt, *, max_tokens=2000, system_prompt="", temperature=0.2):
        return self._say(prompt=prompt, max_tokens=max_tokens)


class Chatty(Text):
    """A backend that has everything."""

    def generate(self, prompt, *, max_tokens=2000, system_prompt="", temperature=0.2, cancel_token=None):
        return self._say(prompt=prompt, cancel_token=cancel_token)

    def generate_with_tools(self, prompt, *, tools, max_tokens=2000, system_prompt="", temperature=0.2):
        return [{"type": "text", "text": self._say(prompt=prompt)}]

    def chat(self, messages, *, tools, max_tokens=2000, system_prompt="", temperature=0.2, timeout_s=None):
        said = self._say(messages=messages, timeout_s=timeout_s)
        return ChatReply([{"type": "text", "text": said}], usage=Usage(100, 10))

    def capabilities(self):
        return Capabilities(chat=True, native_tools=True, timeout=True)


class Persistent(Chatty):
    """The same, which retries by itself."""

    def capabilities(self):
        return Capabilities(chat=True, native_tools=True, timeout=True, own_retries=True)


class Plain(Chatty):
    """The same with a chat that knows no options."""

    def chat(self, messages, *, tools, max_tokens=2000, system_prompt="", temperature=0.2):
        return ChatReply([{"type": "text", "text": self._say(messages=messages)}])


class Later:
    """An async backend."""

    def __init__(self, answer="later", problem=None):
        self.answer, self.problem = answer, problem

    async def generate(self, prompt, *, max_tokens=2000, system_prompt="", temperature=0.2):
        await asyncio.sleep(0)
        if self.problem:
            raise self.problem
        return self.answer


def wrapped(backend) -> dict:
    return {
        "cost": CostTracker(backend=backend, cost_per_1k_input=1.0, cost_per_1k_output=2.0),
        "fallback": FallbackRouter(primary=backend, fallback=type(backend)()).select("reasoning"),
        "routing": RoutingLLMBackend(SimpleRouter([ModelProfile("a", backend)], default_profile="a")),
    }


WRAPPERS = ["cost", "fallback", "routing"]


class TestEveryWrapper:
    @pytest.mark.parametrize("name", WRAPPERS)
    @pytest.mark.parametrize("backend", [Text(), Chatty()], ids=["text", "everything"])
    def test_has_the_abilities_of_what_it_wraps(self, name, backend):
        wrapper = wrapped(backend)[name]
        assert capabilities_of(wrapper) == capabilities_of(backend)
        assert isinstance(wrapper, LLMBackend)
        for method in ("chat", "generate_with_tools"):
            assert hasattr(wrapper, method) == hasattr(backend, method)
        assert wrapper.last_stop_reason == backend.last_stop_reason
        assert wrapper.context_window == 1000

    @pytest.mark.parametrize("name", WRAPPERS)
    def test_names_the_options_of_what_it_wraps_and_hands_them_on(self, name):
        backend = Chatty()
        wrapper = wrapped(backend)[name]
        assert "cancel_token" in inspect.signature(wrapper.generate).parameters
        assert "timeout_s" in inspect.signature(wrapper.chat).parameters
        wrapper.generate("hi", cancel_token="token")
        reply = wrapper.chat([], tools=[], timeout_s=3)
        assert reply.text == "fine"
        assert backend.asked == [
            {"prompt": "hi", "cancel_token": "token"},
            {"messages": [], "timeout_s": 3},
        ]

    @pytest.mark.parametrize("name", WRAPPERS)
    def test_stays_async(self, name):
        wrapper = wrapped(Later())[name]
        assert inspect.iscoroutinefunction(wrapper.generate)
        assert asyncio.run(wrapper.generate("hi")) == "later"

    @pytest.mark.parametrize("name", WRAPPERS)
    def test_has_no_attribute_that_is_not_there(self, name):
        wrapper = wrapped(Text())[name]
        with pytest.raises(AttributeError):
            _ = wrapper.reserved_output_tokens
        with pytest.raises(AttributeError):
            _ = wrapper._private


class TestSimpleRouter:
    PROFILES = (
        ModelProfile("big", "B", strengths=["reasoning"]),
        ModelProfile("small", "S", strengths=["summary"]),
    )

    @pytest.mark.parametrize(("purpose", "backend"), [("reasoning", "B"), ("summary", "S"), ("other", "S")])
    @pytest.mark.parametrize("profiles", [PROFILES, {p.name: p for p in PROFILES}], ids=["list", "mapping"])
    def test_chooses_by_strength(self, profiles, purpose, backend):
        router = SimpleRouter(profiles, default_profile="small")
        assert router.select(purpose) == router.select(purpose=purpose, step=3) == backend
        assert isinstance(router, ModelRouter)

    def test_the_default_must_be_there(self):
        with pytest.raises(ConfigError, match=r"'huge'.*big, small"):
            SimpleRouter(self.PROFILES, default_profile="huge")


def status(code: int) -> Exception:
    problem = RuntimeError(f"status {code}")
    problem.status_code = code
    return problem


class TestFallback:
    @pytest.mark.parametrize(
        "problem",
        [
            RuntimeError("down"),
            ConnectionError("reset"),
            TimeoutError(),
            *map(status, (401, 404, 429, 500, 529)),
        ],
        ids=repr,
    )
    def test_is_asked_when_the_provider_fails(self, problem):
        second = Text("second")
        backend = FallbackRouter(primary=Text(problem=problem), fallback=second).select("reasoning")
        assert backend.generate("hi", max_tokens=7) == "second"
        assert second.asked == [{"prompt": "hi", "max_tokens": 7}]
        assert backend.last_stop_reason == "stop of second"

    @pytest.mark.parametrize(
        "problem",
        [
            ValueError("prompt is too long"),
            ModelError("too long", kind=ErrorKind.CONTEXT_OVERFLOW),
            ModelError("stopped", kind=ErrorKind.CANCELLED, retriable=True),
            TypeError("a bug"),
            *map(status, (400, 413, 422)),
        ],
        ids=repr,
    )
    def test_is_not_asked_when_it_cannot_help(self, problem):
        second = Text("second")
        backend = FallbackRouter(primary=Text(problem=problem), fallback=second).select("reasoning")
        with pytest.raises(type(problem)) as caught:
            backend.generate("hi")
        assert caught.value is problem
        assert second.asked == []

    def test_the_first_is_asked_again_next_time(self):
        first = Text(problem=RuntimeError("down"))
        backend = FallbackRouter(primary=first, fallback=Text("second")).select("reasoning")
        backend.generate("hi")
        first.problem = None
        assert backend.generate("hi") == "fine"
        assert backend.last_stop_reason == "stop of fine"

    def test_a_failure_of_both_is_the_seconds(self):
        backend = FallbackRouter(
            primary=Text(problem=RuntimeError("one")), fallback=Text(problem=RuntimeError("two"))
        ).select("reasoning")
        with pytest.raises(RuntimeError, match="two"):
            backend.generate("hi")

    def test_options_that_the_second_does_not_know_are_left_out(self):
        backend = FallbackRouter(primary=Chatty(problem=RuntimeError("x")), fallback=Plain("second")).select(
            "r"
        )
        assert backend.chat([], tools=[], timeout_s=3).text == "second"

    @pytest.mark.parametrize("first", [True, False], ids=["the first", "the second"])
    def test_LB_03_what_one_of_both_has_retried_is_not_retried_by_the_loop(self, first):
        down = ModelError("overloaded", kind=ErrorKind.NETWORK, status=503, retriable=True)
        retrying, once = Persistent(problem=down), Chatty(problem=down)
        both = (retrying, once) if first else (once, retrying)
        router = FallbackRouter(primary=both[0], fallback=both[1])
        ended = run_loop(both[0], "x", [print], config=LoopConfig(router=router))
        assert ended.stop_reason == "llm_error"
        assert len(retrying.asked) == len(once.asked) == 1

    def test_can_do_what_both_can_do(self):
        backend = FallbackRouter(primary=Chatty(), fallback=Text()).select("reasoning")
        assert capabilities_of(backend) == Capabilities()
        assert not hasattr(backend, "chat")

    @pytest.mark.parametrize("fallback", [Later("second"), Text("second")], ids=["async", "sync"])
    def test_async(self, fallback):
        backend = FallbackRouter(primary=Later(problem=RuntimeError("down")), fallback=fallback).select("r")
        assert asyncio.run(backend.generate("hi")) == "second"

    def test_of_profiles_and_routers(self):
        first = SimpleRouter([ModelProfile("a", Text(problem=RuntimeError("x")))], default_profile="a")
        backend = FallbackRouter(primary=first, fallback=ModelProfile("b", Text("second"))).select(
            "reasoning"
        )
        assert backend.generate("hi") == "second"


@pytest.mark.parametrize("how", ["a router", "a backend", "async"])
def test_a_run_says_which_calls_the_second_backend_answered(how):
    problem = ModelError("overloaded", kind=ErrorKind.NETWORK, status=529, retriable=False)
    kind = AsyncScriptedChatBackend if how == "async" else ScriptedChatBackend
    first, second = kind([call("look"), problem, call("done", answer="x")]), kind([call("look")])
    router = FallbackRouter(primary=first, fallback=second)

    @tool
    def look() -> str:
        """Look."""
        return "x"

    tools = tools_from([look], include_done=True)
    if how == "a router":
        found = run_loop(ScriptedChatBackend([]), "t", tools, config=LoopConfig(router=router))
    elif how == "a backend":
        found = run_loop(router.select("reasoning"), "t", tools)
    else:
        found = asyncio.run(async_run_loop(router.select("reasoning"), "t", tools))
    assert found.stop_reason == "done"
    told = [(d.step, d.verdict, d.by) for d in found.decisions]
    assert told == [(2, "fallback", "FallbackRouter")]
    assert "overloaded" in found.decisions[0].reason
    assert Trajectory.from_json(found.to_json()).decisions == found.decisions


class TestCostTracker:
    def test_counts_words_where_the_provider_counts_nothing(self):
        tracker = CostTracker(backend=Text("one two three"), cost_per_1k_input=1.0, cost_per_1k_output=2.0)
        tracker.generate("a b c")
        assert tracker.report() == "CostTracker: 1 calls | input=3 tokens | output=3 tokens | cost=$0.009000"
        assert tracker.total_cost == pytest.approx(0.009)
        tracker.generate("")
        assert (tracker.call_count, tracker.total_input_tokens, tracker.total_output_tokens) == (2, 4, 6)

    def test_takes_the_providers_count(self):
        tracker = CostTracker(backend=Chatty(), cost_per_1k_input=1.0, cost_per_1k_output=10.0)
        tracker.chat([], tools=[])
        assert (tracker.total_input_tokens, tracker.total_output_tokens) == (100, 10)
        assert tracker.total_cost == pytest.approx(0.2)

    def test_counts_the_words_of_blocks(self):
        tracker = CostTracker(backend=Plain("one two"), cost_per_1k_input=1.0, cost_per_1k_output=1.0)
        tracker.chat([{"role": "user", "content": [{"type": "text", "text": "a b c"}]}], tools=[])
        tracker.generate_with_tools("d", tools=[])
        assert (tracker.total_input_tokens, tracker.total_output_tokens) == (4, 4)

    def test_asked_by_several_threads_at_once_it_counts_every_call(self):
        tracker = CostTracker(backend=Text("a b"), cost_per_1k_input=1, cost_per_1k_output=1)
        asking = [Thread(target=lambda: [tracker.generate("x " * 300) for _ in range(500)]) for _ in range(4)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in asking:
                thread.start()
            for thread in asking:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        counted = tracker.call_count, tracker.total_input_tokens, tracker.total_output_tokens
        assert counted == (2000, 600_000, 4000)

    def test_a_failed_call_costs_nothing(self):
        tracker = CostTracker(
            backend=Text(problem=RuntimeError("x")), cost_per_1k_input=1.0, cost_per_1k_output=1.0
        )
        with pytest.raises(RuntimeError, match="x"):
            tracker.generate("hi")
        assert tracker.call_count == 0

    def test_async(self):
        tracker = CostTracker(backend=Later("one two"), cost_per_1k_input=1.0, cost_per_1k_output=1.0)
        asyncio.run(tracker.generate("a"))
        assert (tracker.call_count, tracker.total_output_tokens) == (1, 2)


@tool
def look(q: str) -> str:
    """Look."""
    return f"seen {q}"


class InTurn:
    """A router that has a list."""

    def __init__(self, *backends) -> None:
        self.left = list(backends)

    def select(self, purpose, **kwargs):
        return self.left.pop(0)


def test_a_text_model_that_takes_over_sees_what_was_found():
    chat = ScriptedChatBackend(call("look", q="needle"), call("done", answer="x"))
    text = Text('{"tool": "look", "args": {"q": "hay"}}')
    config = LoopConfig(router=InTurn(chat, text, chat))
    assert run_loop(chat, "x", [look], config=config).stop_reason == "done"
    assert "seen needle" in text.asked[0]["prompt"]
    assert "seen hay" in chat.requests[-1].text


def test_a_router_that_gives_no_backend_is_told_what_it_gave():
    with pytest.raises(TypeError, match="llm is NoneType"):
        run_loop(Text(), "x", [look], config=LoopConfig(router=InTurn(None)))


def test_routing_follows_the_purpose():
    router = SimpleRouter(
        [ModelProfile("a", Text("A")), ModelProfile("b", Chatty("B"), strengths=["summary"])],
        default_profile="a",
    )
    backend = RoutingLLMBackend(router)
    assert (backend.purpose, backend.generate("hi"), hasattr(backend, "chat")) == ("reasoning", "A", False)
    backend.set_purpose("summary")
    assert (backend.purpose, backend.generate("hi"), hasattr(backend, "chat")) == ("summary", "B", True)
    assert backend.last_stop_reason == "stop of B"
