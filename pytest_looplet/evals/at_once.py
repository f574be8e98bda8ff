"""Several runs of the agent at once, in one process: tasks for an async agent, threads for another.

They share one `looplet_agent`, set up once; each has its own node, cassette and outcome.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from looplet.clock import now, perf
from pytest_looplet.cassette.limit import Limits, limited
from pytest_looplet.evals.agent_run import AgentRun, call_collector, failed, fixtures_of, signature
from pytest_looplet.evals.cell import Cell
from pytest_looplet.evals.module import EvalModule
from pytest_looplet.evals.outcome import Outcome, outcome_of
from pytest_looplet.ledger import checked
from pytest_looplet.running import running, several_key
from pytest_looplet.settings import settings_of
from pytest_looplet.tapes import opened_for

OF_ONE_CASE = frozenset(
    {
        *("looplet_case", "looplet_trial", "looplet_workspace", "looplet_tools", "looplet_script"),
        *("looplet_permissions", "looplet_human", "looplet_clock"),
        *("tmp_path", "tmpdir", "capsys", "capfd", "caplog", "recwarn"),
    }
)
"""Fixtures that belong to one case: an agent that asks for one runs its cases one after another."""

LEAVES = (pytest.exit.Exception, KeyboardInterrupt)
"""What ends the session, whichever run raises it."""


class AgentRuns(pytest.Function):
    """Runs the agent of a file of evals on several cases at once.

    Attributes:
        runs: A node for each; the last one of its cell that was needed.
        outcomes: What each run came to, by the cell's id; filled as they end.
    """

    runs: list[pytest.Item]
    outcomes: dict[str, Outcome]

    @classmethod
    def of(cls, module: EvalModule, cells: Sequence[Cell]) -> AgentRuns:
        """The runs of *cells* for the evals of *module*."""
        item: AgentRuns = cls.from_parent(module, name=f"agent[{len(cells)} cases]", callobj=signature)
        item.runs = [AgentRun.of(module, cell) for cell in cells]
        item.outcomes = {}
        item.stash[several_key] = item.runs
        return item

    def runtest(self) -> None:
        """Call the agent for all cases, so many at once as the session allows."""
        settings = settings_of(self.config)
        request = cast(Any, self.funcargs["request"])
        agent = cast(Callable[..., Any], self.funcargs["looplet_agent"])
        # Fixtures are set up one at a time, so before the runs begin.
        wanted = {name for collector in self._collectors.values() for name in fixtures_of(collector)}
        fixtures = {name: request.getfixturevalue(name) for name in sorted(wanted)}
        together = _Together(settings.concurrency, settings.provider_retries, agent, fixtures, self.outcomes)
        with limited(Limits(settings.concurrency, settings.call_limits)):
            request.getfixturevalue("looplet_await")(together.run_all(cast("list[AgentRun]", self.runs)))

    @property
    def _collectors(self) -> dict[str, Callable[..., Any]]:
        assert isinstance(self.parent, EvalModule)
        return self.parent.collectors


def of_one_case(module: EvalModule) -> list[str]:
    """The fixtures that keep the cases of *module* from running at once."""
    names = {name for collector in module.collectors.values() for name in fixtures_of(collector)}
    for function in (signature, *module.collectors.values()):
        item: pytest.Function = pytest.Function.from_parent(module, name="agent", callobj=function)
        names.update(item.fixturenames)
    return sorted(names & OF_ONE_CASE)


class _Together:
    """The runs of one batch.

    Args:
        number: Runs at once.
        retries: How often a run is repeated that died of its provider.
        agent: What runs one case.
        fixtures: What collectors ask for.
        outcomes: Where outcomes are put.
    """

    def __init__(
        self,
        number: int,
        retries: int,
        agent: Callable[..., Any],
        fixtures: dict[str, Any],
        outcomes: dict[str, Outcome],
    ) -> None:
        self._free = asyncio.Semaphore(number)
        self._retries = retries
        self._agent = agent
        self._fixtures = fixtures
        self._outcomes = outcomes

    async def run_all(self, runs: Sequence[AgentRun]) -> None:
        """Run all, and raise what ends the session if one of them raised it."""
        tasks = [asyncio.create_task(self._run(run)) for run in runs]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, run: AgentRun) -> None:
        async with self._free:
            for repeats in range(self._retries + 1):
                outcome = await self._try(run if repeats == 0 else run.again())
                self._outcomes[run.cell.id] = replace(outcome, repeats=repeats)
                if not outcome.retriable:
                    return
                await asyncio.sleep(outcome.pause_s)

    async def _try(self, run: AgentRun) -> Outcome:
        started_s = perf()
        try:
            # Plugins that watch reports wait for that of the set-up before that of the call.
            run.ihook.pytest_runtest_makereport(item=run, call=pytest.CallInfo.from_call(_nothing, "setup"))
            with running(run), opened_for(run):
                error = await self._ended(run)
                return _outcome(run, error, started_s)  # a recording is complete if the report says so
        except (*LEAVES, asyncio.CancelledError):
            raise
        except BaseException as error:  # the cassette could not be opened or written
            return _outcome(run, error, started_s)

    async def _ended(self, run: AgentRun) -> BaseException | None:
        """How the body of *run* ended; whatever it raised is its own, unless it ends the session."""
        try:
            with checked(run):
                await self._body(run)
        except LEAVES:
            raise
        except asyncio.CancelledError as error:
            if cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
                raise
            return error
        except BaseException as error:
            return error
        return None

    async def _body(self, run: AgentRun) -> None:
        __tracebackhide__ = True
        run.take(await _answer(self._agent, run.cell.case.for_agent()))
        for name, function in run.collectors.items():
            found = call_collector(name, function, run.seen, self._fixtures.__getitem__)
            try:
                found = await found if inspect.isawaitable(found) else found
            except Exception as error:
                raise failed(name, error) from error
            run.add(name, found)
        run.save()


async def _answer(agent: Callable[..., Any], case: object) -> Any:
    __tracebackhide__ = True
    if inspect.iscoroutinefunction(agent) or inspect.iscoroutinefunction(type(agent).__call__):
        return await agent(case)
    answer, error = await _in_thread(functools.partial(agent, case))
    if error is not None:
        raise error
    return await answer if inspect.isawaitable(answer) else answer


async def _in_thread(function: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What *function* returns or raises, in a thread of its own: one of a pool would outlive its cassette."""
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def tell(answer: Any, error: BaseException | None) -> None:
        if not done.done():
            done.set_result((answer, error))

    def work() -> None:
        answer, error = None, None
        try:
            answer = context.run(function)
        except BaseException as caught:
            error = caught
        loop.call_soon_threadsafe(tell, answer, error)

    thread = threading.Thread(target=work, name="looplet-agent", daemon=True)
    thread.start()
    found = await done
    thread.join()
    return found


def _outcome(run: AgentRun, error: BaseException | None, started_s: float) -> Outcome:
    call = pytest.CallInfo.from_call(functools.partial(_raise, error), when="call")
    call.duration = perf() - started_s
    call.start, call.stop = now() - call.duration, now()
    report: pytest.TestReport = run.ihook.pytest_runtest_makereport(item=run, call=call)
    return outcome_of(call, report, run.trajectory)


def _nothing() -> None:
    pass


def _raise(error: BaseException | None) -> None:
    __tracebackhide__ = True
    if error is not None:
        raise error


def titled(item: AgentRuns, sections: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Captured output of all runs together: nobody can tell whose it is."""
    return tuple((f"{title}, of {len(item.runs)} cases at once", text) for title, text in sections)
