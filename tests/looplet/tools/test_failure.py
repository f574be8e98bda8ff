"""Exceptions as tool errors: their kind by class, or by what HTTP says; their text fit to be shown."""

import json
from types import SimpleNamespace

import pytest

from looplet.errors import ModelError
from looplet.tools import classify, tools_from
from looplet.types import ErrorKind, ToolCall


def made(name, base=Exception, **attributes):
    kind = type(name, (base,), {})
    error = kind("text")
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


KINDS = {
    "timeout": (TimeoutError("x"), ErrorKind.TIMEOUT, True),
    "value": (ValueError("x"), ErrorKind.VALIDATION, False),
    "type": (TypeError("x"), ErrorKind.VALIDATION, False),
    "key": (KeyError("x"), ErrorKind.VALIDATION, False),
    "json": (json.JSONDecodeError("x", "", 0), ErrorKind.VALIDATION, False),
    "permission": (PermissionError("x"), ErrorKind.PERMISSION_DENIED, False),
    "connection": (ConnectionResetError("x"), ErrorKind.NETWORK, True),
    "rate limit by name": (made("RateLimitError"), ErrorKind.RATE_LIMIT, True),
    "rate limit by base": (
        made("Custom", type("RateLimitError", (Exception,), {})),
        ErrorKind.RATE_LIMIT,
        True,
    ),
    "rate limit by status": (made("ApiError", status_code=429), ErrorKind.RATE_LIMIT, True),
    "rate limit by code": (made("HTTPError", OSError, code=429), ErrorKind.RATE_LIMIT, True),
    "rate limit by response": (
        made("HTTPStatusError", response=SimpleNamespace(status_code=429)),
        ErrorKind.RATE_LIMIT,
        True,
    ),
    "rate limit by a text of HTTP": (RuntimeError("HTTP 429 Too Many Requests"), ErrorKind.RATE_LIMIT, True),
    "rate limit by a client's text": (
        OSError("429 Client Error: Too Many Requests for url: http://x"),
        ErrorKind.RATE_LIMIT,
        True,
    ),
    "rate limit by a provider's text": (
        RuntimeError("Error code: 429 - {'error': 'slow down'}"),
        ErrorKind.RATE_LIMIT,
        True,
    ),
    "429 rows": (RuntimeError("429 rows are wrong, error in row 429"), ErrorKind.EXECUTION, False),
    "context": (made("ContextLengthExceeded"), ErrorKind.CONTEXT_OVERFLOW, False),
    "parse": (made("ParseError"), ErrorKind.PARSE, False),
    "a client's timeout": (
        made("ReadTimeout", type("TimeoutException", (Exception,), {})),
        ErrorKind.TIMEOUT,
        True,
    ),
    "a client's connection": (
        made("ConnectError", type("NetworkError", (Exception,), {})),
        ErrorKind.NETWORK,
        True,
    ),
    "a model's": (ModelError("x", kind=ErrorKind.NETWORK, retriable=False), ErrorKind.NETWORK, False),
    "anything": (RuntimeError("x"), ErrorKind.EXECUTION, False),
    "memory": (MemoryError(), ErrorKind.EXECUTION, False),
    "a file named 4291.txt": (OSError("file 4291.txt missing"), ErrorKind.EXECUTION, False),
    "a text about tokens": (RuntimeError("too many tokens, context window, 429"), ErrorKind.EXECUTION, False),
}


@pytest.mark.parametrize(("error", "kind", "retriable"), KINDS.values(), ids=KINDS)
def test_kind(error, kind, retriable):
    def fail():
        raise error

    assert classify(error) is kind
    result = tools_from([fail]).dispatch(ToolCall("fail"))
    assert (result.error_kind, result.error_retriable) == (kind, retriable)
    assert result.error == result.error_detail.message
    assert result.error.startswith(type(error).__name__)


class Broken(Exception):
    def __str__(self):
        raise ValueError("no text")


TEXTS = {
    "huge": ("A" * 10**6, lambda text: len(text) <= 2000 and "characters left out" in text),
    "terminal codes": ("\x1b[31mred\x00\r", lambda text: text == r"RuntimeError: \x1b[31mred\x00\r"),
    "reversed": ("\u202egnp.exe", lambda text: "\u202e" not in text),
    "half characters": ("\ud800", lambda text: text == r"RuntimeError: \ud800"),
    "lines": ("a\nb\tc", lambda text: text == "RuntimeError: a\nb\tc"),
    "a CI command": ("x\n::error::y", lambda text: "\n::" not in text),
    "a secret": ("key sk-proj-" + "a1B2c3D4" * 6, lambda text: "a1B2c3D4" not in text),
    "a secret in a huge text": (
        "x" * 900 + " sk-proj-" + "a1B2c3D4" * 6 + "x " * 10**5,
        lambda t: "a1B2c3D4" not in t,
    ),
}


@pytest.mark.parametrize(("text", "holds"), TEXTS.values(), ids=TEXTS)
def test_TV_12_the_text_of_an_error_is_bounded_redacted_and_escaped(text, holds):
    def fail():
        raise RuntimeError(text)

    error = tools_from([fail]).dispatch(ToolCall("fail")).error
    assert error.startswith("RuntimeError: ")
    assert holds(error)


def test_TV_12_a_value_of_the_environment_is_a_secret(monkeypatch):
    monkeypatch.setenv("SHOP_API_KEY", "correct-horse-battery")

    def fail():
        raise RuntimeError("401 for correct-horse-battery")

    assert "battery" not in tools_from([fail]).dispatch(ToolCall("fail")).error


def test_an_exception_without_a_text():
    def fail():
        raise Broken

    assert tools_from([fail]).dispatch(ToolCall("fail")).error == "Broken: (its text cannot be shown)"
