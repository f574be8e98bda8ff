"""Pieces of a loop for those who write their own: one call with retries, and results made smaller."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from looplet.backends.failures import failure_of
from looplet.engine.ask import CONTINUE, PARTIAL_HEADER
from looplet.prompts import build_parse_recovery_prompt
from looplet.session import SessionLog
from looplet.tools.cut import truncate_tool_result
from looplet.types import CancelToken, ErrorKind
from looplet.values import bounded, dumps

__all__ = [
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
RESULT_BUDGET_PER_RESULT = 50_000
RESULT_BUDGET_AGGREGATE = 500_000

_SAMPLE = 3


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


# ------------------------------------------------------------------ results made smaller


def trim_results(
    steps: list[Any],
    per_result_chars: int = RESULT_BUDGET_PER_RESULT,
    aggregate_chars: int = RESULT_BUDGET_AGGREGATE,
) -> None:
    """Replace steps whose data is too large by copies with a digest of it, the largest first.

    A digest has `"__compacted__": True`. Steps with an error, without data or with a digest stay.

    Args:
        steps: The list is changed, the steps in it are not.
        per_result_chars: Most characters of one result, as JSON.
        aggregate_chars: Most characters of all together.
    """
    sizes = {i: len(dumps(s.tool_result.data)) for i, s in enumerate(steps) if _trimmable(s)}
    total = sum(sizes.values())
    for index in sorted(sizes, key=lambda i: -sizes[i]):
        if sizes[index] <= per_result_chars and total <= aggregate_chars:
            break
        result = steps[index].tool_result
        digest = _digest(result.data, result.result_key)
        total += len(dumps(digest)) - sizes[index]
        steps[index] = replace(steps[index], tool_result=replace(result, data=digest))


def _trimmable(step: Any) -> bool:
    data = step.tool_result.data
    done = isinstance(data, dict) and data.get("__compacted__")
    return data is not None and not step.tool_result.error and not done


def _digest(data: Any, result_key: str | None) -> dict[str, Any]:
    where = (
        {"recall_key": result_key} if result_key else {"note": "left out to save space; ask again if needed"}
    )
    if isinstance(data, list):
        sample = [_short(item) for item in data[:_SAMPLE]]
        return {"__compacted__": True, "original_count": len(data), "sample": sample, **where}
    if isinstance(data, dict):
        digest: dict[str, Any] = {"__compacted__": True, **{k: _short(v) for k, v in data.items()}, **where}
        rows = data.get("rows")
        if isinstance(rows, list):
            digest.update(rows=[_short(row) for row in rows[:_SAMPLE]], total_rows=len(rows))
        return digest
    text = data if isinstance(data, str) else dumps(data)
    return {"__compacted__": True, "summary": bounded(text, 500), "total_chars": len(text), **where}


def _short(value: Any, limit: int = 200) -> Any:
    text = value if isinstance(value, str) else dumps(value)
    return value if len(text) <= limit else f"[{type(value).__name__} of {len(text)} characters left out]"


def age_session_entries(
    session_log: SessionLog,
    llm: Any = None,
    max_entries_to_keep: int = 5,
    must_preserve: Any = None,
) -> str | None:
    """Replace old entries of the log by one summary; gives its text, or None where there was nothing to do.

    Args:
        llm: Refines the summary if given; its answer counts where it stands in `<summary>` tags.
    """
    compact = getattr(session_log, "compact", None)
    if compact is None:
        return None
    old = session_log.entries[: max(0, len(session_log.entries) - max_entries_to_keep)]
    text = session_log.render_compact(old)
    if not compact(max_entries_to_keep, must_preserve):
        return None
    return _refined(llm, text) if llm is not None else text


def _refined(llm: Any, text: str) -> str:
    prompt = (
        f"Shorten this log and keep names, numbers and findings. Answer in <summary></summary>.\n\n{text}"
    )
    answer = llm_call_with_retry(llm, prompt, max_tokens=800, temperature=0.1).text
    if isinstance(answer, str) and "<summary>" in answer:
        return answer.split("<summary>", 1)[1].split("</summary>", 1)[0].strip() or text
    return text


def emergency_truncate(
    state: Any, session_log: SessionLog, llm: Any = None, keep_recent: int = 3
) -> str | None:
    """Compact the log and empty the results of all but the last steps; gives the log's summary, or None.

    Args:
        keep_recent: Entries and results to keep; 0 keeps none.
    """
    text = age_session_entries(session_log, llm, keep_recent)
    clear_results(state, keep_recent)
    return text


def clear_results(state: Any, keep_recent: int) -> int:
    """Replace all but the last *keep_recent* steps by copies without data; gives how many."""
    steps = getattr(state, "steps", None)
    if not isinstance(steps, list):
        return 0
    cleared = 0
    for index in range(max(0, len(steps) - max(0, keep_recent))):
        result = getattr(steps[index], "tool_result", None)
        if result is not None and result.data is not None:
            steps[index] = replace(steps[index], tool_result=replace(result, data=None))
            cleared += 1
    return cleared
