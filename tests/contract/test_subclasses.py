"""What a user's own class overrides is what the loop goes by, in each class that the contract lets extend."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looplet import (
    CancelToken,
    Conversation,
    DefaultState,
    LoopConfig,
    Message,
    MockLLMBackend,
    PermissionDecision,
    PermissionEngine,
    PermissionHook,
    SessionLog,
    Skill,
    Step,
    ToolCall,
    ToolResult,
    ToolSpec,
    Tracer,
    TracingHook,
    composable_loop,
    run_sub_loop,
)
from looplet.permissions import PermissionOutcome
from looplet.subagent import clone_tools_excluding
from looplet.telemetry import Span
from looplet.tools import BaseToolRegistry

GREET = json.dumps({"tool": "greet", "args": {"name": "Ann"}, "reasoning": "say hi"})
DONE = json.dumps({"tool": "done", "args": {"answer": "ok"}})


class Prompts(MockLLMBackend):
    """Remembers every prompt."""

    def __init__(self, responses: list[str]) -> None:
        super().__init__(responses)
        self.prompts: list[str] = []

    def generate(self, prompt: str, **options: Any) -> str:
        self.prompts.append(prompt)
        return super().generate(prompt, **options)


def greeter() -> BaseToolRegistry:
    tools = BaseToolRegistry()
    tools.register(ToolSpec("greet", "Greet.", {"name": "str"}, lambda name: {"greeting": f"hi {name}"}))
    tools.register(ToolSpec("done", "Finish.", {"answer": "str"}, lambda answer: {"answer": answer}))
    return tools


def take(*replies: str, **given: Any) -> tuple[list[Step], list[str]]:
    llm = Prompts(list(replies))
    given.setdefault("tools", greeter())
    return list(composable_loop(llm, {"goal": "greet"}, **given)), llm.prompts


class OwnRender(SessionLog):
    def render(self) -> str:
        return f"NOTES OF {len(self.entries)}"


class OwnTail(SessionLog):
    def render(self) -> str:
        return f"{super().render()}\nand a tail"


class OwnBody(SessionLog):
    def render_body(self) -> str:
        return f"BODY OF {len(self.entries)}"


@pytest.mark.parametrize(
    ("log", "line"),
    [(OwnRender, "NOTES OF 1"), (OwnTail, "and a tail"), (OwnBody, "BODY OF 1")],
)
def test_a_session_log_with_a_text_of_its_own_is_shown_with_it(log: type[SessionLog], line: str) -> None:
    _, prompts = take(GREET, DONE, session_log=log())
    assert line in prompts[1].splitlines()


def test_a_conversation_that_overrides_append_gets_every_message_through_it() -> None:
    class Mirrored(Conversation):
        def append(self, msg: Message) -> Conversation:
            mirror.append(msg.role.value)
            return super().append(msg)

    mirror: list[str] = []
    conversation = Mirrored()
    take(GREET, DONE, conversation=conversation)
    assert mirror == ["user", "assistant", "assistant", "tool"] * 2
    assert [message.role.value for message in conversation.messages] == mirror


def test_a_fork_is_of_the_same_class_and_keeps_what_the_class_adds() -> None:
    class Named(Conversation):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    first = Named("support")
    take(DONE, conversation=first)
    fork = first.fork()
    count = len(first.messages)
    fork.truncate(0)
    assert isinstance(fork, Named)
    assert (fork.name, len(fork.messages), len(first.messages)) == ("support", 0, count)


def test_a_default_state_with_a_budget_of_its_own_runs_as_long_as_that_says() -> None:
    class Purse(DefaultState):
        @property
        def budget_remaining(self) -> int:
            return 2 - self.queries_used

    state = Purse(max_steps=9)
    steps, prompts = take(GREET, state=state, config=LoopConfig(max_steps=9))
    assert len(steps) == 2
    assert "budget: 2 steps remaining" in prompts[0]
    assert state._stop_reason == "budget_exhausted"


def test_a_default_state_with_a_budget_of_its_own_still_ends_at_the_configured_steps() -> None:
    class Rich(DefaultState):
        @property
        def budget_remaining(self) -> int:
            return 100

    assert len(take(GREET, state=Rich(max_steps=3), config=LoopConfig(max_steps=3))[0]) == 3


class NoGreeting(PermissionEngine):
    asked: int

    def evaluate(self, call: ToolCall, **given: Any) -> PermissionOutcome:
        self.asked = getattr(self, "asked", 0) + 1
        if call.tool == "greet":
            return PermissionOutcome(PermissionDecision.DENY, None, "no greetings")
        return super().evaluate(call, **given)


class Policy:
    """No engine at all, but it decides."""

    def __init__(self) -> None:
        self.asked = 0

    def evaluate(self, call: ToolCall) -> PermissionOutcome:
        self.asked += 1
        denied = call.tool == "greet"
        return PermissionOutcome(
            PermissionDecision.DENY if denied else PermissionDecision.ALLOW, None, "no greetings"
        )


@pytest.mark.parametrize(
    "engine", [NoGreeting(default=PermissionDecision.ALLOW), Policy()], ids=["sub", "own"]
)
def test_an_engine_with_a_judgement_of_its_own_is_asked_once_about_each_call(engine: Any) -> None:
    tools = greeter()
    tools.register(ToolSpec("look", "Look.", {}, lambda: {"seen": 1}))
    look = json.dumps({"tool": "look"})
    steps, _ = take(GREET, look, DONE, tools=tools, hooks=[PermissionHook(engine)])
    assert [step.tool_result.error for step in steps] == ["no greetings", None, None]
    assert engine.asked == 2
    assert PermissionHook(engine).check_permission(ToolCall("greet"), None) is False


def test_a_cancel_token_with_a_rule_of_its_own_counts_everywhere() -> None:
    class Deadline(CancelToken):
        @property
        def is_cancelled(self) -> bool:
            return True

    with pytest.raises(RuntimeError, match="cancelled"):
        Deadline().raise_if_cancelled()
    assert take(GREET, config=LoopConfig(cancel_token=Deadline()))[0] == []


def test_a_tool_that_is_described_anew_is_shown_so_in_the_next_prompt() -> None:
    tools = greeter()

    class Describes:
        def post_dispatch(self, state: Any, session_log: Any, call: Any, result: Any, step_num: int) -> None:
            tools._tools["greet"].description = "Greet, once more."

    _, prompts = take(GREET, DONE, tools=tools, hooks=[Describes()])
    assert "Greet, once more." not in prompts[0]
    assert "Greet, once more." in prompts[1]
    assert tools.tool_schemas()[0]["description"] == "Greet, once more."


class Exported(Tracer):
    """Tells of each span, with the signatures that a tracer always had."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def start_span(self, name: str, *, attributes: dict[str, Any] | None = None) -> Span:
        self.told.append(name)
        return super().start_span(name, attributes=attributes)

    def end_span(self, span: Span, *, status: str = "ok", attributes: dict[str, Any] | None = None) -> None:
        self.told.append(f"/{span.name}")
        super().end_span(span, status=status, attributes=attributes)


def test_a_tracer_that_knows_of_no_parent_gets_every_span() -> None:
    tracer = Exported()
    take(GREET, DONE, hooks=[TracingHook(tracer)], config=LoopConfig(tracer=tracer))
    inner = ["llm.call.step_1", "tool.greet", "llm.call.step_2", "tool.done"]
    assert tracer.told == ["loop.run", *(one for name in inner for one in (name, f"/{name}")), "/loop.run"]
    assert [span.name for span in tracer.root_spans[0].children] == inner


def test_an_object_that_starts_and_ends_spans_is_tracer_enough_for_the_config() -> None:
    class Bridge:
        def __init__(self) -> None:
            self.told: list[str] = []

        def start_span(self, name: str, *, attributes: dict[str, Any] | None = None) -> str:
            self.told.append(name)
            return name

        def end_span(
            self, span: str, *, status: str = "ok", attributes: dict[str, Any] | None = None
        ) -> None:
            self.told.append(f"/{span} {status}")

    bridge: Any = Bridge()
    take(GREET, DONE, config=LoopConfig(tracer=bridge))
    assert bridge.told == [
        f"{edge}llm.call.step_{n}{end}" for n in (1, 2) for edge, end in (("", ""), ("/", " ok"))
    ]


class Counted(BaseToolRegistry):
    """Overrides what one registers with, in the signature that it always had."""

    def __init__(self) -> None:
        super().__init__()
        self.registered: list[str] = []

    def register(self, spec: ToolSpec) -> None:  # type: ignore[override]
        self.registered.append(spec.name)
        super().register(spec)


def test_a_registry_with_a_register_of_its_own_takes_a_skill_and_the_older_spelling() -> None:
    tools = Counted()
    first, second = (ToolSpec(name, "Look.", {}, lambda: 1) for name in ("look", "see"))
    assert Skill("eyes", tools=[first]).register(tools) == 1
    tools._register(second)
    tools._register(second)
    assert (tools.tool_names, tools.registered) == (["look", "see"], ["look"])


class Minimal:
    """A registry of nothing but what the loop calls."""

    def __init__(self, specs: list[ToolSpec]) -> None:
        self._tools = {spec.name: spec for spec in specs}

    def tool_catalog_text(self) -> str:
        return f"You have {', '.join(self._tools)}."

    def tool_schemas(self) -> list[dict[str, Any]]:
        return [spec.to_api_schema() for spec in self._tools.values()]

    def dispatch(self, call: ToolCall, *, ctx: Any = None) -> ToolResult:
        spec = self._tools.get(call.tool)
        if spec is None:
            return ToolResult(call.tool, "", None, f"no {call.tool} here")
        return ToolResult(call.tool, "of mine", spec.execute(**call.args))

    def dispatch_batch(self, calls: list[ToolCall], *, ctx: Any = None) -> list[ToolResult]:
        return [self.dispatch(call, ctx=ctx) for call in calls]


def test_a_registry_of_the_users_own_is_cloned_for_a_sub_agent() -> None:
    parent = Minimal(list(greeter()._tools.values()))
    twin = clone_tools_excluding(parent, ["greet"])
    assert isinstance(twin, Minimal)
    assert (list(twin._tools), list(parent._tools)) == (["done"], ["greet", "done"])
    ended = run_sub_loop(Prompts([GREET, DONE]), {"goal": "greet"}, parent, state_mutating_tools=["look"])
    assert [step["result"]["args"] for step in ended["steps"]] == ["of mine", "of mine"]
