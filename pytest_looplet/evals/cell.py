"""A cell: one case in one trial, which is one run of the agent and one test id for each eval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from looplet.evals.case import Case
from pytest_looplet.evals.folders import CaseFolders, run_name

RESERVED_TAGS = frozenset(
    {"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "looplet"}
)

known_tags_key = pytest.StashKey[set[str]]()


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the agent that evals look at.

    Attributes:
        case: The case; for a saved run, one made of its folder's name.
        trial: Which repetition, from 1.
        saved: The run directory that is graded instead of running the agent, or None.
        id: How the cell is called in test ids and file names: the first trial has the case's own id.
    """

    case: Case
    trial: int = 1
    saved: Path | None = None
    id: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", run_name(self.case.id, self.trial))


def cells_of(cases: Sequence[Case], trials: int) -> list[Cell]:
    """Every case in every trial, case by case.

    Raises:
        pytest.Collector.CollectError: two cells would have the same id.
    """
    cells = [Cell(case, trial) for case in cases for trial in range(1, trials + 1)]
    seen: set[str] = set()
    for cell in cells:
        if cell.id in seen:
            raise pytest.Collector.CollectError(
                f"{cell.case.source}: the case id {cell.case.id!r} reads like a trial of another; rename it"
            )
        seen.add(cell.id)
    return cells


def saved_cells(folder: Path, cases: Sequence[Case]) -> list[Cell]:
    """A cell for each run directory in *folder*, at any depth, or for *folder* itself if it is one.

    A run directory that is called as one of *cases*, or as a trial of one, is judged by what it expects.

    Raises:
        pytest.Collector.CollectError: there is none.
    """
    if (folder / "trajectory.json").is_file():
        runs = [folder]
    else:
        runs = sorted(path.parent for path in folder.rglob("trajectory.json"))
    if not runs:
        state = "holds no run directories" if folder.is_dir() else "does not exist"
        raise pytest.Collector.CollectError(
            f"--looplet-runs={folder}: the folder {state} (each has a trajectory.json)"
        )
    names = Counter(run.name for run in runs)
    known = CaseFolders(cases)
    cells = []
    for run in runs:
        name = run.name if names[run.name] == 1 else run.relative_to(folder).as_posix()
        case, trial = known.find(name) or (Case(name, None, source=str(run)), 1)
        cells.append(Cell(case, trial, saved=run))
    return cells


def tag_marks(config: pytest.Config, tags: Iterable[str], where: str) -> list[pytest.MarkDecorator]:
    """*tags* as pytest marks, registered so that `--strict-markers` knows them.

    Raises:
        pytest.Collector.CollectError: a tag is a mark with a meaning of its own to pytest.
    """
    marks = []
    for tag in sorted(tags):
        if tag in RESERVED_TAGS or tag.startswith("_"):
            raise pytest.Collector.CollectError(
                f"{where}: the tag {tag!r} means something to pytest; choose another"
            )
        known = config.stash.setdefault(known_tags_key, set())
        if tag not in known:
            known.add(tag)
            config.addinivalue_line("markers", f"{tag}: a tag of evals or cases")
        marks.append(getattr(pytest.mark, tag))
    return marks


def cell_of(item: pytest.Item) -> Cell | None:
    """The cell that *item* judges, or None if it is no eval."""
    try:
        cell = item.callspec.params["ctx"]  # type: ignore[attr-defined]
    except (AttributeError, KeyError):
        return None
    return cell if type(cell) is Cell else None
