"""Backends that do not speak HTTP, taped at their own protocol into the same file.

    model = tape_backend(LlamaInProcess(...))

Its `generate`, `generate_with_tools` and `chat`, sync or async, are answered from the cassette that is open
where they are called, or recorded into it. With none open they are the backend's own.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from looplet.errors import ModelError
from looplet.types import Capabilities, ChatReply, ErrorKind, Usage, capabilities_of
from looplet.values import normal
from pytest_looplet.cassette.deck import tape_of_this_call
from pytest_looplet.cassette.exchange import Reply, Request
from pytest_looplet.cassette.tape import Slot

_METHODS = ("generate", "generate_with_tools", "chat")
# How a call is made, not what it asks.
_NOT_ASKED = frozenset({"self", "timeout_s", "cancel_token", "on_chunk", "cache_breakpoints"})


class TapedBackend:
    """A backend whose calls go through the open cassette; made by `tape_backend`.

    Attributes:
        backend: The backend that is asked while recording.
    """

    def __init__(self, backend: object) -> None:
        self.backend = backend

    def capabilities(self) -> Capabilities:
        """What the backend can do."""
        return capabilities_of(self.backend)


def tape_backend(backend: object) -> Any:
    """*backend* with its calls taped; has the methods that *backend* has, with their signatures.

    Raises:
        TypeError: it has none of `generate`, `generate_with_tools` and `chat`.
    """
    kind = type(backend)
    real = {name: getattr(kind, name) for name in _METHODS if callable(getattr(kind, name, None))}
    if not real:
        raise TypeError(f"{kind.__name__} is no backend: it has none of {', '.join(_METHODS)}")
    methods = {name: _taped(name, method) for name, method in real.items()}
    return type(f"Taped{kind.__name__}", (TapedBackend,), methods)(backend)


def _taped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(real)

    def ask(self: TapedBackend, args: Any, kwargs: Any) -> Any:
        tape = tape_of_this_call()
        asked = signature.bind(self, *args, **kwargs).arguments
        return tape.ask(_request(name, self.backend, asked)) if tape else None

    if inspect.iscoroutinefunction(real):

        @functools.wraps(real)
        async def taped_async(self: TapedBackend, *args: Any, **kwargs: Any) -> Any:
            answer = ask(self, args, kwargs)
            if isinstance(answer, Reply):
                return _said(name, answer, kwargs)
            with _Listening(name, answer) as listening:
                return listening.heard(await real(self.backend, *args, **kwargs))

        return taped_async

    @functools.wraps(real)
    def taped(self: TapedBackend, *args: Any, **kwargs: Any) -> Any:
        answer = ask(self, args, kwargs)
        if isinstance(answer, Reply):
            return _said(name, answer, kwargs)
        with _Listening(name, answer) as listening:
            return listening.heard(real(self.backend, *args, **kwargs))

    return taped


def _request(name: str, backend: object, asked: dict[str, Any]) -> Request:
    body = {key: normal(value) for key, value in asked.items() if key not in _NOT_ASKED}
    return Request("CALL", f"/{name}", provider=type(backend).__name__, body=compact_json(body))


def compact_json(value: Any) -> bytes:
    """*value* as the bytes of a body."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


class _Listening:
    """Writes what a real backend answers, or how it fails, into the tape's slot."""

    def __init__(self, name: str, slot: Slot | None) -> None:
        self.name = name
        self.slot = slot

    def __enter__(self) -> _Listening:
        return self

    def heard(self, answer: Any) -> Any:
        if self.slot is not None:
            self.slot.finish(Reply(200, body=compact_json(_written(self.name, answer))))
        return answer

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self.slot is None or not isinstance(error, Exception):
            return
        told: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
        if isinstance(error, ModelError):
            told |= {"kind": error.kind.value, "status": error.status, "retriable": error.retriable}
        self.slot.finish(Reply(500, body=compact_json(told)))


def _written(name: str, answer: Any) -> dict[str, Any]:
    if name == "generate":
        return {"text": answer}
    if name == "generate_with_tools":
        return {"blocks": normal(answer)}
    reply: ChatReply = answer
    said = {"blocks": normal(reply.blocks), "stop_reason": reply.stop_reason, "model": reply.model}
    return said | ({"usage": asdict(reply.usage)} if reply.usage else {})


def _said(name: str, reply: Reply, kwargs: dict[str, Any]) -> Any:
    """What the backend said when this was recorded.

    Raises:
        ModelError: it failed then.
    """
    nothing = {"error": reply.failure, "message": "no answer was recorded"}
    told: dict[str, Any] = json.loads(reply.body) if reply.body else nothing
    if "error" in told:
        raise ModelError(
            f"{told['error']}: {told['message']}",
            kind=ErrorKind(told.get("kind", ErrorKind.EXECUTION.value)),
            status=told.get("status"),
            retriable=bool(told.get("retriable")),
        )
    if name == "generate":
        return told["text"]
    if name == "generate_with_tools":
        return told["blocks"]
    usage = told.get("usage")
    said = ChatReply(told["blocks"], told["stop_reason"], told["model"], Usage(**usage) if usage else None)
    if kwargs.get("on_chunk") is not None and said.text:
        kwargs["on_chunk"](said.text)
    return said
