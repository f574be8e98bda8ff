"""Today's session as the new expectation: what of it differs, case by case, and the baseline it makes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from looplet.evals.compare import Change, Key, compare
from looplet.evals.spent import compare_spent
from pytest_looplet.report.accepted import Accepted, accepted_of, by_case
from pytest_looplet.report.baseline import accepted_in, judged
from pytest_looplet.report.changes import figure_text, show
from pytest_looplet.report.model import EvalRow, SessionReport

UNJUDGED = ("error", "skipped")


@dataclass(frozen=True, slots=True)
class Offer:
    """One case of a session that may become the new expectation.

    Attributes:
        case: `file::case`, or the name of a test's run.
        reasons: What differs from the baseline; empty if nothing does.
    """

    case: str
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        """The case and why, in one line."""
        return f"{self.case}: {'; '.join(self.reasons)}"


def offers(today: SessionReport, before: SessionReport | None) -> list[Offer]:
    """Every case of *today* that could be judged, with what differs from *before*."""
    old = before or SessionReport()
    known, runs = accepted_in(old), by_case(today.runs, today.cases)
    changes = compare(judged(old.evals), judged(today.evals), fresh=False).changes
    by: dict[str, list[Change]] = {}
    for change in changes:
        if change.after is not None and change.after.is_judged:
            by.setdefault(_case(change.key), []).append(change)
    found, of_evals = [], set(today.cases.values())
    for case in dict.fromkeys([*_judged_cases(today), *(case for case in runs if case not in of_evals)]):
        if case not in known and not any(change.before for change in by.get(case, ())):
            found.append(Offer(case, ("new",)))
            continue
        reasons = [*map(_told, by.get(case, ()))]
        reasons += _behaviour(known.get(case), accepted_of(runs[case])) if case in runs else []
        found.append(Offer(case, tuple(filter(None, reasons))))
    return found


def accepting(
    today: SessionReport,
    before: SessionReport | None,
    cases: Collection[str],
    *,
    gone: Collection[Key] = (),
    add: bool = False,
) -> SessionReport:
    """The baseline *before* with *cases* as they are today.

    What could not be judged today, and what did not run, stays as it was.

    Args:
        today: The session that is accepted.
        before: The baseline up to now, if there is one.
        cases: The cases that are accepted.
        gone: Rows of the baseline that no longer exist.
        add: Keep what was accepted of these cases as well, as further variants.
    """
    old = before or SessionReport()
    rows = {key: row for row in old.evals if (key := _key(row)) not in gone}
    left, all_old = {_case(key) for key in rows}, {_case(_key(row)) for row in old.evals}
    kept = {case: one for case, one in accepted_in(old).items() if case in left or case not in all_old}
    rows |= {
        _key(row): replace(row, duration_ms=0.0)
        for row in today.evals
        if row.standing not in UNJUDGED and _case(_key(row)) in cases
    }
    for case, runs in by_case(today.runs, today.cases).items():
        if case in cases:
            new = accepted_of(runs)
            kept[case] = kept[case].and_also(new) if add and case in kept else new
    ordered = sorted(rows.values(), key=lambda row: (row.module, row.order, row.eval, row.case, row.trial))
    return SessionReport(
        tuple(ordered), fresh=today.fresh, planned=dict(today.planned), accepted=dict(sorted(kept.items()))
    )


def not_accepted(today: SessionReport) -> list[str]:
    """A line for each eval that says nothing about the agent, so that there is nothing to accept."""
    return [
        f"{row.module}::{row.eval}[{row.case}] was not accepted: {row.standing}"
        + (f" ({row.blame})" if row.blame else "")
        for row in today.evals
        if row.standing in UNJUDGED
    ]


def _judged_cases(report: SessionReport) -> Iterator[str]:
    yield from (_case(_key(row)) for row in report.evals if row.standing not in UNJUDGED)


def _key(row: EvalRow) -> Key:
    return row.module, row.eval, row.case, row.trial


def _case(key: Key) -> str:
    return f"{key[0]}::{key[2]}"


def _told(change: Change) -> str:
    name = change.key[1] + (f" in trial {change.key[3]}" if change.key[3] > 1 else "")
    if change.kind in ("regressed", "fixed", "changed", "unjudged"):
        return f"{name} {show(change.before)} -> {show(change.after)}"
    return f"{name} is new" if change.kind == "new" else ""


def _behaviour(before: Accepted | None, now: Accepted) -> Iterable[str]:
    if before is None:
        return ["its behaviour was not known"]
    told = []
    others = [lines for variant in now.variants if (lines := before.departure(variant.run))]
    if others:
        told.append(next((line for line in others[0] if not line.startswith("like none of")), ""))
    elif len(now.variants) != len(before.variants):
        told.append(f"{len(now.variants)} accepted variants instead of {len(before.variants)}")
    spent = compare_spent({"": before.figures}, {"": now.figures})
    return [*told, *(figure_text(one) for one in spent if one.share)]
