"""The runs of the agent that an eval needs: when they happen, one by one or several at once."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from pytest_looplet.evals.agent_run import AgentRun
from pytest_looplet.evals.at_once import AgentRuns, of_one_case, titled
from pytest_looplet.evals.cell import Cell, cell_of
from pytest_looplet.evals.module import EvalModule
from pytest_looplet.evals.outcome import Outcome, outcome_of
from pytest_looplet.evals.plan import plan_of
from pytest_looplet.evals.results import results_of
from pytest_looplet.evals.sparing import may_be_spared
from pytest_looplet.ledger import note
from pytest_looplet.marker import marked
from pytest_looplet.places import cassette_path
from pytest_looplet.settings import Settings, settings_of


def see_to_it(file: EvalModule, cell: Cell, item: pytest.Item) -> None:
    """See to it that the run which the eval *item* looks at has happened, before it is set up."""
    results = results_of(item.config)
    if results.get(file, cell) is None and not is_skipped(item):
        try:
            _perform(file, cell, item)
        except OSError as error:  # a full disk costs the evals of the case, and not the session
            text = f"the outcome of the agent's run could not be kept: {error}"
            results.keep(file, cell, Outcome("failed", "harness", text, text))
    outcome = results.get(file, cell)
    if outcome is not None and outcome.repeats and results.is_first_to_tell(file, cell):
        note(item, repeats=outcome.repeats)


def _perform(file: EvalModule, cell: Cell, item: pytest.Item) -> None:
    results, settings = results_of(item.config), settings_of(item.config)
    if settings.calls_models and settings.concurrency > 1:
        most = settings.concurrency if item.config.getoption("maxfail", 0) else None
        cells = list(islice(_waiting(file, cell, item, settings), most))
        if len(cells) > 1 and _may_be_at_once(file, item):
            results.ensure_all(file, cells, lambda some: run_at_once(file, some, item))
    results.ensure(file, cell, lambda: run_agent(file, cell, item))


def _waiting(file: EvalModule, cell: Cell, item: pytest.Item, settings: Settings) -> Iterator[Cell]:
    """The cells of *file* that have not run and will not just play, from *cell* on in the session's order."""
    items = item.session.items
    met: set[str] = set()
    planned = plan_of(item.config).evals.values()
    in_rounds = any(one.module == file.nodeid and one.demands.early_stop for one in planned)
    for other in islice(items, items.index(item), None):
        next_cell = cell_of(other)
        if next_cell is None or other.parent is not file or next_cell.id in met:
            continue
        if in_rounds and next_cell.trial != cell.trial:
            continue
        if is_skipped(other) or may_be_spared(other, next_cell):
            continue
        met.add(next_cell.id)
        if results_of(item.config).get(file, next_cell) is None and not _is_recorded(
            file, next_cell, settings
        ):
            yield next_cell


def _is_recorded(file: EvalModule, cell: Cell, settings: Settings) -> bool:
    """Whether the run only plays, which takes no time and lets nothing to the network meanwhile."""
    if settings.live or settings.mode != "missing":
        return False
    run = AgentRun.of(file, cell)
    return cassette_path(run, settings, marked(run)).exists()


def _may_be_at_once(file: EvalModule, item: pytest.Item) -> bool:
    hindered = of_one_case(file)
    if hindered:
        asked = ", ".join(hindered)
        text = f"{file.nodeid}: cases ran one after another, because {asked} can serve one case at a time"
        note(item, remark=text)
    return not hindered


skipping_key = pytest.StashKey[Any]()


def is_skipped(item: pytest.Item) -> bool:
    """Whether the eval's own marks skip it: then its agent need not run."""
    asked = item.config.stash.get(skipping_key, None)
    if asked is None:
        manager = item.config.pluginmanager
        others = [plugin for plugin in manager.get_plugins() if manager.get_name(plugin) != "skipping"]
        asked = item.config.stash[skipping_key] = manager.subset_hook_caller("pytest_runtest_setup", others)
    call = pytest.CallInfo.from_call(functools.partial(asked, item=item), when="setup")
    return call.excinfo is not None


def run_agent(file: EvalModule, cell: Cell, first: pytest.Item) -> Outcome:
    """Run the agent for *cell*, again if its provider failed, before the eval *first* begins."""
    settings = settings_of(file.config)
    outcome = _run(file, cell, first)
    if not settings.calls_models:  # a recorded failure plays again
        return outcome
    for repeats in range(1, settings.provider_retries + 1):
        if not outcome.retriable:
            break
        time.sleep(outcome.pause_s)
        outcome = replace(_run(file, cell, first), repeats=repeats)
    return outcome


def _run(file: EvalModule, cell: Cell, first: pytest.Item) -> Outcome:
    try:
        item = AgentRun.of(file, cell)
    except pytest.fail.Exception as error:
        return Outcome("failed", "harness", str(error), str(error))
    outcome = Outcome("ok")
    for call, report in _phases(item, first):
        outcome = outcome.then(outcome_of(call, report, item.trajectory if call.when == "call" else None))
    return outcome


def run_at_once(file: EvalModule, cells: Sequence[Cell], first: pytest.Item) -> dict[str, Outcome]:
    """Run the agent for all *cells*, several at once, before the eval *first* begins.

    Gives the outcome of each by the cell's id.
    """
    item = AgentRuns.of(file, cells)
    shared = Outcome("ok")
    told: tuple[tuple[str, str], ...] = ()
    for call, report in _phases(item, first):
        told = titled(item, report.sections)
        shared = shared.then(outcome_of(call, report, None))
    found = {}
    for cell in cells:
        own = item.outcomes.get(cell.id)  # None if set-up failed, or the batch was cut
        outcome = shared if own is None else own.then(replace(shared, sections=()))
        found[cell.id] = replace(outcome, sections=told)
    return found


def _phases(
    item: pytest.Item, first: pytest.Item
) -> Iterator[tuple[pytest.CallInfo[None], pytest.TestReport]]:
    """Set *item* up, run it and tear it down through pytest's hooks; without the middle if set-up failed."""
    is_set_up = True
    for when in ("setup", "call", "teardown"):
        if when == "call" and not is_set_up:
            continue
        more = {"nextitem": first} if when == "teardown" else {}
        hook = getattr(item.ihook, f"pytest_runtest_{when}")
        call = pytest.CallInfo.from_call(
            functools.partial(hook, item=item, **more),
            when=when,
            reraise=(pytest.exit.Exception, KeyboardInterrupt),
        )
        report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            item.ihook.pytest_exception_interact(node=item, call=call, report=report)
        is_set_up = is_set_up and call.excinfo is None
        yield call, report
