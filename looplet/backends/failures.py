"""What sort of failure an exception from a model is: one table for every SDK and for none.

Classes, status codes and error codes decide. Texts are read only where nothing better is known, and never
for digits: a message that happens to contain 429 is no rate limit.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping
from json import JSONDecodeError
from typing import Any

from looplet.errors import LoopletError, ModelError
from looplet.types import ErrorKind

ATTEMPTS = "looplet_attempts"
"""Attribute under which a backend notes on an exception how many requests were made."""

_CLASSES = (
    ("openai", "APITimeoutError", ErrorKind.TIMEOUT),
    ("openai", "APIConnectionError", ErrorKind.NETWORK),
    ("openai", "APIResponseValidationError", ErrorKind.PARSE),
    ("anthropic", "APITimeoutError", ErrorKind.TIMEOUT),
    ("anthropic", "APIConnectionError", ErrorKind.NETWORK),
    ("anthropic", "APIResponseValidationError", ErrorKind.PARSE),
    ("httpx2", "TimeoutException", ErrorKind.TIMEOUT),
    ("httpx2", "TransportError", ErrorKind.NETWORK),
    ("httpx", "TimeoutException", ErrorKind.TIMEOUT),
    ("httpx", "TransportError", ErrorKind.NETWORK),
    ("requests", "Timeout", ErrorKind.TIMEOUT),
    ("requests", "ConnectionError", ErrorKind.NETWORK),
    ("aiohttp", "ClientConnectionError", ErrorKind.NETWORK),
)
"""Module, exception class, what it means. A module that nobody imported cannot have raised anything."""

_BUILTIN = (
    (TimeoutError, ErrorKind.TIMEOUT),
    (ConnectionError, ErrorKind.NETWORK),
    (JSONDecodeError, ErrorKind.PARSE),
)

_BUGS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    LoopletError,
    MemoryError,
    NameError,
    NotImplementedError,
    RecursionError,
    StopAsyncIteration,
    StopIteration,
    SyntaxError,
    TypeError,
)
"""Exceptions that the same request raises again."""

_STATUS_KINDS = {
    401: ErrorKind.PERMISSION_DENIED,
    403: ErrorKind.PERMISSION_DENIED,
    408: ErrorKind.TIMEOUT,
    413: ErrorKind.CONTEXT_OVERFLOW,
    429: ErrorKind.RATE_LIMIT,
    504: ErrorKind.TIMEOUT,
}

_WORD_STATUS = {
    "api_error": 500,
    "authentication_error": 401,
    "invalid_request_error": 400,
    "not_found_error": 404,
    "overloaded_error": 529,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "request_too_large": 413,
    "server_error": 500,
    "timeout_error": 504,
}
"""Status of an error that came inside a stream, whose own status was 200."""

_OVERFLOW_CODES = {"context_length_exceeded", "request_too_large"}

_OVERFLOW_PHRASES = re.compile(
    r"prompt is too long|prompt_too_long|context_length_exceeded|maximum context length|token limit"
    r"|too many tokens|input is too long|request too large"
    # OpenAI, Anthropic, llama.cpp; Gemini, OpenAI; Grok; Groq; LM Studio; Text Generation Inference; Qwen
    r"|exceeds? (?:the )?(?:available )?context (?:window|limit|size|length)"
    r"|input token count\b.{0,40}\bexceeds|input tokens exceed|maximum prompt length"
    r"|reduce the length of the messages|context the overflows|`inputs` tokens \+|range of input length",
    re.IGNORECASE,
)

_MAY_OVERFLOW = (None, 400, 422)
"""Statuses with which a text may say that the request is too long. A 429 speaks of tokens a minute."""


def failure_of(problem: BaseException) -> ModelError:
    """*problem* as a `ModelError`, with its kind, HTTP status, and whether a retry can help.

    A `ModelError` is handed through. An exception that is not known, such as a `RuntimeError` of a backend
    of the user's own, counts as retriable; a bug in code (`TypeError` and its like) does not. Where no reply
    came, a note on the failure says which address was asked, and why nothing came.
    """
    if isinstance(problem, ModelError):
        return problem
    words = set(_words(problem))
    status = _status(problem, words)
    kind = _kind(problem, status, words)
    failure = ModelError(
        _text(problem, status),
        kind=kind,
        status=status,
        attempts=getattr(problem, ATTEMPTS, 1),
        retriable=_retriable(problem, status, kind, words),
        retry_after_s=retry_after_s(_headers(problem)),
    )
    failure.__cause__ = problem
    if status is None and kind in (ErrorKind.NETWORK, ErrorKind.TIMEOUT) and (note := _no_reply(problem)):
        failure.add_note(note)  # and no part of the text: an address is not the same on every machine
    return failure


def _no_reply(problem: BaseException) -> str:
    try:
        request: Any = getattr(problem, "request", None)
    except RuntimeError:  # as httpx has it for an error without one
        return ""
    method, url = getattr(request, "method", None), getattr(request, "url", None)
    return no_reply_note(method, str(url), problem) if isinstance(method, str) and url else ""


def no_reply_note(method: str, url: str, problem: BaseException) -> str:
    """A line for a request that got no reply: the address without what may be secret in it, and the reason.

    Args:
        method: Of the request, such as `POST`.
        url: The whole address; its query and what names a user are left out.
        problem: What came instead; the reason is that of the first of its causes.
    """
    while (cause := problem.__cause__ or problem.__context__) is not None:
        problem = cause
    place = re.sub(r"//[^/@]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0], count=1)
    return f"no reply to {method} {place}: {str(problem).strip() or type(problem).__name__}"


def _kind(problem: BaseException, status: int | None, words: set[str]) -> ErrorKind:
    if words & _OVERFLOW_CODES:
        return ErrorKind.CONTEXT_OVERFLOW
    known = _class_kind(problem)
    if known is not None and status in (None, 200):
        return known
    if status in _MAY_OVERFLOW and _OVERFLOW_PHRASES.search(str(problem)) and not isinstance(problem, _BUGS):
        return ErrorKind.CONTEXT_OVERFLOW
    if status is None:
        return ErrorKind.EXECUTION
    if status in _STATUS_KINDS:
        return _STATUS_KINDS[status]
    return ErrorKind.NETWORK if status >= 500 else ErrorKind.VALIDATION


def _class_kind(problem: BaseException) -> ErrorKind | None:
    for module, name, kind in _CLASSES:
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type) and isinstance(problem, found):
            return kind
    return next((kind for known, kind in _BUILTIN if isinstance(problem, known)), None)


def _retriable(problem: BaseException, status: int | None, kind: ErrorKind, words: set[str]) -> bool:
    told = _headers(problem).get("x-should-retry")
    if told in ("true", "false"):
        return told == "true"
    if kind is ErrorKind.CONTEXT_OVERFLOW or "insufficient_quota" in words:
        return False
    if status is None or status == 200:
        # The cause counts where Python made a RuntimeError of a StopIteration.
        bug = isinstance(problem, _BUGS) or isinstance(problem.__cause__, StopIteration)
        return isinstance(problem, Exception) and not bug
    return status >= 500 or status in (408, 409, 429)


def _status(problem: BaseException, words: set[str]) -> int | None:
    for name in ("status_code", "status", "code"):
        value = getattr(problem, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and 300 <= value <= 599:
            return value
    return next((_WORD_STATUS[word] for word in sorted(words) if word in _WORD_STATUS), None)


def _words(problem: BaseException) -> Iterator[str]:
    """The error codes and types that an SDK read from the reply."""
    body = getattr(problem, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    for place in (body, inner):
        if isinstance(place, dict):
            yield from (value for key in ("code", "type") if isinstance(value := place.get(key), str))
    for name in ("code", "type"):
        value = getattr(problem, name, None)
        if isinstance(value, str):
            yield value


def _text(problem: BaseException, status: int | None) -> str:
    said = str(problem).strip()
    text = f"{type(problem).__name__}: {said}" if said else type(problem).__name__
    return text if status is None or str(status) in text else f"HTTP {status}: {text}"


def _headers(problem: BaseException) -> Mapping[str, str]:
    """Reply headers with lower-case names; empty where the exception has none."""
    for holder in (getattr(problem, "response", None), problem):
        headers: Any = getattr(holder, "headers", None)
        if isinstance(headers, Mapping):
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a reply asks to wait, or None.

    Args:
        headers: Reply headers, names in lower case. `retry-after-ms` goes before `retry-after`, which may
            be seconds or a date.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        seconds = _number(headers.get(name))
        if seconds is not None:
            return max(0.0, seconds / unit)
    date = headers.get("retry-after")
    return None if date is None else _seconds_until(date)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value == value and abs(value) < 1e12 else None


def _seconds_until(date: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        # The machine's own time, not the clock in force: the provider does not know of a fixed one.
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
