"""Backends that remember what was asked and answered, and otherwise are the one they stand before."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from looplet import clock
from looplet.provenance.call_log import CallLog
from looplet.provenance.folder import RunFolder
from looplet.types import Capabilities, capabilities_of

_COROUTINE = 0x80  # inspect.CO_COROUTINE
_ASKING = frozenset({"generate", "generate_with_tools", "chat", "stream"})
_OPTIONAL = ("timeout_s", "cancel_token", "on_chunk", "cache_breakpoints")


class RecordingLLMBackend(CallLog):
    """Records every call of *backend* and has all its abilities, under their own signatures.

    Args:
        backend: The backend to stand before.
        max_chars_per_call: Most characters kept of one prompt or reply; more is cut with a visible mark.
        redact: Called with every text before it is kept, after what is secret by itself was taken out.

    Attributes:
        calls: The calls so far.
        current_step_num: Stamped on calls; a `TrajectoryRecorder` sets it.
    """

    def __init__(
        self,
        backend: Any,
        *,
        max_chars_per_call: int = 200_000,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(max_chars_per_call=max_chars_per_call, redact=redact)
        self._backend = backend
        if hasattr(type(backend), "generate_with_tools") or "generate_with_tools" in vars(backend):
            self.generate_with_tools = self._recorded("generate_with_tools")
        own = type(self).generate not in (RecordingLLMBackend.generate, AsyncRecordingLLMBackend.generate)
        if not own and _takes_more(backend.generate):
            self.generate = self._recorded("generate")  # type: ignore[method-assign]

    def generate(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> Any:
        """The backend's answer, recorded; with the backend's own signature where that takes more."""
        asked = self._recorded("generate")
        return asked(prompt, max_tokens=max_tokens, system_prompt=system_prompt, temperature=temperature)

    def capabilities(self) -> Capabilities:
        """What the recorded backend can do."""
        return capabilities_of(self._backend)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "generate_with_tools":
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        value = getattr(self._backend, name)
        return self._recorded(name) if name in _ASKING and name != "stream" else value

    def save(self, directory: str | Path) -> Path:
        """Write the calls into a run directory; gives its path."""
        folder = RunFolder(directory)
        for call in self.calls:
            folder.write_call(call)
        return folder.path

    def reset(self) -> None:
        """Forget the calls so far."""
        self.calls.clear()
        self._thread_sent = 0

    def _recorded(self, name: str) -> Callable[..., Any]:
        method = getattr(self._backend, name)

        @wraps(method)
        def ask(*given: Any, **options: Any) -> Any:
            first, started = _first(given, options), self._begin()
            try:
                answer = method(*given, **options)
            except Exception as problem:
                self._keep(name, *self._ended(started), first, options, problem)
                raise
            self._keep(name, *self._ended(started), first, options, answer)
            return answer

        @wraps(method)
        async def ask_async(*given: Any, **options: Any) -> Any:
            first, started = _first(given, options), self._begin()
            try:
                answer = await method(*given, **options)
            except Exception as problem:
                self._keep(name, *self._ended(started), first, options, problem)
                raise
            self._keep(name, *self._ended(started), first, options, answer)
            return answer

        return ask_async if _is_async(method) else ask

    def _begin(self) -> tuple[float, float]:
        return clock.now(), clock.perf()

    def _ended(self, started: tuple[float, float]) -> tuple[float, float]:
        """When a call was sent, and the milliseconds since then."""
        return started[0], (clock.perf() - started[1]) * 1000


class AsyncRecordingLLMBackend(RecordingLLMBackend):
    """`RecordingLLMBackend` for a backend whose methods are async."""

    async def generate(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> Any:
        """The backend's answer, recorded."""
        asked = self._recorded("generate")
        return await asked(
            prompt, max_tokens=max_tokens, system_prompt=system_prompt, temperature=temperature
        )


def _is_async(method: Callable[..., Any]) -> bool:
    code = getattr(getattr(method, "__func__", method), "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def _first(given: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return given[0] if given else options.get("prompt", options.get("messages", ""))


def _takes_more(method: Callable[..., Any]) -> bool:
    """Whether *method* names one of the keywords that are only passed to those that do."""
    try:
        return not inspect.signature(method).parameters.keys().isdisjoint(_OPTIONAL)
    except (TypeError, ValueError):
        return False
