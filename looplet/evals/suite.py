"""What is demanded of all runs of an eval together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from looplet.evals.gate import Standing
from looplet.evals.marks import Demands
from looplet.evals.stats import lower_bound, mean, mean_lower_bound, runs_needed


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """One run as the gate of its eval sees it.

    Attributes:
        case: Id of the case.
        standing: What the run came to.
        score: Its score, if it has one.
    """

    case: str
    standing: Standing
    score: float | None = None


@dataclass(frozen=True, slots=True)
class SuiteVerdict:
    """Whether a suite gate opens.

    Attributes:
        passed: It does.
        text: What was found and what was demanded, in one line that names the estimand.
    """

    passed: bool
    text: str


def judge_suite(runs: Sequence[RunVerdict], demands: Demands) -> SuiteVerdict:
    """Judge all *runs* of an eval by its *demands*.

    A run that could not be judged, for whatever reason but the agent, does not count against the agent's rate
    and keeps the gate shut all the same: a gate never opens because something did not run.
    """
    unjudged = [run for run in runs if run.standing in ("error", "skipped")]
    judged = [run for run in runs if run.standing not in ("error", "skipped")]
    if not judged:
        return SuiteVerdict(False, f"none of {len(runs)} runs was judged")
    verdicts = []
    if demands.pass_rate is not None:
        verdicts.append(_rate(judged, demands.pass_rate, demands.confidence))
    if demands.min_mean is not None:
        verdicts.append(_mean(judged, demands.min_mean, demands.confidence))
    text = "; ".join(verdict.text for verdict in verdicts)
    if unjudged:
        return SuiteVerdict(False, f"{len(unjudged)} of {len(runs)} runs could not be judged; {text}")
    return SuiteVerdict(all(verdict.passed for verdict in verdicts), text)


def _rate(runs: Sequence[RunVerdict], floor: float, confidence: float | None) -> SuiteVerdict:
    noted = sum(run.standing == "noted" for run in runs)
    if noted:
        return SuiteVerdict(
            False,
            f"pass_rate needs a verdict for each run, {noted} gave none: return a bool or set threshold=",
        )
    passed = sum(run.standing == "passed" for run in runs)
    found = f"pass rate over {_scope(runs)}: {passed} of {len(runs)}, {passed / len(runs):.3f}"
    if confidence is None:
        return _compare(found, passed / len(runs), floor, "")
    bound = lower_bound(passed, len(runs), confidence)
    return _compare(found, bound, floor, f"; at confidence {confidence:g} at least {_down(bound)}")


def _mean(runs: Sequence[RunVerdict], floor: float, confidence: float | None) -> SuiteVerdict:
    scores = [run.score for run in runs if run.score is not None]
    if len(scores) < len(runs):
        return SuiteVerdict(
            False, f"min_mean needs a score for each run, {len(runs) - len(scores)} gave none"
        )
    found = f"mean score over {_scope(runs)}: {mean(scores):.3f}, worst {min(scores):.3f}"
    if confidence is None:
        return _compare(found, mean(scores), floor, "")
    bound = mean_lower_bound(mean(scores), len(scores), confidence)
    return _compare(found, bound, floor, f"; at confidence {confidence:g} at least {_down(bound)}")


def _compare(found: str, value: float, floor: float, bound: str) -> SuiteVerdict:
    holds = value >= floor - 1e-12  # 0.9 of 10 runs is 9, whatever binary fractions say
    return SuiteVerdict(holds, f"{found}{bound}; {'meets' if holds else 'below'} {floor:g}")


def _scope(runs: Sequence[RunVerdict]) -> str:
    cases = len({run.case for run in runs})
    return f"{len(runs)} runs of {cases} {'case' if cases == 1 else 'cases'}"


def _down(value: float) -> str:
    return f"{math.floor(value * 1000) / 1000:.3f}"


def unreachable(demands: Demands, cases: int, trials: int) -> str:
    """Why *cases* in *trials* each could never meet *demands*, and what could; empty if they can."""
    floors = [floor for floor in (demands.pass_rate, demands.min_mean) if floor is not None]
    if demands.confidence is None or not floors:
        return ""
    needed = runs_needed(max(floors), demands.confidence)
    if needed is None:
        return (
            f"no number of runs is enough to be sure of {max(floors):g} at confidence {demands.confidence:g}"
        )
    if cases * trials >= needed:
        return ""
    best = lower_bound(cases * trials, cases * trials, demands.confidence)
    return (
        f"{cases * trials} runs ({cases} cases, {trials} trials) can show at most {_down(best)} "
        f"at confidence {demands.confidence:g}, not {max(floors):g}; "
        f"it takes {needed} runs: trials={math.ceil(needed / cases)}"
    )
