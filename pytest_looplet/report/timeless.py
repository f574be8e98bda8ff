"""A run without what is new each time, so that two reports of the same behaviour are the same text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from looplet.trajectory import Trajectory
from looplet.types import Block, Step, ThreadMessage

ID_KEYS = ("id", "tool_use_id", "call_id", "tool_call_id")
"""Keys of a message or block that hold the id of a call."""


def timing_of(run: Trajectory) -> dict[str, Any]:
    """Milliseconds of *run*, of its steps and of its model calls, as JSON."""
    return {
        "run": round(run.duration_ms, 1),
        "steps": [round(step.tool_result.duration_ms, 1) for step in run.steps],
        "calls": [round(call.duration_ms, 1) for call in run.model_calls],
    }


def timeless(run: Trajectory) -> Trajectory:
    """*run* without run ids and durations, its calls named by their step's number."""
    names = {step.tool_call.call_id: str(step.number) for step in run.steps}
    calls = [
        replace(
            call,
            duration_ms=0.0,
            added=tuple(_message(message, names) for message in call.added),
            reply=tuple(_block(block, names) for block in call.reply),
        )
        for call in run.model_calls
    ]
    return replace(
        run,
        run_id="",
        duration_ms=0.0,
        steps=tuple(_step(step, 0.0) for step in run.steps),
        model_calls=tuple(calls),
        decisions=tuple(replace(decision, call_id=str(decision.step)) for decision in run.decisions),
        children=tuple(timeless(child) for child in run.children),
    )


def timed(run: Trajectory, timing: Mapping[str, Any]) -> Trajectory:
    """*run* with the durations of *timing* again, as far as it has them."""
    steps = [*timing.get("steps", ()), *[0.0] * len(run.steps)]
    calls = [*timing.get("calls", ()), *[0.0] * len(run.model_calls)]
    return replace(
        run,
        duration_ms=float(timing.get("run", 0.0)),
        steps=tuple(_step(step, float(ms)) for step, ms in zip(run.steps, steps, strict=False)),
        model_calls=tuple(
            replace(call, duration_ms=float(ms)) for call, ms in zip(run.model_calls, calls, strict=False)
        ),
    )


def _step(step: Step, duration_ms: float) -> Step:
    number = str(step.number)
    result = replace(step.tool_result, call_id=number, duration_ms=duration_ms)
    return replace(step, tool_call=replace(step.tool_call, call_id=number), tool_result=result)


def _message(message: ThreadMessage, names: Mapping[str, str]) -> ThreadMessage:
    content = message.get("content")
    changed: Any = [_block(block, names) for block in content] if isinstance(content, list) else content
    return {**message, **_named(message, names), "content": changed}


def _block(block: Block, names: Mapping[str, str]) -> Block:
    return {**block, **_named(block, names)}


def _named(holder: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """The ids in *holder* that belong to a step, with the step's number in their place."""
    found = {key: holder.get(key) for key in ID_KEYS}
    return {key: names[held] for key, held in found.items() if isinstance(held, str) and held in names}
