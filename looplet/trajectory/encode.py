"""A trajectory as a JSON document; `docs/schemas/trajectory.schema.json` says what is in it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from looplet.trajectory.call import RecordedCall
from looplet.types import Step, ToolResult

if TYPE_CHECKING:
    from looplet.trajectory.record import Trajectory

SCHEMA_VERSION = 1
"""Version of the document; a reader refuses one it does not know."""


def encode(run: Trajectory) -> dict[str, Any]:
    """The whole trajectory as a document.

    Keys that run directories have always had keep their names (`termination_reason`, `llm_calls`,
    `step_num`, …); `step_count`, `llm_call_count`, `pretty`, `index`, `tool_count`, `error_kind` and
    `error_retriable` repeat what other keys say and are not read back.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "task": run.task,
        "steps": [encode_step(step) for step in run.steps],
        "step_count": len(run.steps),
        "llm_calls": _calls(run.model_calls),
        "llm_call_count": len(run.model_calls),
        "decisions": [asdict(decision) for decision in run.decisions],
        "termination_reason": run.stop_reason,
        "error": run.error,
        "usage": run.usage.to_dict(),
        "cost_usd": run.cost_usd,
        "final_output": run.final_output,
        "artifacts": run.artifacts,
        "duration_ms": run.duration_ms,
        "metadata": run.metadata,
        "children": [encode(child) for child in run.children],
    }


def dump(document: dict[str, Any]) -> str:
    """*document* as text: strict JSON, sorted keys, ASCII, one trailing newline."""
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"


def encode_step(step: Step) -> dict[str, Any]:
    """One step; its result whole, unlike the short view of `Step.to_dict`."""
    return {
        "step_num": step.number,
        "duration_ms": step.tool_result.duration_ms,
        "pretty": step.pretty(),
        "tool_call": step.tool_call.to_dict(),
        "tool_result": _result(step.tool_result),
    }


def _result(result: ToolResult) -> dict[str, Any]:
    encoded: dict[str, Any] = {
        "tool": result.tool,
        "args": result.args_summary,
        "data": result.data,
        "duration_ms": result.duration_ms,
        "call_id": result.call_id,
        "result_key": result.result_key,
    }
    if result.error is not None:
        encoded["error"] = result.error
    if (detail := result.error_detail) is not None:
        encoded["error_kind"] = detail.kind.value
        encoded["error_retriable"] = detail.retriable
        encoded["error_detail"] = {
            "kind": detail.kind.value,
            "message": detail.message,
            "retriable": detail.retriable,
            "context": detail.context,
        }
    return encoded


def _calls(calls: tuple[RecordedCall, ...]) -> list[dict[str, Any]]:
    encoded = [_call(call) for call in calls]
    for position in range(len(calls) - 1, 0, -1):
        call, before = calls[position], calls[position - 1]
        # Null says "as in the call before": both are long and seldom change.
        if call.system_prompt == before.system_prompt:
            encoded[position]["system_prompt"] = None
        if call.tools == before.tools:
            encoded[position]["tools"] = None
    return encoded


def _call(call: RecordedCall) -> dict[str, Any]:
    return {
        "index": call.number - 1,
        "step_num": call.step,
        "method": call.method,
        "purpose": call.purpose,
        "system_prompt": call.system_prompt,
        "tools": list(call.tools),
        "tool_count": len(call.tools),
        "kept": call.kept,
        "added": list(call.added),
        "max_tokens": call.max_tokens,
        "temperature": call.temperature,
        "reply": list(call.reply),
        "stop_reason": call.stop_reason,
        "model": call.model,
        "usage": call.usage and call.usage.to_dict(),
        "duration_ms": call.duration_ms,
        "attempts": call.attempts,
        "error": call.error,
    }
