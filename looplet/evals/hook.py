"""Evals at the end of a run, as a hook of the loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from looplet.engine.observe import RunObserver
from looplet.evals.context import EvalContext, as_task, log_text
from looplet.evals.result import EvalResult
from looplet.evals.run import eval_run
from looplet.types import Step

RULE = "─" * 50


class EvalHook(RunObserver):
    """Runs evals when the loop ends and keeps what they said.

    Args:
        evaluators: Functions of `ctx` or of `ctx, llm`.
        judge_llm: The backend that grades; the run's own backend is never used as a judge.
        verbose: Print the results when the run ends.
        task: What the agent was asked, for evals that compare, where no loop of ours tells it.
        done_tool: Name of the tool whose accepted call is the final output, likewise.
    """

    def __init__(
        self,
        evaluators: Iterable[Callable[..., Any]],
        *,
        judge_llm: Any = None,
        verbose: bool = False,
        task: Any = None,
        done_tool: str = "done",
    ) -> None:
        self._evaluators = list(evaluators)
        self._judge_llm = judge_llm
        self._verbose = verbose
        self._given_task = as_task(task)
        self._task = self._given_task
        self._done_tool = done_tool
        self._output: dict[str, Any] | None = None
        self._results: list[EvalResult] = []

    @property
    def results(self) -> list[EvalResult]:
        """The results of the last run, as a fresh list."""
        return list(self._results)

    def run_started(self, task: object, *, run_id: str) -> None:
        """Keep the task, unless the caller gave one."""
        self._task = self._given_task or as_task(task)
        self._output = None

    def answered(self, output: dict[str, Any]) -> None:
        """Keep the final output."""
        self._output = dict(output)

    def pre_loop(self, state: Any, session_log: Any, context: Any) -> None:
        """Forget the results of the run before."""
        self._results = []

    def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
        """Run the evals. Gives 0: judges are no model calls of the agent."""
        steps = [step for step in state.steps if isinstance(step, Step)]
        ctx = EvalContext(
            steps=steps,
            task=dict(self._task),
            final_output=final_output(steps, self._done_tool) if self._output is None else self._output,
            session_log_text=log_text(steps),
            stop_reason=str(getattr(state, "_stop_reason", None) or ""),
        )
        self._results = eval_run(self._evaluators, ctx, judge_llm=self._judge_llm)
        if self._verbose:
            print("\n".join(["", RULE, "Eval results:", *_indented(self.report()), RULE]))  # noqa: T201
        return 0

    def summary(self) -> str:
        """For example `2 scored (avg 0.97), 1 labeled, 1 errors`; `no results` before a run has ended."""
        scores = [result.score for result in self._results if result.score is not None]
        errors = sum(result.label == "error" for result in self._results)
        labeled = len(self._results) - len(scores) - errors
        parts = []
        if scores:
            parts.append(f"{len(scores)} scored (avg {sum(scores) / len(scores):.2f})")
        if labeled:
            parts.append(f"{labeled} labeled")
        if errors:
            parts.append(f"{errors} errors")
        return ", ".join(parts) or "no results"

    def report(self) -> str:
        """A line for each result, and the summary."""
        if not self._results:
            return "No eval results."
        return "\n".join(
            [*(result.pretty() for result in self._results), f"{'overall':<40} {self.summary()}"]
        )

    def save(self, path: str | Path) -> None:
        """Write task, results and summary to *path* as JSON."""
        content = {
            "task": self._task,
            "results": [result.to_dict() for result in self._results],
            "summary": self.summary(),
        }
        Path(path).write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")


def final_output(steps: Iterable[Step], done_tool: str = "done") -> dict[str, Any]:
    """Arguments of the last accepted call of *done_tool*; a rejected one is no output."""
    output: dict[str, Any] = {}
    for step in steps:
        if step.tool_call.tool == done_tool and not step.tool_result.error:
            output = dict(step.tool_call.args)
    return output


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]
