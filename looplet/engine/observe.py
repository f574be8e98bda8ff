"""What the engine tells whoever watches a run: model calls, decisions, steps, the end.

Observers are told and never asked: nothing they return changes the run. A recorder, a tracer and a
provenance sink are observers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from looplet.errors import ModelError
from looplet.plain import Frozen
from looplet.types import ChatReply, Step, ThreadMessage, ToolCall

Method: TypeAlias = Literal["chat", "generate", "generate_with_tools"]
Purpose: TypeAlias = Literal["step", "recovery", "continuation", "answer"]


class Request(NamedTuple):
    """What one model call sends.

    Attributes:
        method: The backend method that is called.
        messages: The thread, for `chat`. It is the live, growing list: copy what you keep.
        prompt: The whole prompt of the text protocols; for `chat`, the part that is new.
        system_prompt: Sent beside the prompt or thread.
        tools: Tool schemas sent along; empty in the text protocol.
        max_tokens: Most tokens the model may write.
        temperature: Sampling temperature.
        purpose: Why the model is asked: for a step, to mend an unreadable reply, to go on after
            `max_tokens`, or to turn a plain answer into a call.
        cache_breakpoints: Where a provider may cache, for backends that name the parameter.
        kept: How many of `messages` stand unchanged at the head of the request before this one; the
            trailing part that is rebuilt for each call never counts.
        trailing: That part: briefing, memory and what hooks say, at the end of the last message.
        provider: Who is asked, for observers of `model_asked`; empty where the backend does not say.
        model: The model that is asked; the same.
    """

    method: Method
    messages: Sequence[ThreadMessage] = ()
    prompt: str = ""
    system_prompt: str = ""
    tools: Sequence[dict[str, Any]] = ()
    max_tokens: int = 2000
    temperature: float = 0.2
    purpose: Purpose = "step"
    cache_breakpoints: Sequence[Any] | None = None
    kept: int = 0
    trailing: str = ""
    provider: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ModelCall(Frozen):
    """One question to the model and what came back, retries included.

    Attributes:
        number: Position among the run's model calls, from 1.
        step: Number of the first step that this call decides.
        request: What was sent.
        reply: What came back; a text reply is one text block. None after a failure.
        error: Why nothing came back, or None.
        duration_ms: Milliseconds from the first attempt to the end of the last.
        attempts: Requests made, at least 1.
    """

    number: int
    step: int
    request: Request
    reply: ChatReply | None
    error: ModelError | None
    duration_ms: float
    attempts: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Decision(Frozen):
    """Something a hook or a rule decided about a call, or a router about a model call.

    Attributes:
        step: Number of the step the call becomes.
        tool: Name of the tool; empty where it is about a model call.
        call_id: The call; the same.
        verdict: `allow`, `deny`, `ask`, `rewrite`, `intercept`, `replace` or `fallback`.
        by: Who decided: the hook's class, or the rule.
        reason: Why, in words.
        details: Anything else worth keeping, JSON values only.
    """

    step: int
    tool: str
    call_id: str
    verdict: str
    by: str
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


class RunObserver:
    """Is told what happens in a run, in order. Override what you want to hear.

    Any object with some of these methods will do; what it does not have, it is not told.
    """

    def run_started(self, task: object, *, run_id: str) -> None:
        """The run begins."""

    def step_started(self, number: int) -> None:
        """The model is about to be asked for the step with this number."""

    def model_asked(self, step: int, request: Request) -> None:
        """A request goes out; retries of it are not told again."""

    def model_chunk(self, step: int, text: str, index: int) -> None:
        """The model wrote a piece of text; *index* counts from 0 in each reply."""

    def model_called(self, call: ModelCall) -> None:
        """The model answered, or failed for good."""

    def decided(self, decision: Decision) -> None:
        """A hook or rule decided about a call."""

    def tool_started(self, step: int, call: ToolCall) -> None:
        """A tool is about to run."""

    def recovered(self, strategy: str, success: bool) -> None:
        """The engine tried to mend something: an overflow, an unreadable reply."""

    def step_taken(self, step: Step) -> None:
        """A step is final; it is saved and handed out next."""

    def answered(self, output: dict[str, Any]) -> None:
        """The run has its final output: the arguments of the accepted done call."""

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        """The run is over; *error* is the exception that leaves it, if one does."""


OBSERVED = tuple(name for name in vars(RunObserver) if not name.startswith("_"))


class Observers:
    """Observers sorted by what they want to hear: one tuple of bound methods for each kind of news.

    Attributes:
        after_model: Whether anybody wants to hear something once the model answered.
    """

    __slots__ = (*OBSERVED, "after_model")

    run_started: Sequence[Callable[..., None]]
    step_started: Sequence[Callable[..., None]]
    model_asked: Sequence[Callable[..., None]]
    model_chunk: Sequence[Callable[..., None]]
    model_called: Sequence[Callable[..., None]]
    decided: Sequence[Callable[..., None]]
    tool_started: Sequence[Callable[..., None]]
    recovered: Sequence[Callable[..., None]]
    step_taken: Sequence[Callable[..., None]]
    answered: Sequence[Callable[..., None]]
    run_ended: Sequence[Callable[..., None]]

    def __init__(self, observers: Sequence[object] = ()) -> None:
        for name in OBSERVED:
            setattr(self, name, ())
        for observer in observers:
            for name in OBSERVED:
                if _hears(observer, name):
                    setattr(self, name, (*getattr(self, name), getattr(observer, name)))
        self.after_model = bool(self.model_called or self.decided)


def _hears(observer: object, name: str) -> bool:
    method = getattr(type(observer), name, None)
    return method is not None and method is not getattr(RunObserver, name)


NOBODY = Observers()
"""Nobody who wants to hear anything: one for all such runs."""
