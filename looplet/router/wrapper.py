"""A backend that stands before another one without hiding what that one can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from looplet.types import Capabilities, capabilities_of

ASKING = frozenset({"generate", "generate_with_tools", "chat"})
"""The methods that put a question to a model."""

_OPTIONAL = ("timeout_s", "cancel_token", "on_chunk", "cache_breakpoints")
_COROUTINE = 0x80  # inspect.CO_COROUTINE; inspect itself is slow to import


class Wrapper:
    """A backend that stands before another one and has its methods, with their signatures.

    Subclasses say which backend that is, and what to do around one question.
    """

    def _inner(self) -> Any:
        """The backend to ask now, and to be asked for its abilities."""
        raise TypeError(f"{type(self).__name__} stands before no backend")

    def _answered(self) -> Any:
        """The backend that gave the last answer."""
        return self._inner()

    def _failed(self, name: str, problem: Exception) -> Callable[..., Any]:
        """The method to ask instead, after *problem*; raises it where there is none."""
        raise problem

    def _heard(self, question: Any, answer: Any) -> None:
        """*question* was answered."""

    def _around(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def ask(*args: Any, **kwargs: Any) -> Any:
            try:
                answer = method(*args, **kwargs)
            except Exception as problem:
                answer = self._failed(name, problem)(*args, **kwargs)
            self._heard(_question(args, kwargs), answer)
            return answer

        @wraps(method)
        async def ask_async(*args: Any, **kwargs: Any) -> Any:
            try:
                answer = await method(*args, **kwargs)
            except Exception as problem:
                answer = self._failed(name, problem)(*args, **kwargs)
                answer = await answer if isinstance(answer, Awaitable) else answer
            self._heard(_question(args, kwargs), answer)
            return answer

        return ask_async if _is_async(method) else ask

    @property
    def generate(self) -> Callable[..., Any]:
        """`generate` of the backend behind this one."""
        return self._around("generate", self._inner().generate)

    @property
    def last_fallback(self) -> str:
        """Why another backend than the first one gave the last answer; empty if the first one did."""
        inner = self._answered()
        return inner.last_fallback if isinstance(inner, Wrapper) else ""

    def capabilities(self) -> Capabilities:
        """What the backend behind this one can do."""
        return capabilities_of(self._inner())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in ASKING:
            return self._around(name, getattr(self._inner(), name))
        return getattr(self._answered(), name)


def understood(method: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """*options* without the optional ones that the signature of *method* does not name."""
    extra = [name for name in _OPTIONAL if name in options]
    if not extra:
        return options
    import inspect

    known = inspect.signature(method).parameters
    return {name: value for name, value in options.items() if name not in extra or name in known}


def _question(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else kwargs.get("prompt", kwargs.get("messages"))


def _is_async(method: Callable[..., Any]) -> bool:
    code = getattr(getattr(method, "__func__", method), "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)
