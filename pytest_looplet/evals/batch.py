"""The runs that need not wait for each other: which they are, and how they happen at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import pytest

from pytest_looplet.evals.agent_run import AgentRun
from pytest_looplet.evals.at_once import AgentRuns, of_one_case, titled
from pytest_looplet.evals.cell import Cell, cell_of
from pytest_looplet.evals.module import EvalModule
from pytest_looplet.evals.outcome import Outcome, outcome_of
from pytest_looplet.evals.phases import is_skipped, phases
from pytest_looplet.evals.plan import plan_of
from pytest_looplet.evals.results import results_of
from pytest_looplet.evals.sparing import may_be_spared
from pytest_looplet.ledger import note
from pytest_looplet.marker import marked
from pytest_looplet.places import cassette_path
from pytest_looplet.settings import Settings, settings_of


def run_waiting(file: EvalModule, cell: Cell, item: pytest.Item) -> None:
    """Run the agent for *cell* and what evals after *item* need, if it can serve several cases at once."""
    settings = settings_of(item.config)
    most = settings.concurrency if item.config.getoption("maxfail", 0) else None
    cells = list(islice(_waiting(file, cell, item, settings), most))
    if len(cells) > 1 and _may_be_at_once(file, item):
        results_of(item.config).ensure_all(file, cells, lambda some: run_at_once(file, some, item))


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


def run_at_once(file: EvalModule, cells: Sequence[Cell], first: pytest.Item) -> dict[str, Outcome]:
    """Run the agent for all *cells*, several at once, before the eval *first* begins.

    Gives the outcome of each by the cell's id.
    """
    item = AgentRuns.of(file, cells)
    shared = Outcome("ok")
    told: tuple[tuple[str, str], ...] = ()
    for call, report in phases(item, first):
        told = titled(item, report.sections)
        shared = shared.then(outcome_of(call, report, None))
    found = {}
    for cell in cells:
        own = item.outcomes.get(cell.id)  # None if set-up failed, or the batch was cut
        outcome = shared if own is None else own.then(replace(shared, sections=()))
        found[cell.id] = replace(outcome, sections=told)
    return found
