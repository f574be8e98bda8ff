"""The collector of one file of evals."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from types import FunctionType, MethodType
from typing import Any

import pytest

from looplet.evals.case import Case, CaseError
from looplet.evals.discover import is_eval
from looplet.evals.marks import Demands, demands_of, marks_of
from looplet.evals.suite import unreachable
from pytest_looplet.evals import injected
from pytest_looplet.evals.casefiles import cases_beside, cases_listed
from pytest_looplet.evals.cell import Cell, cells_of, saved_cells, tag_marks
from pytest_looplet.evals.gates import GateItem
from pytest_looplet.evals.plan import plan_of
from pytest_looplet.settings import settings_of
from pytest_looplet.sharing import runs_all_in_each

HOW_TO_GIVE_RUNS = """{path}: there is nothing to judge. Give one of
  - cases: files in {cases} (.yaml, .json, .jsonl), or a list looplet_cases in the file,
    which a fixture looplet_agent runs
  - saved runs: pytest --looplet-runs=DIR"""


NOT_IN_EACH = """{path}: with --dist=each every environment judges the same cases, and the last would count.
Run pytest once for each environment, with -n or without"""


def _would_not_run(value: object) -> str:
    """Why pytest would pass over an eval, with a warning at most; empty if it would not."""
    function = value
    while not isinstance(function, FunctionType | MethodType):
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None:
            return f"is a {type(value).__name__} and no function: write a def"
        function = inner
    return "yields: let it return its verdict" if inspect.isgeneratorfunction(function) else ""


class EvalModule(pytest.Module):
    """A file of evals: its functions `eval_*`, once for each cell, as plain pytest items.

    Attributes:
        first_eval: For each cell's id, the first eval of the file that looks at it.
    """

    _cases: list[Case] | None = None

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.first_eval: dict[str, str] = {}

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """The items; the fixtures `ctx` and `llm` exist in this file only.

        Raises:
            pytest.Collector.CollectError: each process of xdist would judge the same cases, or there are
                evals in a form that would never run.
        """
        if runs_all_in_each(self.config):
            raise self.CollectError(NOT_IN_EACH.format(path=self.nodeid))
        try:
            self.obj._looplet_ctx, self.obj._looplet_llm = injected.ctx, injected.llm
        except pytest.skip.Exception:
            plan_of(self.config).skipped[self.nodeid] = None
            raise
        for name, value in vars(self.obj).items():
            if is_eval(self.obj, name, value) and (flaw := _would_not_run(value)):
                raise self.CollectError(f"{self.nodeid}: {name} {flaw}")
        found = list(super().collect())
        for item in found:
            if isinstance(item, pytest.Class) and any(name.startswith("eval_") for name in dir(item.obj)):
                raise self.CollectError(
                    f"{self.nodeid}: the evals in class {item.name} would not run: write them as functions"
                )
        return [*found, *self._gates()]

    def _gates(self) -> Iterable[GateItem]:
        for name, function in vars(self.obj).items():
            if is_eval(self.obj, name, function) and demands_of(function).is_suite_gate:
                gate = GateItem.of(self, name)
                for mark in tag_marks(self.config, marks_of(function), name):
                    gate.add_marker(mark)
                yield gate

    def istestfunction(self, obj: object, name: str) -> bool:
        """Evals are what the file defines under a name that begins with `eval_`; tests are as everywhere."""
        if name.startswith("eval_"):
            return is_eval(self.obj, name, obj)
        return super().istestfunction(obj, name)

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Give the eval of *metafunc* one item for each of its cells.

        Raises:
            pytest.Collector.CollectError: the eval takes no `ctx`, or there is nothing to judge.
        """
        function, where = metafunc.function, f"{self.path.name}::{metafunc.definition.name}"
        if "ctx" not in metafunc.fixturenames:
            raise self.CollectError(f"{where}: an eval takes the run as its argument ctx")
        tags = tag_marks(self.config, marks_of(function), where)
        demands = demands_of(function)
        cells = self.cells(demands)
        if flaw := unreachable(
            demands, len({cell.case.id for cell in cells}), max(cell.trial for cell in cells)
        ):
            raise self.CollectError(f"{where}: the gate can never open: {flaw}")
        if demands.early_stop:
            demands = replace(demands, trials=max(cell.trial for cell in cells))
        ids = [cell.id for cell in cells]
        plan_of(self.config).add(self.nodeid, metafunc.definition.name, demands, ids, tags=marks_of(function))
        for cell in cells:
            self.first_eval.setdefault(cell.id, metafunc.definition.name)
        params = [
            pytest.param(
                cell, id=cell.id, marks=[*tags, *tag_marks(self.config, cell.case.tags, cell.case.source)]
            )
            for cell in cells
        ]
        metafunc.parametrize("ctx", params, indirect=True)

    def cells(self, demands: Demands) -> list[Cell]:
        """The cells of an eval with *demands*: saved runs if they are given, else cases and trials."""
        settings = settings_of(self.config)
        if settings.runs is not None:
            return saved_cells(settings.runs, self.cases)
        if not self.cases:
            where = f"{self.path.parent.name}/cases"
            raise self.CollectError(HOW_TO_GIVE_RUNS.format(path=self.nodeid, cases=where))
        return cells_of(self.cases, demands.trials or settings.trials)

    @cached_property
    def order(self) -> dict[str, int]:
        """Where in the file each name comes; 0 is the top."""
        return {name: place for place, name in enumerate(vars(self.obj))}

    @property
    def cases(self) -> list[Case]:
        """The cases of this file, if it has any."""
        if self._cases is None:
            self._cases = self._find_cases()
        return self._cases

    def _find_cases(self) -> list[Case]:
        try:
            listed = getattr(self.obj, "looplet_cases", None)
            return cases_beside(self.path) if listed is None else cases_listed(listed, self.path.name)
        except CaseError as error:
            raise self.CollectError(str(error)) from error

    @cached_property
    def collectors(self) -> dict[str, Callable[..., Any]]:
        """The functions `collect_*` that the file defines, in its order."""
        return {
            name: value
            for name, value in vars(self.obj).items()
            if is_eval(self.obj, name, value, "collect_")
        }
