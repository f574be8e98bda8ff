"""What a run came to: counts in a collector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from looplet.engine.observe import ModelCall, RunObserver
from looplet.types import Step, ToolCall, ToolResult


@dataclass
class MetricsCollector:
    """Counts of one or more runs.

    Attributes:
        total_steps: Steps taken.
        total_llm_calls: Model calls, retries not counted.
        total_tool_calls: Calls of tools.
        total_errors: Steps that failed.
        total_input_tokens_est: Tokens sent: the provider's count, or characters / 4 where it gives none.
        total_output_tokens_est: The same of what models wrote.
        tool_call_histogram: How often each tool was called.
        step_classifications: How many steps were of each class.
        total_duration_ms: Milliseconds that tools and models took.
    """

    total_steps: int = 0
    total_llm_calls: int = 0
    total_tool_calls: int = 0
    total_errors: int = 0
    total_input_tokens_est: int = 0
    total_output_tokens_est: int = 0
    tool_call_histogram: dict[str, int] = field(default_factory=dict)
    step_classifications: dict[str, int] = field(default_factory=dict)
    total_duration_ms: float = 0.0

    def record_step(
        self,
        tool_name: str,
        classification: str,
        input_tokens: int,
        output_tokens: int,
        duration_ms: float,
        has_error: bool,
    ) -> None:
        """Count one step."""
        self.total_steps += 1
        self.total_tool_calls += 1
        self.total_errors += has_error
        self.total_input_tokens_est += input_tokens
        self.total_output_tokens_est += output_tokens
        self.total_duration_ms += duration_ms
        self.tool_call_histogram[tool_name] = self.tool_call_histogram.get(tool_name, 0) + 1
        classes = self.step_classifications
        classes[classification] = classes.get(classification, 0) + 1

    def report(self) -> str:
        """The counts as a few lines for people."""
        tools = ", ".join(f"{name}×{count}" for name, count in self.tool_call_histogram.items())
        classes = ", ".join(f"{name}={count}" for name, count in self.step_classifications.items())
        tokens = f"{self.total_input_tokens_est} in / {self.total_output_tokens_est} out"
        return "\n".join(
            [
                "═══ AGENT METRICS ═══",
                f"Steps: {self.total_steps}  |  Errors: {self.total_errors}",
                f"Tokens (est): {tokens}",
                f"Duration: {self.total_duration_ms:.0f}ms",
                f"Tools: {tools}",
                f"Classifications: {classes}",
                f"LLM calls: {self.total_llm_calls}",
            ]
        )


class MetricsHook(RunObserver):
    """Counts a run in a collector: every step, the done call included, and every model call.

    Args:
        collector: Gets the counts.
        classify: `(tool_call, tool_result, state) -> str`, a step's class; else `error` or `productive`.
    """

    def __init__(
        self,
        collector: MetricsCollector,
        *,
        classify: Callable[[ToolCall, ToolResult, Any], str] | None = None,
    ) -> None:
        self.collector = collector
        self._classify = classify
        self._counted: set[str] = set()
        self._state: Any = None

    def model_called(self, call: ModelCall) -> None:
        """Count a model call and its tokens."""
        self.collector.total_llm_calls += 1
        self.collector.total_duration_ms += call.duration_ms
        usage = call.reply.usage if call.reply else None
        if usage is not None:
            self.collector.total_input_tokens_est += usage.input_tokens
            self.collector.total_output_tokens_est += usage.output_tokens
        elif call.reply is not None:
            self.collector.total_input_tokens_est += len(call.request.prompt) // 4
            self.collector.total_output_tokens_est += len(call.reply.text) // 4

    def step_taken(self, step: Step) -> None:
        """Count a step that no hook saw: done, and replies that could not be read."""
        self._count(step.tool_call, step.tool_result, self._state)
        self._counted.discard(step.tool_call.call_id)

    def pre_prompt(self, state: Any, session_log: Any, context: Any, step_num: int) -> None:
        """Remember the state for `classify`."""
        self._state = state

    def pre_dispatch(self, state: Any, session_log: Any, tool_call: ToolCall, step_num: int) -> None:
        """Nothing: a step is counted once it has its result."""

    def post_dispatch(
        self, state: Any, session_log: Any, tool_call: ToolCall, tool_result: ToolResult, step_num: int
    ) -> None:
        """Count a step."""
        self._count(tool_call, tool_result, state)

    def check_done(self, state: Any, session_log: Any, context: Any, step_num: int) -> None:
        """No objection."""

    def should_stop(self, state: Any, step_num: int, new_entities: int) -> bool:
        """No wish to stop."""
        return False

    def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
        """Nothing; spends no model calls."""
        return 0

    def _count(self, call: ToolCall, result: ToolResult, state: Any) -> None:
        if call.call_id in self._counted:
            return
        self._counted.add(call.call_id)
        if self._classify is not None:
            classification = self._classify(call, result, state)
        else:
            classification = "error" if result.error else "productive"
        self.collector.record_step(call.tool, classification, 0, 0, result.duration_ms, bool(result.error))
