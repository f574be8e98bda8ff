"""The hooks that make evals out of the functions of an eval file; registered when there is such a file."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from looplet.clock import perf
from looplet.evals.context import EvalContext
from looplet.evals.gate import Verdict, verdict
from looplet.evals.marks import Demands, demands_of
from looplet.evals.result import EvalResult
from looplet.evals.suite import RunVerdict
from pytest_looplet.cassette import CassetteError, kept_installed
from pytest_looplet.evals.agent_run import AgentRun
from pytest_looplet.evals.cell import Cell, cell_of
from pytest_looplet.evals.explain import explain, show_run
from pytest_looplet.evals.failures import AgentFailed, EvalFailed
from pytest_looplet.evals.gates import GateItem, SilentGates
from pytest_looplet.evals.injected import at_work
from pytest_looplet.evals.module import EvalModule
from pytest_looplet.evals.outcome import Blame, blame_of, provider_failure
from pytest_looplet.evals.perform import see_to_it
from pytest_looplet.evals.plan import plan_of
from pytest_looplet.evals.results import results_of
from pytest_looplet.evals.sparing import may_be_spared, spared_key, sparing_of
from pytest_looplet.evals.thresholds import threshold_of, unknown_names
from pytest_looplet.ledger import facts_key, note, record
from pytest_looplet.no_model import NoJudge
from pytest_looplet.report.effort import effort_of
from pytest_looplet.safe import make_safe, sendable
from pytest_looplet.settings import settings_of

NAME = "looplet-evals"


class EvalHooks:
    """What pytest calls for evals."""

    def __init__(self) -> None:
        self._kept = ExitStack()
        self._kept_for: EvalModule | None = None
        self._stand_ins: dict[Callable[..., Any], tuple[Callable[..., Any], list[Any]]] = {}

    @classmethod
    def register(cls, config: pytest.Config) -> None:
        """Put the hooks in force, once for each session."""
        if not config.pluginmanager.has_plugin(NAME):
            config.pluginmanager.register(cls(), NAME)
            if hasattr(config, "workerinput"):
                config.pluginmanager.register(SilentGates())
            if any(config.pluginmanager.has_plugin(name) for name in ("asyncio", "pytest_asyncio.plugin")):
                from pytest_looplet.evals import awaiting

                config.pluginmanager.register(awaiting)
            record(config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One item for each cell."""
        parent = metafunc.definition.parent
        if isinstance(parent, EvalModule) and metafunc.definition.name.startswith("eval_"):
            parent.parametrize(metafunc)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Gates last; the evals of one case together where that saves waiting. Correctness never needs it."""
        items.sort(key=lambda item: isinstance(item, GateItem))
        if getattr(config, "workerinput", {}).get("looplet_dist", "worksteal") == "worksteal":
            _put(items, _by_case, [cell_of(item) is not None for item in items])
        # A gate that may stop early looks at whole rounds.
        planned = plan_of(config).evals.values()
        in_rounds = {one.module for one in planned if one.demands.early_stop}
        if in_rounds:
            wanted = [cell_of(item) is not None and _module(item) in in_rounds for item in items]
            _put(items, lambda some: sorted(some, key=_trial), wanted)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what the user's selection left."""
        plan = plan_of(session.config)
        for item in session.items:
            cell, module = cell_of(item), item.parent.nodeid if item.parent else ""
            if cell is not None and cell.id not in (chosen := plan.evals[module, item_name(item)].selected):
                chosen.append(cell.id)
            if isinstance(item, GateItem):
                plan.evals[module, item.eval_name].gate = item.nodeid
        # In a worker of xdist the controller says so, at the end.
        told_here = not session.testsfailed and not hasattr(session.config, "workerinput")
        if told_here and (unknown := unknown_names(session.config)):
            raise pytest.UsageError("\n".join(unknown))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Leave nothing installed, also if the session was cut; tell the controller of xdist the plan."""
        self._kept.close()
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["looplet_plan"] = plan_of(session.config).to_json()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, bool, bool]:
        """Run the agent before the first eval of its cell is set up."""
        cell = cell_of(item)
        if cell is not None and cell.saved is None and not item.config.getoption("setuponly", False):
            file = item.parent
            assert isinstance(file, EvalModule)
            # What escaped here would be an internal error, which a worker of xdist may turn into success.
            if why := may_be_spared(item, cell):
                item.stash[spared_key] = why
                note(item, spared=item_name(item), module=file.nodeid, case=cell.case.id, cell=cell.id)
            else:
                self._keep_installed(file)
                see_to_it(file, cell, item)
        at_work.append(item)
        try:
            return (yield)
        finally:
            at_work.pop()
            if self._kept_for is not None and (nextitem is None or nextitem.parent is not self._kept_for):
                self._kept_for = None
                self._kept.close()

    def _keep_installed(self, file: EvalModule) -> None:
        """Between the runs of one file, leave in place what their cassettes install: that takes a while."""
        settings = settings_of(file.config)
        if self._kept_for is file or settings.live:
            return
        self._kept_for = file
        # What is wrong with the interception, each cassette tells itself.
        with suppress(CassetteError):
            self._kept.enter_context(kept_installed(guards=settings.mode == "replay"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Leave out a trial that its gate does not need."""
        if spared_key in item.stash:
            pytest.skip(item.stash[spared_key])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Catch what an eval returns, and judge it."""
        cell = cell_of(item)
        if cell is None or not isinstance(item, pytest.Function):
            return (yield)
        function = item.obj
        demands = demands_of(function)
        tries = settings_of(item.config).provider_retries + 1
        item.obj, returned = self._keeping(function, tries)
        started = perf()
        try:
            yield
        except AssertionError as error:
            if not _is_tolerated(demands):
                raise
            result = EvalResult(item.originalname, 0.0, "fail", explanation=str(error))
        else:
            result = EvalResult.from_return(returned[0] if returned else None, name=item.originalname)
        finally:
            item.obj = function
        result.duration_ms = result.duration_ms or (perf() - started) * 1000
        found = verdict(result, demands, threshold=threshold_of(item))
        _note(item, cell, found, result, blame=_blame(found))
        if found.standing == "failed" and _is_tolerated(demands):
            pytest.xfail(f"{found.reason}; the gate of {item.originalname} decides")
        if not found.green:
            raise EvalFailed(explain(item, cell, found, result))

    def _keeping(self, function: Callable[..., Any], tries: int) -> tuple[Callable[..., Any], list[Any]]:
        """The stand-in for *function*, and the list that holds what it returns; empty before it runs."""
        made = self._stand_ins.get(function)
        if made is None:
            returned: list[Any] = []
            made = self._stand_ins[function] = _keeping(function, returned, tries), returned
        made[1].clear()
        return made

    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object | None:
        """Await an async eval that no other plugin claims."""
        function = pyfuncitem.obj
        if cell_of(pyfuncitem) is None or not inspect.iscoroutinefunction(function):
            return None
        import asyncio

        arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
        asyncio.run(function(**arguments))
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note evals that raised or could not run. An xfail mark is about the eval, not its agent."""
        cell = cell_of(item) if spared_key not in item.stash else None
        if cell is not None and not isinstance(item, AgentRun):
            _note_exception(item, cell, call)
        report = yield
        if cell is not None and call.excinfo is not None and call.excinfo.errisinstance(AgentFailed):
            if hasattr(report, "wasxfail"):
                del report.wasxfail
            report.outcome = "failed"
            report.longrepr = str(call.excinfo.value)
        if cell is not None and report.skipped and call.when != "teardown":
            _refuse_to_skip(item, report)
        if cell is None or not report.failed or call.when == "teardown" or isinstance(item, AgentRun):
            return report
        if call.excinfo is not None:
            show_run(item, cell, call.excinfo.value, report)
        outcome = results_of(item.config).get(item.parent, cell) if item.parent else None
        if outcome is not None:
            report.sections += [(f"{title} of the agent", text) for title, text in outcome.sections]
        make_safe(report)
        return report


# ---------------------------------------------------------------- one eval


def _keeping(function: Callable[..., Any], returned: list[Any], tries: int) -> Callable[..., Any]:
    """*function*, with its return value put aside: pytest warns about tests that return one.

    It is called again where the provider of its judge failed and may not the next time, so many *tries* in
    all; in a replay as well, where the failure plays as it was recorded.
    """
    keeping = _keeping_async if inspect.iscoroutinefunction(function) else _keeping_now
    return functools.wraps(function)(keeping(function, returned, tries))


def _keeping_now(function: Callable[..., Any], returned: list[Any], tries: int) -> Callable[..., None]:
    def keep(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        for left in reversed(range(tries)):
            try:
                returned.append(function(*args, **kwargs))
                return
            except Exception as error:
                if not left or not _may_pass(error):
                    raise

    return keep


def _keeping_async(function: Callable[..., Any], returned: list[Any], tries: int) -> Callable[..., Any]:
    async def keep(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        for left in reversed(range(tries)):
            try:
                returned.append(await function(*args, **kwargs))
                return
            except Exception as error:
                if not left or not _may_pass(error):
                    raise

    return keep


def _may_pass(error: Exception) -> bool:
    """Whether *error* is trouble of a provider that may be over the next time."""
    failure = provider_failure(error)
    return failure is not None and failure.retriable


def _is_tolerated(demands: Demands) -> bool:
    """Whether one failed run is for the suite gate to judge: a rate below 1 expects some."""
    return demands.pass_rate is not None or (demands.min_mean is not None and demands.threshold is None)


def _blame(found: Verdict) -> Blame | None:
    return {"failed": "agent", "error": "harness"}.get(found.standing)  # type: ignore[return-value]


def _note_exception(item: pytest.Item, cell: Cell, call: pytest.CallInfo[None]) -> None:
    """Note an eval that raised, was skipped, or never began."""
    if call.excinfo is None or call.when == "teardown" or call.excinfo.errisinstance(EvalFailed):
        return
    error, reason = call.excinfo.value, " ".join(call.excinfo.exconly(tryshort=True).split())[:500]
    if isinstance(error, (pytest.skip.Exception, pytest.xfail.Exception)):
        if "standing" not in item.stash.get(facts_key, {}):  # a failure left to the suite gate is noted
            _note(
                item, cell, Verdict("skipped", str(error.msg or "")), EvalResult(item_name(item)), blame=None
            )
    elif isinstance(error, AssertionError):
        _note(item, cell, Verdict("failed", reason), EvalResult(item_name(item), 0.0, "fail"), blame="agent")
    elif isinstance(error, AgentFailed):
        outcome = results_of(item.config).get(item.parent, cell) if item.parent else None
        blame, reason = (outcome.blame, outcome.reason) if outcome is not None else ("harness", reason)
        _note(item, cell, Verdict("error", reason), EvalResult(item_name(item)), blame=blame)
    else:
        # An eval calls no model but its judge.
        blame = blame_of(error, "setup")
        blame = "judge" if blame == "provider" or isinstance(error, NoJudge) else blame
        _note(item, cell, Verdict("error", reason), EvalResult(item_name(item)), blame=blame)


def _refuse_to_skip(item: pytest.Item, report: pytest.TestReport) -> None:
    """A required eval that was skipped is red; one that was expected to fail and did is not skipped."""
    if not hasattr(report, "wasxfail") and demands_of(item.obj).required:  # type: ignore[attr-defined]
        report.outcome = "failed"
        report.longrepr = f"{item_name(item)} is required, but was skipped: {report.longreprtext}"
        facts = item.stash.get(facts_key, {})
        facts.update(
            standing="error", blame="harness", reason=f"required, but skipped: {facts.get('reason', '')}"
        )


def _note(item: pytest.Item, cell: Cell, found: Verdict, result: EvalResult, *, blame: Blame | None) -> None:
    # What was refused is told by the reason; it enters no mean.
    score = None if found.standing == "error" else result.score
    demands: Demands = demands_of(getattr(item, "obj", None) or item_name)
    said = {"score": score, "label": result.label, "standing": found.standing, "blame": blame}
    # They end up in JUnit files, which escape what XML cannot hold.
    item.user_properties += [(f"looplet_{k}", sendable(v)) for k, v in said.items() if v is not None]
    note(
        item,
        module=item.parent.nodeid if item.parent else "",
        eval=item_name(item),
        order=item.parent.order(item_name(item)) if isinstance(item.parent, EvalModule) else 0,
        case=cell.case.id,
        cell=cell.id,
        trial=cell.trial,
        standing=found.standing,
        blame=blame,
        score=score,
        label=result.label,
        metrics={name: value for name, value in result.metrics.items() if math.isfinite(value)},
        reason=found.reason,
        required=demands.required,
        duration_ms=round(result.duration_ms, 1),
    )
    if demands.early_stop and isinstance(item.parent, EvalModule):
        planned = plan_of(item.config).evals[item.parent.nodeid, item_name(item)]
        run = RunVerdict(cell.case.id, found.standing, score, cell.trial)
        sparing_of(item.config).tell(planned, run)
    ctx = getattr(item, "funcargs", {}).get("ctx")
    if cell.saved is None and isinstance(ctx, EvalContext) and ctx.trajectory is not None:
        note(item, effort=effort_of(ctx.trajectory))
    if settings_of(item.config).keeps_runs and isinstance(item.parent, EvalModule):
        trajectory = results_of(item.config).to_report(item.parent, cell, item.nodeid)
        if trajectory is not None:
            note(item, trajectory=trajectory)


def item_name(item: pytest.Item) -> str:
    """The eval's function name, without the cell."""
    return getattr(item, "originalname", None) or item.name


def _put(
    items: list[pytest.Item], order: Callable[[list[pytest.Item]], list[pytest.Item]], wanted: list[bool]
) -> None:
    """Order the *wanted* ones of *items* among themselves; the others stay where they are."""
    places = [place for place, is_wanted in enumerate(wanted) if is_wanted]
    for place, item in zip(places, order([items[place] for place in places]), strict=True):
        items[place] = item


def _module(item: pytest.Item) -> str:
    return item.parent.nodeid if item.parent else ""


def _trial(item: pytest.Item) -> int:
    cell = cell_of(item)
    return cell.trial if cell is not None else 0


def _by_case(items: list[pytest.Item]) -> list[pytest.Item]:
    """*items* so that the evals of one cell of one file follow each other, in the order they were met."""
    met: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        cell = cell_of(item)
        assert cell is not None
        met.setdefault((item.nodeid.split("::")[0], cell.id), []).append(item)
    return [item for group in met.values() for item in group]
