"""One model call as it was recorded, and the text files in which people read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from looplet.values import normal


@dataclass(slots=True)
class LLMCall:
    """What was sent to a model and what came back.

    Attributes:
        index: Position among the recorded calls, from 0.
        timestamp: Seconds since the epoch at which it was sent.
        duration_ms: Milliseconds until it was answered.
        method: `generate`, `generate_with_tools` or `chat`.
        prompt: The prompt; for `chat`, the new part of the thread as JSON.
        system_prompt: Sent beside it.
        response: Text or blocks; `""` after a failure.
        temperature: Sampling temperature.
        max_tokens: Most tokens of the reply.
        tools: Tool schemas sent along, or None.
        step_num: The step it decides, where that is known.
        error: `Type: message` after a failure, else None.
    """

    index: int
    timestamp: float
    duration_ms: float
    method: str
    prompt: str
    system_prompt: str
    response: str | list[dict[str, Any]]
    temperature: float = 0.2
    max_tokens: int = 2000
    tools: list[dict[str, Any]] | None = None
    step_num: int | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The call's line in the manifest."""
        is_text = isinstance(self.response, str)
        return {
            "index": self.index,
            "timestamp": self.timestamp,
            "duration_ms": self.duration_ms,
            "method": self.method,
            "prompt_chars": len(self.prompt),
            "response_chars": len(self.response) if is_text else None,
            "response_blocks": None if is_text else len(self.response),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "tool_count": len(self.tools or ()),
            "step_num": self.step_num,
            "error": self.error,
            "prompt": self.prompt,
            "response": normal(self.response),
        }


def prompt_text(call: LLMCall) -> str:
    """The prompt file of *call*."""
    tools = call.tools or []
    parts = [f"# call {call.index:02d} — method={call.method}"]
    if call.step_num is not None:
        parts.append(f"# step={call.step_num}")
    parts.append(f"# temperature={call.temperature} max_tokens={call.max_tokens} tools={len(tools)}")
    if call.system_prompt:
        parts += ["", "## SYSTEM PROMPT", "", call.system_prompt]
    parts += ["", "## USER PROMPT", "", call.prompt]
    if tools:
        parts += ["", "## TOOLS", "", json.dumps(normal(tools), indent=2)]
    return "\n".join(parts)


def response_text(call: LLMCall) -> str:
    """The response file of *call*; the manifest holds the same without any layout around it."""
    # The true duration is volatile and stands elsewhere: two equal runs give equal files.
    parts = [f"# call {call.index:02d} — duration=0.0ms error={'yes' if call.error else 'no'}"]
    if call.error:
        parts += ["", "## ERROR", "", call.error]
    if isinstance(call.response, str):
        parts += ["", "## RESPONSE", "", call.response or "(empty)"]
    else:
        parts += ["", "## RESPONSE (content blocks)", "", json.dumps(normal(call.response), indent=2)]
    return "\n".join(parts)
