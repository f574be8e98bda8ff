"""What a session set out to judge, so that nothing can go missing without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from looplet.evals.marks import NO_DEMANDS, Demands

Facts = Mapping[str, Any]
"""One eval's row as its report carried it; see `pytest_looplet.ledger`."""


@dataclass(slots=True)
class PlannedEval:
    """One eval of one file.

    Attributes:
        module: The file's node id.
        name: The function's name.
        demands: What its mark asks for.
        tags: Its tags.
        cells: Ids of all its cells.
        selected: Ids of those that the user's selection left, in order, each once; the values say nothing.
        gate: Node id of its suite gate if it has one that was selected and that no mark skips.
    """

    module: str
    name: str
    demands: Demands = NO_DEMANDS
    tags: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    selected: dict[str, None] = field(default_factory=dict)
    gate: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What its rows are found by."""
        return self.module, self.name


class Plan:
    """The evals of a session.

    Attributes:
        evals: By file and function.
        skipped: Node ids of files that skipped themselves when they were imported, in order, each once.
    """

    def __init__(self) -> None:
        self.evals: dict[tuple[str, str], PlannedEval] = {}
        self.skipped: dict[str, None] = {}

    def add(
        self, module: str, name: str, demands: Demands, cells: Sequence[str], *, tags: Iterable[str] = ()
    ) -> PlannedEval:
        """Note an eval that was collected."""
        planned = self.evals.setdefault((module, name), PlannedEval(module, name, demands, sorted(tags)))
        planned.cells = list(dict.fromkeys([*planned.cells, *cells]))
        return planned

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for the way from a worker to its controller."""
        return {"evals": [asdict(planned) for planned in self.evals.values()], "skipped": self.skipped}

    def merge(self, stored: Mapping[str, Any]) -> None:
        """Add what a worker planned; workers plan the same, unless one died early."""
        self.skipped |= stored["skipped"]
        for entry in stored["evals"]:
            planned = PlannedEval(**{**entry, "demands": Demands(**entry["demands"])})
            self.evals.setdefault(planned.key, planned)

    def unreported(self, rows: Sequence[Facts]) -> list[str]:
        """Selected evals that no report tells of, as `file::eval[cell]`."""
        seen = {(row["module"], row["eval"], row["cell"]) for row in rows if "eval" in row}
        seen |= {(row["module"], row["spared"], row["cell"]) for row in rows if "spared" in row}
        return [
            f"{planned.module}::{planned.name}[{cell}]"
            for planned in self.evals.values()
            for cell in planned.selected
            if (*planned.key, cell) not in seen
        ]

    def left_out(self) -> list[str]:
        """Required evals of which the selection left cells out, as `file::eval (3 of 8 runs)`."""
        return [
            f"{planned.module}::{planned.name} ({len(planned.selected)} of {len(planned.cells)} runs)"
            for planned in self.evals.values()
            if planned.demands.required and len(planned.selected) < len(planned.cells)
        ]

    def gates_left_out(self) -> list[str]:
        """Required evals whose suite gate the selection left out, as `file::eval`."""
        return [
            "::".join(planned.key)
            for planned in self.evals.values()
            if planned.demands.required and planned.demands.is_suite_gate and planned.gate is None
        ]


plan_key = pytest.StashKey[Plan]()


def plan_of(config: pytest.Config) -> Plan:
    """The plan of this session."""
    found = config.stash.get(plan_key, None)
    if found is None:
        found = config.stash[plan_key] = Plan()
    return found
