"""The cassette of a test: which file, and how it is opened."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_looplet.cassette import Cassette, UnplayedInteractions, open_cassette
from pytest_looplet.housekeeping import keeper_of
from pytest_looplet.keys import lend
from pytest_looplet.ledger import after_the_body, ran_to_its_end, rather_blame, record, when_it_ended
from pytest_looplet.marker import marked
from pytest_looplet.places import cassette_path, rerecord_command as rerecord_command
from pytest_looplet.settings import Unused, settings_of
from pytest_looplet.spending import unsaved_tape
from pytest_looplet.users_hooks import normalizers, redactors

cassette_key = pytest.StashKey[Cassette]()
"""On an item: its open cassette."""


@contextmanager
def opened(request: pytest.FixtureRequest) -> Iterator[Cassette | None]:
    """The open cassette of the item that asks; None in a live session.

    Raises:
        pytest.skip.Exception: the test is marked `live` and the session is not.
        pytest.UsageError: a cassette that several tests share is to be recorded.
    """
    node, settings = request.node, settings_of(request.config)
    record(request.config)
    wishes = marked(node)
    if settings.live:
        with unsaved_tape(request.config):
            yield None
        return
    if wishes.live:
        pytest.skip("calls a provider: run it with --looplet-live")
    if settings.mode == "replay":
        lend(request.config)
    path = cassette_path(node, settings, wishes)
    if wishes.cassette and settings.mode != "replay":
        raise pytest.UsageError(
            f"{node.nodeid}: the cassette {path} is shared and can be replayed, not recorded"
        )
    cassette = open_cassette(
        path,
        mode=settings.mode,
        match=wishes.match or settings.match,
        drift_policy={**settings.drift, **wishes.drift},
        allow_hosts=settings.allow_hosts,
        normalizers=normalizers(node),
        redactors=redactors(node),
        rerecord_command=rerecord_command(node),
    )
    node.stash[cassette_key] = cassette
    after_the_body(node, lambda: check(cassette, settings.unused))
    rather_blame(node, lambda: cassette.stopped)
    when_it_ended(node, lambda: _tell_expected_drift(node, cassette))
    cassette.open()
    try:
        yield cassette
    finally:
        # Only now is it known how the test went; a recording that was cut replaces nothing.
        complete = ran_to_its_end(node)
        cassette.close(complete=complete)
        if cassette.calls or cassette.interactions:
            unplayed = len(cassette.unplayed) if complete and cassette.mode == "replay" else 0
            keeper_of(request.config).used(path, unplayed)


def check(cassette: Cassette, unused: Unused) -> None:
    """Raise what ended a replay although the agent went on, and say which recorded calls were not made.

    Raises:
        ReplayStopped: the replay was ended.
        UnplayedInteractions: recorded calls were not made, and that is an error.
    """
    if cassette.stopped is not None:
        raise cassette.stopped
    skips = cassette.mode != "replay" or cassette.drift_expected
    report = "" if skips else cassette.unplayed_report
    if report and unused == "error":
        raise UnplayedInteractions(report)
    if report and unused == "warn":
        warnings.warn(report, stacklevel=2)


def expect_drift(node: pytest.Item, why: str) -> None:
    """The test *node* itself changed what its agent sees: let the replay go on, and say so in its report."""
    cassette = node.stash.get(cassette_key, None)
    if cassette is not None:
        cassette.expect_drift(why)


def _tell_expected_drift(node: pytest.Item, cassette: Cassette) -> None:
    if cassette.drift_expected and cassette.drifts:
        texts = [drift.text for drift in cassette.drifts]
        head = f"recorded replies played in order, because {cassette.drift_expected}"
        node.add_report_section("call", "looplet drift", "\n".join([head, *texts]))
