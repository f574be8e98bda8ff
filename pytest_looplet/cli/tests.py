"""Asking pytest which cassettes the tests of a project have."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from looplet.errors import ConfigError
from pytest_looplet.housekeeping import State, keeper_of

_RAN = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


class _Listener:
    """Keeps what the housekeeper of the session knows."""

    def __init__(self) -> None:
        self.state = State()

    def pytest_configure(self, config: pytest.Config) -> None:
        self.state = keeper_of(config).state


def state_of(folders: Sequence[Path], *, run: bool = False) -> State:
    """What pytest says of the cassettes of the tests in *folders*.

    Args:
        folders: Where to look for tests; files among them are left out.
        run: Run the tests, so that it is known what is played; else they are only collected.
    Raises:
        ConfigError: the tests could not be collected, so nobody knows what they use.
    """
    listener, told = _Listener(), io.StringIO()
    where = [str(folder) for folder in folders if folder.is_dir()]
    how = [] if run else ["--collect-only"]
    with redirect_stdout(told):
        status = pytest.main([*how, "-q", "-p", "no:cacheprovider", *where], plugins=[listener])
    if status not in (_RAN if run else (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)):
        last = told.getvalue().strip().rpartition("\n")[2]
        raise ConfigError(f"the tests could not be collected, so nothing is known of their cassettes: {last}")
    return listener.state
