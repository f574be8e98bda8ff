"""The hook that asks the engine before a call runs."""

from __future__ import annotations

from looplet.events import EventPayload, LifecycleEvent
from looplet.hook_decision import Allow, Deny, HookDecision
from looplet.permissions.engine import PermissionEngine
from looplet.permissions.rule import ATOMS, PermissionOutcome
from looplet.types import ToolCall


class PermissionHook:
    """Asks a `PermissionEngine` about every call of a run, once.

    Attributes:
        engine: The engine.
    """

    def __init__(self, engine: PermissionEngine) -> None:
        self.engine = engine
        self._judged: dict[str, PermissionOutcome] = {}

    def on_event(self, payload: EventPayload) -> HookDecision | None:
        """Before a tool runs: `Allow()`, or `Deny(...)` with the reason. Nothing at other moments."""
        if payload.event is not LifecycleEvent.PRE_TOOL_USE:
            return None
        call = payload.tool_call
        if call is None:
            return Deny("permission denied: the event names no call")
        outcome = self._judged[call.call_id] = self.engine.evaluate(call)
        return _refusal(outcome, call) if outcome.denied else Allow()

    def check_permission(self, tool_call: ToolCall, state: object) -> bool:
        """Whether *tool_call* may run: as `on_event` said, or judged again if it was changed since."""
        outcome = self._judged.pop(tool_call.call_id, None)
        if outcome is None or not _is_about(outcome, tool_call):
            outcome = self.engine.evaluate(tool_call)
        return outcome.allowed

    def check_done_permission(self, tool_call: ToolCall, state: object) -> HookDecision:
        """Whether the run may end with *tool_call*: only a rule can forbid it."""
        outcome = self.engine.evaluate_done(tool_call)
        return _refusal(outcome, tool_call) if outcome.denied else Allow()


def _refusal(outcome: PermissionOutcome, call: ToolCall) -> HookDecision:
    refusal = Deny(outcome.reason or f"permission denied for '{call.tool}'")
    refusal.metadata["rule"] = str(outcome.rule) if outcome.rule else "default"
    return refusal


def _is_about(outcome: PermissionOutcome, call: ToolCall) -> bool:
    judged = outcome.call
    return judged is not None and judged.tool == call.tool and _same(judged.args, call.args)


def _same(one: object, other: object, depth: int = 200) -> bool:
    """Whether two values are equal as JSON, where 1, 1.0 and True differ. Doubt is False."""
    if type(one) is not type(other) or depth == 0:
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k], depth - 1) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(a, b, depth - 1) for a, b in zip(one, other, strict=True))
    return isinstance(one, ATOMS) and one == other
