"""The hook that asks the engine before a call runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from typing import Any, TypeVar

from looplet.events import EventPayload, LifecycleEvent
from looplet.hook_decision import Allow, Deny, HookDecision
from looplet.permissions.asking import on_event_loop
from looplet.permissions.engine import Evaluation, PermissionEngine
from looplet.permissions.rule import ATOMS, PermissionOutcome, snapshot
from looplet.types import ToolCall

T = TypeVar("T", HookDecision, bool)


class Asking(HookDecision):
    """A denial, until it is awaited: then what the person said. Who does not wait lets nothing run."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Callable[[], Awaitable[HookDecision | bool]]) -> None:
        super().__init__(permission="deny", block="a person is still being asked")
        self._answer = answer

    def __await__(self) -> Generator[Any, None, HookDecision | bool]:
        return self._answer().__await__()

    def __bool__(self) -> bool:
        return False


def _settled(evaluation: Evaluation, then: Callable[[PermissionOutcome], T]) -> T | Asking:
    """What *then* makes of the outcome; on an event loop a question is answered when it is awaited."""
    if not (evaluation.asks and on_event_loop()):
        return then(evaluation.outcome())

    async def answer() -> T:
        return then(await evaluation.outcome_async())

    return Asking(answer)


class PermissionHook:
    """Asks a `PermissionEngine` about every call of a run, once.

    Where a person decides, an event loop is not held up: the answer is an awaitable there.

    Attributes:
        engine: The engine, or any object with an `evaluate` of its own: then that is asked.
    """

    inherited = True  # what a run may not do, a run that its tools start may not do either

    def __init__(self, engine: PermissionEngine) -> None:
        self.engine = engine
        self._judged: dict[str, tuple[PermissionOutcome, int]] = {}

    def on_event(self, payload: EventPayload) -> HookDecision | None:
        """Before a tool runs: `Allow()`, or `Deny(...)` with the reason. Nothing at other moments."""
        if payload.event is not LifecycleEvent.PRE_TOOL_USE:
            return None
        call = payload.tool_call
        if call is None:
            return Deny("permission denied: the event names no call")
        step = payload.step_num

        def decided(outcome: PermissionOutcome) -> HookDecision:
            self._judged[call.call_id] = outcome, step
            return _decision(outcome, call)

        return self._asked(call, step, decided)

    def check_permission(self, tool_call: ToolCall, state: object) -> bool | Asking:
        """Whether *tool_call* may run: as `on_event` said, or judged again if it was changed since."""
        outcome, step = self._judged.pop(tool_call.call_id, (None, None))
        if outcome is not None and _is_about(outcome, tool_call):
            return outcome.allowed
        return self._asked(tool_call, step, lambda outcome: outcome.allowed)

    def _asked(self, call: ToolCall, step: int | None, then: Callable[[PermissionOutcome], T]) -> T | Asking:
        if _judges_by_begin(self.engine):
            return _settled(self.engine.begin(call, step=step), then)
        outcome = self.engine.evaluate(call)
        return then(outcome if outcome.call is not None else replace(outcome, call=snapshot(call)))

    def check_done_permission(self, tool_call: ToolCall, state: object) -> HookDecision:
        """Whether the run may end with *tool_call*: only a rule can forbid it."""
        if not isinstance(self.engine, PermissionEngine):
            return Allow()
        taken = getattr(state, "step_count", None)
        step = taken + 1 if isinstance(taken, int) else None
        evaluation = self.engine.begin(tool_call, step=step, ends=True)
        return _settled(evaluation, lambda outcome: _decision(outcome, tool_call))


def _judges_by_begin(engine: PermissionEngine) -> bool:
    return getattr(engine.evaluate, "__func__", None) is PermissionEngine.evaluate


def _decision(outcome: PermissionOutcome, call: ToolCall) -> HookDecision:
    if outcome.allowed:
        decision = Allow()
    else:
        decision = Deny(outcome.reason or f"permission denied for '{call.tool}'")
    rule = outcome.rule
    decision.metadata["decided"] = {
        "rule": str(rule) if rule else "default",
        "source": rule.source if rule else "",
        "verdict": outcome.decision.value,
        "by": outcome.by,
        "asked": outcome.asked,
        "reason": outcome.reason,
    }
    return decision


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
