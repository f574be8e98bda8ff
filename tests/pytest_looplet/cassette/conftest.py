"""What the cassette tests share: a recording of a small agent, made once over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from looplet.testing import call
from looplet.testing.provider import LocalProvider
from pytest_looplet.cassette import use_cassette
from tests.pytest_looplet.cassette.agents import OpenAIAgent, close_clients

NOWHERE = "http://127.0.0.1:9/v1"
"""An address where nobody listens: replays never get there."""


@pytest.fixture(scope="session", autouse=True)
def _clients_are_closed() -> Iterator[None]:
    yield
    close_clients()


@pytest.fixture(scope="session")
def recorded_text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cassette of three model calls: search x, search y, an answer."""
    path = tmp_path_factory.mktemp("recorded") / "run.looplet.yaml"
    script = [call("search", q="x"), call("search", q="y"), "Done."]
    with LocalProvider(script) as provider, use_cassette(path, "rewrite"):
        OpenAIAgent(provider.base_url).run()
    return path.read_text(encoding="utf-8")


@pytest.fixture
def cassette_path(recorded_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cassette of three calls, in the current folder, so that messages name it without one."""
    monkeypatch.chdir(tmp_path)
    path = Path("run.looplet.yaml")
    path.write_text(recorded_text, encoding="utf-8")
    return path
