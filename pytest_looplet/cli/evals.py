"""`looplet eval RUNS`: as `python -m looplet eval`, but it reads cases in YAML too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from looplet.cli.evals import command
from pytest_looplet.evals.casefiles import cases_in
from pytest_looplet.names import safe_name


def expectations(place: Path) -> dict[str, Any]:
    """What the cases in a file or folder expect, by their ids and by the names of their run directories.

    Raises:
        CaseError: a file or a case is wrong; the text names file and line.
    """
    cases = cases_in(place)
    return {name: case.expected for case in cases for name in (safe_name([case.id]), case.id)}


COMMAND = command(expectations)
