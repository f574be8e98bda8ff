"""The plan of a run, which never changes, and the `Run`, the one object that does."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from looplet import clock
from looplet.conversation import Conversation
from looplet.engine.observe import Decision, Observers, Request
from looplet.engine.scope import Nesting
from looplet.engine.slots import Slots
from looplet.plain import ByName
from looplet.session import SessionLog
from looplet.types import (
    AgentState,
    CancelToken,
    ChatReply,
    DefaultState,
    Step,
    ToolCall,
    ToolContext,
    ToolResult,
    Usage,
)

if TYPE_CHECKING:
    from looplet.engine.thread import Thread

Wire: TypeAlias = Literal["thread", "native", "text"]
"""How the model is talked to: message threads, tools beside one prompt, or one prompt of text."""

_NO_USAGE = Usage()

RECENT_RESULTS = 5
"""Steps whose results a text prompt shows; older ones are in the session log, one line each."""


class Journal(Protocol):
    """Makes a run durable. What is not only noted is on disk when the method returns."""

    def turned(self, run: Run, answer: ChatReply, when: float) -> None:
        """The conversation took the model's answer in, stamped *when*. Only noted."""
        ...

    def said(self, message: str, when: float) -> None:
        """The conversation took in *message* for the model, stamped *when*. Only noted."""
        ...

    def planned(self, run: Run) -> None:
        """The calls of the reply are known, none has started. Only noted."""
        ...

    def starting(self, run: Run, pending: Pending) -> None:
        """The tool of this call starts next: from here on it may have run."""
        ...

    def finished(self, run: Run, pending: Pending) -> None:
        """This call is over, its batch goes on."""
        ...

    def stepped(self, run: Run, pending: Pending, step: Step, when: float) -> None:
        """*step* is about to be handed out; log and conversation hold it already, stamped *when*."""
        ...

    def compacted(self, run: Run) -> None:
        """A compaction changed conversation, log or results."""
        ...

    def ended(self, run: Run) -> None:
        """The run is over; `run.stop_reason` says why."""
        ...


class Plan(ByName):
    """Everything a run was told when it started. The features stand here as plain callables.

    Attributes:
        llm: The backend; `select_model` may put another in its place for one step.
        task: What the agent is to do, as the caller gave it.
        tools: The registry.
        context: The caller's own object, handed to hooks.
        session_id: The run's id.
        slots: The hooks.
        observers: Who is told.
        step_limit: Most steps, or None where only the state limits them.
        briefed: Whether anybody has something to say before each step.
        free_steps: Most steps of `free` tools, which cost no budget.
        overflow: What to try, in order, when the prompt is too long: each makes the next request smaller.
        nesting: Observers that also want to hear of runs which tools of this run start.
        config: The caller's configuration, for such runs; the engine itself does not read it.
    """

    llm: Any
    task: Any
    tools: Any
    context: Any
    session_id: str
    slots: Slots
    observers: Observers
    wire: Wire = "text"
    step_limit: int | None = None
    free_steps: int = 15
    shown_max_steps: int = 15
    max_tokens: int = 2000
    system_prompt: str = ""
    temperature: float = 0.2
    recovery_temperature: float = 0.1
    done_tool: str = "done"
    max_continuations: int = 0
    max_briefing_tokens: int | None = None
    concurrent: bool = False
    max_prompt_tokens: int = 125_000
    llm_timeout_s: float | None = None
    deadline_s: float | None = None
    cancel_token: CancelToken | None = None
    stream_tokens: bool = False
    build_briefing: Callable[..., str] | None = None
    briefed: bool = False
    build_prompt: Callable[..., str] | None = None
    build_trace: Callable[..., Any] | None = None
    extract_entities: Callable[[Any], list[str]] | None = None
    extract_step_metadata: Callable[[Any, int], tuple[list[str], list[str]]] | None = None
    render_messages: Callable[..., str] | None = None
    select_model: Callable[[], tuple[Any, Wire]] | None = None
    memory: Callable[[Any], str] | None = None
    cache_breakpoints: Callable[[int, str, str, str], list[Any] | None] | None = None
    proactive_compact: Callable[[Run], Any] | None = None
    overflow: Sequence[tuple[str, Callable[[Run], Any]]] = ()
    check_output: Callable[[dict[str, Any]], list[str]] | None = None
    on_parse_failure: Callable[[int, str], tuple[str, str] | None] | None = None
    tool_context: Callable[[Run, ToolCall, int], ToolContext | None] | None = None
    journal: Journal | None = None
    nesting: Sequence[Nesting] = ()
    config: Any = None

    @property
    def specs(self) -> Mapping[str, Any]:
        """The registered tools by name; `_tools` is what any registry given to the loop has."""
        specs: Mapping[str, Any] = self.tools._tools
        return specs


class Pending:
    """One call of the current reply on its way to becoming a step.

    Attributes:
        call: The call, with the arguments that were judged.
        number: The step it becomes.
        result: What came of it, once known.
        judged: Whether the hooks have seen it; what they saw is what runs.
        ran: Whether the tool body ran, or may have.
        free: Whether it costs no step budget.
    """

    __slots__ = ("call", "free", "judged", "number", "ran", "result")

    def __init__(
        self,
        call: ToolCall,
        number: int,
        result: ToolResult | None = None,
        judged: bool = False,
        ran: bool = False,
        free: bool = False,
    ) -> None:
        self.call = call
        self.number = number
        self.result = result
        self.judged = judged
        self.ran = ran
        self.free = free


class Run:
    """All that moves while a run is on. A checkpoint of a run is a copy of this.

    Attributes:
        stop_reason: Empty while the run is on.
        pending: Calls of the last reply that are not steps yet, in order; a resumed run starts with them.
        done_call: The done call of the last reply, after the pending ones.
        offset: Added to the state's step count to number steps, after a resume that did not restore them.
        free_used: Steps so far that cost no budget.
        own_limit: The state, where its own figures say how many steps are left.
        notes: Text for the next prompt: what hooks injected.
        rejection: Why the last done was turned down.
        stop_request: Stop reason that a hook asked for; the run ends with this iteration.
        final_output: Arguments of the accepted done call.
        asked_at: When the question that is out was sent, if an observer wants to know how long it took.
        told_head: The task and the tools as the last prompt had them, and the text that they are in it.
        at_once: How a driver that blocks meets a need, by its kind; None where each is yielded to it.
        unheard: What an observer raised when it was told a piece of a reply that is still on its way.
        loose: Awaitables of hooks that were told of a tool's progress; waited for once it is over.
    """

    __slots__ = (
        "answer_asked",
        "asked_at",
        "at_once",
        "conversation",
        "done_call",
        "final_output",
        "first_step",
        "free_used",
        "last_input_tokens",
        "llm",
        "llm_calls",
        "loose",
        "model_calls",
        "new_entities",
        "notes",
        "offset",
        "own_limit",
        "parse_failures",
        "pending",
        "plan",
        "recent",
        "rejection",
        "runs_inside",
        "session_log",
        "started",
        "state",
        "stop_reason",
        "stop_request",
        "thread",
        "thread_sent",
        "told_head",
        "unheard",
        "usage",
        "warned",
        "wire",
    )

    def __init__(
        self,
        plan: Plan,
        state: AgentState,
        session_log: SessionLog,
        conversation: Conversation,
    ) -> None:
        self.plan = plan
        self.state = state
        self.own_limit = state if plan.step_limit is None and isinstance(state, DefaultState) else None
        self.session_log = session_log
        self.conversation = conversation
        self.wire = plan.wire
        self.llm = plan.llm
        self.stop_reason = ""
        self.pending: list[Pending] = []
        self.done_call: ToolCall | None = None
        self.offset = 0
        self.free_used = 0
        self.first_step = 0
        self.notes: list[str] = []
        self.rejection = ""
        self.stop_request: str | None = None
        self.llm_calls = 0
        self.model_calls = 0
        self.asked_at = 0.0
        self.usage = _NO_USAGE
        self.parse_failures = 0
        self.answer_asked = False
        self.new_entities = 0
        self.final_output: dict[str, Any] | None = None
        self.recent: deque[str] = deque(maxlen=RECENT_RESULTS)
        self.last_input_tokens: int | None = None
        self.started = clock.perf()
        self.warned: set[tuple[type, str]] = set()
        self.loose: list[Awaitable[Any]] = []
        self.told_head: tuple[Any, str, str] | None = None
        self.unheard: Exception | None = None
        self.thread: Thread | None = None
        self.thread_sent = 0
        self.runs_inside: dict[str, int] = {}
        self.at_once: Mapping[type, Callable[[Any], Any]] | None = None

    def next_number(self) -> int:
        """The number of the next step."""
        return self.state.step_count + 1 + self.offset

    def steps_left(self) -> int:
        """Steps that may still be taken at a cost."""
        own = self.own_limit
        if own is not None:
            return own.max_steps - len(own.steps) - self.offset + self.free_used
        left, limit = self.state.budget_remaining, self.plan.step_limit
        if limit is None:
            return left
        return min(left, limit - (self.next_number() - 1 - self.free_used))

    def seconds_left(self) -> float | None:
        """Seconds until the run's deadline, or None if it has none."""
        deadline = self.plan.deadline_s
        return None if deadline is None else deadline - (clock.perf() - self.started)

    def decide(
        self,
        pending: Pending,
        verdict: str,
        by: str,
        reason: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell the observers what was decided about a call."""
        hears = self.plan.observers.decided
        if hears:
            call = pending.call
            more = dict(details or {})
            decision = Decision(pending.number, call.tool, call.call_id, verdict, by, reason, more)
            for hear in hears:
                hear(decision)


class Reply:
    """A model's answer, read: calls to make, or text, or neither.

    Attributes:
        request: What was sent.
        raw: What the backend returned: text or blocks.
        chat: The same as a `ChatReply`.
        calls: The calls in it, in order.
        broken: For each call that must not run: why (unreadable or cut arguments), by call id.
    """

    __slots__ = ("broken", "calls", "chat", "raw", "request")

    def __init__(
        self, request: Request, raw: Any, chat: ChatReply, calls: list[ToolCall], broken: dict[str, str]
    ) -> None:
        self.request = request
        self.raw = raw
        self.chat = chat
        self.calls = calls
        self.broken = broken
