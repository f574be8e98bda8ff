"""What can go wrong with a cassette, as a tree.

- `CassetteError`: a mistake in the set-up or on the disk; an ordinary exception
    - `CassetteUnreadable`: the file is damaged, foreign or of another version
    - `CassetteNotWritten`: the disk refused it
    - `UnplayedInteractions`: a replay left recorded calls over (also an `AssertionError`)
    - `HTTPLibraryUnseen`: calls of an installed SDK would pass the tape unseen
- `ReplayStopped`: a replay cannot go on; a `BaseException`, so that neither an SDK's retry nor an agent's
  `except Exception` hides it
    - `CassetteDrift`: the request is not what was recorded
    - `NotRecorded`: there is no cassette to answer from
    - `NetworkBlocked`: something other than a taped call wanted the network
    - `BudgetSpent`: the next call could pass the session's budget
    - `NoTape`: a call that belongs to no cassette, or to one that is closed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from looplet.errors import LoopletError

if TYPE_CHECKING:
    from pytest_looplet.cassette.drift import Drift


class CassetteError(LoopletError):
    """Base of the mistakes a person mends outside the agent: a path, a file, an installation."""


class CassetteUnreadable(CassetteError):
    """A cassette cannot be read; the text names the file, the line and the mend.

    Attributes:
        path: The file.
        line: Line the reader stopped at, from 1; None where the file as a whole is wrong.
    """

    def __init__(self, path: str, reason: str, *, line: int | None = None, mend: str = "") -> None:
        at = f"{path}:{line}" if line else path
        super().__init__(f"cannot read cassette {at}: {reason}" + (f"\n{mend}" if mend else ""))
        self.path = path
        self.line = line


class CassetteNotWritten(CassetteError):
    """A recording could not be saved; an older cassette at the same path is untouched."""


class UnplayedInteractions(CassetteError, AssertionError):
    """A replay ended before every recorded call was made."""


class HTTPLibraryUnseen(CassetteError):
    """An installed SDK speaks through an HTTP library, or a patch of one, that is not intercepted."""


class ReplayStopped(BaseException):
    """Base of what ends a replay at once, whatever the code under test catches."""


class BudgetSpent(ReplayStopped):
    """A model call was not made because it could take the session over its budget."""


class CassetteDrift(ReplayStopped):
    """A request is not what was recorded.

    Attributes:
        drift: What differs, as data.
    """

    def __init__(self, message: str, drift: Drift) -> None:
        super().__init__(message)
        self.drift = drift


class NotRecorded(ReplayStopped):
    """A call in replay for which no cassette exists."""


class NetworkBlocked(ReplayStopped):
    """Code in a replay wanted to connect to a host that is not allowed.

    Attributes:
        host: The host, with its port where one was given.
    """

    def __init__(self, host: str, what: str) -> None:
        super().__init__(
            f"{what} {host!r} blocked: a replay connects to nothing. "
            f"Allow it with the ini option looplet_allow_hosts = {host.partition(':')[0] or host}"
        )
        self.host = host


class NoTape(ReplayStopped):
    """A model call while cassettes are open, that belongs to none of them."""
