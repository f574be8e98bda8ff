"""`--looplet-save-runs`: a run directory for every trajectory of the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from looplet.trajectory import Trajectory
from pytest_looplet.names import safe_name
from pytest_looplet.settings import settings_of

written_key = pytest.StashKey[int]()


def save_run(node: pytest.Item, name: str, trajectory: Trajectory) -> None:
    """Write *trajectory* to a folder called *name*, in one called after the file of *node*, if asked for.

    A second run of one test gets `-2` behind its name. What an earlier session left there is replaced.
    """
    folder = settings_of(node.config).save_runs
    if folder is None:
        return
    count = node.stash[written_key] = node.stash.get(written_key, 0) + 1
    own = safe_name([name]) + (f"-{count}" if count > 1 else "")
    trajectory.save(Path(folder, node.path.stem, own, "trajectory.json"))
