"""The semantic conventions for generative AI: attributes of requests, replies, tokens, content and errors."""

from __future__ import annotations

from typing import Any

from looplet.engine.observe import ModelCall, Request
from looplet.errors import ModelError
from looplet.types import Block, ThreadMessage, ToolResult, Usage

UNKNOWN_PROVIDER = "_OTHER"
"""`gen_ai.provider.name` where neither the hook nor the backend says it; the attribute is required."""


def about_request(request: Request, provider: str) -> dict[str, Any]:
    """Of a request; *provider* is told where the backend does not say who it is."""
    about: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": request.provider or provider or UNKNOWN_PROVIDER,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": float(request.temperature),
    }
    return about | ({"gen_ai.request.model": request.model} if request.model else {})


def about_reply(call: ModelCall) -> dict[str, Any]:
    """Of the reply that came."""
    assert call.reply is not None
    about: dict[str, Any] = {}
    if call.reply.model:
        about["gen_ai.response.model"] = call.reply.model
    if call.reply.stop_reason:
        about["gen_ai.response.finish_reasons"] = (call.reply.stop_reason,)
    return about | (about_usage(call.reply.usage) if call.reply.usage is not None else {})


def about_usage(usage: Usage) -> dict[str, int]:
    """Of tokens."""
    about = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
    }
    return about | (
        {"gen_ai.usage.cache_read.input_tokens": usage.cached_tokens} if usage.cached_tokens else {}
    )


def messages_of(request: Request) -> dict[str, Any]:
    """What a request says: its messages and its system prompt."""
    messages = [_message(message) for message in request.messages]
    if request.method != "chat":
        messages = [{"role": "user", "parts": [{"type": "text", "content": request.prompt}]}]
    instructions = [{"type": "text", "content": request.system_prompt}] if request.system_prompt else []
    return {"input_messages": messages, "system_instructions": instructions}


def _message(message: ThreadMessage) -> dict[str, Any]:
    content = message["content"]
    said = parts(content) if isinstance(content, list) else [{"type": "text", "content": content}]
    return {"role": message["role"], "parts": said}


def parts(blocks: list[Block]) -> list[dict[str, Any]]:
    """The blocks of one message."""
    return [_part(dict(block)) for block in blocks]


def _part(block: dict[str, Any]) -> dict[str, Any]:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "content": block.get("text", "")}
    if kind == "tool_use":
        about = {"id": block.get("id"), "name": block.get("name"), "arguments": block.get("input")}
        return {"type": "tool_call", **about}
    if kind == "tool_result":
        about = {"id": block.get("tool_use_id"), "response": block.get("content")}
        return {"type": "tool_call_response", **about}
    return block


def error_type(error: ModelError) -> str:
    """The class of a failure: the HTTP status where there was one."""
    return str(error.status) if error.status else error.kind.value


def tool_error_type(result: ToolResult) -> str:
    """The same of a call."""
    return result.error_kind.value if result.error_kind is not None else "_OTHER"
