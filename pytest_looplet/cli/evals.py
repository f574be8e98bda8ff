"""`looplet eval RUNS`: as `python -m looplet eval`, but it reads cases in YAML too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from looplet.cli.evals import command
from pytest_looplet.evals.casefiles import cases_in
from pytest_looplet.evals.folders import CaseFolders

if TYPE_CHECKING:
    from looplet.evals.cli import Expected


def expectations(place: Path) -> Expected:
    """What the cases in a file or folder expect, by the names of their run directories, later trials too.

    Raises:
        CaseError: a file or a case is wrong; the text names file and line.
    """
    folders = CaseFolders(cases_in(place))

    def expected(name: str) -> object:
        found = folders.find(name)
        return found[0].expected if found else None

    return expected


COMMAND = command(expectations)
