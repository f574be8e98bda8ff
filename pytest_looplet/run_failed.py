"""What `looplet_run` raises for a run that died."""

from __future__ import annotations

from dataclasses import replace

import pytest

from looplet.errors import LoopletError, ModelError
from looplet.text import escape_terminal
from looplet.trajectory import Trajectory
from pytest_looplet.failure import Miss, report

failure_key = pytest.StashKey[ModelError]()
"""On an item: what the model's last call came to in a run that died of it."""

NOT_RECORDED = "nothing was recorded: see that the model's server is there and lets you in, then record again"
"""Under a run that died while it was recorded."""


class RunFailed(LoopletError):
    """A run died: its model failed, its script ran dry, or its replay drifted.

    A check such as "never calls delete" would hold for a run that never got anywhere; hence the exception.

    Args:
        trajectory: What happened up to then.
        cause: How the last model call failed; the notes on it are shown.

    Attributes:
        trajectory: What happened up to then.
    """

    __module__ = "pytest_looplet"

    def __init__(self, trajectory: Trajectory, cause: BaseException | None = None) -> None:
        super().__init__(_screen(trajectory, cause))
        self.trajectory = trajectory


def _screen(run: Trajectory, cause: BaseException | None) -> str:
    sentence = f"the run died: {run.error}"
    why = [escape_terminal(note) for note in getattr(cause, "__notes__", ())]
    if run.metadata.get("recorded") is True:
        # To do the same again would mend nothing, and what there is of a cassette is as it was.
        told = {key: value for key, value in run.metadata.items() if key not in ("cassette", "rerecord")}
        run, why = replace(run, metadata=told), [*why, NOT_RECORDED]
    return report(run, Miss(sentence, (), why))
