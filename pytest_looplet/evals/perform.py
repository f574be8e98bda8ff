"""The run of the agent that an eval needs: when it happens, and how often."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from pytest_looplet.evals.agent_run import AgentRun
from pytest_looplet.evals.cell import Cell
from pytest_looplet.evals.module import EvalModule
from pytest_looplet.evals.outcome import Outcome, outcome_of
from pytest_looplet.evals.phases import is_skipped, phases
from pytest_looplet.evals.results import results_of
from pytest_looplet.ledger import note
from pytest_looplet.settings import settings_of


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
        from pytest_looplet.evals.batch import run_waiting  # brings asyncio

        run_waiting(file, cell, item)
    results.ensure(file, cell, lambda: run_agent(file, cell, item))


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
    for call, report in phases(item, first):
        outcome = outcome.then(outcome_of(call, report, item.trajectory if call.when == "call" else None))
    return outcome
