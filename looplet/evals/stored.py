"""A saved run, whichever of the three formats it was written in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from looplet.errors import TraceError
from looplet.trajectory import Trajectory
from looplet.types import Step, ToolCall, ToolResult, Usage

RUN_FACTS = ("run_id", "started_at", "ended_at", "termination_reason")
"""Keys of an older `trajectory.json` that an eval reads as metadata."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What a run directory holds.

    Attributes:
        trajectory: The run.
        task_facts: Expected values that stand beside the run, to be merged into the task.
        output_facts: Predicted values that stand beside the run, to be merged into the final output.
        metadata: The run's own metadata, and when and why it ended.
    """

    trajectory: Trajectory
    task_facts: dict[str, Any] = field(default_factory=dict)
    output_facts: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


def read_run(folder: Path) -> StoredRun:
    """Read the run directory *folder*.

    Raises:
        FileNotFoundError: there is no `trajectory.json`.
        TraceError: a file is no JSON object or no run; the text names it.
    """
    path = folder / "trajectory.json"
    if not path.is_file():
        raise FileNotFoundError(f"No trajectory.json in {folder}")
    content = _read_object(path)
    metrics = _read_object(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
    trajectory = _flat_run(content, path) if _is_flat(content) else Trajectory.load(path)
    if (folder / "artifacts.json").is_file():
        found = _read_object(folder / "artifacts.json")
        trajectory = replace(trajectory, artifacts={**trajectory.artifacts, **found})
    return StoredRun(
        trajectory,
        task_facts=_facts(metrics, ("expected_verdict", "expected_iocs"))
        | _facts(content, ("expected_verdict",)),
        output_facts=_facts(metrics, ("predicted_iocs", "verdict")) | _facts(content, ("verdict",)),
        metadata={**trajectory.metadata, **_facts(content, RUN_FACTS)},
    )


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise TraceError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise TraceError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _facts(content: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: content[key] for key in keys if content.get(key) is not None}


# ---------------------------------------------------------------- flat steps


def _is_flat(content: dict[str, Any]) -> bool:
    """Whether the steps are `{"tool", "args", "error", "data"}` without a call and a result."""
    steps = content.get("steps")
    return isinstance(steps, list) and any(isinstance(step, dict) and "tool" in step for step in steps)


def _flat_run(content: dict[str, Any], path: Path) -> Trajectory:
    steps = tuple(_flat_step(number, step, path) for number, step in enumerate(content["steps"], 1))
    done = [step for step in steps if step.tool_call.tool == "done" and not step.tool_result.error]
    return Trajectory(
        run_id=str(content.get("run_id") or path.parent.name),
        task=content.get("task"),
        steps=steps,
        stop_reason=str(content.get("termination_reason") or ("done" if done else "")),
        usage=Usage(),
        final_output=dict(done[-1].tool_call.args) if done else {},
        metadata=content["metadata"] if isinstance(content.get("metadata"), dict) else {},
    )


def _flat_step(number: int, step: object, path: Path) -> Step:
    if not isinstance(step, dict) or not isinstance(step.get("tool"), str):
        raise TraceError(f'{path}: step {number} has no "tool"')
    args = step.get("args") or {}
    if not isinstance(args, dict):
        raise TraceError(f'{path}: "args" of step {number} is no object')
    error = step.get("error")
    summary = ", ".join(f"{key}={value}" for key, value in args.items())[:100]
    return Step(
        number,
        ToolCall(step["tool"], args, call_id=f"step_{number}"),
        ToolResult(step["tool"], summary, step.get("data"), error=None if error is None else str(error)),
    )
