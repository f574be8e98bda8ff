"""One finished run, as an eval sees it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from looplet.evals.stored import read_run
from looplet.trajectory import Trajectory
from looplet.types import Step, Usage


@dataclass(slots=True)
class EvalContext:
    """One finished run. The attributes are the same for a run that just ended and for one from disk.

    Attributes:
        steps: The steps, in order.
        task: What the agent was asked; a task that is no dict is `{"description": task}`.
        final_output: Arguments of the accepted call of the done tool; empty without one.
        session_log_text: The run's log as text, without durations.
        metadata: Anything else known of the run.
        expected: What the case expects; None outside a case.
        stop_reason: Why the run ended; `done` where the agent finished.
        usage: Tokens of all model calls.
        cost_usd: US dollars, or None where no price is known.
        artifacts: What collectors found in the world after the run, by name.
        trajectory: The whole run, or None where only the parts above are known.
    """

    steps: Sequence[Step]
    task: dict[str, Any] = field(default_factory=dict)
    final_output: dict[str, Any] = field(default_factory=dict)
    session_log_text: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    expected: Any = None
    stop_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    artifacts: dict[str, Any] = field(default_factory=dict)
    trajectory: Trajectory | None = None

    @property
    def tool_sequence(self) -> list[str]:
        """Names of the tools called, in order."""
        return [step.tool_call.tool for step in self.steps]

    @property
    def errors(self) -> list[Step]:
        """The steps whose call failed."""
        return [step for step in self.steps if step.tool_result.error]

    @property
    def step_count(self) -> int:
        """How many steps were taken."""
        return len(self.steps)

    @property
    def completed(self) -> bool:
        """Whether the agent finished by itself."""
        return self.stop_reason == "done"

    @classmethod
    def from_trajectory(cls, trajectory: Trajectory, *, expected: Any = None) -> EvalContext:
        """The context of *trajectory*; *expected* comes from its case."""
        return cls(
            steps=list(trajectory.steps),
            task=as_task(trajectory.task),
            final_output=dict(trajectory.final_output),
            session_log_text=log_text(trajectory.steps),
            metadata=dict(trajectory.metadata),
            expected=expected,
            stop_reason=trajectory.stop_reason,
            usage=trajectory.usage,
            cost_usd=trajectory.cost_usd,
            artifacts=dict(trajectory.artifacts),
            trajectory=trajectory,
        )

    @classmethod
    def from_trajectory_dir(cls, path: str | Path) -> EvalContext:
        """The context of the run saved in the folder *path*, in our format or either of the two older ones.

        Raises:
            FileNotFoundError: the folder has no `trajectory.json`.
            TraceError: that file, `metrics.json` or `artifacts.json` cannot be read; the text names it.
        """
        run = read_run(Path(path))
        ctx = cls.from_trajectory(run.trajectory)
        ctx.task |= run.task_facts
        ctx.final_output |= run.output_facts
        ctx.metadata = run.metadata
        return ctx


@dataclass(frozen=True, slots=True)
class SavedRun:
    """A run on disk, read when it is judged, so that thousands of them need no memory.

    Attributes:
        path: Its run directory.
        expected: What its case expects.
    """

    path: str | Path
    expected: Any = None


Run: TypeAlias = EvalContext | SavedRun | str | PathLike[str]
"""What can be judged: the context of a run, or where the run is saved."""


def opened(run: Run) -> EvalContext:
    """The context of *run*.

    Raises:
        FileNotFoundError, TraceError: it is saved, and cannot be read.
    """
    if isinstance(run, EvalContext):
        return run
    saved = run if isinstance(run, SavedRun) else SavedRun(os.fspath(run))
    ctx = EvalContext.from_trajectory_dir(saved.path)
    if saved.expected is not None:
        ctx.expected = saved.expected
    return ctx


def as_task(task: Any) -> dict[str, Any]:
    """*task* as a dict; other values become its `description`."""
    if isinstance(task, dict):
        return dict(task)
    return {} if task is None else {"description": task if isinstance(task, str) else str(task)}


def log_text(steps: Sequence[Step]) -> str:
    """A log of *steps*, one line each: the same for a live run, a stored one, and a replay of either.

    Durations are left out: a judge that is shown this text would else be asked something new in each replay.
    """
    return "\n".join(_timeless(step).pretty() for step in steps)


def _timeless(step: Step) -> Step:
    return replace(step, tool_result=replace(step.tool_result, duration_ms=0.0))
