"""Waiting for a person: a tool that needs an approval stops the run, with the question as data.

A tool asks by returning `{"needs_approval": True, "approval_description": …, "approval_options": […]}`
before it has done anything. `ApprovalHook` then ends the run with the stop reason
`waiting_for_approval`, and holds the question with the exact call that it is about: as an object, and
as JSON data that a checkpoint can keep. A tool that can wait asks `ctx.approve` instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looplet.errors import ConfigError
from looplet.hook_decision import HookDecision, Stop
from looplet.types import ToolCall, ToolResult
from looplet.values import bounded, normal

WAITING = "waiting_for_approval"
"""The stop reason of a run that waits for a person."""

LONGEST = 2000
"""Characters of a description, and of one option."""

MOST_OPTIONS = 20
"""Options that a person is offered."""


def _yes_or_no() -> list[str]:
    return ["approve", "deny"]


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What a person is asked.

    Attributes:
        step: The step whose call asks.
        tool: Name of the tool.
        description: What would be done, in the tool's words.
        options: What may be answered.
        args: The arguments of the call: what an approval would be for.
        call_id: The call.
    """

    step: int
    tool: str
    description: str = ""
    options: list[str] = field(default_factory=_yes_or_no)
    args: dict[str, Any] = field(default_factory=dict)
    call_id: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The request as JSON data."""
        return {
            "step": self.step,
            "tool": self.tool,
            "description": self.description,
            "options": list(self.options),
            "args": normal(self.args),
            "call_id": self.call_id,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ApprovalRequest:
        """The request that `to_dict` gave. Raises `ConfigError` for anything else."""
        wanted = {"step": int, "tool": str, "description": str, "options": list, "args": dict, "call_id": str}
        wrong = [name for name, kind in wanted.items() if type(data.get(name)) is not kind]
        if wrong or set(data) - set(wanted):
            raise ConfigError(f"this is no approval request: see {', '.join(wrong) or 'its unknown keys'}")
        return cls(**{name: data[name] for name in wanted})

    def call(self) -> ToolCall:
        """The call that the request is about, with a copy of its arguments."""
        args = normal(self.args)
        return ToolCall(self.tool, args if isinstance(args, dict) else {}, call_id=self.call_id)


class ApprovalHook:
    """Ends the run when a tool's result asks for an approval."""

    def __init__(self) -> None:
        self._pending: ApprovalRequest | None = None

    @property
    def pending(self) -> ApprovalRequest | None:
        """The question that the run waits for, or None."""
        return self._pending

    def answered(self) -> ApprovalRequest | None:
        """Take the question away, for whoever has its answer; the run may then go on."""
        request, self._pending = self._pending, None
        return request

    def post_dispatch(
        self, state: object, session_log: object, tool_call: ToolCall, tool_result: ToolResult, step_num: int
    ) -> HookDecision | None:
        """Stop the run if the result asks for an approval. Results of any other kind are left alone."""
        data = tool_result.data
        if tool_result.error or not isinstance(data, dict) or not _asks(data.get("needs_approval")):
            return None
        # The first question stands: a second one of the same batch is asked when its call comes again.
        if self._pending is None:
            args = normal(tool_call.args)
            self._pending = ApprovalRequest(
                step=step_num,
                tool=tool_call.tool,
                description=_text(data.get("approval_description")),
                options=_options(data.get("approval_options")),
                args=args if isinstance(args, dict) else {},
                call_id=tool_call.call_id,
            )
        return Stop(WAITING)

    def should_stop(self, state: object, step_num: int, new_entities: int) -> bool:
        """Never: the run is stopped where the question arises."""
        return False


def _asks(value: object) -> bool:
    """Whether a member asks for an approval; what is no plain false does, so that doubt asks."""
    return value is not None and value is not False and value not in (0, "")


def _text(value: object) -> str:
    return bounded(value if isinstance(value, str) else "" if value is None else str(normal(value)), LONGEST)


def _options(value: object) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return _yes_or_no()
    return [_text(option) for option in list(value)[:MOST_OPTIONS]]
