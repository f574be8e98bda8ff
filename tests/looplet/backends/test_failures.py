"""What sort of failure an exception is, whoever raised it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from email.utils import formatdate
from types import SimpleNamespace as Fake
from typing import Any

import httpx2
import pytest

from looplet.backends.failures import failure_of, retry_after_s
from looplet.errors import ConfigError, ModelError, ScriptExhausted
from looplet.testing import rate_limit
from looplet.types import ErrorKind

REQUEST = httpx2.Request("POST", "http://127.0.0.1/")


class Http(Exception):
    """An exception with whatever attributes a client of one's own gives it."""

    def __init__(self, text: str = "no", **attributes: Any) -> None:
        super().__init__(text)
        self.__dict__.update(attributes)


def parse_error() -> Exception:
    try:
        json.loads("{")
    except ValueError as error:
        return error
    raise AssertionError("that was JSON")


K = ErrorKind
CASES: dict[str, tuple[BaseException, ErrorKind, int | None, bool]] = {
    "status 400": (Http(status_code=400), K.VALIDATION, 400, False),
    "status 401": (Http(status_code=401), K.PERMISSION_DENIED, 401, False),
    "status 403": (Http(status_code=403), K.PERMISSION_DENIED, 403, False),
    "status 408": (Http(status_code=408), K.TIMEOUT, 408, True),
    "status 409": (Http(status_code=409), K.VALIDATION, 409, True),
    "status 413": (Http(status_code=413), K.CONTEXT_OVERFLOW, 413, False),
    "status 429": (Http(status_code=429), K.RATE_LIMIT, 429, True),
    "status 500": (Http(status_code=500), K.NETWORK, 500, True),
    "status 504": (Http(status_code=504), K.TIMEOUT, 504, True),
    "status 529": (Http(status_code=529), K.NETWORK, 529, True),
    "aiohttp's status": (Http(status=503), K.NETWORK, 503, True),
    "urllib's code": (Http(code=429), K.RATE_LIMIT, 429, True),
    "a code that is no status": (Http(code=7), K.EXECUTION, None, True),
    "no quota left": (
        Http(status_code=429, body={"error": {"code": "insufficient_quota"}}),
        K.RATE_LIMIT,
        429,
        False,
    ),
    "told not to retry": (
        Http(status_code=500, response=Fake(headers={"X-Should-Retry": "false"})),
        K.NETWORK,
        500,
        False,
    ),
    "overflow by code": (
        Http("long", status_code=400, code="context_length_exceeded"),
        K.CONTEXT_OVERFLOW,
        400,
        False,
    ),
    "overflow by words and status": (
        Http("prompt is too long: 9 > 8", status_code=400),
        K.CONTEXT_OVERFLOW,
        400,
        False,
    ),
    "overflow by words alone": (RuntimeError("maximum context length is 8"), K.CONTEXT_OVERFLOW, None, False),
    "overflow in capitals": (RuntimeError("Prompt is TOO LONG"), K.CONTEXT_OVERFLOW, None, False),
    "tokens a minute are no overflow": (
        Http("too many tokens per minute", status_code=429),
        K.RATE_LIMIT,
        429,
        True,
    ),
    "digits are no status": (RuntimeError("file 4291.txt and 413.txt missing"), K.EXECUTION, None, True),
    "an error inside a stream": (
        Http(status_code=200, body={"error": {"type": "overloaded_error"}}),
        K.NETWORK,
        529,
        True,
    ),
    "a rate limit inside a stream": (Http(code="rate_limit_exceeded"), K.RATE_LIMIT, 429, True),
    "httpx2 timeout": (httpx2.ReadTimeout("slow", request=REQUEST), K.TIMEOUT, None, True),
    "httpx2 broken connection": (httpx2.RemoteProtocolError("cut", request=REQUEST), K.NETWORK, None, True),
    "builtin timeout": (TimeoutError(), K.TIMEOUT, None, True),
    "builtin connection": (ConnectionResetError("gone"), K.NETWORK, None, True),
    "broken JSON": (parse_error(), K.PARSE, None, True),
    "unknown": (RuntimeError("hiccup"), K.EXECUTION, None, True),
    "a bug: TypeError": (TypeError("x"), K.EXECUTION, None, False),
    "a bug: AttributeError": (AttributeError("x"), K.EXECUTION, None, False),
    "a bug: NameError": (NameError("x"), K.EXECUTION, None, False),
    "a bug: AssertionError": (AssertionError("x"), K.EXECUTION, None, False),
    "a bug: KeyError": (KeyError("x"), K.EXECUTION, None, False),
    "a bug that speaks of tokens": (TypeError("token limit"), K.EXECUTION, None, False),
    "bad configuration": (ConfigError("x"), K.EXECUTION, None, False),
    "a dry script": (ScriptExhausted("x"), K.EXECUTION, None, False),
}


@pytest.mark.parametrize(("problem", "kind", "status", "retriable"), CASES.values(), ids=CASES)
def test_failure_of(problem: BaseException, kind: ErrorKind, status: int | None, retriable: bool) -> None:
    failure = failure_of(problem)
    assert (failure.kind, failure.status, failure.retriable) == (kind, status, retriable)
    assert failure.__cause__ is problem
    assert type(problem).__name__ in str(failure)
    assert status is None or str(status) in str(failure)


TOO_LONG = {
    "openai": "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "openai, long": "Input tokens exceed the configured limit of 272000 tokens. Your messages have 300001",
    "anthropic": "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000",
    "gemini": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "grok": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "groq": "Please reduce the length of the messages or completion.",
    "llama.cpp": "the request exceeds the available context size, try increasing it",
    "lm studio": "Trying to keep the first 9000 tokens when context the overflows.",
    "tgi": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000",
    "qwen": "Range of input length should be [1, 30720]",
}


@pytest.mark.parametrize("text", TOO_LONG.values(), ids=TOO_LONG)
def test_how_providers_say_that_a_prompt_is_too_long(text: str) -> None:
    assert failure_of(Http(text, status_code=400)).kind is K.CONTEXT_OVERFLOW


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
        "messages.0.content: image exceeds 5 MB maximum",
        "tools: array too long, the maximum length is 128",
        "Unsupported parameter: 'context'",
    ],
)
def test_what_no_shorter_prompt_would_mend(text: str) -> None:
    assert failure_of(Http(text, status_code=400)).kind is K.VALIDATION


def refused(url: str) -> Exception:
    """What a client raises whose connection was refused, with the refusal as its cause."""
    try:
        raise httpx2.ConnectError("no way", request=httpx2.Request("POST", url)) from OSError("[1] refused")
    except httpx2.ConnectError as error:
        return error


NOTES: dict[str, tuple[Exception, list[str]]] = {
    "refused": (refused("http://here:9/v1/x"), ["no reply to POST http://here:9/v1/x: [1] refused"]),
    "a key in the address": (
        refused("http://u:p@here/x?key=k#f"),
        ["no reply to POST http://here/x: [1] refused"],
    ),
    "too late": (
        httpx2.ReadTimeout("", request=REQUEST),
        ["no reply to POST http://127.0.0.1/: ReadTimeout"],
    ),
    "an error without its request": (httpx2.ConnectError("no way"), []),
    "an error of no client": (TimeoutError("slow"), []),
    "a reply": (Http(status_code=500, request=REQUEST), []),
}


@pytest.mark.parametrize(("problem", "notes"), NOTES.values(), ids=NOTES)
def test_a_failure_without_a_reply_notes_the_address(problem: Exception, notes: list[str]) -> None:
    failure = failure_of(problem)
    assert getattr(failure, "__notes__", []) == notes
    assert "here" not in str(failure)


def test_a_model_error_is_handed_through() -> None:
    given = rate_limit(3)
    assert failure_of(given) is given


def test_retry_after_is_read_from_the_reply() -> None:
    problem = Http(status_code=429, response=Fake(headers=httpx2.Headers({"Retry-After": "7"})))
    assert failure_of(problem).retry_after_s == 7
    assert failure_of(Http(status_code=429)).retry_after_s is None


HEADERS = {
    "seconds": ({"retry-after": "2"}, 2.0),
    "a fraction": ({"retry-after": "0.5"}, 0.5),
    "milliseconds go first": ({"retry-after": "2", "retry-after-ms": "1500"}, 1.5),
    "broken milliseconds": ({"retry-after": "2", "retry-after-ms": "x"}, 2.0),
    "in the past": ({"retry-after": "-3"}, 0.0),
    "not a number": ({"retry-after": "nan"}, None),
    "endless": ({"retry-after": "inf"}, None),
    "no date either": ({"retry-after": "soon"}, None),
    "absent": ({}, None),
}


@pytest.mark.parametrize(("headers", "seconds"), HEADERS.values(), ids=HEADERS)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


def test_retry_after_as_a_date() -> None:
    assert retry_after_s({"retry-after": formatdate(time.time() + 60, usegmt=True)}) == pytest.approx(
        60, abs=2
    )
    assert retry_after_s({"retry-after": formatdate(0, usegmt=True)}) == 0


def test_judging_a_failure_loads_no_sdk() -> None:
    code = (
        "import sys\n"
        "from looplet.backends.failures import failure_of\n"
        "failure_of(RuntimeError('x')); failure_of(TimeoutError())\n"
        "print([m for m in ('openai', 'anthropic', 'httpx2', 'email.utils', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_attempts_are_one_unless_noted() -> None:
    assert failure_of(RuntimeError("x")).attempts == 1
    assert isinstance(failure_of(RuntimeError("x")), ModelError)
