"""Cassettes: the recorded model traffic of one test, and its replay.

This package needs vcrpy and never pytest, so `use_cassette` works in notebooks and scripts too. Its other
rooms are `backend`, for models that do not speak HTTP, and `upkeep`, for looking after the files.
"""

from looplet.lazy import names_of

TYPE_CHECKING = False  # what typing.TYPE_CHECKING is at run time, without importing typing
if TYPE_CHECKING:
    from pytest_looplet.cassette.cassette import (
        Cassette as Cassette,
        Policy as Policy,
        Unused as Unused,
        kept_installed as kept_installed,
        open_cassette as open_cassette,
        use_cassette as use_cassette,
    )
    from pytest_looplet.cassette.difference import Difference as Difference
    from pytest_looplet.cassette.drift import Drift as Drift
    from pytest_looplet.cassette.errors import (
        BudgetSpent as BudgetSpent,
        CassetteDrift as CassetteDrift,
        CassetteError as CassetteError,
        CassetteNotWritten as CassetteNotWritten,
        CassetteUnreadable as CassetteUnreadable,
        HTTPLibraryUnseen as HTTPLibraryUnseen,
        NetworkBlocked as NetworkBlocked,
        NoTape as NoTape,
        NotRecorded as NotRecorded,
        ReplayStopped as ReplayStopped,
        UnplayedInteractions as UnplayedInteractions,
    )
    from pytest_looplet.cassette.interaction import Interaction as Interaction
    from pytest_looplet.cassette.matching import DriftClass as DriftClass, Normalizer as Normalizer
    from pytest_looplet.cassette.tape import Match as Match, Mode as Mode

_NAMES = {
    "cassette": "Cassette Policy Unused kept_installed open_cassette use_cassette",
    "difference": "Difference",
    "drift": "Drift",
    "errors": "BudgetSpent CassetteDrift CassetteError CassetteNotWritten CassetteUnreadable"
    " HTTPLibraryUnseen NetworkBlocked NoTape NotRecorded ReplayStopped UnplayedInteractions",
    "interaction": "Interaction",
    "matching": "DriftClass Normalizer",
    "tape": "Match Mode",
}
"""Module, and the public names it gives to this package."""

__all__, __getattr__ = names_of(__name__, _NAMES)  # pyright: ignore[reportUnsupportedDunderAll]
