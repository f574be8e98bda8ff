"""Pieces of a loop for those who write their own: one call with retries, and results made smaller."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from looplet.backends.failures import failure_of
from looplet.engine.ask import CONTINUE, PARTIAL_HEADER
from looplet.prompts import PARSE_RECOVERY_PROMPT, build_parse_recovery_prompt
from looplet.shrink import (
    RESULT_BUDGET_AGGREGATE,
    RESULT_BUDGET_PER_RESULT,
    age_session_entries,
    emergency_truncate,
    trim_results,
)
from looplet.tools.cut import TOOL_RESULT_MAX_CHARS, TOOL_RESULT_MAX_ROWS, truncate_tool_result
from looplet.types import CancelToken, ErrorKind

__all__ = [
    "PARSE_RECOVERY_PROMPT",
    "RESULT_BUDGET_AGGREGATE",
    "RESULT_BUDGET_PER_RESULT",
    "TOOL_RESULT_MAX_CHARS",
    "TOOL_RESULT_MAX_ROWS",
    "LLMResult",
    "age_session_entries",
    "build_parse_recovery_prompt",
    "emergency_truncate",
    "estimate_prompt_tokens",
    "estimate_tokens",
    "is_context_oversized",
    "llm_call_with_retry",
    "trim_results",
    "truncate_tool_result",
]

MAX_LLM_RETRIES = 2
RETRY_BACKOFF_BASE = 1.0
PARSE_RECOVERY_MAX = 2


class LLMResult:
    """What `llm_call_with_retry` gives: the reply, or why there is none.

    Attributes:
        text: The reply: text or blocks; None after a failure.
        error: The exception of the last attempt, or None.
        is_prompt_too_long: Whether the provider said that the prompt does not fit.
        stop_reason: Why the model stopped, where the backend says it.
        continuations: How often it was asked to go on after `max_tokens`.
    """

    __slots__ = ("continuations", "error", "is_prompt_too_long", "stop_reason", "text")

    def __init__(
        self,
        text: Any,
        error: BaseException | None = None,
        stop_reason: str | None = None,
        continuations: int = 0,
    ) -> None:
        self.text = text
        self.error = error
        self.is_prompt_too_long = error is not None and _is_overflow(error)
        self.stop_reason = stop_reason
        self.continuations = continuations

    @property
    def ok(self) -> bool:
        """Whether there is a reply."""
        return self.text is not None


def _is_overflow(error: object) -> bool:
    problem = failure_of(error if isinstance(error, BaseException) else RuntimeError(str(error)))
    return problem.kind is ErrorKind.CONTEXT_OVERFLOW


def estimate_tokens(text: str) -> int:
    """Tokens of *text*, at four characters a token; at least 1."""
    return max(1, len(text) // 4)


estimate_prompt_tokens = estimate_tokens


def is_context_oversized(prompt: str, context_window: int = 128_000, threshold: float = 0.75) -> bool:
    """Whether *prompt* takes more than *threshold* of the window."""
    return estimate_tokens(prompt) > context_window * threshold


def llm_call_with_retry(
    llm: Any,
    prompt: str,
    *,
    max_tokens: int = 2000,
    system_prompt: str = "",
    temperature: float = 0.2,
    max_retries: int = MAX_LLM_RETRIES,
    tools: list[dict[str, Any]] | None = None,
    cancel_token: CancelToken | None = None,
    max_continuations: int = 0,
    cache_breakpoints: list[Any] | None = None,
) -> LLMResult:
    """Ask *llm* once, again after a failure that may pass, and on after a reply that was cut.

    Never raises an `Exception`: a failure is in the result. What cannot succeed (a bad request, a missing
    key, a bug in the backend, a prompt that is too long) is not tried again.

    Args:
        max_retries: Attempts after the first; the pause before the n-th is `2 ** (n - 1)` seconds, or what
            the provider asks for.
        tools: Schemas; with them `generate_with_tools` is called, where the backend has it.
        max_continuations: How often a text cut at `max_tokens` is asked on for.
        cancel_token, cache_breakpoints: Handed on to backends that name the parameter.
    """
    native = tools is not None and hasattr(llm, "generate_with_tools")
    method = llm.generate_with_tools if native else llm.generate
    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "system_prompt": system_prompt,
        "temperature": temperature,
    }
    if native:
        options["tools"] = tools
    for name, value in (("cancel_token", cancel_token), ("cache_breakpoints", cache_breakpoints)):
        if value is not None and _names(method, name):
            options[name] = value
    result = _attempts(llm, partial(method, prompt, **options), max_retries, cancel_token)
    while _cut(result, native) and result.continuations < max_continuations:
        longer = f"{prompt}\n\n{PARTIAL_HEADER}\n{result.text}\n\n{CONTINUE}"
        more = _attempts(llm, partial(method, longer, **options), max_retries, cancel_token)
        if not isinstance(more.text, str):
            break
        result = LLMResult(result.text + more.text, None, more.stop_reason, result.continuations + 1)
    return result


def _names(method: Any, parameter: str) -> bool:
    import inspect

    try:
        return parameter in inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False


def _cut(result: LLMResult, native: bool) -> bool:
    return not native and isinstance(result.text, str) and result.stop_reason == "max_tokens"


def _attempts(
    llm: Any, call: Callable[[], Any], max_retries: int, cancel_token: CancelToken | None
) -> LLMResult:
    attempt = 0
    while True:
        try:
            text = call()
        except Exception as problem:
            failure = failure_of(problem)
            cancelled = cancel_token is not None and cancel_token.is_cancelled
            if not failure.retriable or attempt >= max_retries or cancelled:
                return LLMResult(None, problem)
        else:
            reason = getattr(llm, "last_stop_reason", None)
            return LLMResult(text, None, reason if isinstance(reason, str) else None)
        asked = failure.retry_after_s
        time.sleep(RETRY_BACKOFF_BASE * 2**attempt if asked is None else asked)
        attempt += 1
