"""Making the history shorter: services that a hook or an overflow asks for, and how one is run.

A service acts on what is sent next: the conversation (message threads), the state's results and the session
log (text prompts). Steps that a consumer holds are never changed: shorter copies take their places.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

from looplet.conversation import Conversation, MessageRole
from looplet.engine.aside import ask_aside
from looplet.engine.hooks import emit_event
from looplet.errors import ConfigError
from looplet.events import LifecycleEvent
from looplet.session import MODEL_SUMMARY_TOOL, LogEntry, SessionLog
from looplet.shrink import Trimmer, clear_results, emergency_truncate
from looplet.values import bounded

CLEARED = "[tool result cleared by compact]"

SUMMARY_PROMPT = """\
Another model will continue the work below and will see only your summary of it.
Write at most {budget} characters: the goal, what was found (with names, numbers and paths), what was tried
and failed, and what is left to do. No preamble.

{transcript}
"""


@dataclass(slots=True)
class CompactOutcome:
    """What a compaction did.

    Attributes:
        reason: Why it ran, or `aborted: …` when a hook stopped it.
        messages_before: Messages in the conversation before.
        messages_after: And after.
        llm_calls_spent: Model calls it made.
        extra: What only this service has to say.
        cleanup: Called once everybody was told; may be None.
    """

    reason: str = ""
    messages_before: int | None = None
    messages_after: int | None = None
    llm_calls_spent: int = 0
    extra: dict[str, Any] | None = None
    cleanup: Callable[[], None] | None = None


@runtime_checkable
class CompactService(Protocol):
    """Makes the history shorter."""

    def compact(
        self,
        *,
        state: Any,
        session_log: SessionLog,
        llm: Any,
        conversation: Conversation | None,
        step_num: int,
        reason: str,
    ) -> CompactOutcome:
        """Shorten state, log and conversation where they stand."""
        ...


class TruncateCompact:
    """Keeps the last messages and entries and drops the rest, without asking a model.

    Args:
        keep_recent: Messages, log entries and results to keep; 0 keeps none.
    """

    def __init__(self, *, keep_recent: int = 2) -> None:
        self.keep_recent = keep_recent

    def compact(
        self,
        *,
        state: Any,
        session_log: SessionLog,
        llm: Any,
        conversation: Conversation | None,
        step_num: int,
        reason: str,
    ) -> CompactOutcome:
        """See `CompactService`."""
        before = _count(conversation)
        emergency_truncate(state, session_log, keep_recent=self.keep_recent)
        if conversation is not None:
            conversation.compact(keep_recent=self.keep_recent)
        return CompactOutcome(reason, before, _count(conversation))


class SummarizeCompact:
    """Lets the model summarise what is dropped.

    Args:
        keep_recent: Messages, log entries and results to keep.
        summary_prompt: A `str.format` template with `{budget}` and `{transcript}`; other braces are doubled.
        summary_max_chars: Most characters of the summary that are kept.
        summary_max_tokens: Most tokens the model may write.
        summary_temperature: Sampling temperature.

    Raises:
        ConfigError: The template names anything else.
    """

    def __init__(
        self,
        *,
        keep_recent: int = 2,
        summary_prompt: str | None = None,
        summary_max_chars: int = 4000,
        summary_max_tokens: int = 1200,
        summary_temperature: float = 0.1,
    ) -> None:
        self.keep_recent = keep_recent
        self.summary_prompt = summary_prompt or SUMMARY_PROMPT
        self.summary_max_chars = summary_max_chars
        self.summary_max_tokens = summary_max_tokens
        self.summary_temperature = summary_temperature
        try:
            self.summary_prompt.format(budget=0, transcript="")
        except (LookupError, ValueError, AttributeError) as problem:
            raise ConfigError(
                f"SummarizeCompact(summary_prompt=...): {problem!r}; its only fields are {{budget}} and "
                "{transcript}, and any other brace is written twice"
            ) from None

    def compact(
        self,
        *,
        state: Any,
        session_log: SessionLog,
        llm: Any,
        conversation: Conversation | None,
        step_num: int,
        reason: str,
    ) -> CompactOutcome:
        """See `CompactService`. A model that fails leaves a plain truncation."""
        before = _count(conversation)
        transcript = session_log.render()
        summary, mode = self._summary(llm, transcript)
        if summary:
            # The summary takes the place of what it summarises, an earlier summary included.
            session_log.entries[:] = [e for e in session_log.entries if e.tool != MODEL_SUMMARY_TOOL]
        emergency_truncate(state, session_log, keep_recent=self.keep_recent)
        if conversation is not None:
            conversation.compact((lambda _: summary) if summary else None, keep_recent=self.keep_recent)
        if summary:
            entry = LogEntry(
                step_num, "", MODEL_SUMMARY_TOOL, "[Summary of earlier steps]", findings=[summary]
            )
            at = max(0, len(session_log.entries) - max(0, self.keep_recent))
            session_log.entries.insert(at, entry)
        spent = 0 if mode == "empty_fallback" else 1
        extra = {"mode": mode, "summary_chars": len(summary)}
        return CompactOutcome(reason, before, _count(conversation), spent, extra)

    def _summary(self, llm: Any, transcript: str) -> tuple[str, str]:
        if not transcript.strip():
            return "", "empty_fallback"
        prompt = self.summary_prompt.format(budget=self.summary_max_chars, transcript=transcript)
        options = {
            "max_tokens": self.summary_max_tokens,
            "system_prompt": "",
            "temperature": self.summary_temperature,
        }
        try:
            text = ask_aside(partial(llm.generate, prompt, **options))
        except Exception as problem:
            _log("the summarising model failed (%s); truncating instead", problem)
            return "", "llm_fallback"
        text = text.strip() if isinstance(text, str) else ""
        return (text[: self.summary_max_chars], "llm_summary") if text else ("", "llm_fallback")


class PruneToolResults:
    """Empties old tool results and leaves every message where it is.

    Args:
        keep_recent: Tool results to keep; 0 keeps none.
        compactable_tools: Only results of these tools; None for all.
        cleared_marker: What stands in the place of a result.
    """

    def __init__(
        self,
        *,
        keep_recent: int = 5,
        compactable_tools: Collection[str] | None = None,
        cleared_marker: str = CLEARED,
    ) -> None:
        self.keep_recent = keep_recent
        self.compactable_tools = compactable_tools
        self.cleared_marker = cleared_marker

    def compact(
        self,
        *,
        state: Any,
        session_log: SessionLog,
        llm: Any,
        conversation: Conversation | None,
        step_num: int,
        reason: str,
    ) -> CompactOutcome:
        """See `CompactService`. `extra` has `cleared`, the number of results emptied."""
        if conversation is None:
            return CompactOutcome(reason, extra={"mode": "no_conversation"})
        before = len(conversation.messages)
        cleared = sum(self._clear(conversation, index) for index in self._old(conversation))
        return CompactOutcome(reason, before, before, extra={"mode": "prune", "cleared": cleared})

    def _old(self, conversation: Conversation) -> Sequence[int]:
        tool = [i for i, m in enumerate(conversation.messages) if m.role is MessageRole.TOOL]
        return tool[: max(0, len(tool) - max(0, self.keep_recent))]

    def _clear(self, conversation: Conversation, index: int) -> bool:
        message = conversation.messages[index]
        result = message.tool_result
        name = result.tool if result else None
        if self.compactable_tools is not None and name not in self.compactable_tools:
            return False
        if message.content == self.cleared_marker:
            return False
        emptied = replace(result, data=None) if result is not None and not result.error else result
        conversation.replace(index, replace(message, content=self.cleared_marker, tool_result=emptied))
        return True


class ResultShrinker:
    """Cuts the large results of a run, in state and conversation: the gentlest way to a shorter prompt.

    A run that stays too long comes here at every step, so each result is looked at once.
    """

    def __init__(self) -> None:
        self._trimmer = Trimmer(SHRUNK_CHARS, 10 * SHRUNK_CHARS)
        self._seen = self._revision = 0

    def shrink(self, state: Any, conversation: Conversation) -> None:
        """Cut what came since the last time; everything, where the conversation was changed by others."""
        self._trimmer.trim(state.steps)
        messages = conversation.messages
        start = self._seen if conversation.revision == self._revision else 0
        for index in range(start, len(messages)):
            message = messages[index]
            if message.role is MessageRole.TOOL and len(message.text) > SHRUNK_CHARS:
                conversation.replace(index, replace(message, content=bounded(message.text, SHRUNK_CHARS)))
        self._seen, self._revision = len(messages), conversation.revision


def clear_old_results(state: Any, session_log: SessionLog, conversation: Conversation) -> None:
    """Empty all results but the last two, in the state and in the conversation; the last resort."""
    clear_results(state, _LAST_RESORT_KEEPS)
    PruneToolResults(keep_recent=_LAST_RESORT_KEEPS).compact(
        state=state,
        session_log=session_log,
        llm=None,
        conversation=conversation,
        step_num=0,
        reason="prompt_too_long",
    )


SHRUNK_CHARS = 2_000
"""Characters that `ResultShrinker` leaves of one result."""

_LAST_RESORT_KEEPS = 2


class _Chain:
    """Runs services one after another until the history is shorter than before."""

    def __init__(self, services: Sequence[CompactService]) -> None:
        self.services = tuple(services)

    def compact(self, **kwargs: Any) -> CompactOutcome:
        """See `CompactService`. `extra` has `chain_stage` and `chain_stage_count`."""
        spent = 0
        outcome = CompactOutcome()
        for stage, service in enumerate(self.services):
            before = _tokens(kwargs)
            outcome = service.compact(**kwargs)
            spent += outcome.llm_calls_spent
            extra = {**(outcome.extra or {}), "chain_stage": stage, "chain_stage_count": len(self.services)}
            outcome = replace(outcome, llm_calls_spent=spent, extra=extra)
            if _dropped(outcome, kwargs["conversation"]) or 0 < before * ENOUGH >= _tokens(kwargs):
                break
        return outcome


ENOUGH = 0.75
"""A stage that drops nothing and leaves more than this share of the tokens did not free enough: go on."""


def _dropped(outcome: CompactOutcome, conversation: Conversation | None) -> bool:
    """Whether a stage says that messages are gone, or that at least half of the results were emptied."""
    was, now = outcome.messages_before, outcome.messages_after
    if was is not None and now is not None and now < was:
        return True
    cleared = (outcome.extra or {}).get("cleared", 0)
    messages = conversation.messages if conversation is not None else ()
    results = sum(message.role is MessageRole.TOOL for message in messages)
    return bool(cleared) and 2 * cleared >= results


def compact_chain(*services: CompactService) -> CompactService:
    """The cheapest service first; the next one only if it did not free enough.

    Raises:
        ConfigError: No service was given.
    """
    if not services:
        raise ConfigError("compact_chain() takes at least one service")
    return _Chain(services)


def run_compact(
    service: CompactService,
    *,
    hooks: Sequence[Any],
    state: Any,
    session_log: SessionLog,
    llm: Any,
    conversation: Conversation | None,
    step_num: int,
    reason: str,
) -> CompactOutcome:
    """Run *service* with PRE_COMPACT before it and POST_COMPACT after it; a `Stop` from a hook skips it.

    Raises:
        TypeError: *service* returned something else than a `CompactOutcome`.
    """
    before = _count(conversation)
    known = {"state": state, "session_log": session_log, "step_num": step_num, "extra": {"reason": reason}}
    for decision in emit_event(hooks, LifecycleEvent.PRE_COMPACT, messages_before=before, **known):
        if decision.stop is not None:
            return CompactOutcome(f"aborted: {decision.stop}", before, before)
    outcome = service.compact(
        state=state,
        session_log=session_log,
        llm=llm,
        conversation=conversation,
        step_num=step_num,
        reason=reason,
    )
    if not isinstance(outcome, CompactOutcome):
        raise TypeError(
            f"{type(service).__name__}.compact returned {type(outcome).__name__}; return a CompactOutcome"
        )
    was, now = outcome.messages_before, outcome.messages_after
    emit_event(
        hooks,
        LifecycleEvent.POST_COMPACT,
        messages_before=before if was is None else was,
        messages_after=_count(conversation) if now is None else now,
        **known,
    )
    if outcome.cleanup is not None:
        try:
            outcome.cleanup()
        except Exception as problem:
            _log("cleanup after a compaction failed: %s", problem)
    return outcome


def _count(conversation: Conversation | None) -> int | None:
    return len(conversation.messages) if conversation is not None else None


def _tokens(kwargs: dict[str, Any]) -> int:
    conversation, log = kwargs["conversation"], kwargs["session_log"]
    own = conversation.token_estimate if conversation is not None else 0
    return own + (len(log.render()) // 4 if log is not None else 0)


def _log(text: str, *args: object) -> None:
    import logging

    logging.getLogger("looplet.compact").warning(text, *args)
