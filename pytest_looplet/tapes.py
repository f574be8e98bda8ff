"""The cassette of a test: which file, and how it is opened."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_looplet.cassette import Cassette, UnplayedInteractions, open_cassette
from pytest_looplet.housekeeping import keeper_of
from pytest_looplet.keys import lend
from pytest_looplet.ledger import after_the_body, ran_to_its_end, rather_blame, record, when_it_ended
from pytest_looplet.marker import marked
from pytest_looplet.places import cassette_path, rerecord_command as rerecord_command
from pytest_looplet.running import running_node, several_key
from pytest_looplet.settings import Unused, settings_of
from pytest_looplet.spending import unsaved_tape
from pytest_looplet.users_hooks import normalizers, redactors

cassette_key = pytest.StashKey[Cassette]()
"""On an item: its open cassette."""


@contextmanager
def opened(request: pytest.FixtureRequest) -> Iterator[Cassette | None]:
    """The open cassette of the item that asks; None in a live session.

    Where several runs go on in the item, each opens its own, and what is given stands for that of the run
    in which it is asked.

    Raises:
        pytest.skip.Exception: the test is marked `live` and the session is not.
        pytest.UsageError: a cassette that several tests share is to be recorded.
    """
    runs = request.node.stash.get(several_key, None)
    if runs is None:
        with opened_for(request.node) as cassette:
            yield cassette
    elif settings_of(request.config).live:
        yield None
    else:
        yield cast(Cassette, _CassetteOfTheRun(runs))


class _CassetteOfTheRun:
    """Stands for the cassette of the run in which it is asked; what is set up for all sees the first path."""

    def __init__(self, nodes: Sequence[pytest.Item]) -> None:
        self._nodes = nodes

    @property
    def path(self) -> Path:
        node = running_node() or self._nodes[0]
        return cassette_path(node, settings_of(node.config), marked(node))

    def __getattr__(self, name: str) -> Any:
        node = running_node()
        if node is None:
            raise AttributeError(f"looplet_cassette.{name}: each case has its own; ask while one runs")
        return getattr(node.stash[cassette_key], name)


@contextmanager
def opened_for(node: pytest.Item) -> Iterator[Cassette | None]:
    """The open cassette of *node*; None in a live session. Raises what `opened` raises."""
    settings = settings_of(node.config)
    record(node.config)
    wishes = marked(node)
    if settings.live:
        with unsaved_tape(node.config):
            yield None
        return
    if wishes.live:
        pytest.skip("calls a provider: run it with --looplet-live")
    if settings.mode == "replay":
        lend(node.config)
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
        if cassette.interactions:  # Not for one that is not there: calls were made, and refused.
            unplayed = len(cassette.unplayed) if complete and cassette.mode == "replay" else 0
            keeper_of(node.config).used(path, unplayed)


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
