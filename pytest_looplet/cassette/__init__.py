"""Cassettes: the recorded model traffic of one test, and its replay.

This package needs vcrpy and never pytest, so `use_cassette` works in notebooks and scripts too. Its other
rooms are `backend`, for models that do not speak HTTP, and `upkeep`, for looking after the files.
"""

from pytest_looplet.cassette.cassette import (
    Cassette,
    Policy,
    Unused,
    kept_installed,
    open_cassette,
    use_cassette,
)
from pytest_looplet.cassette.difference import Difference
from pytest_looplet.cassette.drift import Drift
from pytest_looplet.cassette.errors import (
    BudgetSpent,
    CassetteDrift,
    CassetteError,
    CassetteNotWritten,
    CassetteUnreadable,
    HTTPLibraryUnseen,
    NetworkBlocked,
    NoTape,
    NotRecorded,
    ReplayStopped,
    UnplayedInteractions,
)
from pytest_looplet.cassette.interaction import Interaction
from pytest_looplet.cassette.matching import DriftClass, Normalizer
from pytest_looplet.cassette.tape import Match, Mode

__all__ = [
    "BudgetSpent",
    "Cassette",
    "CassetteDrift",
    "CassetteError",
    "CassetteNotWritten",
    "CassetteUnreadable",
    "Difference",
    "Drift",
    "DriftClass",
    "HTTPLibraryUnseen",
    "Interaction",
    "Match",
    "Mode",
    "NetworkBlocked",
    "NoTape",
    "Normalizer",
    "NotRecorded",
    "Policy",
    "ReplayStopped",
    "UnplayedInteractions",
    "Unused",
    "kept_installed",
    "open_cassette",
    "use_cassette",
]
