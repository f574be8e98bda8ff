"""What the report of an eval says: noted when it was judged, raised, was skipped, or never began."""

from __future__ import annotations

import math

import pytest

from looplet.evals.gate import Verdict
from looplet.evals.marks import Demands, demands_of
from looplet.evals.result import EvalResult
from looplet.evals.suite import RunVerdict
from pytest_looplet.evals.cell import Cell, cell_of
from pytest_looplet.evals.explain import judged_run, show_run
from pytest_looplet.evals.failures import AgentFailed, EvalFailed
from pytest_looplet.evals.module import EvalModule
from pytest_looplet.evals.outcome import Blame, blame_of
from pytest_looplet.evals.plan import plan_of
from pytest_looplet.evals.results import results_of
from pytest_looplet.evals.sparing import spared_key, sparing_of
from pytest_looplet.ledger import facts_key, note
from pytest_looplet.no_model import NoJudge
from pytest_looplet.report.effort import effort_of
from pytest_looplet.safe import make_safe, sendable
from pytest_looplet.settings import settings_of


def blame_for(found: Verdict) -> Blame | None:
    """Who is to blame for the verdict *found*; nobody where the eval is not red."""
    return {"failed": "agent", "error": "harness"}.get(found.standing)  # type: ignore[return-value]


def _judged_by(item: pytest.Item) -> Cell | None:
    """The cell that *item* judges; None if it is no eval, or one that was left out."""
    return None if spared_key in item.stash else cell_of(item)


def note_exception(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Note an eval that raised, was skipped, or never began."""
    cell = _judged_by(item)
    error = call.excinfo.value if call.excinfo is not None else None
    if cell is None or call.excinfo is None or call.when == "teardown" or isinstance(error, EvalFailed):
        return
    name, reason = item_name(item), " ".join(call.excinfo.exconly(tryshort=True).split())[:500]
    if isinstance(error, (pytest.skip.Exception, pytest.xfail.Exception)):
        if "standing" not in item.stash.get(facts_key, {}):  # a failure left to the suite gate is noted
            note_verdict(item, cell, Verdict("skipped", str(error.msg or "")), EvalResult(name))
    elif isinstance(error, AssertionError):
        note_verdict(item, cell, Verdict("failed", reason), EvalResult(name, 0.0, "fail"), blame="agent")
    elif isinstance(error, AgentFailed):
        outcome = results_of(item.config).get(item.parent, cell) if item.parent else None
        blame, reason = (outcome.blame, outcome.reason) if outcome is not None else ("harness", reason)
        note_verdict(item, cell, Verdict("error", reason), EvalResult(name), blame=blame)
    else:
        # An eval calls no model but its judge.
        blame = blame_of(error, "setup")
        blame = "judge" if blame == "provider" or isinstance(error, NoJudge) else blame
        note_verdict(item, cell, Verdict("error", reason), EvalResult(name), blame=blame)


def complete(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """See to it that the report of an eval that did not pass says what a person needs."""
    cell = _judged_by(item)
    if cell is None:
        return
    if call.excinfo is not None and call.excinfo.errisinstance(AgentFailed):
        if hasattr(report, "wasxfail"):
            del report.wasxfail
        report.outcome = "failed"
        report.longrepr = str(call.excinfo.value)
    if call.when == "teardown":
        return
    if report.skipped:
        _refuse_to_skip(item, report)
    if not report.failed:
        make_safe(report)
        return
    if call.excinfo is not None:
        show_run(item, cell, call.excinfo.value, report)
    outcome = results_of(item.config).get(item.parent, cell) if item.parent else None
    if outcome is not None:
        report.sections += [(f"{title} of the agent", text) for title, text in outcome.sections]
    make_safe(report)


def _refuse_to_skip(item: pytest.Item, report: pytest.TestReport) -> None:
    """A required eval that was skipped is red; one that was expected to fail and did is not skipped."""
    facts = getattr(report, "looplet", {})
    has_run = hasattr(report, "wasxfail") and facts.get("standing") != "skipped"
    if not has_run and demands_of(item.obj).required:  # type: ignore[attr-defined]
        vars(report).pop("wasxfail", None)
        report.outcome = "failed"
        report.longrepr = f"{item_name(item)} is required, but was skipped: {report.longreprtext}"
        facts.update(
            standing="error", blame="harness", reason=f"required, but skipped: {facts.get('reason', '')}"
        )


def note_verdict(
    item: pytest.Item, cell: Cell, found: Verdict, result: EvalResult, *, blame: Blame | None = None
) -> None:
    """Note that *item* judged *cell* as *found*, by *result*, for all reports of the session."""
    # What was refused is told by the reason; it enters no mean.
    score = None if found.standing == "error" else result.score
    name, file = item_name(item), item.parent
    demands: Demands = demands_of(getattr(item, "obj", None) or item_name)
    said = {"score": score, "label": result.label, "standing": found.standing, "blame": blame}
    # They end up in JUnit files, which escape what XML cannot hold.
    item.user_properties += [(f"looplet_{k}", sendable(v)) for k, v in said.items() if v is not None]
    note(
        item,
        module=file.nodeid if file else "",
        eval=name,
        order=file.order[name] if isinstance(file, EvalModule) else 0,
        case=cell.case.id,
        cell=cell.id,
        trial=cell.trial,
        standing=found.standing,
        blame=blame,
        score=score,
        label=result.label,
        reason=found.reason,
        required=demands.required,
        duration_ms=round(result.duration_ms, 1),
    )
    if metrics := {key: value for key, value in result.metrics.items() if math.isfinite(value)}:
        note(item, metrics=metrics)
    if isinstance(file, EvalModule):
        if demands.early_stop:
            run = RunVerdict(cell.case.id, found.standing, score, cell.trial)
            sparing_of(item.config).tell(plan_of(item.config).evals[file.nodeid, name], run)
        _note_run(item, file, cell)


def _note_run(item: pytest.Item, file: EvalModule, cell: Cell) -> None:
    """Note what the run of *cell* took, and the run itself, where nobody noted them yet."""
    results = results_of(item.config)
    ctx = judged_run(item) if cell.saved is None else None
    if ctx is not None and ctx.trajectory is not None and results.tells("effort", file, cell, item.nodeid):
        note(item, effort=effort_of(ctx.trajectory))
    if settings_of(item.config).keeps_runs and results.tells("run", file, cell, item.nodeid):
        trajectory = results.to_report(file, cell)
        if trajectory is not None:
            note(item, trajectory=trajectory)


def item_name(item: pytest.Item) -> str:
    """The eval's function name, without the cell."""
    return getattr(item, "originalname", None) or item.name
