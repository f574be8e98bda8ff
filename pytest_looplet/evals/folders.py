"""What the run directory of a case is called, and whose run a directory is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from looplet.evals.case import Case
from pytest_looplet.names import safe_name

TRIAL = re.compile(r"-trial(\d{1,9})(-[0-9a-f]{8})?$")
"""The end of a name that a later trial gave."""


def run_name(case: str, trial: int) -> str:
    """How a run is called in test ids and file names: the first trial has the id of its case."""
    return case if trial == 1 else f"{case}-trial{trial}"


class CaseFolders:
    """Finds the case and the trial that a run directory holds, by its name."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._trials: set[int] = set()
        self._known: dict[str, tuple[Case, int]] = {}
        self._learn(1)

    def find(self, name: str) -> tuple[Case, int] | None:
        """The case and the trial of the directory *name*; None if no case has a run of that name."""
        if found := TRIAL.search(name):
            self._learn(int(found[1]))
        return self._known.get(name)

    def _learn(self, trial: int) -> None:
        if trial in self._trials:
            return
        self._trials.add(trial)
        for case in self._cases:
            own = run_name(case.id, trial)
            # A case that is itself called as another's trial comes first: trial 1 is learnt before all.
            self._known.setdefault(own, (case, trial))
            self._known.setdefault(safe_name([own]), (case, trial))
