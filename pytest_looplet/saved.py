"""`--looplet-save-runs`: a run directory for every trajectory of the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from looplet.trajectory import Trajectory
from pytest_looplet.names import safe_name
from pytest_looplet.settings import settings_of

written_key = pytest.StashKey[int]()


def save_run(node: pytest.Item, name: str, trajectory: Trajectory) -> None:
    """Write *trajectory*, if asked for, to a folder called *name* below the path of the file of *node*.

    A second run of one test gets `-2` behind its name. What an earlier session left there is replaced.
    """
    count = node.stash[written_key] = node.stash.get(written_key, 0) + 1
    folder = run_folder(node, name, count)
    if folder is not None:
        shareable(trajectory, node.config.rootpath).save(folder / "trajectory.json")


def run_folder(node: pytest.Item, name: str, count: int) -> Path | None:
    """The folder of the run number *count* of *node*; None if runs are not saved."""
    folder = settings_of(node.config).save_runs
    own = safe_name([name]) + (f"-{count}" if count > 1 else "")
    return None if folder is None else Path(folder, *_home(node), own)


def shareable(trajectory: Trajectory, root: Path) -> Trajectory:
    """*trajectory* as it is written to a file: its cassette as seen from *root*, the same on all machines."""
    cassette = trajectory.metadata.get("cassette")
    if not isinstance(cassette, str) or not Path(cassette).is_relative_to(root):
        return trajectory
    return trajectory.with_metadata(cassette=Path(cassette).relative_to(root).as_posix())


def _home(node: pytest.Item) -> tuple[str, ...]:
    """The path of the file of *node* from the root folder, no suffix; if it lies elsewhere, its name."""
    root = node.config.rootpath
    if node.path.is_relative_to(root):
        return node.path.relative_to(root).with_suffix("").parts
    return (node.path.stem,)
