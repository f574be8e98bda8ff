"""Trials that need not run, because the gate of their eval has decided: known while the session goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from looplet.evals.sequential import whole_rounds
from looplet.evals.suite import Decision, RunVerdict, decided
from pytest_looplet.evals.cell import Cell
from pytest_looplet.evals.plan import PlannedEval, plan_of
from pytest_looplet.sharing import locked, share_of

spared_key = pytest.StashKey[str]()
"""On an item that is left out: why."""


class Sparing:
    """What the gates that may stop early know.

    Args:
        share: Folder in which the workers of an xdist session meet, or None for a single process.
    """

    def __init__(self, share: Path | None) -> None:
        self._share = share
        self._runs: dict[tuple[str, str], list[RunVerdict]] = {}
        self._read: dict[tuple[str, str], int] = {}
        self._rounds: dict[tuple[str, str], int] = {}
        self._decisions: dict[tuple[str, str], Decision] = {}

    def tell(self, planned: PlannedEval, run: RunVerdict) -> None:
        """Take note of a run that was judged."""
        if self._share is None:
            self._runs.setdefault(planned.key, []).append(run)
            return
        file = self._file(planned)
        with locked(file.with_suffix(".lock")), file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps([run.case, run.standing, run.score, run.trial]) + "\n")

    def reason(self, planned: PlannedEval, cell: Cell) -> str:
        """Why the eval *planned* need not judge *cell*; empty if it must."""
        demands = planned.demands
        if not demands.early_stop or demands.trials is None or cell.trial == 1:
            return ""
        found = self._decisions.get(planned.key) or self._decide(planned, demands.trials)
        if found is None or cell.trial <= found.after:
            return ""
        return f"left out: the gate of {planned.name} decided after {found.after} of {demands.trials} trials"

    def _decide(self, planned: PlannedEval, trials: int) -> Decision | None:
        runs = self._runs.setdefault(planned.key, [])
        runs += self._news(planned)
        rounds = whole_rounds((run.trial for run in runs), len(planned.cells) // trials)
        if self._rounds.get(planned.key) == rounds:
            return None
        self._rounds[planned.key] = rounds
        found = decided(runs, planned.demands, len(planned.cells))
        if found is not None:
            self._decisions[planned.key] = found
        return found

    def _news(self, planned: PlannedEval) -> Iterator[RunVerdict]:
        if self._share is None or not (file := self._file(planned)).exists():
            return
        with locked(file.with_suffix(".lock")), file.open("rb") as lines:
            lines.seek(self._read.get(planned.key, 0))
            content = lines.read()
            self._read[planned.key] = lines.tell()
        for line in content.splitlines():
            yield RunVerdict(*json.loads(line))

    def _file(self, planned: PlannedEval) -> Path:
        assert self._share is not None
        name = hashlib.sha256("::".join(planned.key).encode()).hexdigest()[:24]
        return self._share / f"gate-{name}.jsonl"


sparing_key = pytest.StashKey[Sparing]()


def sparing_of(config: pytest.Config) -> Sparing:
    """What this session's gates know."""
    found = config.stash.get(sparing_key, None)
    if found is None:
        found = config.stash[sparing_key] = Sparing(share_of(config))
    return found


def may_be_spared(item: pytest.Item, cell: Cell) -> str:
    """Why the eval *item* need not run; empty if it must."""
    name = getattr(item, "originalname", item.name)
    planned = plan_of(item.config).evals.get((item.parent.nodeid if item.parent else "", name))
    if planned is None or not planned.demands.early_stop:
        return ""
    return sparing_of(item.config).reason(planned, cell)
