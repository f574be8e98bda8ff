"""The events of a stream, as dataclasses whose fields all have defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from looplet.clock import now


@dataclass
class Event:
    """Something that happened.

    Attributes:
        event_type: Name of the event's class.
        timestamp: Seconds since the epoch.
    """

    event_type: str = ""
    timestamp: float = field(default_factory=now)

    def __post_init__(self) -> None:
        if type(self) is not Event:
            self.event_type = type(self).__name__


@dataclass
class LoopStartEvent(Event):
    """The run begins: a label of its task, and its step budget."""

    task_summary: str = ""
    max_steps: int = 0


@dataclass
class StepStartEvent(Event):
    """The model is about to be asked for this step."""

    step_num: int = 0


@dataclass
class LLMCallStartEvent(Event):
    """A request goes out; its new part is about so many tokens."""

    step_num: int = 0
    prompt_tokens_est: int = 0


@dataclass
class LLMCallEndEvent(Event):
    """The model answered with so many characters of text (0 after a failure), in so many milliseconds."""

    step_num: int = 0
    response_length: int = 0
    duration_ms: float = 0.0


@dataclass
class LLMChunkEvent(Event):
    """The model wrote a piece of text; pieces of one reply count from 0."""

    step_num: int = 0
    chunk: str = ""
    chunk_index: int = 0


@dataclass
class ToolDispatchEvent(Event):
    """A tool is about to run; its arguments are cut to 200 characters."""

    step_num: int = 0
    tool_name: str = ""
    args_summary: str = ""


@dataclass
class ToolResultEvent(Event):
    """A call is over."""

    step_num: int = 0
    tool_name: str = ""
    duration_ms: float = 0.0
    has_error: bool = False


@dataclass
class StepEndEvent(Event):
    """A step is over."""

    step_num: int = 0
    classification: str = ""
    new_entities_count: int = 0


@dataclass
class LoopEndEvent(Event):
    """The run is over, with its stop reason."""

    total_steps: int = 0
    total_llm_calls: int = 0
    reason: str = ""


@dataclass
class HookEvent(Event):
    """A hook decided something: its class, the verdict and the reason."""

    hook_name: str = ""
    method: str = ""
    message: str = ""


@dataclass
class RecoveryEvent(Event):
    """The loop tried to mend something, and whether that helped."""

    strategy: str = ""
    success: bool = False


@dataclass
class ContextPressureEvent(Event):
    """How full the context is: `level` is `ok`, `warning`, `error` or `blocking`; sizes are in tokens."""

    level: str = "ok"
    estimated_tokens: int = 0
    threshold: int = 0
    context_window: int = 0
    percent_used: float = 0.0
