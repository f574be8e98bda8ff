"""pytest_looplet: record an agent once, replay it offline for ever, judge every step.

The plugin itself is `pytest_looplet.plugin`; pytest loads it. This window holds what tests import, and
loads it when it is asked for, because it is opened in every pytest run of everyone who has it installed.
"""

TYPE_CHECKING = False  # what typing.TYPE_CHECKING is at run time, without importing typing
if TYPE_CHECKING:
    from pytest_looplet.capture import from_cassette as from_cassette
    from pytest_looplet.cassette import (
        Cassette as Cassette,
        CassetteDrift as CassetteDrift,
        CassetteError as CassetteError,
        open_cassette as open_cassette,
        use_cassette as use_cassette,
    )
    from pytest_looplet.cassette.backend import tape_backend as tape_backend
    from pytest_looplet.expectation import Expectation as Expectation, expect as expect
    from pytest_looplet.failure import Unmet as Unmet
    from pytest_looplet.pattern import Pattern as Pattern, call as call
    from pytest_looplet.run_failed import RunFailed as RunFailed

_NAMES = {
    "capture": "from_cassette",
    "cassette": "Cassette CassetteDrift CassetteError open_cassette use_cassette",
    "cassette.backend": "tape_backend",
    "expectation": "Expectation expect",
    "failure": "Unmet",
    "pattern": "Pattern call",
    "run_failed": "RunFailed",
}
"""Module, and the public names it gives to this window."""

__all__ = [name for names in _NAMES.values() for name in names.split()]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in __all__:  # told before looplet is loaded: a pytest run that does not use us does without
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from looplet.lazy import names_of

    return names_of(__name__, _NAMES)[1](name)
