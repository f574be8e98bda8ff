"""Fixtures of wider scope that call a model: a tape of their own, for as long as their set-up takes."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_looplet.keys import lend
from pytest_looplet.places import fixture_cassette_path, rerecord_command
from pytest_looplet.settings import Settings, settings_of
from pytest_looplet.spending import unsaved_tape

WIDE = "looplet-wide-fixtures"


class WideFixtures:
    """Opens a tape around the set-up of each fixture of wider scope that the project itself defines.

    It replays and records as the tape of a test does. But it refuses no connections: such a fixture may
    start a database, and only its model calls are taped.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Open the tape, if this is such a fixture and the session is not live."""
        try:
            return (yield from self._set_up(fixturedef, request))
        except BaseException as error:
            # What ends a replay is no Exception, and of such pytest keeps no note: it would go on as if the
            # fixture were still set up, and fail the next test that asks for it.
            if fixturedef.cached_result is None:
                cause = error, error.__traceback__
                fixturedef.cached_result = None, getattr(request, "param", None), cause
            raise

    def _set_up(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        file = None if fixturedef.scope == "function" else _own_file(fixturedef, request.config)
        settings = settings_of(request.config)
        if file is None:
            return (yield)
        if settings.live:
            with unsaved_tape(request.config):
                return (yield)
        with _taped(request, fixture_cassette_path(request, fixturedef.argname, file, settings), settings):
            return (yield)


def _own_file(fixturedef: pytest.FixtureDef[Any], config: pytest.Config) -> Path | None:
    """The file that defines a fixture; None where that is an installed package."""
    code = getattr(fixturedef.func, "__code__", None)
    file = Path(code.co_filename) if code is not None else None
    if file is None or not file.is_relative_to(config.rootpath) or "site-packages" in file.parts:
        return None
    return None if file.is_relative_to(Path(__file__).parent) else file


@contextmanager
def _taped(request: pytest.FixtureRequest, path: Path, settings: Settings) -> Iterator[None]:
    from pytest_looplet.cassette import UnplayedInteractions, open_cassette
    from pytest_looplet.housekeeping import keeper_of
    from pytest_looplet.sharing import once
    from pytest_looplet.users_hooks import normalizers, redactors

    if settings.mode == "replay":
        lend(request.config)
    node = request._pyfuncitem
    with once(request.config, f"cassette {path}", settings.mode == "rewrite") as recorded_by_another:
        cassette = open_cassette(
            path,
            mode="replay" if recorded_by_another else settings.mode,
            match=settings.match,
            drift_policy=settings.drift,
            normalizers=normalizers(node),
            redactors=redactors(node),
            rerecord_command=rerecord_command(node),
            blocks=False,
        )
        cassette.open()
        complete = False
        try:
            yield
            complete = True
        finally:
            cassette.close(complete=complete)
            if cassette.played or cassette.recorded:
                unplayed = len(cassette.unplayed) if complete and cassette.mode == "replay" else 0
                keeper_of(request.config).used(path, unplayed)
        cassette.check()
        if cassette.mode == "replay" and cassette.unplayed and settings.unused == "error":
            raise UnplayedInteractions(cassette.unplayed_report)
        if cassette.mode == "replay" and cassette.unplayed and settings.unused == "warn":
            warnings.warn(cassette.unplayed_report, stacklevel=2)


def watch(config: pytest.Config) -> None:
    """From now on, fixtures of wider scope have tapes."""
    if not config.pluginmanager.has_plugin(WIDE):
        config.pluginmanager.register(WideFixtures(), WIDE)
