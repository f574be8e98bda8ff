"""What `looplet_run` raises for a run that died."""

from __future__ import annotations

from looplet.errors import LoopletError
from looplet.trajectory import Trajectory
from pytest_looplet.failure import report


class RunFailed(LoopletError):
    """A run died: its model failed, its script ran dry, or its replay drifted.

    A check such as "never calls delete" would hold for a run that never got anywhere; hence the exception.

    Attributes:
        trajectory: What happened up to then.
    """

    __module__ = "pytest_looplet"

    def __init__(self, trajectory: Trajectory) -> None:
        super().__init__(report(trajectory, f"the run died: {trajectory.error}"))
        self.trajectory = trajectory
