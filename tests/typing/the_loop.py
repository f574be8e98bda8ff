"""What type checkers see of the loop. Never run: mypy --strict and pyright read it."""

from collections.abc import AsyncGenerator, Generator
from typing import Any, assert_type

from looplet import (
    AgentState,
    Block,
    ChatBackend,
    ChatReply,
    DefaultState,
    Deny,
    HookDecision,
    LLMBackend,
    LoopConfig,
    LoopHook,
    MockLLMBackend,
    ModelPrice,
    PermissionEngine,
    PermissionRule,
    Step,
    ToolCall,
    ToolError,
    ToolResult,
    ToolSpec,
    Trajectory,
    Usage,
    async_composable_loop,
    async_run_loop,
    composable_loop,
    run_loop,
    run_sub_loop,
    tool,
    tools_from,
)
from looplet.testing import ScriptedChatBackend, call
from looplet.types import ErrorKind


@tool
def greet(name: str) -> str:
    """Greet."""
    return name


@tool(name="wave", concurrent_safe=True)
def wave() -> None:
    """Wave."""


llm = ScriptedChatBackend(call("greet", name="Alice"), "Done.")
tools = tools_from([greet, wave], include_done=True)
backend: LLMBackend = MockLLMBackend(["x"])
chats: ChatBackend = llm
state: AgentState = DefaultState(max_steps=3)

assert_type(composable_loop(llm, "x", tools), Generator[Step, None, Any])
assert_type(async_composable_loop(llm, "x", tools), AsyncGenerator[Step, None])
assert_type(run_loop(llm, "x", [greet]), Trajectory)
assert_type(run_sub_loop(llm, "x", tools), dict[str, Any])

run = run_loop(llm, "x", tools, config=LoopConfig(max_steps=3))
assert_type(run[0], Step)
assert_type(run[1:], Trajectory)
assert_type(run.steps, tuple[Step, ...])
assert_type(run.tools, list[str])
assert_type(run.stop_reason, str)
assert_type(run.error, str | None)
assert_type(run.usage, Usage)
assert_type(run.cost({"m": ModelPrice(1.0, 2.0)}), float | None)
assert_type(run.final_output, dict[str, Any])

step = run[0]
assert_type(step.tool_call, ToolCall)
assert_type(step.tool_result, ToolResult)
assert_type(step.tool_result.error, str | None)
assert_type(step.tool_result.error_detail, ToolError | None)
assert_type(step.tool_result.error_kind, ErrorKind | None)
assert_type(step.pretty(), str)

assert_type(Block("no"), HookDecision)
assert_type(Deny("no"), HookDecision)
assert_type(PermissionEngine().allow("read_*").deny("*"), PermissionEngine)
assert_type(PermissionEngine().rules, list[PermissionRule])


def spec_of(value: ToolSpec) -> str:
    """A decorated function is a tool."""
    return value.name


spec_of(greet)
spec_of(wave)


async def on_an_event_loop() -> None:
    """The async twins."""
    async for taken in async_composable_loop(llm, "x", tools):
        assert_type(taken, Step)
    assert_type(await async_run_loop(llm, "x", tools), Trajectory)


def reply_of(chat: ChatBackend) -> ChatReply:
    """A backend by its protocol."""
    return chat.chat([{"role": "user", "content": "x"}], tools=[])


def is_a_hook(value: object) -> bool:
    """Hooks are checked by their slots."""
    return isinstance(value, LoopHook)
