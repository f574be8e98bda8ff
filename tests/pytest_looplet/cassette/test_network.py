"""A replay connects to nothing: no socket, no name, from no thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import urllib.request
from pathlib import Path

import pytest

from pytest_looplet.cassette import CassetteDrift, NetworkBlocked, use_cassette
from tests.pytest_looplet.cassette.agents import OpenAIAgent
from tests.pytest_looplet.cassette.conftest import NOWHERE
from tests.pytest_looplet.cassette.raw_server import RawServer


def tcp(host: str, port: int) -> None:
    with socket.socket() as client:
        client.settimeout(2)
        client.connect((host, port))


def udp(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", (host, port))


async def stream(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()


ATTEMPTS = {
    "connect": lambda port: tcp("127.0.0.1", port),
    "IPv6": lambda port: socket.create_connection(("::1", port), timeout=2),
    "sendto": lambda port: udp("127.0.0.1", port),
    "getaddrinfo": lambda port: socket.getaddrinfo("looplet.invalid", port),
    "gethostbyname": lambda port: socket.gethostbyname("looplet.invalid"),
    "asyncio": lambda port: asyncio.run(stream("127.0.0.1", port)),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_CA_03_a_connection_in_replay_is_blocked(attempt: str, cassette_path: Path) -> None:
    with RawServer(lambda asked: asked.send(b"")) as server:
        with use_cassette(cassette_path, unused="ignore") as cassette:
            with pytest.raises(NetworkBlocked, match="blocked: a replay connects to nothing") as caught:
                ATTEMPTS[attempt](server.server_address[1])
            assert "looplet_allow_hosts = " in str(caught.value)
            assert len(str(caught.value).splitlines()) == 1
            cassette.forgive()
        assert server.seen == []


def test_CA_03_an_agent_that_hides_it_fails_at_the_end(cassette_path: Path) -> None:
    with (
        pytest.raises(NetworkBlocked, match=r"127\.0\.0\.1:9"),
        use_cassette(cassette_path, unused="ignore"),
        contextlib.suppress(BaseException),
    ):
        tcp("127.0.0.1", 9)


def test_CA_03_a_thread_is_blocked_too(cassette_path: Path) -> None:
    seen: list[BaseException] = []

    def work() -> None:
        try:
            tcp("127.0.0.1", 9)
        except BaseException as error:
            seen.append(error)

    with use_cassette(cassette_path, unused="ignore") as cassette:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        cassette.forgive()
    assert [type(error) for error in seen] == [NetworkBlocked]


def test_an_allowed_host_and_what_its_name_stands_for(cassette_path: Path) -> None:
    with RawServer(lambda asked: asked.send(b"")) as server:
        port = server.server_address[1]
        with use_cassette(cassette_path, unused="ignore", allow_hosts=[f"127.0.0.1:{port}"]):
            tcp("127.0.0.1", port)
        with use_cassette(cassette_path, unused="ignore", allow_hosts=["localhost"]):
            socket.create_connection(("localhost", port), timeout=2).close()


def test_unix_sockets_pass(cassette_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, use_cassette(cassette_path, unused="ignore"):
        server.bind("s")
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("s")


def test_other_http_clients_are_taped_as_well(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    with RawServer(lambda asked: asked.send(b'{"ok": 1}', [("X-A", "1")])) as server:
        url = f"{server.url}/v1/models"
        with use_cassette(path, "rewrite"):
            live = urllib.request.urlopen(url, timeout=5).read()
    with use_cassette(path), urllib.request.urlopen(url, timeout=5) as reply:
        assert reply.read() == live
        assert reply.headers["x-a"] == "1"
    with pytest.raises(CassetteDrift), use_cassette(path):
        urllib.request.urlopen(f"{url}/other", timeout=5)


def test_afterwards_all_is_as_before(cassette_path: Path) -> None:
    before = (socket.socket.connect, socket.getaddrinfo)
    with use_cassette(cassette_path):
        OpenAIAgent(NOWHERE).run()
    assert (socket.socket.connect, socket.getaddrinfo) == before
    with RawServer(lambda asked: asked.send(b"live")) as server:
        assert urllib.request.urlopen(server.url, timeout=5).read() == b"live"
