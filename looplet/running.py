"""Which call the code that asks is the body of."""

from __future__ import annotations

from contextvars import ContextVar

from looplet.types import ToolCall

running_call: ContextVar[ToolCall | None] = ContextVar("looplet_running_call", default=None)
"""The call whose tool runs here, None outside of tools. Threads of looplet inherit it."""
