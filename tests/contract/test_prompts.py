"""The text prompt: its sections, their order, and the words that agents and their tests look for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looplet import (
    BaseToolRegistry,
    CallableMemorySource,
    DefaultState,
    LoopConfig,
    MockLLMBackend,
    StaticMemorySource,
    ToolSpec,
    composable_loop,
    preview_prompt,
)
from looplet.prompts import build_parse_recovery_prompt, build_prompt
from looplet.scaffolding import PARSE_RECOVERY_PROMPT

SECTIONS = [
    "MEMORY",
    "TASK",
    "TOOLS",
    "ESTABLISHED FACTS",
    "SESSION LOG",
    "ASSESSMENT",
    "RECENT RESULTS",
    "STEP",
]


def test_all_sections_in_their_order() -> None:
    text = build_prompt(
        {"title": "demo"},
        "Available tools:\n  t()",
        {"findings": ["one", "two"], "budget_remaining": 7, "hit_count": 3},
        "S1 ✓ t()",
        3,
        10,
        "Steps:\n  S1: t",
        "mind the gap",
        memory="remember",
    )
    places = [text.index(f"═══ {name}") for name in SECTIONS]
    assert places == sorted(places)
    for line in ("title: demo", "═══ TASK ═══", "═══ TOOLS ═══", "═══ MEMORY ═══", "budget: 7"):
        assert line in text
    assert "═══ STEP 3/10" in text
    assert "findings (2):" in text
    assert "  • two" in text
    assert "hit_count: 3" in text
    assert "LOW BUDGET" not in text


def test_sections_without_anything_are_left_out() -> None:
    text = build_prompt({"title": "demo"}, "", {})
    assert text.startswith("═══ TASK ═══")
    assert text.count("SESSION LOG") == 0
    assert [name for name in SECTIONS if f"═══ {name}" in text] == ["TASK", "TOOLS", "STEP"]
    assert "budget: ?" in text


@pytest.mark.parametrize("history", ["", "(no steps taken yet)"])
def test_no_recent_results(history: str) -> None:
    assert "RECENT RESULTS" not in build_prompt({}, context_history=history)


@pytest.mark.parametrize(("left", "low"), [(0, True), (3, True), (4, False), (None, False), ("2", False)])
def test_low_budget(left: Any, low: bool) -> None:
    text = build_prompt({}, state_summary={"budget_remaining": left})
    assert ("LOW BUDGET" in text) == low


def test_a_section_by_another_name() -> None:
    headers = {"task": "CASE", "tools": "MEANS"}
    text = build_prompt({"title": "demo"}, section_headers=headers)
    assert "═══ CASE ═══" in text
    assert "═══ MEANS ═══" in text
    assert "TASK" not in text


def test_only_the_fields_that_are_asked_for() -> None:
    text = build_prompt({"title": "demo", "secret": "x"}, task_fields=["title"])
    assert "title: demo" in text
    assert "secret" not in text


def test_facts_of_ones_own() -> None:
    assert "- mine" in build_prompt({}, state_summary={"x": 1}, render_facts=lambda summary: ["- mine"])


def test_the_last_lines_of_ones_own() -> None:
    text = build_prompt(
        {}, state_summary={"budget_remaining": 1}, action_prompt="Go.", low_budget_warning="!"
    )
    assert text.rstrip().endswith("Go.")
    assert "LOW BUDGET" not in text


def test_the_recovery_prompt() -> None:
    text = build_parse_recovery_prompt("the question", "y" * 400)
    assert PARSE_RECOVERY_PROMPT in text
    assert text.startswith("the question")
    assert '{"tool": "<tool_name>", "args": {...}, "reasoning": "..."}' in text
    assert "JSON" in text
    assert text.count("y" * 300) == 1
    assert "y" * 301 not in text


def tools() -> BaseToolRegistry:
    registry = BaseToolRegistry()
    registry.register(ToolSpec("greet", "Greet someone.", {"name": "str"}, lambda *, name: {"hi": name}))
    registry.register(ToolSpec("done", "Finish.", {"answer": "str"}, lambda *, answer: {}))
    return registry


GREET = json.dumps({"tool": "greet", "args": {"name": "Alice"}, "reasoning": "say hi"})
DONE = json.dumps({"tool": "done", "args": {"answer": "ok"}})


def test_the_second_prompt_of_a_run() -> None:
    llm = MockLLMBackend([GREET, DONE])
    config = LoopConfig(max_steps=5)
    list(composable_loop(llm, task={"goal": "Greet Alice, then finish."}, tools=tools(), config=config))
    text = llm.last_prompt
    for part in (
        "═══ TASK ═══\ngoal: Greet Alice, then finish.",
        "═══ TOOLS ═══\nAvailable tools:\n  greet(name: str)\n    Greet someone.",
        "═══ SESSION LOG ═══",
        "  S1: greet — say hi",
        "═══ RECENT RESULTS ═══\nS1 ✓ greet(name=Alice)",
        "═══ STEP 2/5 — budget: 4 steps remaining ═══",
        "What do you want to do next? Respond with JSON.",
    ):
        assert part in text
    assert text.count("═══ SESSION LOG ═══") == 1


def test_memory_is_in_every_prompt() -> None:
    calls: list[Any] = []

    def load(state: Any) -> str | None:
        calls.append(state)
        return None if len(calls) == 1 else "now I know"

    sources = [StaticMemorySource("  be kind  "), CallableMemorySource(load)]
    llm, state = MockLLMBackend([GREET, DONE]), DefaultState()
    list(composable_loop(llm, tools=tools(), config=LoopConfig(memory_sources=sources), state=state))
    assert llm.last_prompt.startswith("═══ MEMORY ═══\nbe kind\n\nnow I know")
    assert set(map(id, calls)) == {id(state)}


def test_a_budget_for_briefings() -> None:
    class Long:
        def pre_prompt(self, state: Any, session_log: Any, context: Any, step_num: int) -> str:
            return "x" * 100

    class Never:
        def pre_prompt(self, state: Any, session_log: Any, context: Any, step_num: int) -> str:
            raise AssertionError("asked though the budget is used up")

    llm = MockLLMBackend([DONE])
    config = LoopConfig(max_briefing_tokens=10, build_briefing=lambda *a: "always here")
    list(composable_loop(llm, tools=tools(), hooks=[Long(), Never()], config=config))
    assert "always here" in llm.last_prompt
    assert "(briefing truncated — token budget exceeded)" in llm.last_prompt
    assert "xxx" not in llm.last_prompt


def test_preview() -> None:
    text = preview_prompt({"title": "demo"}, tools(), step_number=3, config=LoopConfig(max_steps=10))
    assert "═══ STEP 3/10" in text
    assert "title: demo" in text
