"""Cases of an eval file: from the folder `cases` beside it, or from its list `looplet_cases`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from looplet.evals.case import Case, CaseError, Row, parse_cases, read_json_cases

SUFFIXES = (".yaml", ".yml", ".json", ".jsonl")


def cases_beside(path: Path) -> list[Case]:
    """The cases in the folder `cases` beside the eval file *path*; empty without such files.

    Raises:
        CaseError: a file or a case is wrong; the text names file and line.
    """
    return cases_in(path.parent / "cases")


def cases_in(place: Path) -> list[Case]:
    """The cases in a file, or in the files of a folder.

    Raises:
        CaseError: a file or a case is wrong; the text names file and line.
    """
    files = [place] if place.is_file() else sorted(place.glob("*"))
    files = [file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()]
    return parse_cases(row for file in files for row in _rows(file))


def cases_listed(values: object, where: str) -> list[Case]:
    """The cases of a list in Python: mappings or `Case` objects.

    Raises:
        CaseError: a case is wrong, or it is no list.
    """
    if isinstance(values, (str, bytes, dict)) or not isinstance(values, Iterable):
        raise CaseError(f"{where}: looplet_cases must be a list of cases, not {type(values).__name__}")
    return parse_cases((value, f"{where}: looplet_cases[{number}]") for number, value in enumerate(values))


def _rows(file: Path) -> list[Row]:
    if file.suffix.lower() in (".json", ".jsonl"):
        return read_json_cases(file)
    from pytest_looplet.evals.yaml_cases import yaml_rows

    return yaml_rows(file)
