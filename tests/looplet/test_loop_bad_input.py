"""Wrong arguments: an error at the first line that can know, which names the argument and the mend."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Any

import pytest

from looplet import (
    BaseToolRegistry,
    ConfigError,
    DefaultState,
    LoopConfig,
    ToolSpec,
    async_composable_loop,
    composable_loop,
)
from looplet.testing import ScriptedBackend, ScriptedChatBackend, call
from looplet.tools import tool, tools_from

DONE = call("done", answer="ok")


def add(a: int) -> int:
    """Add one."""
    return a + 1


def first_step(**arguments: Any) -> Any:
    return next(composable_loop(**{"llm": ScriptedBackend(DONE), "tools": tools_from([add]), **arguments}))


class NotCallable:
    pre_dispatch = "no"


ARGUMENTS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no tools": ({"tools": None}, ValueError, "tools is required"),
    "tools that are none": ({"tools": 5}, ValueError, "BaseToolRegistry"),
    "a dict of tools": ({"tools": {"add": add}}, ValueError, "BaseToolRegistry"),
    "a tool that is none": ({"tools": [5]}, ValueError, "5"),
    "no backend": ({"llm": None}, TypeError, "NoneType.*OpenAIBackend"),
    "a client": ({"llm": object()}, TypeError, "object.*generate"),
    "a backend's class": ({"llm": ScriptedBackend}, TypeError, "ScriptedBackend"),
    "a slot that is no method": ({"hooks": [NotCallable()]}, ValueError, "pre_dispatch"),
    "a hook's class": ({"hooks": [type("Hook", (), {"pre_loop": lambda self, *a: None})]}, TypeError, "Hook"),
    "hooks that are no list": ({"hooks": 5}, TypeError, "hooks"),
    "one hook without a list": (
        {"hooks": type("Hook", (), {"pre_loop": lambda self, *a: None})()},
        TypeError,
        "hooks",
    ),
    "a config that is none": ({"config": {"max_steps": 3}}, TypeError, "LoopConfig"),
    "a state that is none": ({"state": object()}, TypeError, "state"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments(name: str) -> None:
    arguments, kind, text = ARGUMENTS[name]
    with pytest.raises(kind, match=text):
        first_step(**arguments)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_the_async_loop(name: str) -> None:
    arguments, kind, text = ARGUMENTS[name]

    async def main() -> None:
        given = {"llm": ScriptedBackend(DONE), "tools": tools_from([add]), **arguments}
        await anext(async_composable_loop(**given))

    with pytest.raises(kind, match=text):
        asyncio.run(main())


CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "steps below zero": ({"max_steps": -1}, "max_steps"),
    "steps as text": ({"max_steps": "3"}, "max_steps"),
    "steps as a bool": ({"max_steps": True}, "max_steps"),
    "no tokens": ({"max_tokens": 0}, "max_tokens"),
    "no window": ({"context_window": 0}, "context_window"),
    "a deadline in the past": ({"deadline_s": -1}, "deadline_s"),
    "an endless deadline": ({"deadline_s": float("nan")}, "deadline_s"),
    "a deadline without end": ({"deadline_s": float("inf")}, "None for no limit"),
    "a limit that no clock reaches": ({"llm_timeout_s": 1e12}, "None for no limit"),
    "steps without end": ({"max_steps": float("inf")}, "finite"),
    "a limit below zero": ({"llm_timeout_s": -0.1}, "llm_timeout_s"),
    "no done tool": ({"done_tool": ""}, "done_tool"),
    "a done tool that is no name": ({"done_tool": None}, "done_tool"),
    "an unknown way to resume": ({"resume": "maybe"}, "resume"),
    "streaming without threads": ({"stream_tokens": True, "use_native_tools": False}, "stream_tokens"),
    "streaming one's own prompt": (
        {"stream_tokens": True, "build_prompt": lambda **kw: "mine"},
        "stream_tokens",
    ),
    "a temperature as text": ({"temperature": "warm"}, "temperature"),
    "memory that is no list": ({"memory_sources": "remember"}, "memory_sources"),
    "a prompt that is no function": ({"build_prompt": "mine"}, "build_prompt"),
    "a briefing that is no function": ({"build_briefing": "mine"}, "build_briefing"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_contradictory_config(name: str) -> None:
    fields, text = CONFIGS[name]
    with pytest.raises(ConfigError, match=f"(?s){text}"):
        first_step(config=LoopConfig(**fields))


def test_two_tools_of_one_name() -> None:
    with pytest.raises(ConfigError, match=r"(?s)'add'.*replace=True"):
        tools_from([add, ToolSpec("add", "Again.", {}, add)])


SCHEMAS: dict[str, Any] = {
    "an unknown type": {"type": "object", "properties": {"a": {"type": "whole"}}},
    "properties that are none": {"type": "object", "properties": 5},
    "required that is no list": {"type": "object", "properties": {}, "required": "a"},
    "a property that is no schema": {"type": "object", "properties": {"a": "int"}},
    "a broken pattern": {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_that_is_none(name: str) -> None:
    with pytest.raises(ConfigError, match="'add'"):
        BaseToolRegistry().register(ToolSpec("add", "Add.", SCHEMAS[name], add))


@pytest.mark.parametrize("body", [None, 5, "add"])
def test_a_tool_without_a_body(body: Any) -> None:
    with pytest.raises(ConfigError, match="callable"):
        BaseToolRegistry().register(ToolSpec("add", "Add.", {}, body))


def test_a_tool_whose_parameters_cannot_be_named() -> None:
    with pytest.raises(ConfigError, match="add"):

        @tool
        def add(a: int, /) -> int:
            """Add."""
            return a


# ------------------------------------------------------------------ odd tasks


class Ticket:
    def __str__(self) -> str:
        return "ticket 7: refund"


TASKS: dict[str, tuple[Any, list[str]]] = {
    "text": ("refund order 7", ["refund order 7"]),
    "list": (["read it", "refund it"], ["read it", "refund it"]),
    "dict of lists": ({"files": ["a.py", "b.py"], "flag": False, "n": 0}, ["a.py", "b.py", "flag", "n"]),
    "nested": ({"order": {"id": 7, "lines": [{"sku": "x-1"}]}}, ["x-1"]),
    "object": (Ticket(), ["ticket 7: refund"]),
    "path": (PurePosixPath("/srv/data"), ["/srv/data"]),
    "number": (7, ["7"]),
    "bytes that are no text": ({"raw": b"\xff"}, ["raw"]),
    "a lone surrogate": ("caf\ud800e", ["caf"]),
    "nothing": (None, []),
    "empty text": ("", []),
    "empty dict": ({}, []),
}


@pytest.mark.parametrize("kind", [ScriptedBackend, ScriptedChatBackend], ids=["text", "thread"])
@pytest.mark.parametrize("name", TASKS)
def test_tasks_of_every_sort(name: str, kind: Any) -> None:
    task, words = TASKS[name]
    llm = kind(DONE)
    state = DefaultState()
    list(composable_loop(llm, task=task, tools=tools_from([add], include_done=True), state=state))
    assert state._stop_reason == "done"  # type: ignore[attr-defined]
    for word in words:
        assert word in llm.requests[0].text
