"""What a hook may decide, and what a slot makes of the value that a hook returned."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

from looplet.plain import Plain
from looplet.types import ToolResult

PLAIN_NO = "permission denied"
"""The reason of a `check_permission` that says False and no more."""


@dataclass(slots=True, eq=False, repr=False)
class HookDecision(Plain):
    """A hook's answer. Every field is optional; one that is None decides nothing.

    Attributes:
        block: Do not go on with this, and why: the model reads the text.
        stop: End the run; the text becomes its stop reason.
        updated_args: Call the tool with these arguments instead.
        updated_result: Take this result: instead of running the tool, or instead of what it returned.
        permission: `"allow"` or `"deny"`.
        additional_context: Text for the model's next prompt.
        metadata: The hook's own; decides nothing.
    """

    block: str | None = None
    stop: str | None = None
    updated_args: dict[str, Any] | None = None
    updated_result: ToolResult | None = None
    permission: Literal["allow", "deny"] | None = None
    additional_context: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def is_block(self) -> bool:
        """Whether this forbids what was asked: it blocks, or denies permission."""
        return self.block is not None or self.permission == "deny"

    def is_stop(self) -> bool:
        """Whether this ends the run."""
        return self.stop is not None

    def is_noop(self) -> bool:
        """Whether this says nothing at all."""
        return not _fields_set(self) and not self.metadata


def Allow(updated_args: dict[str, Any] | None = None) -> HookDecision:  # noqa: N802
    """Permit the call, with *updated_args* in place of its arguments if they are given."""
    return HookDecision(permission="allow", updated_args=updated_args)


def Deny(reason: str, *, retry: bool = False) -> HookDecision:  # noqa: N802
    """Refuse the call; the model reads *reason*. With *retry*, `metadata` says it may try again."""
    return HookDecision(permission="deny", block=reason, metadata={"retry": True} if retry else {})


def Block(reason: str) -> HookDecision:  # noqa: N802
    """Stop this call, or turn this `done` down; the model reads *reason*."""
    return HookDecision(block=reason)


def Stop(reason: str) -> HookDecision:  # noqa: N802
    """End the run with *reason* as its stop reason."""
    return HookDecision(stop=reason)


def Continue(additional_context: str | None = None) -> HookDecision:  # noqa: N802
    """Go on, with *additional_context* in the model's next prompt if it is given."""
    return HookDecision(additional_context=additional_context)


def InjectContext(text: str) -> HookDecision:  # noqa: N802
    """Put *text* into the model's next prompt."""
    return HookDecision(additional_context=text)


def normalize_hook_return(value: object, *, slot: str) -> HookDecision | None:
    """The decision that a plain return value stands for.

    | value | decision |
    |---|---|
    | None | None: no opinion |
    | `HookDecision` | itself |
    | `ToolResult` | `updated_result` |
    | bool in `check_permission` | `Allow()` or `Deny("permission denied")` |
    | bool in `should_stop` | `Stop("hook_requested_stop")` or None |
    | str in `check_done` | `Block(value)` |
    | str elsewhere | `InjectContext(value)` |

    Args:
        slot: Name of the hook method that returned *value*.

    Raises:
        TypeError: *value* is anything else, or a bool in another slot.
    """
    if value is None or isinstance(value, HookDecision):
        return value
    if isinstance(value, ToolResult):
        return HookDecision(updated_result=value)
    if isinstance(value, bool) and slot == "check_permission":
        return Allow() if value else Deny(PLAIN_NO)
    if isinstance(value, bool) and slot == "should_stop":
        return Stop("hook_requested_stop") if value else None
    if isinstance(value, str):
        return Block(value) if slot == "check_done" else InjectContext(value)
    raise TypeError(
        f"{slot} returned {type(value).__name__}; return None, a HookDecision (Allow, Deny, Block, Stop, "
        "InjectContext), a str or a ToolResult"
    )


_GATE = frozenset({"block", "permission", "updated_args", "updated_result", "additional_context"})
_AFTER = frozenset({"updated_result", "additional_context", "stop"})
_MODEL = frozenset({"additional_context", "stop"})
_NOTHING: frozenset[str] = frozenset()

HONOURED: dict[str, frozenset[str]] = {
    "pre_loop": _NOTHING,
    "pre_prompt": frozenset({"additional_context"}),
    "pre_dispatch": _GATE,
    "check_permission": frozenset({"block", "permission"}),
    "post_dispatch": _AFTER,
    "check_done": frozenset({"block", "permission"}),
    "should_stop": frozenset({"stop"}),
    "session_start": _NOTHING,
    "pre_llm_call": _MODEL,
    "post_llm_response": _MODEL,
    "pre_tool_use": _GATE,
    "tool_progress": _NOTHING,
    "post_tool_use": _AFTER,
    "post_tool_failure": _AFTER,
    "pre_compact": frozenset({"stop"}),
    "post_compact": _NOTHING,
    "stop": _NOTHING,
    "subagent_start": _NOTHING,
    "subagent_stop": _NOTHING,
}
"""The fields of a `HookDecision` that each slot, and each event of `on_event`, acts on."""

STRICT_SLOTS = frozenset({"pre_dispatch", "check_permission", "pre_tool_use", "check_done", "should_stop"})
"""Slots where a return value that cannot be honoured is an error: ignoring it would let something through."""

_METHODS = frozenset(
    {
        "pre_loop",
        "pre_prompt",
        "pre_dispatch",
        "check_permission",
        "post_dispatch",
        "check_done",
        "should_stop",
    }
)


def decision_of(
    value: object, *, slot: str, hook: object, warned: set[tuple[type, str]] | None = None
) -> HookDecision | None:
    """The decision that *hook* took by returning *value*, if *slot* can act on it.

    Args:
        slot: A hook method, or for `on_event` the value of the event (`"pre_tool_use"`).
        hook: The hook, for its name in messages.
        warned: Remembers what was warned of, so that each hook class and slot is named once a run.

    Returns:
        The decision. None where the hook has no opinion, or where a slot that is not strict ignores it.

    Raises:
        TypeError: One of `STRICT_SLOTS` cannot act on *value*; the text names hook, slot and type.
    """
    if value is None or (value is False and slot == "should_stop"):
        return None
    complaint = ""
    try:
        if slot not in _METHODS and not isinstance(value, HookDecision):
            raise TypeError(f"on_event returned {type(value).__name__}; return None or a HookDecision")
        decision = normalize_hook_return(value, slot=slot)
    except TypeError as problem:
        decision, complaint = None, str(problem)
    else:
        ignored = [name for name in _fields_set(decision) if name not in HONOURED[slot]]
        if ignored:
            kind = type(value).__name__
            complaint = f"{slot} returned {kind}: it cannot act on {', '.join(ignored)}; {_mend(slot)}"
    if complaint:
        _complain(f"{type(hook).__name__}: {complaint}", slot, hook, warned)
    return decision


def _fields_set(decision: HookDecision | None) -> list[str]:
    return [name for name in _DECIDING if getattr(decision, name, None) is not None]


_DECIDING = ("block", "stop", "updated_args", "updated_result", "permission", "additional_context")


def _mend(slot: str) -> str:
    if slot in _MENDS:
        return f"return {_MENDS[slot]} or None"
    return f"it acts on {', '.join(sorted(HONOURED[slot])) or 'nothing'}"


_MENDS = {
    "pre_dispatch": "Deny(reason), Block(reason), Allow(updated_args), InjectContext(text), a ToolResult",
    "pre_tool_use": "Deny(reason), Block(reason), Allow(updated_args), InjectContext(text)",
    "check_permission": "True, False, Deny(reason)",
    "check_done": "a str or Block(reason)",
    "should_stop": "True, False, Stop(reason)",
}


def _complain(text: str, slot: str, hook: object, warned: set[tuple[type, str]] | None) -> None:
    if slot in STRICT_SLOTS:
        raise TypeError(text)
    key = (type(hook), slot)
    if warned is None or key not in warned:
        if warned is not None:
            warned.add(key)
        warnings.warn(f"{text}; it is ignored", UserWarning, stacklevel=3)
