"""The loop as its callers know it: generator protocol, order of events, step numbers, stop reasons, trace."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import GeneratorType
from typing import Any
from unittest.mock import MagicMock

import pytest

from looplet import (
    BaseToolRegistry,
    CancelToken,
    Conversation,
    DefaultState,
    DomainAdapter,
    LoopConfig,
    MockLLMBackend,
    SessionLog,
    Stop,
    ToolSpec,
    composable_loop,
    preview_prompt,
)
from looplet.streaming import CallbackEmitter


def reply(tool: str, **args: Any) -> str:
    return json.dumps({"tool": tool, "args": args})


def batch(*calls: str) -> str:
    return json.dumps({"tools": [json.loads(call) for call in calls]})


def registry() -> BaseToolRegistry:
    tools = BaseToolRegistry()
    tools.register(
        ToolSpec(
            name="greet",
            description="Greet someone.",
            parameters={"name": "str"},
            execute=lambda *, name: {"greeting": f"Hello, {name}!"},
        )
    )
    tools.register(
        ToolSpec(
            name="done",
            description="Finish.",
            parameters={"answer": "str"},
            execute=lambda *, answer: {"answer": answer},
        )
    )
    return tools


GREET = reply("greet", name="Alice")
DONE = reply("done", answer="ok")


def whole(steps: Any) -> tuple[list[Any], Any]:
    """The steps of a loop and what it returned."""
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return seen, end.value


# ------------------------------------------------------------------ the example everybody starts from


def test_the_first_example() -> None:
    state = DefaultState(max_steps=5)
    steps, trace = whole(
        composable_loop(
            llm=MockLLMBackend([GREET, DONE]),
            task={"goal": "Greet Alice, then finish."},
            tools=registry(),
            state=state,
            config=LoopConfig(max_steps=5),
        )
    )
    assert [step.pretty() for step in steps] == [
        "#1 ✓ greet(name=Alice) → 1 keys [0ms]",
        "#2 ✓ done(answer=ok) → 1 keys [0ms]",
    ]
    assert sorted(trace) == ["conversation", "llm_calls", "steps", "task", "total_time_ms"]
    assert trace["steps"] == [step.to_dict() for step in steps]
    assert trace["task"] == {"goal": "Greet Alice, then finish."}
    assert trace["llm_calls"] == 2
    assert isinstance(trace["total_time_ms"], float)
    assert isinstance(trace["conversation"], Conversation)
    assert state._stop_reason == "done"  # type: ignore[attr-defined]
    assert state.steps == steps
    assert state.queries_used == 1


def test_all_arguments_in_their_places() -> None:
    log, conversation, state = SessionLog(), Conversation(), DefaultState()
    steps, trace = whole(
        composable_loop(
            MockLLMBackend([DONE]),
            {"goal": "x"},
            registry(),
            {"context": 1},
            [],
            LoopConfig(),
            state,
            log,
            CallbackEmitter(lambda event: None),
            conversation,
        )
    )
    assert len(steps) == 1
    assert trace["conversation"] is conversation
    assert [entry.tool for entry in log.entries] == ["done"]


def test_nothing_runs_before_the_first_step_is_asked_for() -> None:
    llm = MagicMock()
    steps = composable_loop(llm, task={}, tools=None)
    assert isinstance(steps, GeneratorType)
    with pytest.raises(ValueError, match="tools is required"):
        next(steps)
    assert llm.mock_calls == []


def test_something_that_is_no_backend() -> None:
    with pytest.raises(TypeError, match=r"(?s)int.*OpenAIBackend.*AnthropicBackend"):
        next(composable_loop(42, tools=registry()))


def test_a_hook_without_a_slot_is_warned_about() -> None:
    class Nothing:
        pass

    with pytest.warns(UserWarning, match="no recognized hook methods"):
        steps, _ = whole(composable_loop(MockLLMBackend([DONE]), tools=registry(), hooks=[Nothing()]))
    assert len(steps) == 1


def test_a_backend_is_called_with_exactly_this() -> None:
    llm = MagicMock()
    llm.generate.return_value = DONE
    config = LoopConfig(max_tokens=7, system_prompt="be brief", temperature=0.5)
    steps, _ = whole(composable_loop(llm, task={"goal": "x"}, tools=registry(), config=config))
    assert steps[0].tool_call.tool == "done"
    (prompt,), options = llm.generate.call_args
    assert "═══ TASK ═══" in prompt
    assert options == {"max_tokens": 7, "system_prompt": "be brief", "temperature": 0.5}
    llm.generate.assert_called_once()
    llm.chat.assert_not_called()
    llm.generate_with_tools.assert_not_called()


@pytest.mark.parametrize("declared", [False, True])
def test_the_cancel_token_goes_to_backends_that_name_it(declared: bool) -> None:
    seen: list[Any] = []

    class Plain:
        def generate(self, prompt: str, **options: Any) -> str:
            seen.append(options.get("cancel_token"))
            return DONE

    class Naming:
        def generate(
            self,
            prompt: str,
            *,
            max_tokens: int = 1,
            system_prompt: str = "",
            temperature: float = 0.0,
            cancel_token: Any = None,
        ) -> str:
            seen.append(cancel_token)
            return DONE

    token = CancelToken()
    llm = Naming() if declared else Plain()
    whole(composable_loop(llm, tools=registry(), config=LoopConfig(cancel_token=token)))
    assert seen == [token if declared else None]


# ------------------------------------------------------------------ the order of things


class Everything:
    """A hook with all twelve slots that notes who was called, and with which step number."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pre_loop(self, state: Any, session_log: Any, context: Any) -> None:
        self.calls.append("pre_loop")

    def pre_prompt(self, state: Any, session_log: Any, context: Any, step_num: int) -> None:
        self.calls.append(f"pre_prompt({step_num})")

    def build_briefing(self, state: Any, session_log: Any, context: Any) -> None:
        self.calls.append("build_briefing")

    def build_prompt(self, **fields: Any) -> None:
        self.calls.append("build_prompt")
        self.fields = set(fields)

    def should_compact(self, state: Any, session_log: Any, conversation: Any, step_num: int) -> bool:
        self.calls.append(f"should_compact({step_num})")
        return False

    def pre_dispatch(self, state: Any, session_log: Any, tool_call: Any, step_num: int) -> None:
        self.calls.append(f"pre_dispatch({tool_call.tool},{step_num})")

    def check_permission(self, tool_call: Any, state: Any) -> bool:
        self.calls.append(f"check_permission({tool_call.tool})")
        return True

    def post_dispatch(
        self, state: Any, session_log: Any, tool_call: Any, tool_result: Any, step_num: int
    ) -> None:
        # The step is not there yet while its result may still change.
        assert all(step.number != step_num for step in state.steps)
        self.calls.append(f"post_dispatch({tool_call.tool},{step_num})")

    def check_done(self, state: Any, session_log: Any, context: Any, step_num: int) -> None:
        self.calls.append(f"check_done({step_num})")

    def should_stop(self, state: Any, step_num: int, new_entities: int) -> bool:
        self.calls.append(f"should_stop({step_num},{new_entities})")
        return False

    def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
        self.calls.append("on_loop_end")
        return 3

    def on_event(self, payload: Any) -> None:
        number = f"({payload.step_num})" if "llm" in payload.event else ""
        self.calls.append(f"{payload.event.value}{number}")


TRACE = (
    "pre_loop session_start should_compact(1) build_briefing pre_prompt(1) build_prompt pre_llm_call(1) "
    "post_llm_response(1) pre_dispatch(a,1) check_permission(a) pre_dispatch(bad,2) check_permission(bad) "
    "<a> <bad> post_dispatch(a,1) YIELD-1 post_dispatch(bad,2) YIELD-2 check_done(1) <done> YIELD-3 stop "
    "on_loop_end"
)


def test_the_order_of_events_in_a_batch_that_ends() -> None:
    hook = Everything()
    tools = BaseToolRegistry()

    def add(name: str, error: Exception | None = None) -> None:
        def execute() -> str:
            hook.calls.append(f"<{name}>")
            if error is not None:
                raise error
            return name

        tools.register(ToolSpec(name, name, {}, execute))

    add("a")
    add("bad", RuntimeError("boom"))
    add("done")
    llm = MockLLMBackend([batch(reply("a"), reply("bad"), reply("done"), reply("a"))])
    state = DefaultState()
    steps = composable_loop(llm, task={"goal": "x"}, tools=tools, hooks=[hook], state=state)
    trace: Any = None
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            trace = end.value
            break
        assert state.steps[-1] is step
        hook.calls.append(f"YIELD-{step.number}")
    assert " ".join(hook.calls) == TRACE
    assert trace["llm_calls"] == 1 + 3
    assert hook.fields == {
        "task",
        "tool_catalog",
        "state_summary",
        "context_history",
        "step_number",
        "max_steps",
        "session_log",
        "briefing",
        "memory",
    }


def test_an_iteration_that_goes_on_asks_should_stop_with_its_first_number() -> None:
    hook = Everything()
    llm = MockLLMBackend([batch(GREET, GREET), DONE])
    config = LoopConfig(extract_entities=lambda data: [data["greeting"]] if "greeting" in data else [])
    steps, _ = whole(composable_loop(llm, tools=registry(), hooks=[hook], config=config))
    assert [step.number for step in steps] == [1, 2, 3]
    assert "should_stop(1,1)" in hook.calls
    assert "check_done(3)" in hook.calls


def test_a_consumer_sees_the_step_before_the_next_question() -> None:
    llm = MockLLMBackend([GREET, GREET, DONE])
    for number, _ in enumerate(composable_loop(llm, tools=registry()), start=1):
        assert llm.calls == number


# ------------------------------------------------------------------ numbers, budgets, reasons


@dataclass
class OwnState:
    """What a user's state class looks like: the members of the protocol and nothing else."""

    budget: int = 5
    steps: list[Any] = field(default_factory=list)
    queries_used: int = 0

    @property
    def step_count(self) -> int:
        return len(self.steps)

    @property
    def budget_remaining(self) -> int:
        return self.budget - len(self.steps)

    def context_summary(self) -> str:
        return f"summary of {len(self.steps)}"

    def snapshot(self) -> dict[str, Any]:
        return {"budget_remaining": self.budget_remaining}


def test_a_state_of_ones_own() -> None:
    state, llm = OwnState(2), MockLLMBackend([GREET])
    steps, _ = whole(composable_loop(llm, tools=registry(), state=state))
    assert [step.number for step in steps] == [1, 2]
    assert state._stop_reason == "budget_exhausted"  # type: ignore[attr-defined]
    assert state.queries_used == 2
    assert "summary of 1" in llm.last_prompt


REASONS: dict[str, tuple[dict[str, Any], str, int]] = {
    "done": ({"llm": MockLLMBackend([DONE])}, "done", 1),
    "budget": ({"config": LoopConfig(max_steps=2)}, "budget_exhausted", 2),
    "no budget": ({"config": LoopConfig(max_steps=0)}, "budget_exhausted", 0),
    "should_stop True": ({"stop": True}, "hook_requested_stop", 1),
    "should_stop Stop": ({"stop": Stop("enough")}, "enough", 1),
    "should_stop empty Stop": ({"stop": Stop("")}, "hook_stop", 1),
}


@pytest.mark.parametrize("name", REASONS)
def test_stop_reasons(name: str) -> None:
    told, reason, count = REASONS[name]
    told = dict(told)
    heard: list[Any] = []

    class Hook:
        def should_stop(self, state: Any, step_num: int, new_entities: int) -> Any:
            return told.get("stop", False)

        def on_event(self, payload: Any) -> None:
            if payload.event == "stop":
                heard.append((payload.step_num, payload.termination_reason))

    state = DefaultState()
    llm = told.get("llm") or MockLLMBackend([GREET])
    steps, _ = whole(
        composable_loop(llm, tools=registry(), hooks=[Hook()], config=told.get("config"), state=state)
    )
    assert (state._stop_reason, len(steps)) == (reason, count)  # type: ignore[attr-defined]
    assert heard == [(0, reason)]


def test_cancelled_before_it_began() -> None:
    token, state, llm = CancelToken(), DefaultState(), MockLLMBackend([GREET])
    token.cancel()
    config = LoopConfig(cancel_token=token)
    assert list(composable_loop(llm, tools=registry(), config=config, state=state)) == []
    assert (state._stop_reason, llm.calls) == ("cancelled", 0)  # type: ignore[attr-defined]


def test_another_name_for_done() -> None:
    config = LoopConfig(done_tool="greet")
    steps, _ = whole(composable_loop(MockLLMBackend([GREET]), tools=registry(), config=config))
    assert len(steps) == 1


# ------------------------------------------------------------------ synthetic steps


def test_a_reply_that_cannot_be_read() -> None:
    llm = MockLLMBackend(["no json here"])
    steps, trace = whole(composable_loop(llm, tools=registry(), config=LoopConfig(max_steps=4)))
    assert [step.tool_call.tool for step in steps] == ["__parse_error__"] * 4
    assert [step.number for step in steps] == [1, 2, 3, 4]
    first = steps[0]
    assert first.tool_call.reasoning == "no json here"
    assert first.tool_result.error == "Could not parse JSON: no json here"
    assert first.tool_result.data is None
    assert (llm.calls, trace["llm_calls"]) == (6, 6)


def test_the_recovery_call() -> None:
    class Garbled:
        def __init__(self) -> None:
            self.asked: list[tuple[str, float]] = []

        def generate(self, prompt: str, *, temperature: float = 0.2, **options: Any) -> str:
            self.asked.append((prompt, temperature))
            return ["x" * 500, DONE][len(self.asked) - 1]

    llm = Garbled()
    steps, _ = whole(composable_loop(llm, tools=registry()))
    assert [step.tool_call.tool for step in steps] == ["done"]
    prompt, temperature = llm.asked[1]
    assert temperature == 0.1
    assert prompt.startswith(llm.asked[0][0])
    assert "JSON" in prompt
    assert '{"tool": "<tool_name>", "args": {...}, "reasoning": "..."}' in prompt
    assert "x" * 300 in prompt
    assert "x" * 301 not in prompt


def test_a_model_that_fails_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("looplet.scaffolding.time.sleep", pauses.append)
    llm = MagicMock()
    llm.generate.side_effect = ConnectionError("unplugged")
    state = DefaultState()
    steps, _ = whole(composable_loop(llm, tools=registry(), state=state))
    (last,) = steps
    assert last.tool_call.tool == "__llm_error__"
    assert last.tool_call.reasoning == "LLM call failed after retries"
    assert last.tool_result.error == (
        "LLM call failed after all retry attempts (3 attempts): ConnectionError: unplugged"
    )
    assert llm.generate.call_count == 3
    assert sum(pauses) >= 3


def test_an_unknown_tool() -> None:
    llm = MockLLMBackend([reply("nope", q=1), DONE])
    first = next(iter(composable_loop(llm, tools=registry())))
    assert first.tool_result.error == "Unknown tool: nope. Available: ['greet', 'done']"
    assert first.tool_result.args_summary == "{'q': 1}"
    assert first.tool_result.error_kind == "validation"
    assert first.tool_result.call_id == first.tool_call.call_id


def test_done_turned_down_and_what_the_model_reads_of_it() -> None:
    class Gate:
        def check_done(self, state: Any, session_log: Any, context: Any, step_num: int) -> str | None:
            return "greet first" if step_num == 1 else None

    llm = MockLLMBackend([DONE, DONE])
    steps, _ = whole(composable_loop(llm, tools=registry(), hooks=[Gate()]))
    assert steps[0].pretty() == "#1 ✓ done(rejected) → 2 keys"
    assert steps[0].tool_result.data == {"rejected": True, "reason": "greet first"}
    assert steps[0].tool_result.error is None
    assert steps[1].tool_result.data == {"answer": "ok"}
    assert "greet first" in llm.last_prompt


# ------------------------------------------------------------------ what config and domain supply


def test_flat_fields_win_over_the_domain_and_that_over_nothing() -> None:
    domain = DomainAdapter(build_briefing=lambda *a: "from the domain", build_trace=lambda **kw: sorted(kw))
    config = LoopConfig(domain=domain, build_briefing=lambda state, log, context: "from the config")
    llm = MockLLMBackend([DONE])
    _, trace = whole(composable_loop(llm, tools=registry(), config=config))
    assert "from the config" in llm.last_prompt
    assert trace == sorted(["task", "state", "session_log", "done", "llm", "llm_calls", "elapsed_ms"])
    _, trace = whole(composable_loop(llm, tools=registry(), config=LoopConfig(domain=domain)))
    assert "from the domain" in llm.last_prompt


def test_extract_step_metadata_reaches_the_session_log() -> None:
    seen: list[int] = []

    def extract(state: Any, n: int) -> tuple[list[str], list[str]]:
        seen.append(n)
        return ["found it"], ["look here"]

    log = SessionLog()
    config = LoopConfig(extract_step_metadata=extract, extract_entities=lambda data: [str(sorted(data))])
    llm = MockLLMBackend([GREET, "no call", "no call", GREET, DONE])
    whole(composable_loop(llm, tools=registry(), config=config, session_log=log))
    assert seen == [0, 2]
    assert [bool(entry.entities_seen) for entry in log.entries] == [True, False, True, False]
    assert log.entries[0].findings == ["found it"]
    assert log.entries[0].highlights == ["look here"]


def test_a_theory_is_kept() -> None:
    llm = MockLLMBackend([json.dumps({"tool": "greet", "args": {"name": "A"}, "theory": "T1"}), DONE])
    log = SessionLog()
    steps, _ = whole(composable_loop(llm, tools=registry(), session_log=log))
    assert steps[0].tool_call.args == {"name": "A", "__theory__": "T1"}
    assert steps[0].tool_result.args_summary == "name=A, __theory__=T1"
    assert log.current_theory == "T1"


def test_the_last_word_on_the_prompt() -> None:
    seen: list[Any] = []

    def render(*, messages: list[Any], default_prompt: str, step_num: int) -> str:
        seen.append((len(messages), default_prompt, step_num))
        return "mine"

    llm = MockLLMBackend([GREET, DONE])
    whole(composable_loop(llm, tools=registry(), config=LoopConfig(render_messages_override=render)))
    assert llm.last_prompt == "mine"
    assert [(n > 0, "═══ STEP" in prompt, number) for n, prompt, number in seen] == [
        (seen[0][0] > 0, True, 1),
        (True, True, 2),
    ]


def test_the_order_in_which_prompts_are_built() -> None:
    class Builder:
        def build_prompt(self, **fields: Any) -> str:
            return f"hook says step {fields['step_number']} of {fields['max_steps']}"

    llm = MockLLMBackend([DONE])
    config = LoopConfig(max_steps=4, build_prompt=lambda **fields: "config says")
    whole(composable_loop(llm, tools=registry(), hooks=[Builder()], config=config))
    assert llm.last_prompt == "hook says step 1 of 4"
    whole(composable_loop(llm, tools=registry(), config=config))
    assert llm.last_prompt == "config says"


def test_a_router_chooses_for_each_step() -> None:
    class Router:
        def __init__(self) -> None:
            self.asked: list[str] = []
            self.models = [MockLLMBackend([GREET]), MockLLMBackend([DONE])]

        def select(self, purpose: str, **options: Any) -> Any:
            self.asked.append(purpose)
            return self.models[len(self.asked) - 1]

    router, llm = Router(), MockLLMBackend(["never asked"])
    steps, _ = whole(composable_loop(llm, tools=registry(), config=LoopConfig(router=router)))
    assert [step.tool_call.tool for step in steps] == ["greet", "done"]
    assert (router.asked, llm.calls) == (["reasoning"] * 2, 0)


def test_native_blocks() -> None:
    class Native(MockLLMBackend):
        def generate_with_tools(self, prompt: str, *, tools: list[Any], **options: Any) -> list[Any]:
            self.tools = tools
            return [
                {"type": "text", "text": "both"},
                {"type": "tool_use", "id": "c1", "name": "greet", "input": {"name": "A"}},
                {"type": "tool_use", "id": "c2", "name": "done", "input": {"answer": "ok"}},
            ]

    llm = Native()
    steps, _ = whole(composable_loop(llm, tools=registry(), config=LoopConfig(use_native_tools=True)))
    assert [(s.tool_call.call_id, s.tool_result.call_id) for s in steps] == [("c1", "c1"), ("c2", "c2")]
    assert llm.tools == registry().tool_schemas()
    assert llm.calls == 0


def test_native_wanted_and_not_there() -> None:
    llm = MockLLMBackend([DONE])
    steps, _ = whole(composable_loop(llm, tools=registry(), config=LoopConfig(use_native_tools=True)))
    assert (len(steps), llm.calls) == (1, 1)


def test_preview_prompt() -> None:
    text = preview_prompt({"title": "demo"}, registry())
    assert text.startswith("═══ TASK ═══")
    assert "title: demo" in text
    assert "greet(name: str)" in text
    assert "═══ STEP 1/15" in text


STREAMED = ["LoopStartEvent", "StepStartEvent", "LLMCallStartEvent", "ToolDispatchEvent"]


def test_what_a_stream_is_told() -> None:
    events: list[Any] = []
    emitter = CallbackEmitter(events.append)
    whole(composable_loop(MockLLMBackend([GREET, DONE]), task={"id": "t1"}, tools=registry(), stream=emitter))
    names = [event.event_type for event in events]
    assert [name for name in names if name in STREAMED] == [STREAMED[0], *STREAMED[1:], *STREAMED[1:]]
    assert names[-1] == "LoopEndEvent"
    assert (events[0].task_summary, events[0].max_steps) == ("t1", 15)
    assert (events[-1].total_steps, events[-1].total_llm_calls, events[-1].reason) == (2, 2, "done")
