"""The twelve moments of a run that a hook may listen to, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from looplet.plain import Plain

if TYPE_CHECKING:
    from looplet.session import SessionLog
    from looplet.types import Block, ToolCall, ToolResult


class LifecycleEvent(str, Enum):  # noqa: UP042 - str() of a member is part of the interface
    """A moment of a run; the value is the name in lower case."""

    SESSION_START = "session_start"
    PRE_LLM_CALL = "pre_llm_call"
    POST_LLM_RESPONSE = "post_llm_response"
    PRE_TOOL_USE = "pre_tool_use"
    TOOL_PROGRESS = "tool_progress"
    POST_TOOL_USE = "post_tool_use"
    POST_TOOL_FAILURE = "post_tool_failure"
    PRE_COMPACT = "pre_compact"
    POST_COMPACT = "post_compact"
    STOP = "stop"
    SUBAGENT_START = "subagent_start"
    SUBAGENT_STOP = "subagent_stop"


LIFECYCLE_EVENTS: tuple[str, ...] = tuple(event.value for event in LifecycleEvent)
"""The values of all twelve events, in the order of `LifecycleEvent`."""


@dataclass(slots=True, eq=False, repr=False)
class EventPayload(Plain):
    """What `on_event` receives. A field that the event does not speak of is None.

    Attributes:
        event: Which moment this is.
        step_num: The step it belongs to, from 1; 0 outside any step.
        state: The run's state object.
        session_log: The run's log.
        context: The caller's own object, as given to the loop.
        prompt: What is sent to the model (PRE_LLM_CALL, POST_LLM_RESPONSE).
        raw_response: The model's reply: text or blocks (POST_LLM_RESPONSE), None when it failed.
        tool_call: The call (PRE_TOOL_USE, POST_TOOL_*, TOOL_PROGRESS).
        tool_result: What came of it (POST_TOOL_*).
        termination_reason: Why the run ends (STOP).
        messages_before: Messages before a compaction (PRE_COMPACT, POST_COMPACT).
        messages_after: Messages after it (POST_COMPACT).
        subagent_id: Which sub-agent (SUBAGENT_*).
        extra: What only this event has: `stage` and `data`, `reason`, counts of a sub-agent.
    """

    event: LifecycleEvent
    step_num: int = 0
    state: Any = None
    session_log: SessionLog | None = None
    context: Any = None
    prompt: str | None = None
    raw_response: str | list[Block] | None = None
    tool_call: ToolCall | None = None
    tool_result: ToolResult | None = None
    termination_reason: str | None = None
    messages_before: int | None = None
    messages_after: int | None = None
    subagent_id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
