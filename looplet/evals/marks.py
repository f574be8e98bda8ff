"""What an eval asks for beside its code: tags, thresholds, trials."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, Never, TypeVar

from looplet.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Demands:
    """What must hold for an eval to let a session pass.

    Attributes:
        threshold: Least score of each single run, 0 to 1.
        min_mean: Least mean score over the suite, 0 to 1.
        pass_rate: Least share of runs that pass, 0 to 1.
        trials: Times each case is run; None leaves it to the session.
        confidence: How sure the suite gate must be, between 0.5 and 1; None decides on the bare figure.
        required: Whether leaving the eval out is a failure.
        early_stop: Whether the suite gate may decide before all trials have run; then its confidence is
            shared out over several looks (`looplet.evals.sequential`).
    """

    threshold: float | None = None
    min_mean: float | None = None
    pass_rate: float | None = None
    trials: int | None = None
    confidence: float | None = None
    required: bool = False
    early_stop: bool = False

    def __post_init__(self) -> None:
        for name in ("threshold", "min_mean", "pass_rate"):
            self._check_share(name, getattr(self, name))
        if self.trials is not None and (not isinstance(self.trials, int) or self.trials < 1):
            raise ConfigError(f"eval_mark(trials={self.trials!r}): give a whole number from 1")
        if self.confidence is not None and not 0.5 < self.confidence < 1:
            raise ConfigError(
                f"eval_mark(confidence={self.confidence!r}): give a number between 0.5 and 1, such as 0.95"
            )
        if self.confidence is not None and not self.is_suite_gate:
            raise ConfigError("eval_mark(confidence=…) needs pass_rate= or min_mean= to be confident about")
        if self.early_stop and self.confidence is None:
            raise ConfigError("eval_mark(early_stop=True) needs confidence=: a bound is looked at")

    @staticmethod
    def _check_share(name: str, value: object) -> None:
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ConfigError(f"eval_mark({name}={value!r}): give a number from 0 to 1")

    @property
    def is_suite_gate(self) -> bool:
        """Whether something is demanded of all runs together."""
        return self.min_mean is not None or self.pass_rate is not None


NO_DEMANDS = Demands()


def eval_mark(
    *tags: str,
    threshold: float | None = None,
    min_mean: float | None = None,
    pass_rate: float | None = None,
    trials: int | None = None,
    confidence: float | None = None,
    required: bool = False,
    early_stop: bool = False,
    **unknown: Never,
) -> Callable[[F], F]:
    """Tag an eval, and say what it demands (see `Demands`).

    Raises:
        ConfigError: a demand that does not exist, that nothing could meet, or that contradicts another.
    """
    for name in unknown:
        known = [field.name for field in fields(Demands)]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise ConfigError(f"eval_mark: unknown demand {name!r}; {hint}")
    for tag in tags:
        if not isinstance(tag, str):
            raise ConfigError(
                f"eval_mark takes tags (text), not {tag!r}: write @eval_mark('tag') with its brackets"
            )
    demands = Demands(threshold, min_mean, pass_rate, trials, confidence, required, early_stop)

    def mark(function: F) -> F:
        function._eval_marks = marks_of(function) | set(tags)  # type: ignore[attr-defined]
        function._eval_demands = _together(demands_of(function), demands)  # type: ignore[attr-defined]
        return function

    return mark


def _together(inner: Demands, outer: Demands) -> Demands:
    """The demands of two marks on one function; the outer one wins where both say something."""
    given = {f.name: getattr(outer, f.name) for f in fields(outer)}
    said = {name: value for name, value in given.items() if value is not None and value is not False}
    return replace(inner, **said)


def marks_of(function: Callable[..., Any]) -> set[str]:
    """The tags of *function*; empty for one that was never marked."""
    return set(getattr(function, "_eval_marks", ()))


def demands_of(function: Callable[..., Any]) -> Demands:
    """What *function* demands; nothing for one that was never marked."""
    found = getattr(function, "_eval_demands", NO_DEMANDS)
    return found if isinstance(found, Demands) else NO_DEMANDS


def selected(
    functions: Iterable[Callable[..., Any]], include: Iterable[str] | None, exclude: Iterable[str] | None
) -> list[Callable[..., Any]]:
    """Those of *functions* with a tag in *include* (all, if it is None or empty) and none in *exclude*."""
    wanted, unwanted = set(include or ()), set(exclude or ())
    return [
        function
        for function in functions
        if (not wanted or wanted & marks_of(function)) and not unwanted & marks_of(function)
    ]
