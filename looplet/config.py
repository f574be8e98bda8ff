"""What a caller may set: `LoopConfig`, and `DomainAdapter` for the parts that belong to a domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from looplet.errors import ConfigError
from looplet.plain import Plain
from looplet.types import DEFAULT_MAX_STEPS, CancelToken

if TYPE_CHECKING:
    from looplet.cache import CachePolicy
    from looplet.checkpoint import Checkpoint
    from looplet.compact import CompactService
    from looplet.recovery import RecoveryRegistry
    from looplet.router import ModelRouter
    from looplet.skills import Skill
    from looplet.telemetry import Tracer
    from looplet.validation import AnySchema


@dataclass(eq=False, repr=False)
class DomainAdapter(Plain):
    """The five callables that teach the loop a domain; what `LoopConfig` sets itself wins.

    Attributes:
        build_briefing: `(state, session_log, context) -> str`, said to the model before each step.
        extract_entities: `(data) -> list[str]`, what a result is about.
        build_trace: `(**kw) -> Any`, the loop's return value.
        build_prompt: `(**kw) -> str`, the whole prompt.
        extract_step_metadata: `(state, n) -> (findings, highlights)` for the session log.
    """

    build_briefing: Callable[..., str] | None = None
    extract_entities: Callable[[Any], list[str]] | None = None
    build_trace: Callable[..., Any] | None = None
    build_prompt: Callable[..., str] | None = None
    extract_step_metadata: Callable[[Any, int], tuple[list[str], list[str]]] | None = None


@dataclass(eq=False, repr=False)
class LoopConfig(Plain):
    """How a run goes. Every field has a default that suits a first agent.

    Attributes:
        max_steps: Step budget. Where the state has one as well, the lower of those that were given counts.
        max_tokens: Most tokens of one model reply.
        system_prompt: Sent with every model call.
        temperature: Sampling temperature of ordinary calls.
        recovery_temperature: The same for the call that mends an unreadable reply.
        done_tool: Name of the tool that ends the run.
        max_turn_continuations: How often text that was cut at `max_tokens` is asked on for.
        build_briefing: See `DomainAdapter`; so are the next four.
        domain: Supplies those of the five that are not set here.
        use_native_tools: None: a message thread where the backend has `chat`, else text. True: also
            `generate_with_tools`. False: always the text protocol.
        concurrent_dispatch: Run neighbouring `concurrent_safe` calls of one reply at once.
        reactive_recovery: Shorten and ask again when the prompt is too long.
        acceptance_criteria: Shown to the model with the task; hooks and evals may judge by them.
        max_briefing_tokens: Budget for briefing and hook texts, at 4 characters a token.
        router: Chooses the backend of each step.
        checkpoint_dir: Folder that makes the run durable; a run found there is resumed. Secrets are stored,
            and come back after a resume, as their placeholders.
        tracer: Records spans.
        recovery_registry: Advice for unreadable replies.
        compact_service: Shortens the history when a hook or an overflow asks for it.
        output_schema: What the arguments of `done` must look like: an `OutputSchema`, a `DoneValidator`, the
            class of a pydantic model, or a JSON Schema.
        initial_checkpoint: Where to start from; a run found in `checkpoint_dir` goes on from its own end.
        memory_sources: Text that every request carries.
        cache_policy: What a provider may cache.
        cancel_token: Stops the run at its next safe point.
        approval_handler: `(prompt, options) -> choice`, behind `ctx.approve`. If it is async, a sync
            tool gets the choice, and an async tool awaits `ctx.approve(...)`.
        context_window: Tokens the model can take.
        render_messages_override: `(messages=, default_prompt=, step_num=) -> str`, the last word on a
            text prompt.
        deadline_s: Seconds the whole run may take; then it stops with reason `deadline`.
        llm_timeout_s: Seconds one model call may take, retries of the SDK included. None leaves it to
            the SDK (10 minutes for one request by default).
        stream_tokens: Ask for the reply piece by piece and tell `stream` and observers each piece.
        observers: Told what happens (`looplet.engine.observe.RunObserver`).
        resume: "auto" resumes only a run of the same task and agent; "force" any; "never" none.
        cwd: Handed to tools as `ctx.cwd`.
        workspace_root: Handed to tools as `ctx.workspace_root`.
        session_id: The run's id; a fresh one by default.
        metadata: Handed to tools as `ctx.metadata`.
        skills: Skills that the model may activate; until then only their names and descriptions are sent.
    """

    max_steps: int = DEFAULT_MAX_STEPS
    max_tokens: int = 2000
    system_prompt: str = ""
    temperature: float = 0.2
    recovery_temperature: float = 0.1
    done_tool: str = "done"
    max_turn_continuations: int = 0
    build_briefing: Callable[..., str] | None = None
    extract_entities: Callable[[Any], list[str]] | None = None
    build_trace: Callable[..., Any] | None = None
    build_prompt: Callable[..., str] | None = None
    extract_step_metadata: Callable[[Any, int], tuple[list[str], list[str]]] | None = None
    domain: DomainAdapter | None = None
    use_native_tools: bool | None = None
    concurrent_dispatch: bool = False
    reactive_recovery: bool = True
    acceptance_criteria: list[str] | None = None
    max_briefing_tokens: int | None = None
    router: ModelRouter | None = None
    checkpoint_dir: str | None = None
    tracer: Tracer | None = None
    recovery_registry: RecoveryRegistry | None = None
    compact_service: CompactService | None = None
    output_schema: AnySchema | None = None
    initial_checkpoint: Checkpoint | None = None
    memory_sources: list[Any] = field(default_factory=list)
    cache_policy: CachePolicy | None = None
    cancel_token: CancelToken | None = None
    approval_handler: Callable[[str, Sequence[str] | None], str | None] | None = None
    context_window: int = 128_000
    render_messages_override: Callable[..., str] | None = None
    deadline_s: float | None = None
    llm_timeout_s: float | None = None
    stream_tokens: bool = False
    observers: list[Any] = field(default_factory=list)
    resume: str = "auto"
    cwd: str | None = None
    workspace_root: str | None = None
    session_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    skills: Sequence[Skill] = ()

    def domain_parts(self) -> DomainAdapter | LoopConfig:
        """The five callables of a `DomainAdapter`, each from here or else from `domain`."""
        domain = self.domain
        if domain is None:
            return self
        return DomainAdapter(*[getattr(self, name) or getattr(domain, name) for name in _DOMAIN])


_NUMBERS = {
    "max_steps": 0,
    "max_tokens": 1,
    "temperature": 0,
    "recovery_temperature": 0,
    "max_turn_continuations": 0,
    "context_window": 1,
    "max_briefing_tokens": 0,
    "deadline_s": 0,
    "llm_timeout_s": 0,
}

LONGEST_S = 1e9
"""Longest time limit, in seconds: about 30 years, which clocks and threads can still wait for."""

_DOMAIN = tuple(vars(DomainAdapter)["__dataclass_fields__"])
_CALLABLES = ("approval_handler", "render_messages_override")


def check_config(config: LoopConfig) -> None:
    """Refuse what no run could honour.

    Raises:
        ConfigError: Names the field, what it holds and what it takes.
    """
    for name, least in _NUMBERS.items():
        value = getattr(config, name)
        if value is None or (type(value) is int and value >= least):
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
            raise ConfigError(f"LoopConfig({name}={value!r}): give a number of at least {least}")
        if value > LONGEST_S and name.endswith("_s"):
            raise ConfigError(f"LoopConfig({name}={value!r}): give seconds, or None for no limit")
        if value == inf:
            raise ConfigError(f"LoopConfig({name}={value!r}): give a finite number")
    parts = config.domain_parts()
    _check_callables(parts, _DOMAIN)
    _check_callables(config, _CALLABLES)
    _check_memory(config.memory_sources)
    if not config.done_tool or not isinstance(config.done_tool, str):
        raise ConfigError(
            f"LoopConfig(done_tool={config.done_tool!r}): give the name of the tool that ends a run"
        )
    if config.resume not in ("auto", "force", "never"):
        raise ConfigError(f'LoopConfig(resume={config.resume!r}): give "auto", "force" or "never"')
    if config.stream_tokens and config.use_native_tools is False:
        raise ConfigError(
            "LoopConfig(stream_tokens=True, use_native_tools=False): only message threads stream"
        )
    if config.stream_tokens and (parts.build_prompt or config.render_messages_override):
        raise ConfigError(
            "LoopConfig(stream_tokens=True) with a prompt of your own: only message threads stream"
        )


def _check_callables(holder: object, names: Iterable[str]) -> None:
    for name in names:
        value = getattr(holder, name)
        if value is not None and not callable(value):
            raise ConfigError(f"LoopConfig({name}={value!r}): give a function, or None")


def _check_memory(sources: Any) -> None:
    if isinstance(sources, str) or not all(callable(getattr(source, "load", None)) for source in sources):
        raise ConfigError(
            f"LoopConfig(memory_sources={sources!r}): give a list of sources such as StaticMemorySource(text)"
        )
