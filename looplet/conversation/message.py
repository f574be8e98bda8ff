"""One message of a conversation, as an object, as lines for a person, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from looplet.clock import now
from looplet.plain import Plain
from looplet.types import ErrorKind, ToolCall, ToolError, ToolResult

BOUNDARY_KIND = "compaction_boundary"
"""`metadata["kind"]` of a message that marks where older steps were dropped."""


class MessageRole(str, Enum):  # noqa: UP042 - str() of a member is part of the interface
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(slots=True, eq=False, repr=False)
class ContentBlock(Plain):
    """One part of a message's content.

    Attributes:
        kind: `text`, `tool_use`, `tool_result`, `image`, or any other.
        data: The block itself; `{"text": str}` for text.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The block as text: its own for `text`, else a short mark of what is there."""
        if self.kind == "text":
            return str(self.data.get("text", ""))
        if self.kind == "image":
            return "[image attached]"
        if self.kind == "tool_use":
            return f"[tool_use: {self.data.get('name', '')}]"
        if self.kind == "tool_result":
            return f"[tool_result: {str(self.data.get('content', ''))[:200]}]"
        return f"[{self.kind}]"


@dataclass(slots=True, eq=False, repr=False)
class Message(Plain):
    """One message. Replace it (`Conversation.replace`) rather than editing it in place.

    Attributes:
        role: Who speaks.
        content: Its text, or its blocks.
        tool_call: The call that an assistant message makes.
        tool_result: The result that a tool message brings.
        metadata: The writer's own.
        timestamp: Seconds since the epoch.
    """

    role: MessageRole
    content: str | list[ContentBlock]
    tool_call: ToolCall | None = None
    tool_result: ToolResult | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    timestamp: float = field(default_factory=now)

    def __post_init__(self) -> None:
        if self.role.__class__ is not MessageRole:
            self.role = MessageRole(self.role)

    @property
    def text(self) -> str:
        """The content as text; blocks are joined by newlines."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(block.text for block in self.content)

    @property
    def blocks(self) -> list[ContentBlock]:
        """The content as blocks; text that is not empty is one text block."""
        if isinstance(self.content, str):
            return [ContentBlock("text", {"text": self.content})] if self.content else []
        return self.content

    def text_blocks(self) -> list[ContentBlock]:
        """The blocks of kind `text`."""
        return [block for block in self.blocks if block.kind == "text"]


def is_boundary(message: Message) -> bool:
    """Whether *message* marks where older steps were dropped."""
    return message.metadata.get("kind") == BOUNDARY_KIND


def lines_of(message: Message) -> list[str]:
    """The message as lines: who speaks and what is said, a call, or what came of one."""
    head = f"[{message.role.value.upper()}]"
    text, call, result = message.text, message.tool_call, message.tool_result
    if result is not None:
        shown = result.error if result.error else text or str(result.data)[:200]
        return [f"{head} {'✗' if result.error else '✓'} {result.tool}: {shown}"]
    lines = [f"{head} {text}"] if text or call is None else []
    if call is not None:
        args = ", ".join(f"{name}={value!r}" for name, value in call.args.items())
        lines.append(f"{head} → {call.tool}({args})")
        if call.reasoning:
            lines.append(f"  reasoning: {call.reasoning}")
    return lines


def message_to_dict(message: Message) -> dict[str, Any]:
    """The JSON form of *message*; tool data is taken as it is."""
    content = message.content
    found: dict[str, Any] = {
        "role": message.role.value,
        "content": content
        if isinstance(content, str)
        else [{"kind": b.kind, "data": b.data} for b in content],
        "timestamp": message.timestamp,
        "metadata": message.metadata,
    }
    if message.tool_call is not None:
        found["tool_call"] = message.tool_call.to_dict()
    if message.tool_result is not None:
        found["tool_result"] = _result_dict(message.tool_result)
    return found


def _result_dict(result: ToolResult) -> dict[str, Any]:
    detail = result.error_detail
    return {
        "tool": result.tool,
        "args_summary": result.args_summary,
        "data": result.data,
        "error": result.error,
        "error_kind": detail.kind.value if detail else None,
        "error_retriable": detail.retriable if detail else False,
        "error_context": detail.context if detail else {},
        "duration_ms": result.duration_ms,
        "result_key": result.result_key,
        "call_id": result.call_id,
    }


def message_from_dict(item: Mapping[str, Any]) -> Message:
    """The message that `message_to_dict` wrote. A wrong shape raises KeyError, TypeError or ValueError."""
    content = item["content"]
    call, result = item.get("tool_call"), item.get("tool_result")
    return Message(
        role=MessageRole(item["role"]),
        content=content
        if isinstance(content, str)
        else [ContentBlock(block["kind"], dict(block.get("data") or {})) for block in content],
        tool_call=_call_from(call) if call else None,
        tool_result=_result_from(result) if result else None,
        metadata=dict(item.get("metadata") or {}),
        timestamp=item["timestamp"] if "timestamp" in item else now(),
    )


def _call_from(item: Mapping[str, Any]) -> ToolCall:
    return ToolCall(item["tool"], item.get("args") or {}, item.get("reasoning", ""), item.get("call_id", ""))


def _result_from(item: Mapping[str, Any]) -> ToolResult:
    error, kind = item.get("error"), item.get("error_kind")
    detail = None
    if kind is not None:
        detail = ToolError(
            ErrorKind(kind), error or "", bool(item.get("error_retriable")), item.get("error_context") or {}
        )
    return ToolResult(
        tool=item["tool"],
        args_summary=item.get("args_summary", ""),
        data=item.get("data"),
        error=error,
        error_detail=detail,
        duration_ms=item.get("duration_ms", 0.0),
        result_key=item.get("result_key"),
        call_id=item.get("call_id"),
    )
