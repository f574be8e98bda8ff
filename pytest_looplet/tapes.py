"""The cassette of a test: which file, and how it is opened."""

from __future__ import annotations

import hashlib
import re
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_looplet.cassette import Cassette, UnplayedInteractions, open_cassette
from pytest_looplet.keys import SUFFIX, lend
from pytest_looplet.ledger import after_the_body, ran_to_its_end, rather_blame, record
from pytest_looplet.marker import Marked, marked
from pytest_looplet.settings import Settings, Unused, settings_of

LONGEST_NAME = 120
"""Characters of a file name before the suffix; some file systems end at 143."""


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
        rerecord_command=rerecord_command(node),
    )
    after_the_body(node, lambda: check(cassette, settings.unused))
    rather_blame(node, lambda: cassette.stopped)
    cassette.open()
    try:
        yield cassette
    finally:
        # Only now is it known how the test went; a recording that was cut replaces nothing.
        cassette.close(complete=ran_to_its_end(node))


def check(cassette: Cassette, unused: Unused) -> None:
    """Raise what ended a replay although the agent went on, and say which recorded calls were not made.

    Raises:
        ReplayStopped: the replay was ended.
        UnplayedInteractions: recorded calls were not made, and that is an error.
    """
    if cassette.stopped is not None:
        raise cassette.stopped
    report = "" if cassette.mode != "replay" else cassette.unplayed_report
    if report and unused == "error":
        raise UnplayedInteractions(report)
    if report and unused == "warn":
        warnings.warn(report, stacklevel=2)


def cassette_path(node: pytest.Item, settings: Settings, wishes: Marked) -> Path:
    """The file of *node*: one for each test id, in a folder named after the test file."""
    folder = node.path.parent / settings.cassette_dir
    if wishes.cassette:
        return folder / wishes.cassette
    names = node.nodeid.split("@")[0].split("::")[1:] or [node.name]
    return folder / node.path.stem / f"{safe_name(names)}{SUFFIX}"


def safe_name(names: list[str]) -> str:
    """The parts of a test id as a file name that every file system takes, and that no other id has."""
    whole = ".".join(names)
    base, bracket, parameters = whole.partition("[")
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", whole).strip("-.")
    plain = f"{base}[{parameters.removesuffix(']')}]" if bracket else base
    # Names that some file systems take for one: other characters became a dash, or only case differs.
    exact = (
        re.fullmatch(r"[A-Za-z0-9._]+(\[[a-z0-9]([a-z0-9._-]*[a-z0-9])?\])?", plain) is not None
        and len(safe) <= LONGEST_NAME
    )
    if exact:
        return safe
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe[: LONGEST_NAME - 9]}-{digest}"


def rerecord_command(node: pytest.Item) -> str:
    """The command that records the cassette of *node* again."""
    asked_by: str = getattr(node, "asked_by", node.nodeid)
    return f"pytest --looplet-record {shlex.quote(asked_by.split('@')[0])}"
