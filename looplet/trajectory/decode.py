"""A JSON document as a trajectory again, or the reason why it is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_args

from looplet.engine.observe import Decision, Method, Purpose
from looplet.trajectory.call import RecordedCall
from looplet.trajectory.encode import SCHEMA_VERSION
from looplet.trajectory.reader import Node, parse
from looplet.types import Block, ErrorKind, Step, ThreadMessage, ToolCall, ToolError, ToolResult, Usage

T = TypeVar("T")


def decode(text: str | bytes, source: str, kind: Callable[..., T]) -> T:
    """The trajectory in *text*, made by *kind* from its fields.

    Raises:
        TraceError: *text* is not a trajectory; the message names *source*, the place and the reason.
    """
    root = parse(text, source)
    try:
        return _run(root, kind)
    except RecursionError:
        root.fail("is nested too deeply")


def _run(node: Node, kind: Callable[..., T]) -> T:
    version = node.whole("schema_version", 0)
    if version > SCHEMA_VERSION:
        node.fail(f"has schema version {version}, newer than {SCHEMA_VERSION}: upgrade pytest-looplet")
    if "steps" not in node.object():
        node.fail("has no steps, so it is not a trajectory")
    fields = _facts(node) if version else _old_facts(node)
    return kind(
        **fields,
        steps=tuple(_step(step) for step in node.items("steps")),
        model_calls=tuple(_calls(node)),
        children=tuple(_run(child, kind) for child in node.items("children")),
    )


def _facts(node: Node) -> dict[str, Any]:
    return {
        "run_id": node.text("run_id"),
        "task": node.at("task").value,
        "decisions": tuple(_decision(d) for d in node.items("decisions")),
        "stop_reason": node.text("termination_reason"),
        "error": node.text_or_none("error"),
        "usage": _usage(node.at("usage")),
        "cost_usd": node.number("cost_usd") if node.has("cost_usd") else None,
        "final_output": node.mapping("final_output"),
        "artifacts": node.mapping("artifacts"),
        "duration_ms": node.number("duration_ms"),
        "metadata": node.mapping("metadata"),
    }


def _old_facts(node: Node) -> dict[str, Any]:
    """The facts of a run directory that was written before the document had a version."""
    steps = list(node.items("steps"))
    reason = node.text("termination_reason", "")
    output: dict[str, Any] = {}
    if reason == "done" and steps and steps[-1].has("tool_call"):
        output = steps[-1].at("tool_call").mapping("args")
    started, ended = node.number("started_at"), node.number("ended_at")
    return {
        "run_id": node.text("run_id", ""),
        "task": node.at("task").value,
        "stop_reason": reason,
        "final_output": output,
        "duration_ms": max(0.0, ended - started) * 1000,
        "metadata": node.mapping("metadata"),
    }


def _step(node: Node) -> Step:
    call, result = node.at("tool_call"), node.at("tool_result")
    return Step(
        number=node.whole("step_num"),
        tool_call=ToolCall(
            call.text("tool"), call.mapping("args"), call.text("reasoning", ""), call.text("call_id", "")
        ),
        tool_result=ToolResult(
            tool=result.text("tool", call.text("tool")),
            args_summary=result.text("args", ""),
            data=result.at("data").value,
            error=result.text_or_none("error"),
            error_detail=_error(result),
            duration_ms=result.number("duration_ms"),
            result_key=result.text_or_none("result_key"),
            call_id=result.text_or_none("call_id"),
        ),
    )


def _error(result: Node) -> ToolError | None:
    if not result.has("error_detail"):
        return _old_error(result) if result.has("error_kind") else None
    detail = result.at("error_detail")
    return ToolError(
        detail.one_of("kind", ErrorKind),
        detail.text("message"),
        detail.flag("retriable"),
        detail.mapping("context"),
    )


def _old_error(result: Node) -> ToolError:
    return ToolError(
        result.one_of("error_kind", ErrorKind), result.text("error", ""), result.flag("error_retriable")
    )


def _calls(node: Node) -> Iterator[RecordedCall]:
    system_prompt, tools = "", tuple[str, ...]()
    for number, call in enumerate(node.items("llm_calls"), start=1):
        system_prompt = call.text("system_prompt", system_prompt)
        if call.has("tools"):
            tools = tuple(_text(name) for name in call.items("tools"))
        yield _call(call, number, system_prompt, tools)


def _call(node: Node, number: int, system_prompt: str, tools: tuple[str, ...]) -> RecordedCall:
    return RecordedCall(
        number=node.whole("index", number - 1) + 1,
        step=node.whole("step_num", 0),
        method=_word(node, "method", Method, "generate"),
        purpose=_word(node, "purpose", Purpose, "step"),
        system_prompt=system_prompt,
        kept=node.whole("kept", 0),
        added=tuple(_message(message) for message in node.items("added")),
        tools=tools,
        max_tokens=node.whole("max_tokens", 2000),
        temperature=node.number("temperature", 0.2),
        reply=tuple(_block(block) for block in node.items("reply")),
        stop_reason=node.text_or_none("stop_reason"),
        model=node.text("model", ""),
        usage=_usage(node.at("usage")) if node.has("usage") else None,
        duration_ms=node.number("duration_ms"),
        attempts=node.whole("attempts", 1),
        error=node.text_or_none("error"),
    )


def _word(node: Node, key: str, words: Any, default: Any) -> Any:
    """The word under *key*, one of the literal type *words*."""
    allowed = get_args(words)
    return node.one_of(key, lambda value: allowed[allowed.index(value)], default)


def _message(node: Node) -> ThreadMessage:
    node.text("role")
    for block in node.items("content"):
        _block(block)
    return node.object()


def _block(node: Node) -> Block:
    if node.text("type") == "text":
        node.text("text")
    if node.has("kept_head") or node.has("kept_tail"):
        node.whole("kept_head")
        node.whole("kept_tail")
    return node.object()


def _text(node: Node) -> str:
    if not isinstance(node.value, str):
        node.fail("is not text")
    return node.value


def _decision(node: Node) -> Decision:
    return Decision(
        step=node.whole("step"),
        tool=node.text("tool"),
        call_id=node.text("call_id"),
        verdict=node.text("verdict"),
        by=node.text("by"),
        reason=node.text("reason", ""),
        details=node.mapping("details"),
    )


def _usage(node: Node) -> Usage:
    return Usage(
        node.whole("input_tokens", 0), node.whole("output_tokens", 0), node.whole("cached_tokens", 0)
    )
