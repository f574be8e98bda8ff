"""What is demanded of all runs of an eval together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from looplet.evals.gate import Standing
from looplet.evals.marks import Demands
from looplet.evals.sequential import LOOKS, confidences, last_confidence, looks, whole_rounds
from looplet.evals.stats import at_least, lower_bound, mean, mean_lower_bound, runs_needed


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """One run as the gate of its eval sees it.

    Attributes:
        case: Id of the case.
        standing: What the run came to.
        score: Its score, if it has one.
        trial: Which repetition, from 1.
    """

    case: str
    standing: Standing
    score: float | None = None
    trial: int = 1


@dataclass(frozen=True, slots=True)
class SuiteVerdict:
    """Whether a suite gate opens.

    Attributes:
        passed: It does.
        text: What was found and what was demanded, in one line that names the estimand.
    """

    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a gate came to that may decide early.

    Attributes:
        after: The round of trials with which it decided.
        verdict: How.
    """

    after: int
    verdict: SuiteVerdict


def judge_suite(runs: Sequence[RunVerdict], demands: Demands, *, planned: int = 0) -> SuiteVerdict:
    """Judge all *runs* of an eval by its *demands*.

    A run that could not be judged, for whatever reason but the agent, does not count against the agent's rate
    and keeps the gate shut all the same: a gate never opens because something did not run.

    Args:
        runs: What was judged.
        demands: What the eval's mark asks for, its trials with it if it may stop early.
        planned: How many runs there are if none is left out.
    """
    early = decided(runs, demands, planned)
    if early is not None:
        return early.verdict
    unjudged = [run for run in runs if run.standing in ("error", "skipped")]
    judged = [run for run in runs if run.standing not in ("error", "skipped")]
    if not judged:
        return SuiteVerdict(False, f"none of {len(runs)} runs was judged")
    if demands.early_stop and demands.confidence is not None:
        sure = last_confidence(demands.trials or 1, demands.confidence)
        demands = replace(demands, confidence=sure)
    found = _verdict(judged, demands)
    if len(runs) < planned:
        return SuiteVerdict(False, f"{planned - len(runs)} of {planned} runs are missing; {found.text}")
    if unjudged:
        return SuiteVerdict(False, f"{len(unjudged)} of {len(runs)} runs could not be judged; {found.text}")
    return found


def decided(runs: Sequence[RunVerdict], demands: Demands, planned: int) -> Decision | None:
    """The decision of a gate that may stop early, from those of *planned* runs that there are; None so far.

    It depends on whole rounds only and on nothing that came after them, so it is the same whatever the order
    in which runs end. A run that could not be judged leaves the decision to the end.
    """
    trials, confidence = demands.trials, demands.confidence
    if not demands.early_stop or trials is None or confidence is None:
        return None
    cases = planned // trials
    rounds = looks(trials)
    levels = dict(zip(rounds, confidences(len(rounds), confidence), strict=True))
    for after in range(1, whole_rounds((run.trial for run in runs), cases) + 1):
        so_far = [run for run in runs if run.trial <= after]
        if not all(_counts(run, demands) for run in so_far):
            return None
        if after in levels:
            found = _verdict(so_far, replace(demands, confidence=levels[after]))
            if found.passed or after == trials:
                return _decision(found, after, trials, len(runs) - len(so_far))
        later = {look: level for look, level in levels.items() if look > after}
        if not any(_may_open(so_far, demands, look * cases, level) for look, level in later.items()):
            found = _verdict(so_far, replace(demands, confidence=levels[trials]))
            text = f"{found.text}; the rest could not mend that"
            return _decision(SuiteVerdict(False, text), after, trials, len(runs) - len(so_far))
    return None


def _counts(run: RunVerdict, demands: Demands) -> bool:
    """Whether *run* says what *demands* are about."""
    if run.standing in ("error", "skipped") or (demands.min_mean is not None and run.score is None):
        return False
    return demands.pass_rate is None or run.standing != "noted"


def _decision(found: SuiteVerdict, after: int, trials: int, uncounted: int) -> Decision:
    more = f", {uncounted} later runs do not count" if uncounted else ""
    text = f"{found.text}; decided after {after} of {trials} trials{more}"
    return Decision(after, SuiteVerdict(found.passed, text))


def _may_open(runs: Sequence[RunVerdict], demands: Demands, number: int, confidence: float) -> bool:
    """Whether a look at *number* runs could open the gate, if all beyond *runs* were perfect."""
    rest = number - len(runs)
    if demands.pass_rate is not None:
        passed = sum(run.standing == "passed" for run in runs) + rest
        if at_least(passed, number, demands.pass_rate) > 1 - confidence + 1e-12:
            return False
    if demands.min_mean is not None:
        scores = math.fsum(run.score or 0.0 for run in runs) + rest
        return mean_lower_bound(scores / number, number, confidence) >= demands.min_mean - 1e-12
    return True


def _verdict(judged: Sequence[RunVerdict], demands: Demands) -> SuiteVerdict:
    verdicts = []
    if demands.pass_rate is not None:
        verdicts.append(_rate(judged, demands.pass_rate, demands.confidence))
    if demands.min_mean is not None:
        verdicts.append(_mean(judged, demands.min_mean, demands.confidence))
    text = "; ".join(verdict.text for verdict in verdicts)
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
    sure = last_confidence(trials, demands.confidence) if demands.early_stop else demands.confidence
    needed = runs_needed(max(floors), sure)
    if needed is None:
        return (
            f"no number of runs is enough to be sure of {max(floors):g} at confidence {demands.confidence:g}"
        )
    if cases * trials >= needed:
        return ""
    best = lower_bound(cases * trials, cases * trials, sure)
    if demands.early_stop:  # more trials may be looked at more often
        sure = last_confidence(max(LOOKS, trials), demands.confidence)
        needed = runs_needed(max(floors), sure) or needed
    return (
        f"{cases * trials} runs ({cases} cases, {trials} trials) can show at most {_down(best)} "
        f"at confidence {demands.confidence:g}, not {max(floors):g}; "
        f"it takes {needed} runs: trials={math.ceil(needed / cases)}"
    )
