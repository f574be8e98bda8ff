"""Waiting for a person: a tool that needs an approval stops the run, with the question as data.

A tool asks `ctx.approve(prompt, options)`. Where nobody can answer at once it gets None, and returns
`{"needs_approval": True, "approval_description": …, "approval_options": […]}` before it has done anything:

    if ctx.approve(f"pay {amount}?") != "approve":
        return {"needs_approval": True, "approval_description": f"pay {amount}"}

`ApprovalHook` then ends the run with the stop reason `waiting_for_approval`, and holds the question with the
exact call that it is about; a checkpoint keeps both. `hook.answer("approve")`, in this process or in a later
one, and the same run again: it begins with that call, once, and `ctx.approve` gives the answer. After a
refusal the call does not run, and the model is told so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from looplet.engine.act import failed
from looplet.engine.run import Pending, Run
from looplet.errors import ConfigError
from looplet.hook_decision import Block, HookDecision, Stop
from looplet.redact import Redactor
from looplet.types import ErrorKind, ToolCall, ToolResult
from looplet.values import bounded, normal

WAITING = "waiting_for_approval"
"""The stop reason of a run that waits for a person."""

LONGEST = 2000
"""Characters of a description, and of one option."""

MOST_OPTIONS = 20
"""Options that a person is offered."""

YES = ("approve", "allow", "yes")
NO = ("deny", "no", "refuse", "reject")
"""Answers with which the call does not run, in any case; every other option is the tool's to interpret."""

Answer: TypeAlias = bool | str
"""An option of the question; True stands for the one of `YES` that it has, False for a refusal."""


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
        if not wrong and not (data["options"] and all(type(one) is str for one in data["options"])):
            wrong = ["options"]
        if wrong or set(data) - set(wanted):
            raise ConfigError(f"this is no approval request: see {', '.join(wrong) or 'its unknown keys'}")
        return cls(**{name: data[name] for name in wanted})

    def call(self) -> ToolCall:
        """The call that the request is about, with a copy of its arguments."""
        return self.call_as(self.call_id)

    def call_as(self, call_id: str) -> ToolCall:
        """The same under another id."""
        args = normal(self.args)
        return ToolCall(self.tool, args if isinstance(args, dict) else {}, call_id=call_id)


class ApprovalHook:
    """Ends the run when a tool's result asks for an approval, and takes it up again with the answer.

    Args:
        answer: What was said to the question that the run stopped with; see `answer`.

    Raises:
        ConfigError: *answer* can be no answer.
    """

    def __init__(self, answer: Answer | None = None) -> None:
        self._pending: ApprovalRequest | None = None
        self._answer: Answer | None = None
        self._call_id = ""
        self._approved: tuple[ToolCall, str] | None = None
        self._is_redacted = False
        if answer is not None:
            self.answer(answer)

    @property
    def pending(self) -> ApprovalRequest | None:
        """The question that the run waits for, or None."""
        return self._pending

    def answer(self, choice: Answer, *, call_id: str = "") -> None:
        """Say what a person said. It counts for the question that the run stopped with, and for no other.

        Args:
            choice: One of the options; True for the one of `YES` that there is, False for a refusal.
            call_id: The call that the person was shown; a run that waits with another one is not taken up.

        Raises:
            ConfigError: *choice* can be no answer, or the question is known and has no such option.
        """
        if not isinstance(choice, bool | str):
            raise ConfigError(f"ApprovalHook.answer({choice!r:.80}): give True, False or one of the options")
        if self._pending is not None:
            _worded(choice, self._pending)
        self._answer, self._call_id = choice, call_id

    def answered(self) -> ApprovalRequest | None:
        """Take the question away, for whoever acts on its answer outside the run."""
        request, self._pending = self._pending, None
        return request

    # ------------------------------------------------------------------ over a stop

    def save_state(self) -> dict[str, Any]:
        """The question, as JSON data, and whether a journal will take secrets out of its call."""
        if self._pending is None:
            return {"pending": None}
        kept = self._pending.to_dict()
        return {"pending": kept, "redacted": Redactor.of_environment().value(kept["args"]) != kept["args"]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Ask again what a run asked that stopped. Raises `ConfigError` for anything else."""
        pending = state.get("pending")
        self._pending = None if pending is None else ApprovalRequest.from_dict(pending)
        self._is_redacted = state.get("redacted") is True

    def take_up(self, run: Run) -> None:
        """Go on with the call that was answered for; without an answer the run goes on waiting.

        Raises:
            ConfigError: The answer is none to the question, or was given for another call.
        """
        request, answer = self._pending, self._answer
        self._answer = None  # one that finds no question must not answer the next
        if request is None:
            return
        if any(pending.call.call_id == _again(request.call_id) for pending in run.pending):
            # It was taken up before the process ended, and says itself what became of it.
            self._pending = None
            return
        if answer is None:
            if run.pending:
                run.stop_request = WAITING
            else:
                run.stop_reason = WAITING
            return
        if self._call_id not in ("", request.call_id):
            raise ConfigError(
                f"ApprovalHook: the answer is for the call {self._call_id!r}, the run waits with "
                f"{request.call_id!r} ({request.tool}); show the person hook.pending and answer that"
            )
        said = _worded(answer, request)
        run.stop_request = None
        run.first_step = run.first_step if run.pending else run.next_number()
        run.pending.append(self._taken_up(request, said, run.next_number() + len(run.pending)))
        self._pending = None

    def _taken_up(self, request: ApprovalRequest, said: str, number: int) -> Pending:
        call = request.call_as(_again(request.call_id))
        if _is_no(said):
            text = f"A person was asked and refused this call ({said}). It did not run; do not repeat it."
        elif self._is_redacted:
            text = "A person approved this call, but it holds a secret, which was not kept. Call it again."
        else:
            self._approved = call, said
            # It costs no budget: the step that asked has paid for it.
            return Pending(request.call_as(call.call_id), number, free=True)
        refusal = failed(call, text, ErrorKind.PERMISSION_DENIED)
        return Pending(call, number, refusal, judged=True, free=True)

    def approver_of(self, call: ToolCall) -> Callable[..., str | None] | None:
        """Who answers `ctx.approve` in *call*: the person's answer, once, if this is the very call."""
        approved = self._approved
        if approved is None or approved[0].call_id != call.call_id:
            return None
        self._approved = None
        same = approved[0].tool == call.tool and approved[0].args == call.args  # or a hook changed it since
        answers = [approved[1]] if same else []
        return lambda prompt, options=None: answers.pop() if answers else None

    # ------------------------------------------------------------------ in the run

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

    def check_done(
        self, state: object, session_log: object, context: object, step_num: int
    ) -> HookDecision | None:
        """A run that waits is not done, whatever else the model said in the same breath."""
        if self._pending is None:
            return None
        return Block(f"{self._pending.tool} waits for a person's approval")

    def should_stop(self, state: object, step_num: int, new_entities: int) -> bool:
        """Never: the run is stopped where the question arises."""
        return False


def _again(call_id: str) -> str:
    """The id of a call that is taken up: an id of its own, because the first one has its result."""
    return f"{call_id}-answered"


def _worded(answer: Answer, request: ApprovalRequest) -> str:
    """*answer* as one of the question's options; a refusal always is one."""
    options = request.options
    if answer is False or (isinstance(answer, str) and _is_no(answer)):
        return next(filter(_is_no, options), "deny")
    if answer is True:
        answer = next((option for option in options if option.casefold() in YES), "True")
    if answer not in options:
        raise ConfigError(f"ApprovalHook: {answer!r:.80} is none of the options {', '.join(options)}")
    return str(answer)


def _is_no(option: str) -> bool:
    return option.casefold() in NO


def _asks(value: object) -> bool:
    """Whether a member asks for an approval; what is no plain false does, so that doubt asks."""
    return value is not None and value is not False and value not in (0, "")


def _text(value: object) -> str:
    return bounded(value if isinstance(value, str) else "" if value is None else str(normal(value)), LONGEST)


def _options(value: object) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return _yes_or_no()
    return [_text(option) for option in list(value)[:MOST_OPTIONS]]
