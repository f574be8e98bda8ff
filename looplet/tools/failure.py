"""What a failed call looks like: exceptions and refusals as tool errors."""

from __future__ import annotations

import re
from typing import Any

from looplet.errors import ModelError
from looplet.text import escape_terminal
from looplet.types import ErrorKind, ToolCall, ToolError, ToolResult
from looplet.values import bounded

ERROR_CHARS = 2_000
"""Longest error text a result carries."""

_SEARCHED_CHARS = 50_000
"""Longest part of an exception's text that is searched for secrets; of more only both ends are looked at."""

ARGS_CHARS = 100
"""Longest text for the arguments of a call that did not run."""

_BY_CLASS: tuple[tuple[type[BaseException], ErrorKind], ...] = (
    (TimeoutError, ErrorKind.TIMEOUT),
    (PermissionError, ErrorKind.PERMISSION_DENIED),
    (ConnectionError, ErrorKind.NETWORK),
    (ValueError, ErrorKind.VALIDATION),
    (TypeError, ErrorKind.VALIDATION),
    (KeyError, ErrorKind.VALIDATION),
)

# Classes of libraries that we do not import, found by their own name or a base's.
_BY_NAME = {
    "ratelimiterror": ErrorKind.RATE_LIMIT,
    "ratelimitexceeded": ErrorKind.RATE_LIMIT,
    "ratelimit": ErrorKind.RATE_LIMIT,
    "toomanyrequests": ErrorKind.RATE_LIMIT,
    "contextlengthexceeded": ErrorKind.CONTEXT_OVERFLOW,
    "contextlengthexceedederror": ErrorKind.CONTEXT_OVERFLOW,
    "contextwindowexceedederror": ErrorKind.CONTEXT_OVERFLOW,
    "parseerror": ErrorKind.PARSE,
    "timeout": ErrorKind.TIMEOUT,
    "timeoutexception": ErrorKind.TIMEOUT,
    "apitimeouterror": ErrorKind.TIMEOUT,
    "apiconnectionerror": ErrorKind.NETWORK,
    "networkerror": ErrorKind.NETWORK,
    "connectionerror": ErrorKind.NETWORK,
    "urlerror": ErrorKind.NETWORK,
    "cancellederror": ErrorKind.CANCELLED,
}

# The last resort: words in the name of a class that nothing else is known of.
_BY_WORD = {
    "ratelimit": ErrorKind.RATE_LIMIT,
    "contextlength": ErrorKind.CONTEXT_OVERFLOW,
    "parseerror": ErrorKind.PARSE,
}

# What clients of HTTP say of a 429. The number alone may be of anything.
_SAYS_429 = re.compile(
    r"\b429\b.{0,16}\btoo many requests|\b(?:http|status|error code|status code)\W{1,3}429\b", re.IGNORECASE
)

_RETRIABLE = frozenset({ErrorKind.TIMEOUT, ErrorKind.NETWORK, ErrorKind.RATE_LIMIT})


def describe(error: BaseException) -> str:
    """`ClassName: text`, at most 2,000 characters, without secrets, control characters escaped."""
    try:
        text = str(error)
    except Exception:  # a broken __str__ must not hide the error
        text = "(its text cannot be shown)"
    return told(f"{type(error).__name__}: {text}")


def told(text: str) -> str:
    """What an exception says: at most 2,000 characters, without secrets, control characters escaped."""
    from looplet.redact import Redactor  # only a failure pays for it

    # Before it is cut: half a secret is not recognised.
    return shown(Redactor.of_environment().text(bounded(text, _SEARCHED_CHARS)))


def shown(text: str) -> str:
    """*text* as an error carries it: at most 2,000 characters, control characters escaped."""
    return bounded(escape_terminal(bounded(text, ERROR_CHARS), lines=True), ERROR_CHARS)


def classify(error: BaseException) -> ErrorKind:
    """The sort of failure, by the exception's class; a 429 also by its status or by what HTTP says of it."""
    if isinstance(error, ModelError):
        return error.kind
    if _is_429(error):
        return ErrorKind.RATE_LIMIT
    for base in type(error).__mro__:
        kind = _BY_NAME.get(base.__name__.replace("_", "").lower())
        if kind is not None and base not in (ConnectionError,):
            return kind
    known = next((kind for base, kind in _BY_CLASS if isinstance(error, base)), None)
    name = type(error).__name__.replace("_", "").lower()
    known = known or next((kind for word, kind in _BY_WORD.items() if word in name), None)
    return known or (ErrorKind.RATE_LIMIT if _says_429(error) else ErrorKind.EXECUTION)


def _is_429(error: BaseException) -> bool:
    try:
        said = (error, getattr(error, "response", None))
        return any(
            getattr(one, name, None) == 429 for one in said for name in ("status_code", "status", "code")
        )
    except Exception:  # a property that cannot tell now
        return False


def _says_429(error: BaseException) -> bool:
    try:
        return _SAYS_429.search(str(error)[:ERROR_CHARS]) is not None
    except Exception:  # a broken __str__ says nothing
        return False


def tool_error(error: BaseException) -> ToolError:
    """*error* as data."""
    kind = classify(error)
    retriable = error.retriable if isinstance(error, ModelError) else kind in _RETRIABLE
    return ToolError(kind, describe(error), retriable)


def refused(
    call: ToolCall,
    kind: ErrorKind,
    message: str,
    *,
    args_summary: str | None = None,
    retriable: bool = False,
    context: dict[str, Any] | None = None,
) -> ToolResult:
    """The result of a call whose tool did not run (or did not answer): an error of *kind*."""
    text = shown(message)
    return ToolResult(
        tool=call.tool,
        args_summary=str(call.args)[:ARGS_CHARS] if args_summary is None else args_summary,
        data=None,
        error=text,
        error_detail=ToolError(kind, text, retriable, context or {}),
        call_id=call.call_id,
    )
