"""Cache policy, breakpoints and the detection of lost caches."""

from __future__ import annotations

import hashlib

import pytest

from looplet import CallableMemorySource, LoopConfig, run_loop
from looplet.cache import CacheBreakDetector, CacheBreakpoint, CacheControl, CachePolicy, compute_breakpoints
from looplet.testing import ScriptedChatBackend, call

ALL = CachePolicy(CacheControl(), CacheControl("1h"), CacheControl())
TEXTS = {"system_prompt": "be kind", "tool_schemas_text": "tools", "memory_text": "remember"}


def test_sections_come_in_the_order_they_are_sent():
    assert ALL.sections() == [
        ("system_prompt", CacheControl("ephemeral")),
        ("tool_schemas", CacheControl("1h")),
        ("memory", CacheControl("ephemeral")),
    ]
    assert CachePolicy().sections() == []


def test_a_breakpoint_for_each_section():
    points = compute_breakpoints(ALL, **TEXTS)
    assert [(p.label, p.content) for p in points] == [
        ("system_prompt", "be kind"),
        ("tool_schemas", "tools"),
        ("memory", "remember"),
    ]
    assert points[1] == CacheBreakpoint(
        "tool_schemas", hashlib.sha256(b"tools").hexdigest()[:16], "tools", CacheControl("1h")
    )


@pytest.mark.parametrize(
    ("policy", "texts", "labels"),
    [
        (CachePolicy(memory=CacheControl()), TEXTS, ["memory"]),
        (ALL, {**TEXTS, "memory_text": ""}, ["system_prompt", "tool_schemas"]),
        (CachePolicy(), TEXTS, []),
    ],
)
def test_what_is_not_wanted_or_empty_has_none(policy, texts, labels):
    assert [p.label for p in compute_breakpoints(policy, **texts)] == labels


def test_any_text_can_be_hashed():
    assert compute_breakpoints(ALL, **{**TEXTS, "memory_text": "\ud800"})


def test_the_detector_names_step_section_and_hashes():
    detector = CacheBreakDetector(ALL)
    first = detector.record(1, **TEXTS)
    assert first == compute_breakpoints(ALL, **TEXTS)
    detector.record(2, **TEXTS)
    assert detector.breaks == []
    changed = detector.record(3, **{**TEXTS, "memory_text": "more"})
    assert detector.breaks == [(3, "memory", first[2].hash, changed[2].hash)]
    detector.breaks.clear()
    assert len(detector.breaks) == 1


@pytest.mark.filterwarnings("error")
def test_a_detector_among_the_hooks_watches_a_run():
    detector = CacheBreakDetector(ALL)
    script = [call("print", args="x"), call("print", args="y"), call("done", answer="ok")]
    config = LoopConfig(
        system_prompt="be kind",
        cache_policy=ALL,
        memory_sources=[CallableMemorySource(lambda state: "more" if len(state.steps) > 1 else "remember")],
    )
    run_loop(ScriptedChatBackend(script), "t", [print], hooks=[detector], config=config)
    assert [(step, label) for step, label, *_ in detector.breaks] == [(3, "memory")]
