"""The trajectory of any code that talks to a model's provider, read from its traffic."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from looplet import clock
from looplet.trajectory import Exchange, Trajectory
from pytest_looplet.cassette import Cassette, open_cassette
from pytest_looplet.cassette.exchange import MCP
from pytest_looplet.cassette.interaction import Interaction
from pytest_looplet.ledger import note_run, record
from pytest_looplet.running import node_of
from pytest_looplet.settings import settings_of
from pytest_looplet.tapes import rerecord_command


def from_cassette(path: str | os.PathLike[str], **fields: Any) -> Trajectory:
    """The run that a cassette holds: every model call on it, whatever framework made it.

    Args:
        path: The cassette.
        fields: Any other field of a trajectory, such as `task`.

    Raises:
        CassetteError: The cassette cannot be read.
        TraceError: A request on it holds a message that no known provider has.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no cassette {path}")
    cassette = open_cassette(path, mode="replay")
    fields = {"metadata": {"cassette": os.fspath(path)}, **fields}
    return Trajectory.from_traffic(exchanges(cassette.interactions), **fields)


def exchanges(interactions: Iterable[Interaction]) -> Iterator[Exchange]:
    """What a trajectory is read from; calls whose body is no JSON object are no model calls."""
    for interaction in interactions:
        reply = interaction.reply
        if interaction.body is not None and reply is not None and interaction.request.method != MCP:
            yield Exchange(interaction.body.json, reply.body, reply.status, reply.failure)


class Captures:
    """What the fixture `looplet_capture` gives: call it for a context manager.

        with looplet_capture() as run:
            my_agent("refund order 1234")
        expect(run).to_call("issue_refund")

    Args:
        request: The request of the test that asked for the fixture.
        cassette: The test's cassette; None in a live session.
    """

    def __init__(self, request: pytest.FixtureRequest, cassette: Cassette | None) -> None:
        self._request = request
        self._cassette = cassette

    @contextmanager
    def __call__(self, **fields: Any) -> Iterator[Trajectory]:
        """Listen to the block; what `as` names is its trajectory once the block is left.

        Args:
            fields: Fields of the trajectory that its traffic does not tell, such as `task`.
        """
        run, node = Trajectory(), node_of(self._request)
        started_s = clock.perf()
        with ExitStack() as stack:
            cassette = self._cassette or stack.enter_context(_unsaved())
            before = len(_calls(cassette))
            try:
                yield run
            finally:
                fields = {
                    "duration_ms": (clock.perf() - started_s) * 1000,
                    "metadata": self._metadata(node),
                    **fields,
                }
                known = Trajectory.from_traffic(exchanges(_calls(cassette)[before:]), **fields)
                prices = settings_of(node.config).prices
                _become(run, known if prices is None else replace(known, cost_usd=known.cost(prices)))
                note_run(node, run)

    def _metadata(self, node: pytest.Item) -> dict[str, Any]:
        metadata: dict[str, Any] = {"test": node.nodeid}
        if self._cassette is not None:
            metadata |= {"cassette": str(self._cassette.path), "rerecord": rerecord_command(node)}
            metadata |= {"recorded": True} if self._cassette.recorded else {}
        return metadata


def make(request: pytest.FixtureRequest, cassette: Cassette | None) -> Captures:
    """What the fixture gives; from now on the session's report knows of its runs."""
    record(request.config)
    return Captures(request, cassette)


def _calls(cassette: Cassette) -> list[Interaction]:
    """The calls made so far: a tape plays what it has before it records."""
    return [*cassette.played, *cassette.recorded]


@contextmanager
def _unsaved() -> Iterator[Cassette]:
    """A cassette for a live session: it hears every call and is never written."""
    with TemporaryDirectory() as folder:
        cassette = open_cassette(Path(folder) / "live.looplet.yaml", mode="rewrite")
        cassette.open()
        try:
            yield cassette
        finally:
            cassette.close(complete=False)


def _become(run: Trajectory, known: Trajectory) -> None:
    """Fill the trajectory that was handed out before there was anything to know of it."""
    for name in Trajectory.__dataclass_fields__:
        object.__setattr__(run, name, getattr(known, name))
