"""The trajectory that was accepted for a test, and how a run departs from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from os import PathLike
from pathlib import Path

from looplet.errors import TraceError
from looplet.trajectory.diff import difference
from looplet.trajectory.record import Trajectory
from pytest_looplet.failure import Miss
from pytest_looplet.screen import SCREEN

SUFFIX = ".run.json"
"""What follows the name of a test in the name of its accepted trajectory."""

_ACCEPT: ContextVar[Callable[[str], None] | None] = ContextVar("looplet_accept", default=None)


def accept_all(tell: Callable[[str], None]) -> Callable[[], None]:
    """From now on today's runs are the new expectation; gives what undoes that.

    Args:
        tell: Told of each recording that changes, in one line: its file and why.
    """
    token = _ACCEPT.set(tell)
    return lambda: _ACCEPT.reset(token)


def departure(run: Trajectory, path: str | PathLike[str] | None = None) -> Miss | None:
    """How *run* departs from the accepted trajectory; a run that was just recorded becomes that.

    Args:
        run: The run of today.
        path: Where the accepted trajectory is; if None, beside the cassette of the run.

    Raises:
        ValueError: *path* is not given and the run has no cassette.
        TraceError: The accepted trajectory cannot be read or written.
    """
    file = Path(path) if path is not None else accepted_path(run)
    tell = _ACCEPT.get()
    if tell is not None or run.metadata.get("recorded") is True:
        _accept(run, file, tell or (lambda line: None))
        return None
    if not file.exists():
        return Miss(f"expected the run to match its recording; there is none in {file}. {_how(run)}")
    context = None if SCREEN.get().lines is None else 2
    lines = difference(Trajectory.load(file), run, names=("recorded", "this"), context=context)
    if not lines:
        return None
    return Miss(f"expected the run to match its recording in {file}; {lines[0]}", (), lines[1:])


def departures(runs: Mapping[str, Trajectory]) -> dict[str, tuple[str, ...]]:
    """How each of *runs* departs from what was saved with its recording, in lines, by the run's name."""
    found: dict[str, tuple[str, ...]] = {}
    for name, run in runs.items():
        file = accepted_path(run) if "cassette" in run.metadata else None
        if file is None or not file.is_file():
            continue
        try:
            lines = difference(Trajectory.load(file), run, names=("recorded", "this"))
        except TraceError as error:
            lines = [str(error)]
        if lines:
            found[name] = tuple(lines)
    return found


def _accept(run: Trajectory, file: Path, tell: Callable[[str], None]) -> None:
    why = _changes(run, file)
    run.behaviour().save(file)
    if why:
        tell(f"{file}: {why[0]}")


def _changes(run: Trajectory, file: Path) -> list[str]:
    if not file.exists():
        return ["new"]
    try:
        return difference(Trajectory.load(file), run, names=("recorded", "this"))
    except TraceError:
        return ["the old one could not be read"]


def accepted_path(run: Trajectory) -> Path:
    """Where the accepted trajectory of *run* is: beside its cassette, under the same name.

    Raises:
        ValueError: The run has no cassette.
    """
    cassette = run.metadata.get("cassette")
    if not isinstance(cassette, str):
        raise ValueError("this run has no cassette; say where its recording is: to_match_recording(path)")
    name = Path(cassette).name
    for ending in (".yaml", ".yml", ".looplet"):
        name = name.removesuffix(ending)
    return Path(cassette).with_name(name + SUFFIX)


def _how(run: Trajectory) -> str:
    return f"Record it: {run.metadata.get('rerecord', 'pytest --looplet-record')}"
