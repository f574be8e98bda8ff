"""Prompts of the text protocol, and memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st

from looplet.memory import CallableMemorySource, PersistentMemorySource, StaticMemorySource, render_memory
from looplet.prompts import (
    REPLY_SHAPE,
    build_parse_recovery_prompt,
    build_prompt,
    preview_prompt,
    render_result,
    task_text,
)
from looplet.session import SessionLog
from looplet.types import DefaultState, Step, ToolCall, ToolResult


def headers(prompt: str) -> list[str]:
    return [line.strip("═ ") for line in prompt.splitlines() if line.startswith("═══")]


def section(prompt: str, name: str) -> str:
    return prompt.split(f"═══ {name} ═══\n", 1)[1].split("\n\n═══", 1)[0]


def taken(data: object = None, error: str | None = None) -> Step:
    return Step(3, ToolCall("read", {"path": "x"}), ToolResult("read", "path=x", data, error=error))


class TestBuildPrompt:
    def test_only_task_tools_and_step_when_there_is_nothing_else(self):
        prompt = build_prompt(task={"title": "demo"}, tool_catalog="- search", step_number=3, max_steps=10)
        assert headers(prompt) == ["TASK", "TOOLS", "STEP 3/10 — budget: ? steps remaining"]
        assert prompt.startswith("═══ TASK ═══\ntitle: demo\n")

    def test_all_sections_in_their_order(self):
        prompt = build_prompt(
            {"a": 1},
            "- t",
            {"hypothesis": "it leaks", "budget_remaining": 9},
            "S1 ✓ t()",
            session_log="═══ SESSION LOG ═══\nSteps:\n  S1: t — r",
            briefing="mind the gap",
            memory="be kind",
        )
        assert headers(prompt) == [
            "MEMORY",
            "TASK",
            "TOOLS",
            "ESTABLISHED FACTS",
            "SESSION LOG",
            "ASSESSMENT",
            "RECENT RESULTS",
            "STEP 1/15 — budget: 9 steps remaining",
        ]

    def test_states_the_reply_format(self):
        prompt = build_prompt(task="x")
        assert "Respond with JSON" in prompt
        assert REPLY_SHAPE in prompt
        assert '{"tools": [' in prompt

    def test_sections_can_be_renamed_throughout(self):
        names = {
            name: name.title() for name in ("memory", "task", "tools", "facts", "session", "results", "step")
        }
        prompt = build_prompt(
            "x",
            "t",
            {"f": 1},
            "r",
            memory="m",
            session_log="═══ SESSION LOG ═══\nSteps:",
            section_headers=names,
        )
        assert [h.split()[0] for h in headers(prompt)] == [
            "Memory",
            "Task",
            "Tools",
            "Facts",
            "Session",
            "Results",
            "Step",
        ]
        assert "TASK" not in prompt
        assert "SESSION LOG" not in prompt

    @pytest.mark.parametrize(
        ("budget", "warned"), [(0, True), (3, True), (4, False), ("?", False), (None, False)]
    )
    def test_low_budget(self, budget, warned):
        prompt = build_prompt("x", state_summary={"budget_remaining": budget})
        assert ("LOW BUDGET" in prompt) is warned

    @pytest.mark.parametrize("blank", ["", "  \n"])
    def test_blank_texts_are_left_out(self, blank):
        assert headers(build_prompt("x", memory=blank, briefing=blank))[0] == "TASK"

    def test_no_steps_yet_is_no_result(self):
        assert "RECENT RESULTS" not in build_prompt("x", context_history="(no steps taken yet)")

    @pytest.mark.parametrize(
        ("log", "times"), [("", 0), ("Steps:\n  S1: a — b", 1), ("═══ SESSION LOG ═══\nSteps:", 1)]
    )
    def test_the_log_has_one_header(self, log, times):
        assert build_prompt("x", session_log=log).count("SESSION LOG") == times

    def test_a_log_with_a_title_of_its_own_keeps_it(self):
        log = SessionLog(title="CASE NOTES")
        log.record(1, "", "a", "b")
        prompt = build_prompt("x", session_log=log.render())
        assert "═══ CASE NOTES ═══\nSteps:" in prompt
        assert "SESSION LOG" not in prompt


class TestTaskText:
    @dataclass
    class Ticket:
        title: str
        tags: list = field(default_factory=list)

        def __str__(self) -> str:
            return f"Ticket: {self.title}"

    @pytest.mark.parametrize(
        ("task", "text"),
        [
            pytest.param("fix it", "fix it", id="str"),
            pytest.param(None, "", id="None"),
            pytest.param({}, "", id="empty"),
            pytest.param(
                {"goal": "fix", "n": 0, "dry": False, "x": 1.5}, "goal: fix\nn: 0\ndry: False\nx: 1.5", id="0"
            ),
            pytest.param(
                {"files": ["a", "b"], "o": {"k": 1}}, 'files: ["a", "b"]\no: {"k": 1}', id="containers"
            ),
            pytest.param({"a": None, "b": "", "c": "x"}, "c: x", id="nothing to show"),
            pytest.param(["one", {"k": 1}, 0], '- one\n- {"k": 1}\n- 0', id="list"),
            pytest.param(7, "7", id="number"),
            pytest.param(Ticket("leak"), "Ticket: leak", id="object"),
        ],
    )
    def test_shows(self, task, text):
        assert task_text(task) == text
        assert section(build_prompt(task=task, tool_catalog="- t"), "TASK") == text

    @pytest.mark.parametrize("task", [{"title": "leak", "tags": ["a"], "x": 0}, Ticket("leak", ["a"])])
    def test_fields_choose(self, task):
        assert task_text(task, ["tags", "title", "missing"]) == 'tags: ["a"]\ntitle: leak'

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text() | st.binary(), st.lists, max_leaves=8
        )
    )
    def test_any_value_can_be_shown(self, value):
        assert isinstance(task_text({"value": value, "list": [value]}), str)
        json.dumps(build_prompt(task=[value])).encode()


class TestFacts:
    @pytest.mark.parametrize(
        ("facts", "lines"),
        [
            pytest.param({"theory": "it leaks"}, ["theory: it leaks"], id="str"),
            pytest.param({"seen": {"a": 1}}, ['seen: {"a": 1}'], id="dict"),
            pytest.param({"ok": False, "left": 0}, ["ok: False", "left: 0"], id="0 and False"),
            pytest.param({"rows": [1, "b"]}, ["rows (2):", "  • 1", "  • b"], id="list"),
            pytest.param(
                {"found": [{"description": "d", "step": 4}, {"label": "l"}, {"value": "v"}, {"z": 1}]},
                ["found (4):", "  • d [step 4]", "  • l", "  • v", '  • {"z": 1}'],
                id="items",
            ),
            pytest.param(
                {"rows": list(range(12))}, ["rows (12):", *(f"  • {n}" for n in range(2, 12))], id="last ten"
            ),
        ],
    )
    def test_shows(self, facts, lines):
        assert section(build_prompt("x", state_summary=facts), "ESTABLISHED FACTS").splitlines() == lines

    @pytest.mark.parametrize(
        "facts", [None, {}, DefaultState().snapshot(), {"a": None, "b": [], "c": {}, "d": ""}]
    )
    def test_counters_and_empty_values_are_no_facts(self, facts):
        assert "ESTABLISHED FACTS" not in build_prompt("x", state_summary=facts)

    def test_metadata_of_the_default_state_is_shown(self):
        state = DefaultState(metadata={"branch": "main"})
        assert "branch: main" in build_prompt("x", state_summary=state.snapshot())

    def test_long_facts_are_cut(self):
        assert len(build_prompt("x", state_summary={"a": "y" * 9000, "b": ["z" * 9000] * 3})) < 3500

    @pytest.mark.parametrize("rendered", [["one", "two"], "one\ntwo"])
    def test_the_callers_own_rendering(self, rendered):
        prompt = build_prompt("x", state_summary={"a": 1}, render_facts=lambda facts: rendered)
        assert section(prompt, "ESTABLISHED FACTS") == "one\ntwo"


class TestRenderResult:
    @pytest.mark.parametrize(
        ("step", "text"),
        [
            (taken({"greeting": "hi"}), 'S3 ✓ read(path=x)\n{"greeting": "hi"}'),
            (taken({"total": 2, "rows": []}), 'S3 ✓ read(path=x) → 2\n{"total": 2, "rows": []}'),
            (taken([1, 2]), "S3 ✓ read(path=x) → 2 items\n[1, 2]"),
            (taken("line 1\nline 2"), "S3 ✓ read(path=x)\nline 1\nline 2"),
            (taken(), "S3 ✓ read(path=x)"),
            (taken(0), "S3 ✓ read(path=x)\n0"),
            (taken(error="no such file"), "S3 ✗ read(path=x) → ERROR: no such file"),
        ],
    )
    def test_summary_and_payload(self, step, text):
        assert render_result(step) == text

    def test_a_long_error_is_there_in_full(self):
        error = "Unknown tool: 'x'. Available: " + "y" * 100
        assert error in render_result(taken(error=error))

    @pytest.mark.parametrize("data", ["x" * 50_000, list(range(20_000)), {"text": "x" * 50_000}])
    def test_a_large_result_is_cut_in_the_middle(self, data):
        text = render_result(taken(data))
        whole = data if isinstance(data, str) else json.dumps(data)
        payload = text.split("\n", 1)[1]
        assert len(payload) == 2000
        assert (payload[:500], payload[-500:]) == (whole[:500], whole[-500:])

    @pytest.mark.parametrize(
        "data", [{1, 2}, object(), b"\xff", float("nan"), {"a": {3}}, {"k": "\ud800"}, {(1, 2): 3}]
    )
    def test_what_json_does_not_know_is_shown_all_the_same(self, data):
        render_result(taken(data)).encode()


class TestParseRecovery:
    def test_asks_again_with_the_shape_and_the_reply(self):
        prompt = build_parse_recovery_prompt("the question", "garbage " * 100)
        assert prompt.startswith("the question\n")
        assert "JSON" in prompt
        assert REPLY_SHAPE in prompt
        assert len(prompt) < 700

    @pytest.mark.parametrize("raw", [None, "", [{"type": "text", "text": "hm"}]])
    def test_takes_any_reply(self, raw):
        assert REPLY_SHAPE in build_parse_recovery_prompt("q", raw)


class TestPreview:
    CATALOG = SimpleNamespace(tool_catalog_text=lambda: "Available tools:\n  greet(name: str)")

    @staticmethod
    def config(**fields):
        return SimpleNamespace(**{"max_steps": 7, "memory_sources": [], "build_prompt": None, **fields})

    def test_with_nothing(self):
        assert headers(preview_prompt()) == ["TASK", "TOOLS", "STEP 1/15 — budget: 15 steps remaining"]

    def test_is_what_the_model_reads_first(self):
        config = self.config(memory_sources=[StaticMemorySource("be kind"), StaticMemorySource("be brief")])
        prompt = preview_prompt("greet Ann", self.CATALOG, config=config)
        assert section(prompt, "MEMORY") == "be kind\n\nbe brief"
        assert section(prompt, "TASK") == "greet Ann"
        assert "greet(name: str)" in prompt
        assert "STEP 1/7 — budget: 7 steps" in prompt

    def test_state_and_log(self):
        log = SessionLog()
        log.record(1, "", "greet", "hi")
        prompt = preview_prompt("x", state=DefaultState(max_steps=4), session_log=log, step_number=2)
        assert "STEP 2/4" in prompt
        assert "S1: greet" in prompt

    def test_a_prompt_builder_of_the_callers(self):
        seen = {}
        config = self.config(build_prompt=lambda **fields: seen.update(fields) or "mine")
        assert preview_prompt("x", self.CATALOG, config=config) == "mine"
        names = "task tool_catalog state_summary context_history step_number max_steps "
        assert " ".join(seen) == f"{names}session_log briefing memory"


class TestMemory:
    def test_texts_are_stripped_and_parted_by_a_blank_line(self):
        sources = [
            StaticMemorySource("  one\n"),
            CallableMemorySource(lambda state: None),
            CallableMemorySource(lambda state: f"two {state}"),
            StaticMemorySource("   "),
        ]
        assert render_memory(sources, 7) == "one\n\ntwo 7"

    @pytest.mark.parametrize("sources", [None, [], [StaticMemorySource("")]])
    def test_nothing_to_remember(self, sources):
        assert render_memory(sources, None) == ""

    def test_exceptions_come_through(self):
        def broken(state):
            raise LookupError("no notes")

        with pytest.raises(LookupError):
            render_memory([CallableMemorySource(broken)], None)

    def test_both_are_sources(self):
        assert isinstance(StaticMemorySource("x"), PersistentMemorySource)
        assert isinstance(CallableMemorySource(str), PersistentMemorySource)
