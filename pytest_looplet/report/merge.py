"""Several reports of one suite, run in parts, as the report of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from looplet.errors import LoopletError
from looplet.evals.compare import Comparison, Judged, Key, compare
from looplet.evals.marks import Demands
from looplet.evals.spent import figures_of
from looplet.evals.suite import RunVerdict, judge_suite
from pytest_looplet.report.accepted import by_case
from pytest_looplet.report.model import GateRow, SessionReport
from pytest_looplet.rule_use import joined

REGRESSED = " regressed against the baseline"
OTHER_CASES = "the baseline is of other evals and cases: nothing could be compared"
LEFT_OUT = "required evals were left out: "
GATE_LEFT_OUT = "the gate of a required eval was left out: "
NO_TESTS = 5
"""pytest's exit status of a part that had nothing to run."""


class ReportsOverlap(LoopletError):
    """Two reports tell of the same run: they are no parts of one session."""


def merge(parts: Sequence[SessionReport], *, require_all: bool = False) -> SessionReport:
    """The report of all *parts* together, the same whatever their order.

    Gates and the comparison with the baseline are judged again, over all runs.

    Args:
        parts: The reports.
        require_all: Whether required evals of which runs are missing in all parts turn the whole red; it is
            so as well if one of the parts was run with `--looplet-require-all`.

    Raises:
        ReportsOverlap: two parts tell of the same eval and run, or of the same test.
    """
    evals = sorted(
        (row for part in parts for row in part.evals),
        key=lambda row: (row.module, row.order, row.eval, row.case, row.trial),
    )
    tests = sorted((row for part in parts for row in part.tests), key=lambda row: row.test)
    _refuse_twice(f"{row.module}::{row.eval}[{row.case}#{row.trial}]" for row in evals)
    _refuse_twice(row.test for row in tests)
    whole = SessionReport(
        tuple(evals),
        tuple(tests),
        max((part.exit_status for part in parts if part.exit_status != NO_TESTS), default=NO_TESTS),
        _each(text for part in parts for text in part.problems if not _is_judged_again(text)),
        _each(text for part in parts for text in part.remarks if not _is_judged_again(text)),
        fresh=any(part.fresh for part in parts),
        planned={
            n: max(p.planned.get(n, 0) for p in parts) for n in sorted({n for p in parts for n in p.planned})
        },
        required=_each(name for part in parts for name in part.required),
        spared=dict(sorted((name, number) for part in parts for name, number in part.spared.items())),
        runs=dict(sorted((name, run) for part in parts for name, run in part.runs.items())),
        differences=dict(sorted((name, d) for part in parts for name, d in part.differences.items())),
        departures=dict(sorted((name, d) for part in parts for name, d in part.departures.items())),
        rule_use=joined(part.rule_use for part in parts),
    )
    whole = replace(whole, gates=_gates(parts, whole), comparison=_comparison(parts, whole))
    worse = _worse(whole.comparison)
    left_out = [*left_out_of(whole), *_gates_left_out(parts)]
    must = require_all or any(_tells_of_left_out(text) for part in parts for text in part.problems)
    red = worse or whole.problems or (must and left_out) or any(not gate.passed for gate in whole.gates)
    return replace(
        whole,
        problems=(*whole.problems, *worse, *(left_out if must else ())),
        remarks=(*whole.remarks, *(() if must else left_out)),
        exit_status=1 if red and whole.exit_status in (0, NO_TESTS) else whole.exit_status,
    )


def left_out_of(report: SessionReport) -> list[str]:
    """A line about required evals of which runs are missing, or that did not run at all, if there are any."""
    counts = Counter(f"{row.module}::{row.eval}" for row in report.evals)
    required = {*report.required, *(f"{row.module}::{row.eval}" for row in report.evals if row.required)}
    some = [
        f"{name} ({counts[name]} of {report.planned[name]} runs)"
        for name in sorted(required)
        if counts[name] + report.spared.get(name, 0) < report.planned.get(name, 0)
    ]
    return [LEFT_OUT + ", ".join(some)] if some else []


def _refuse_twice(names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ReportsOverlap(f"two reports tell of {twice[0]}: merge the parts of one session only")


def _each(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def _is_judged_again(problem: str) -> bool:
    return problem.endswith(REGRESSED) or problem == OTHER_CASES or _tells_of_left_out(problem)


def _tells_of_left_out(text: str) -> bool:
    return text.startswith((LEFT_OUT, GATE_LEFT_OUT))


def _gates_left_out(parts: Sequence[SessionReport]) -> list[str]:
    """What parts say of gates that they left out, where no other part has them."""
    there = {f"{GATE_LEFT_OUT}{gate.module}::{gate.eval}" for part in parts for gate in part.gates}
    told = {text for part in parts for text in (*part.problems, *part.remarks)}
    return sorted(text for text in told - there if text.startswith(GATE_LEFT_OUT))


def _gates(parts: Sequence[SessionReport], whole: SessionReport) -> tuple[GateRow, ...]:
    found = {(gate.module, gate.eval): gate for part in parts for gate in part.gates}
    return tuple(_judged_again(found[key], whole) for key in sorted(found))


def _judged_again(gate: GateRow, whole: SessionReport) -> GateRow:
    if not gate.demands:
        return gate
    rows = whole.by_eval().get((gate.module, gate.eval), [])
    runs = [RunVerdict(row.case, row.standing, row.score, row.trial) for row in rows]
    planned = whole.planned.get(f"{gate.module}::{gate.eval}", 0)
    verdict = judge_suite(runs, Demands(**gate.demands), planned=planned)
    return replace(gate, passed=verdict.passed, text=verdict.text)


def _comparison(parts: Sequence[SessionReport], whole: SessionReport) -> Comparison | None:
    known = [part.comparison for part in parts if part.comparison is not None]
    if not known:
        return None
    before: dict[Key, Judged] = {
        change.key: change.before for one in known for change in one.changes if change.before is not None
    }
    after = {
        (row.module, row.eval, row.case, row.trial): Judged(row.standing, row.score) for row in whole.evals
    }
    figures = {case: figures_of(some) for case, some in by_case(whole.runs, whole.cases).items()}
    spent = {
        (one.case, one.figure): replace(one, after=figures.get(one.case, {}).get(one.figure, one.after))
        for comparison in known
        for one in comparison.spent
    }
    return replace(
        compare(before, after, fresh=whole.fresh),
        spent=tuple(spent[key] for key in sorted(spent)),
        more_is_red=any(one.more_is_red for one in known),
    )


def _worse(comparison: Comparison | None) -> tuple[str, ...]:
    return tuple(worse(comparison)) if comparison is not None else ()


def worse(comparison: Comparison) -> list[str]:
    """Why a session is red by its baseline; nothing if it is not."""
    if comparison.is_of_other_cases:
        return [OTHER_CASES]
    more = [one for one in comparison.beyond if one.is_more and comparison.more_is_red]
    return [
        *(f"{name}{REGRESSED}" for _, name in comparison.regressed),
        *(f"{one.figure} of {one.case}{REGRESSED}" for one in more),
    ]
