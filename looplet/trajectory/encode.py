"""A trajectory as a JSON document; `docs/schemas/trajectory.schema.json` says what is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from looplet.trajectory.call import RecordedCall
from looplet.trajectory.written import pieces
from looplet.types import Step, ToolResult

if TYPE_CHECKING:
    from looplet.trajectory.copies import Copier
    from looplet.trajectory.record import Trajectory

SCHEMA_VERSION = 1
"""Version of the document; a reader refuses one it does not know."""


def encode(run: Trajectory) -> dict[str, Any]:
    """The whole trajectory as a document.

    Keys that run directories have always had keep their names (`termination_reason`, `llm_calls`,
    `step_num`, …); `step_count`, `llm_call_count`, `pretty`, `index`, `tool_count`, `error_kind` and
    `error_retriable` repeat what other keys say and are not read back.
    """
    document = _document(run, run.steps, run.model_calls)
    return {name: list(value) if isinstance(value, Iterator) else value for name, value in document.items()}


def dump(run: Trajectory, copy: Copier | None = None) -> Iterator[str]:
    """The text of the document in parts: strict JSON, sorted keys, ASCII, one trailing newline.

    Args:
        run: The trajectory.
        copy: Takes the secrets out, of one step and one call after the other; None writes it as it is.
    """
    if copy is None:
        return pieces(_document(run, run.steps, run.model_calls))
    rest = copy.run(replace(run, steps=(), model_calls=()))
    document = _document(rest, map(copy.step, run.steps), copy.calls(run.model_calls))
    return pieces(document | {"step_count": len(run.steps), "llm_call_count": len(run.model_calls)})


def _document(run: Trajectory, steps: Iterable[Step], calls: Iterable[RecordedCall]) -> dict[str, Any]:
    """The document; its long lists are iterators, so that a writer need not hold them."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "task": run.task,
        "steps": map(encode_step, steps),
        "step_count": len(run.steps),
        "llm_calls": _calls(calls),
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


def _calls(calls: Iterable[RecordedCall]) -> Iterator[dict[str, Any]]:
    before: RecordedCall | None = None
    for call in calls:
        encoded = _call(call)
        # Null says "as in the call before": both are long and seldom change.
        if before is not None and call.system_prompt == before.system_prompt:
            encoded["system_prompt"] = None
        if before is not None and call.tools == before.tools:
            encoded["tools"] = None
        before = call
        yield encoded


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
