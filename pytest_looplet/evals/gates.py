"""The gate of a suite: what an eval demands of all its runs together, as an item of its own."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import pytest

from looplet.evals.suite import RunVerdict, SuiteVerdict, judge_suite
from pytest_looplet.evals.failures import EvalFailed
from pytest_looplet.evals.plan import Facts, PlannedEval, plan_of
from pytest_looplet.ledger import ledger_of, note
from pytest_looplet.settings import settings_of


class GateItem(pytest.Item):
    """Judges all runs of one eval, after the last of them.

    Under xdist the runs end in several processes, so the item does nothing there; the controller reports
    in its place (`report_gates`).

    Attributes:
        eval_name: The eval.
    """

    eval_name: str

    @classmethod
    def of(cls, module: pytest.Module, eval_name: str) -> GateItem:
        """The gate of an eval of *module*."""
        item: GateItem = cls.from_parent(module, name=f"gate[{eval_name.removeprefix('eval_')}]")
        item.eval_name = eval_name
        item.extra_keyword_matches.add(eval_name)
        return item

    def runtest(self) -> None:
        """Judge; in a worker, leave it to the controller."""
        if hasattr(self.config, "workerinput"):
            return
        assert self.parent is not None
        planned = plan_of(self.config).evals[self.parent.nodeid, self.eval_name]
        found = judge(planned, ledger_of(self.config).rows, settings_of(self.config).require_all)
        note(
            self,
            gate=self.eval_name,
            module=planned.module,
            passed=bool(found and found.passed),
            text=_text(found),
            demands=asdict(planned.demands),
        )
        if found is None:
            pytest.skip(_text(found))
        if not found.passed:
            raise EvalFailed(found.text)

    def reportinfo(self) -> tuple[object, int | None, str]:  # type: ignore[override]
        """The file and the name; its line is asked for when a mark skips it."""
        return self.path, 0, self.name


def judge(planned: PlannedEval, rows: Sequence[Facts], require_all: bool) -> SuiteVerdict | None:
    """What the gate of *planned* comes to; None if the user left out some of its runs.

    Args:
        planned: The eval.
        rows: The facts of all reports.
        require_all: Whether runs that were left out keep the gate shut.
    """
    own = [row for row in rows if (row.get("module"), row.get("eval")) == planned.key]
    runs = [RunVerdict(row["case"], row["standing"], row["score"], row["trial"]) for row in own]
    if not runs:
        return SuiteVerdict(
            False, f"no run of {planned.name} was judged in this session: select it with its gate"
        )
    if len(planned.selected) < len(planned.cells) and not require_all:
        return None
    return judge_suite(runs, planned.demands, planned=len(planned.cells))


def _text(found: SuiteVerdict | None) -> str:
    return found.text if found is not None else "only a part of its runs was selected"


def report_gates(config: pytest.Config) -> None:
    """In the controller of xdist: report the gates that were selected, as if they had run here."""
    rows = ledger_of(config).rows
    for planned in plan_of(config).evals.values():
        if planned.gate is not None:
            found = judge(planned, rows, settings_of(config).require_all)
            _report(config, planned, found)


def _report(config: pytest.Config, planned: PlannedEval, found: SuiteVerdict | None) -> None:
    assert planned.gate is not None
    location = (planned.module, None, planned.gate.split("::")[-1])
    now, hook = time.time(), config.hook
    hook.pytest_runtest_logstart(nodeid=planned.gate, location=location)
    for when in ("setup", "call", "teardown"):
        report = pytest.TestReport(
            planned.gate, location, {}, "passed", None, when, duration=0.0, start=now, stop=now
        )
        if when == "call":
            facts: dict[str, Any] = {
                "gate": planned.name,
                "module": planned.module,
                "passed": bool(found and found.passed),
            }
            facts |= {"text": _text(found), "demands": asdict(planned.demands)}
            report.looplet = facts  # type: ignore[attr-defined]
            if found is None:
                report.outcome = "skipped"
                report.longrepr = (planned.module, 0, f"Skipped: {_text(found)}")
            elif not found.passed:
                report.outcome, report.longrepr = "failed", found.text
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=planned.gate, location=location)


class SilentGates:
    """In a worker of xdist: gates pass through their phases, and only trouble on the way is reported."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Set the gate up and take it down, so that the fixtures around it live as long as they should."""
        if not isinstance(item, GateItem):
            return None
        _pass_through(item, "setup")
        _pass_through(item, "teardown", nextitem=nextitem)
        return True


def _pass_through(item: pytest.Item, when: Literal["setup", "teardown"], **more: pytest.Item | None) -> None:
    hook = getattr(item.ihook, f"pytest_runtest_{when}")
    leaves = pytest.exit.Exception, KeyboardInterrupt
    call = pytest.CallInfo.from_call(functools.partial(hook, item=item, **more), when, reraise=leaves)
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    if not report.passed:
        item.ihook.pytest_runtest_logreport(report=report)
