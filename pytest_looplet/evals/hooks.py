"""The hooks that make evals out of the functions of an eval file; registered when there is such a file."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from looplet.clock import perf
from looplet.evals.gate import verdict
from looplet.evals.marks import Demands, demands_of
from looplet.evals.result import EvalResult
from pytest_looplet.cassette import CassetteError, kept_installed
from pytest_looplet.evals.cell import cell_of
from pytest_looplet.evals.explain import explain
from pytest_looplet.evals.failures import EvalFailed
from pytest_looplet.evals.gates import GateItem, SilentGates
from pytest_looplet.evals.injected import at_work
from pytest_looplet.evals.module import EvalModule
from pytest_looplet.evals.noting import blame_for, complete, item_name, note_exception, note_verdict
from pytest_looplet.evals.ordering import put_in_order
from pytest_looplet.evals.outcome import provider_failure
from pytest_looplet.evals.perform import see_to_it
from pytest_looplet.evals.phases import is_skipped
from pytest_looplet.evals.plan import plan_of
from pytest_looplet.evals.sparing import may_be_spared, spared_key
from pytest_looplet.evals.thresholds import named_demands, threshold_of, unknown_names
from pytest_looplet.ledger import note, record
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
        put_in_order(config, items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what the user's selection left."""
        plan = plan_of(session.config)
        for item in session.items:
            cell, module = cell_of(item), item.parent.nodeid if item.parent else ""
            if cell is not None:
                plan.evals[module, item_name(item)].selected[cell.id] = None
            if isinstance(item, GateItem) and not is_skipped(item):
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
        found = verdict(result, named_demands(item, demands), threshold=threshold_of(item))
        note_verdict(item, cell, found, result, blame=blame_for(found))
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
        if call.excinfo is not None:
            note_exception(item, call)
        report = yield
        if not report.passed:
            complete(item, call, report)
        return report


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
