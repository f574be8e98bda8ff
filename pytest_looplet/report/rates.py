"""How often an eval passes: its rate with bounds, and over several trials what is flaky or broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from looplet.evals.gate import Standing
from looplet.evals.stats import interval, mean, pass_all_k, pass_at_k
from looplet.text import count, shorten

CONFIDENCE = 0.95
MOST_K = 5
"""pass@k and pass^k are told up to this k."""

SHOWN = 4
"""Cases that a line names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often one eval passed.

    Attributes:
        module, eval: Which.
        passed: Runs that passed.
        judged: Runs that passed or failed; what was not the agent's fault is neither.
        low, high: Bounds of the pass rate with 95 % confidence.
        trials: The least number of judged trials that a case has.
        cases: For each case how many of its trials passed, and how many were judged.
    """

    module: str
    eval: str
    passed: int
    judged: int
    low: float
    high: float
    trials: int
    cases: Mapping[str, tuple[int, int]]

    @property
    def is_repeated(self) -> bool:
        """Whether a case was judged more than once."""
        return any(judged > 1 for _, judged in self.cases.values())

    @property
    def flaky(self) -> list[str]:
        """Cases that passed at times."""
        return [case for case, (passed, judged) in self.cases.items() if 0 < passed < judged]

    @property
    def broken(self) -> list[str]:
        """Cases that never passed."""
        return [case for case, (passed, _) in self.cases.items() if passed == 0]

    def at(self, k: int) -> tuple[float, float]:
        """pass@k and pass^k, each the mean over the cases; *k* is at most `trials`."""
        counts = self.cases.values()
        return mean([pass_at_k(*pair, k) for pair in counts]), mean([pass_all_k(*pair, k) for pair in counts])

    @property
    def most_k(self) -> int:
        """The largest k that is told."""
        return min(self.trials, MOST_K)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        told: dict[str, Any] = {"passed": self.passed, "judged": self.judged, "confidence": CONFIDENCE}
        told |= {"rate": self.passed / self.judged, "low": self.low, "high": self.high}
        if self.is_repeated:
            ks = range(1, self.most_k + 1)
            told["pass_at_k"] = {str(k): self.at(k)[0] for k in ks}
            told["pass_all_k"] = {str(k): self.at(k)[1] for k in ks}
            told |= {"flaky": self.flaky, "broken": self.broken}
        return told

    def line(self) -> str:
        """What several trials show, in one line."""
        at_least_one, all_of_them = self.at(self.most_k)
        cases = count(len(self.cases), "case")
        parts = [
            f"{self.eval}: pass rate {self.passed / self.judged:.0%} ({self.low:.0%} to {self.high:.0%}) "
            f"over {count(self.judged, 'run')} of {cases}",
            f"pass@{self.most_k} {at_least_one:.0%}, pass^{self.most_k} {all_of_them:.0%}",
        ]
        parts += [f"flaky: {self._named(self.flaky)}"] if self.flaky else []
        parts += [f"broken: {self._named(self.broken)}"] if self.broken else []
        return "; ".join(parts)

    def _named(self, cases: list[str]) -> str:
        said = ", ".join(
            f"{shorten(case, 32)} {self.cases[case][0]}/{self.cases[case][1]}" for case in cases[:SHOWN]
        )
        return f"{said} and {len(cases) - SHOWN} more" if len(cases) > SHOWN else said


class Row(Protocol):
    """One eval of one run."""

    @property
    def case(self) -> str:
        """Id of the case."""
        ...

    @property
    def standing(self) -> Standing:
        """What it came to."""
        ...


def rates(by_eval: Mapping[tuple[str, str], Sequence[Row]]) -> Iterator[Rate]:
    """The rate of each eval that gave verdicts, from the rows of each by file and function."""
    for (module, name), rows in by_eval.items():
        judged = [row for row in rows if row.standing in ("passed", "failed")]
        if judged:
            passed = sum(row.standing == "passed" for row in judged)
            cases = _by_case(judged)
            trials = min(number for _, number in cases.values())
            bounds = interval(passed, len(judged), CONFIDENCE)
            yield Rate(module, name, passed, len(judged), *bounds, trials, cases)


def repeated(by_eval: Mapping[tuple[str, str], Sequence[Row]]) -> list[Rate]:
    """The rates of those evals that judged a case more than once."""
    return [rate for rate in rates(by_eval) if rate.is_repeated]


def _by_case(rows: Sequence[Row]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        passed, judged = found.get(row.case, (0, 0))
        found[row.case] = passed + (row.standing == "passed"), judged + 1
    return found
