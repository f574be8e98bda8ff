"""Choosing a model by purpose, falling back to another one, and counting what models cost.

A backend made here can do what the backend behind it can do: threads, native tools, its own options.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from looplet.backends.failures import failure_of
from looplet.errors import ConfigError
from looplet.router.wrapper import ASKING, Wrapper, understood
from looplet.types import Capabilities, ChatReply, ErrorKind, capabilities_of


@dataclass
class ModelProfile:
    """A backend and what is known of it.

    Attributes:
        name: What to call it.
        backend: The backend.
        cost_per_1k_input: US dollars for 1,000 tokens sent.
        cost_per_1k_output: US dollars for 1,000 tokens written.
        context_window: Tokens that fit.
        strengths: Purposes it is good for.
    """

    name: str
    backend: Any
    cost_per_1k_input: float = 0.0
    cost_per_1k_output: float = 0.0
    context_window: int = 100_000
    strengths: list[str] = field(default_factory=list)


@runtime_checkable
class ModelRouter(Protocol):
    """Chooses a backend."""

    def select(self, purpose: str, **kwargs: Any) -> Any:
        """The backend for *purpose*. The loop asks before each step, for `"reasoning"`."""
        ...


class SimpleRouter:
    """The first profile that has the purpose among its strengths, else the default one.

    Args:
        profiles: Profiles, or a mapping of name to profile.
        default_profile: Name of the profile for every other purpose.

    Raises:
        ConfigError: No profile has that name.
    """

    def __init__(
        self, profiles: Sequence[ModelProfile] | Mapping[str, ModelProfile], *, default_profile: str
    ) -> None:
        named = profiles if isinstance(profiles, Mapping) else {profile.name: profile for profile in profiles}
        if default_profile not in named:
            raise ConfigError(
                f"default_profile={default_profile!r} is no profile; there are: {', '.join(named) or 'none'}"
            )
        self._profiles = list(named.values())
        self._default = named[default_profile]

    def select(self, purpose: str, **kwargs: Any) -> Any:
        """The backend of the profile for *purpose*."""
        return next((p for p in self._profiles if purpose in p.strengths), self._default).backend


class FallbackRouter:
    """One backend, and another one for when it fails.

    The other one is asked when the provider fails: no connection, no answer in time, an overload, a limit,
    a refused key, a model that is gone. It is not asked when the same request would fail there too (a
    prompt that is too long, a bad request) or when the error is a bug in code; that error is raised.
    A run tells it among its decisions, with the verdict `fallback`.

    Args:
        primary: A backend, a `ModelProfile` or a router.
        fallback: The same.
    """

    def __init__(self, *, primary: Any, fallback: Any) -> None:
        self._primary = primary
        self._fallback = fallback

    def select(self, purpose: str, **kwargs: Any) -> Any:
        """A backend that asks the first and, if that fails, the second."""
        return _Fallback(
            _backend_of(self._primary, purpose, kwargs), _backend_of(self._fallback, purpose, kwargs)
        )


def _backend_of(choice: Any, purpose: str, kwargs: dict[str, Any]) -> Any:
    if isinstance(choice, ModelProfile):
        return choice.backend
    if callable(getattr(type(choice), "select", None)):
        return choice.select(purpose, **kwargs)
    return choice


class _Fallback(Wrapper):
    def __init__(self, primary: Any, fallback: Any) -> None:
        self._primary = primary
        self._fallback = fallback
        self._last = primary
        self._why = ""

    @property
    def last_fallback(self) -> str:
        """Why the second backend was asked; empty if the first one answered."""
        return self._why or super().last_fallback

    def _inner(self) -> Any:
        return self._primary

    def _answered(self) -> Any:
        return self._last

    def capabilities(self) -> Capabilities:
        """What both can do; a failure is not asked again by the loop where one of them has done so."""
        one, other = capabilities_of(self._primary), capabilities_of(self._fallback)
        return Capabilities(
            chat=one.chat and other.chat,
            native_tools=one.native_tools and other.native_tools,
            stream=one.stream and other.stream,
            own_retries=one.own_retries or other.own_retries,  # or both would retry what one has retried
            timeout=one.timeout and other.timeout,
            provider=one.provider,
            model=one.model,
        )

    def __getattr__(self, name: str) -> Any:
        if name in ASKING:
            getattr(self._fallback, name)  # a method that only one of them has is not there
        return super().__getattr__(name)

    def _around(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        self._last, self._why = self._primary, ""
        return super()._around(name, method)

    def _failed(self, name: str, problem: Exception) -> Callable[..., Any]:
        if not _provider_failed(problem):
            raise problem
        self._last, self._why = self._fallback, str(failure_of(problem))
        method: Callable[..., Any] = getattr(self._fallback, name)
        return lambda *args, **kwargs: method(*args, **understood(method, kwargs))


def _provider_failed(problem: Exception) -> bool:
    failure = failure_of(problem)
    if failure.kind in (ErrorKind.CONTEXT_OVERFLOW, ErrorKind.CANCELLED):
        return False
    return failure.retriable or (failure.status is not None and failure.status not in (400, 413, 422))


class CostTracker(Wrapper):
    """A backend that counts the tokens and the cost of another one.

    Tokens are the provider's own count where a reply carries it, else words (at least one a text).

    Args:
        backend: The backend to ask.
        cost_per_1k_input: US dollars for 1,000 tokens sent.
        cost_per_1k_output: US dollars for 1,000 tokens written.
    """

    def __init__(self, *, backend: Any, cost_per_1k_input: float, cost_per_1k_output: float) -> None:
        self._backend = backend
        self._prices = (cost_per_1k_input, cost_per_1k_output)
        self._input = self._output = self._calls = 0
        self._lock = threading.Lock()

    def _inner(self) -> Any:
        return self._backend

    def _heard(self, question: Any, answer: Any) -> None:
        usage = answer.usage if isinstance(answer, ChatReply) else None
        sent = usage.input_tokens if usage else max(1, _words(question))
        written = usage.output_tokens if usage else max(1, _words(answer))
        with self._lock:  # sub-agents may ask at the same time
            self._calls += 1
            self._input += sent
            self._output += written

    @property
    def total_cost(self) -> float:
        """US dollars so far."""
        return (self._input * self._prices[0] + self._output * self._prices[1]) / 1000

    @property
    def total_input_tokens(self) -> int:
        """Tokens sent so far."""
        return self._input

    @property
    def total_output_tokens(self) -> int:
        """Tokens written so far."""
        return self._output

    @property
    def call_count(self) -> int:
        """Questions answered so far."""
        return self._calls

    def report(self) -> str:
        """Calls, tokens and cost in one line."""
        return (
            f"CostTracker: {self._calls} calls | input={self._input} tokens | output={self._output} tokens "
            f"| cost=${self.total_cost:.6f}"
        )


def _words(said: object) -> int:
    if isinstance(said, str):
        return len(said.split())
    if isinstance(said, ChatReply):
        return _words(said.blocks)
    if isinstance(said, (list, tuple)):
        return sum(_words(part) for part in said)
    if isinstance(said, dict):
        return sum(_words(said[key]) for key in ("text", "content", "input") if key in said)
    return 0


class RoutingLLMBackend(Wrapper):
    """A backend that asks a router for the model of each question.

    Args:
        router: Chooses the backend.
        default_purpose: What the questions are for, until `set_purpose`.
    """

    def __init__(self, router: ModelRouter, default_purpose: str = "reasoning") -> None:
        self._router = router
        self._purpose = default_purpose
        self._last: Any = None

    @property
    def purpose(self) -> str:
        """What the next question is for."""
        return self._purpose

    def set_purpose(self, purpose: str) -> None:
        """Say what the next questions are for."""
        self._purpose = purpose

    def _inner(self) -> Any:
        self._last = self._router.select(self._purpose)
        return self._last

    def _answered(self) -> Any:
        return self._inner() if self._last is None else self._last
