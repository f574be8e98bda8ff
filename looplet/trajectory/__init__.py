"""Trajectories: what a run did, recorded while it happens, kept in files, read by every judge."""

from typing import TYPE_CHECKING

from looplet.trajectory.builder import TrajectoryBuilder
from looplet.trajectory.call import RecordedCall
from looplet.trajectory.record import Trajectory
from looplet.trajectory.traffic import Exchange

if TYPE_CHECKING:
    from looplet.trajectory.run import async_run_loop, run_loop

__all__ = ["Exchange", "RecordedCall", "Trajectory", "TrajectoryBuilder", "async_run_loop", "run_loop"]


def __getattr__(name: str) -> object:
    if name in ("async_run_loop", "run_loop"):  # who only reads trajectories does not load the loop
        from looplet.trajectory import run

        return getattr(run, name)
    raise AttributeError(f"module 'looplet.trajectory' has no attribute {name!r}")
