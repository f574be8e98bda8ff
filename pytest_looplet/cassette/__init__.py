"""Cassettes: the recorded model traffic of one test, and its replay.

This package needs vcrpy and never pytest, so `use_cassette` works in notebooks and scripts too.
"""

from pytest_looplet.cassette.cassette import Cassette, open_cassette, use_cassette
from pytest_looplet.cassette.drift import Difference, Drift
from pytest_looplet.cassette.errors import (
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

__all__ = [
    "Cassette",
    "CassetteDrift",
    "CassetteError",
    "CassetteNotWritten",
    "CassetteUnreadable",
    "Difference",
    "Drift",
    "HTTPLibraryUnseen",
    "Interaction",
    "NetworkBlocked",
    "NoTape",
    "NotRecorded",
    "ReplayStopped",
    "UnplayedInteractions",
    "open_cassette",
    "use_cassette",
]
