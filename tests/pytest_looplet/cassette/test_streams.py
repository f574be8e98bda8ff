"""Streams pass through as they come, and replay with the same events, also when they ended badly."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import httpx2
import pytest

from pytest_looplet.cassette import use_cassette
from tests.pytest_looplet.cassette.agents import TLS
from tests.pytest_looplet.cassette.raw_server import Asked, RawServer

pytestmark = pytest.mark.slow

EVENTS = [b'data: {"n":1}\n\n', b'event: x\ndata: {"n":2}\n\n', b"data: [DONE]\n\n"]


def read(url: str, *, stop_after: int = 99) -> tuple[list[bytes], str]:
    """The parts of a stream as a client gets them, and the error that ended it."""
    parts: list[bytes] = []
    try:
        with httpx2.Client(verify=TLS) as client, client.stream("POST", url) as reply:
            for part in reply.iter_raw():
                parts.append(part)
                if len(parts) == stop_after:
                    break
    except httpx2.TransportError as error:
        return parts, type(error).__name__
    return parts, ""


async def aread(url: str, *, stop_after: int = 99) -> tuple[list[bytes], str]:
    parts: list[bytes] = []
    try:
        async with httpx2.AsyncClient(verify=TLS) as client, client.stream("POST", url) as reply:
            async for part in reply.aiter_raw():
                parts.append(part)
                if len(parts) == stop_after:
                    break
    except httpx2.TransportError as error:
        return parts, type(error).__name__
    return parts, ""


def read_async(url: str, *, stop_after: int = 99) -> tuple[list[bytes], str]:
    return asyncio.run(aread(url, stop_after=stop_after))


READERS = {"sync": read, "async": read_async}


@pytest.mark.parametrize("kind", READERS)
def test_CA_09_a_stream_replays_event_by_event(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    with RawServer(lambda asked: asked.stream(EVENTS)) as server:
        url = server.url
        with use_cassette(path, "rewrite"):
            live, _ = READERS[kind](url)
    with use_cassette(path):
        played, error = READERS[kind](url)
    assert b"".join(live) == b"".join(EVENTS)
    assert (played, error) == (EVENTS, "")
    assert '    - data: {"n": 1}\n' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", READERS)
def test_CA_09_a_stream_that_breaks_replays_as_broken(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    with RawServer(lambda asked: asked.stream(EVENTS[:2], cut=True)) as server:
        url = server.url
        with use_cassette(path, "rewrite"):
            live, error = READERS[kind](url)
    assert error == "RemoteProtocolError"
    with use_cassette(path):
        played, again = READERS[kind](url)
    assert (b"".join(played), again) == (b"".join(live), error)
    assert "    ended: cut\n" in path.read_text(encoding="utf-8")


def slowly(gate: threading.Event) -> object:
    def answer(asked: Asked) -> None:
        def parts() -> object:
            yield EVENTS[0]
            gate.wait(10)
            yield EVENTS[1]

        asked.stream(parts())  # type: ignore[arg-type]

    return answer


@pytest.mark.parametrize("kind", READERS)
def test_CA_09_the_first_event_reaches_a_recording_client_at_once(kind: str, tmp_path: Path) -> None:
    gate = threading.Event()
    path = tmp_path / "a.looplet.yaml"
    with RawServer(slowly(gate)) as server:  # type: ignore[arg-type]
        url = server.url
        with use_cassette(path, "rewrite"):
            started = time.perf_counter()
            parts, _ = READERS[kind](url, stop_after=1)
            took = time.perf_counter() - started
        gate.set()
    assert parts == EVENTS[:1]
    assert took < 5
    assert "    ended: cancelled\n" in path.read_text(encoding="utf-8")
    with use_cassette(path):
        assert READERS[kind](url, stop_after=1) == (parts, "")
    with use_cassette(path):
        assert READERS[kind](url) == (parts, "ReadError")


def test_CA_09_an_endless_stream_does_not_hang_a_recording(tmp_path: Path) -> None:
    gate = threading.Event()
    path = tmp_path / "a.looplet.yaml"
    got = threading.Event()

    def listen(url: str) -> None:
        with httpx2.Client(verify=TLS) as client, client.stream("GET", url, timeout=10) as reply:
            for _ in reply.iter_raw():
                got.set()

    with RawServer(slowly(gate)) as server:  # type: ignore[arg-type]
        with use_cassette(path, "rewrite"):
            listener = threading.Thread(target=listen, args=(server.url,))
            listener.start()
            assert got.wait(5)
        gate.set()
        listener.join(5)
    assert not listener.is_alive()
    text = path.read_text(encoding="utf-8")
    assert "ended: cancelled" in text
    assert '- data: {"n": 1}' in text
    assert "n: 2" not in text


def test_a_connection_that_fails_replays_as_failed(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    with RawServer(lambda asked: None) as server:
        url = server.url
    with use_cassette(path, "rewrite"), pytest.raises(httpx2.ConnectError):
        httpx2.post(url, verify=TLS)
    with use_cassette(path), pytest.raises(httpx2.ConnectError, match="as recorded"):
        httpx2.post(url, verify=TLS)


def test_duplicate_headers_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    headers = [("X-A", "1"), ("X-B", "2"), ("X-A", "3")]
    with RawServer(lambda asked: asked.send(b"{}", headers)) as server, use_cassette(path, "rewrite"):
        url = server.url
        httpx2.post(url, verify=TLS)
    with use_cassette(path):
        reply = httpx2.post(url, verify=TLS)
    assert [pair for pair in reply.headers.multi_items() if pair[0].startswith("x-")] == [
        ("x-a", "1"),
        ("x-b", "2"),
        ("x-a", "3"),
    ]


def test_in_memory_transports_are_not_taped(tmp_path: Path) -> None:
    answer = httpx2.MockTransport(lambda request: httpx2.Response(200, text="mock"))
    with use_cassette(tmp_path / "a.looplet.yaml") as cassette, httpx2.Client(transport=answer) as client:
        assert client.get("http://x/").text == "mock"
    assert cassette.calls == 0
