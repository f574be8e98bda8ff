"""MCP servers in a session: what they answer goes through the cassette of the test that asks them."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from looplet.errors import ConfigError
from looplet.mcp.link import Link, Starter, Told, put_between
from pytest_looplet.marker import marked
from pytest_looplet.places import cassette_path
from pytest_looplet.running import running_node, several_key
from pytest_looplet.settings import settings_of

SERVERS = "looplet-mcp-servers"

_USES_MODELS = frozenset(
    {"looplet_run", "looplet_backend", "looplet_cassette", "looplet_capture", "looplet_agent"}
)

_ASKED_FOR_ALL = (
    "looplet_agent asked an MCP server while it was set up for several cases at once, so the answer is on no "
    "case's cassette; ask for the tools inside the function that runs a case, or record with "
    "--looplet-concurrency=1"
)


class Servers:
    """Puts the cassette between adapters and their servers; knows which item is running."""

    def __init__(self) -> None:
        self._items: list[pytest.Item] = []
        self._undo = put_between(self._link)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """The item's fixtures may start servers."""
        self._items.append(item)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """The item is over."""
        try:
            return (yield)
        finally:
            if item in self._items:
                self._items.remove(item)

    def pytest_unconfigure(self) -> None:
        """Servers are asked themselves again."""
        self._undo()

    def _link(self, name: str, prefix: str, start: Starter, told: Told) -> Link:
        from pytest_looplet.cassette.mcp import TapedLink

        return TapedLink(name, prefix, start, told, self._open_early)

    def _open_early(self, asks: bool) -> None:
        """Open the cassette of the running test, where it holds requests of servers or shall get them.

        Most tests start a server and list its tools before they call the model.
        """
        item = self._items[-1] if self._items else None
        if isinstance(item, pytest.Function) and not _USES_MODELS.isdisjoint(item.fixturenames):
            settings = settings_of(item.config)
            if asks and several_key in item.stash and running_node() is None and not settings.live:
                raise ConfigError(_ASKED_FOR_ALL)
            path = cassette_path(item, settings, marked(item))
            plays = settings.mode == "replay" or (settings.mode == "missing" and path.exists())
            if not settings.live and (not plays or _knows_servers(path)):
                item._request.getfixturevalue("looplet_cassette")


def _knows_servers(path: Path) -> bool:
    from pytest_looplet.cassette.exchange import MCP

    try:
        return f"method: {MCP}".encode() in path.read_bytes()
    except OSError:
        return False


def watch_servers(config: pytest.Config) -> None:
    """From now on, what MCP servers answer goes through cassettes."""
    if not config.pluginmanager.has_plugin(SERVERS):
        config.pluginmanager.register(Servers(), SERVERS)
