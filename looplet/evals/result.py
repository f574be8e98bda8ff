"""What an eval said, in one form, whatever the function returned."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from types import NoneType
from typing import Any

SCORE_KEYS = ("score", "f1", "accuracy", "overall")
"""Metrics that can stand for the score, the first one present wins."""


@dataclass(slots=True)
class EvalResult:
    """The outcome of one eval on one run.

    Attributes:
        name: The eval's name.
        score: A number, 0 to 1 by custom; None where the eval gave none. 0.0 is a score.
        label: A word: `pass` or `fail` for a bool, `error` or `skipped` from the runner, else the eval's own.
        metrics: Numbers by name.
        details: Lines of text.
        explanation: Why, in words.
        duration_ms: Milliseconds the eval took.
    """

    name: str = ""
    score: float | None = None
    label: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)
    explanation: str = ""
    duration_ms: float = 0.0

    @classmethod
    def from_return(cls, value: Any, *, name: str = "") -> EvalResult:
        """The result that *value*, returned by an eval, stands for.

        A bool is a score of 1 or 0 and the label `pass` or `fail`; a number a score; a text a label; a dict
        metrics and details, with `score`, `f1`, `accuracy` or `overall` as score. Anything else becomes the
        explanation. What no report could hold, such as a score that is a text, becomes the label `error` and
        the reason; nothing else is refused here: that is `looplet.evals.gate`'s work.
        """
        if value is True:
            return cls(name, 1.0, "pass")
        if value is False:
            return cls(name, 0.0, "fail")
        if isinstance(value, (int, float)):
            return cls(name, _number(value))
        if isinstance(value, str):
            return cls(name, None, value)
        if isinstance(value, EvalResult):
            value.name = value.name or name
            flaw = _misfit(value)
            return cls(_words(value.name), label="error", explanation=flaw) if flaw else value
        if isinstance(value, dict):
            return _from_dict(cls(name), value)
        return cls(name, explanation=_words(value))

    def pretty(self) -> str:
        """One line for people, and up to five details below it."""
        parts = [f"{self.name:<40}"]
        if self.score is not None:
            parts.append(f"{self.score:.2f}")
        if self.label:
            parts.append(self.label)
        parts += [f"{key}={number:.2f}" for key, number in self.metrics.items() if key not in SCORE_KEYS]
        if self.explanation:
            parts.append(self.explanation)
        return "\n".join([" ".join(parts), *(f"  {line}" for line in self.details[:5])])

    def to_dict(self) -> dict[str, Any]:
        """The name and every field that holds something, as JSON values."""
        short: dict[str, Any] = {"name": self.name}
        if self.score is not None:
            short["score"] = self.score
        if self.label:
            short["label"] = self.label
        if self.metrics:
            short["metrics"] = dict(self.metrics)
        if self.details:
            short["details"] = list(self.details)
        if self.explanation:
            short["explanation"] = self.explanation
        if self.duration_ms >= 0.05:  # what would be rounded to 0 is as good as empty
            short["duration_ms"] = round(self.duration_ms, 1)
        return short


def _misfit(result: EvalResult) -> str:
    """Which field of *result* holds what its type does not say; empty if none does."""
    metrics: object = result.metrics
    if not isinstance(result.score, (int, float, NoneType)):
        return f"the score must be a number, not {_shown(result.score)}"
    if not isinstance(metrics, dict) or not all(_is_metric(*pair) for pair in result.metrics.items()):
        return f"metrics must be numbers by name, not {_shown(metrics)}"
    if not isinstance(result.label, (str, NoneType)) or not isinstance(result.explanation, str):
        return f"label and explanation must be texts, not {_shown((result.label, result.explanation))}"
    if not isinstance(result.details, list) or not all(isinstance(line, str) for line in result.details):
        return f"details must be a list of texts, not {_shown(result.details)}"
    if not isinstance(result.duration_ms, (int, float)) or not 0 <= result.duration_ms < inf:
        return f"duration_ms must be milliseconds, not {_shown(result.duration_ms)}"
    return "" if isinstance(result.name, str) else f"the name must be a text, not {_shown(result.name)}"


def _is_metric(name: object, number: object) -> bool:
    return isinstance(name, str) and isinstance(number, (int, float))


def _shown(value: object) -> str:
    try:
        return repr(value)[:200]
    except Exception:
        return _words(value)


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond every float is out of every range
        return inf if value > 0 else -inf


def _words(value: object) -> str:
    try:
        return str(value)
    except Exception as problem:
        return f"a {type(value).__name__} that cannot be shown ({type(problem).__name__})"


def _from_dict(result: EvalResult, values: dict[Any, Any]) -> EvalResult:
    for key, value in values.items():
        if isinstance(value, (int, float)):
            result.metrics[_words(key)] = _number(value)
        else:
            result.details.append(f"{_words(key)}: {_words(value)}")
            if key == "score":
                result.label, result.explanation = "error", f"the score must be a number, not {_shown(value)}"
    for key in SCORE_KEYS:
        if key in result.metrics:
            result.score = result.metrics[key]
            break
    return result
