"""What an eval said, in one form, whatever the function returned."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
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
        explanation. Nothing is refused here: that is `looplet.evals.gate`'s work.
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
            return value
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
    for key in SCORE_KEYS:
        if key in result.metrics:
            result.score = result.metrics[key]
            break
    return result
