"""Runs whose process dies: their steps are on disk as they are taken, and come into the report under xdist.

Beside the `trajectory.json` that a run gets when it ends, `--looplet-save-runs` keeps a `steps.jsonl` while
it is on: the run without its steps in the first line, then a line for each step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from looplet.errors import TraceError
from looplet.trajectory import Trajectory, TrajectoryBuilder
from looplet.trajectory.encode import encode, encode_step
from pytest_looplet.ledger import facts_key, note_run
from pytest_looplet.safe import sendable
from pytest_looplet.saved import run_folder
from pytest_looplet.settings import settings_of

NAME = "steps.jsonl"
DIED = "the process that ran it died"

begun_key = pytest.StashKey[int]()
started_key = pytest.StashKey[float]()


class StepsFile:
    """The steps of a run, appended as they are taken.

    Args:
        node: The test that makes the run.
        name: As for `save_run`.
        builder: Has the steps, without secrets.
    """

    def __init__(self, node: pytest.Item, name: str, builder: TrajectoryBuilder) -> None:
        count = node.stash[begun_key] = node.stash.get(begun_key, 0) + 1
        folder = run_folder(node, name, count)
        self._path = folder / NAME if folder is not None else None
        self._builder = builder

    def begin(self) -> None:
        """The run starts.

        Raises:
            TraceError: the file cannot be written.
        """
        if self._path is not None:
            self._write("wb", encode(self._builder.trajectory))

    def add(self) -> None:
        """A step was taken.

        Raises:
            TraceError: the file cannot be written.
        """
        if self._path is not None:
            self._write("ab", encode_step(self._builder.newest))

    def _write(self, mode: str, value: dict[str, Any]) -> None:
        path = cast(Path, self._path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open(mode) as file:
                file.write(f"{json.dumps(value)}\n".encode())
        except OSError as error:
            raise TraceError(f"cannot write {path}: {error.strerror or error}") from error

    def remove(self) -> None:
        """The run is saved whole."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def tell_of_dead(config: pytest.Config, nodeid: str, report: pytest.TestReport) -> None:
    """Put what the test *nodeid* had done when its process died on its *report*, and save it whole."""
    folder = settings_of(config).save_runs
    if folder is None:
        return
    since = config.stash.get(started_key, 0.0) - 1  # file systems round
    runs = [run for path in _written_since(folder, since) if (run := _load(path, nodeid)) is not None]
    if runs:
        item = cast(pytest.Item, _Dead(config))
        for run in runs:
            note_run(item, run)
        facts: dict[str, Any] = item.stash[facts_key]
        report.looplet = sendable({**facts, "test": nodeid})  # type: ignore[attr-defined]


class _Dead:
    """As much of an item as a run is noted on."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.stash = pytest.Stash()


def _written_since(folder: Path, since: float) -> Iterator[Path]:
    for path in sorted([*folder.rglob("trajectory.json"), *folder.rglob(NAME)]):
        with suppress(OSError):
            if path.stat().st_mtime >= since:
                yield path


def _load(path: Path, nodeid: str) -> Trajectory | None:
    """The run of *nodeid* in the file; None if it holds another's, or nothing that can be read."""
    try:
        run = Trajectory.load(path) if path.name != NAME else _rescued(path)
    except (TraceError, OSError, ValueError):
        return None
    if run.metadata.get("test") != nodeid:
        return None
    if path.name == NAME:
        run.save(path.with_name("trajectory.json"))
        path.unlink()
    return run


def _rescued(path: Path) -> Trajectory:
    first, *steps = path.read_bytes().split(b"\n")[:-1]  # what follows the last line's end was cut off
    document = {**json.loads(first), "steps": [json.loads(step) for step in steps], "error": DIED}
    return Trajectory.from_json(json.dumps(document), source=str(path))


def note_start(config: pytest.Config) -> None:
    """Remember when this session began, to tell its files from those of earlier ones."""
    config.stash.setdefault(started_key, time.time())
