"""Which cassette a call belongs to: tasks, threads, nested and closed ones."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from pytest_looplet.cassette import HTTPLibraryUnseen, NoTape, use_cassette
from tests.pytest_looplet.cassette.agents import TLS
from tests.pytest_looplet.cassette.raw_server import Asked, RawServer

pytestmark = pytest.mark.slow


def count(asked: Asked) -> None:
    asked.send(b'{"echo":' + asked.body + b"}")


def ask(url: str, said: object) -> object:
    return httpx2.post(url, json={"messages": [{"role": "user", "content": said}]}, verify=TLS).json()


def in_thread(work: Callable[[], object], context: contextvars.Context | None = None) -> BaseException | None:
    """Run *work* in a new thread; the exception it ended with."""
    ended: list[BaseException] = []

    def run() -> None:
        try:
            context.run(work) if context else work()
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return ended[0] if ended else None


def test_32_cases_on_one_loop_have_their_own_cassettes(tmp_path: Path) -> None:
    async def case(number: int, url: str, mode: str) -> list[object]:
        async with (
            use_cassette(tmp_path / mode / f"{number}.looplet.yaml", "rewrite"),
            httpx2.AsyncClient(verify=TLS) as client,
        ):
            replies = []
            for turn in range(3):
                messages = [{"role": "user", "content": f"case {number}"}] * (turn + 1)
                replies.append((await client.post(url, json={"messages": messages})).json())
                await asyncio.sleep(0.001 * (number % 3))
            return replies

    async def all_cases(url: str, mode: str) -> list[list[object]]:
        return await asyncio.gather(*(case(n, url, mode) for n in range(32)))

    async def one_by_one(url: str) -> None:
        for n in range(32):
            await case(n, url, "alone")

    with RawServer(count) as server:
        asyncio.run(all_cases(server.url, "together"))
        asyncio.run(one_by_one(server.url))
    for n in range(32):
        together = (tmp_path / "together" / f"{n}.looplet.yaml").read_bytes()
        assert together == (tmp_path / "alone" / f"{n}.looplet.yaml").read_bytes()
        assert together.count(b"- call: ") == 3


def test_identical_requests_play_in_the_order_they_were_recorded(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    numbers = iter(range(100))
    with RawServer(lambda asked: asked.send(b"%d" % next(numbers))) as server, use_cassette(path, "rewrite"):
        url = server.url
        assert [ask(url, "same") for _ in range(8)] == list(range(8))
    with use_cassette(path), ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: ask(url, "same"), range(8))) == list(range(8))  # type: ignore[type-var]
    with use_cassette(path):
        assert [ask(url, "same") for _ in range(8)] == list(range(8))


def test_threads_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    with RawServer(count) as server, use_cassette(path, "rewrite"), ThreadPoolExecutor(4) as pool:
        url = server.url
        live = list(pool.map(lambda n: ask(url, n), range(8)))
    assert "order: free\n" in path.read_text(encoding="utf-8")
    with use_cassette(path):
        assert [ask(url, n) for n in reversed(range(8))] == live[::-1]


def test_a_thread_without_a_context_belongs_to_the_one_open_tape(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    with RawServer(count) as server, use_cassette(path, "rewrite") as cassette:
        assert in_thread(lambda: ask(server.url, "x")) is None
    assert len(cassette.recorded) == 1


def test_with_several_open_it_must_say_which(tmp_path: Path) -> None:
    with (
        RawServer(count) as server,
        use_cassette(tmp_path / "a.looplet.yaml", "rewrite") as outer,
        use_cassette(tmp_path / "b.looplet.yaml", "rewrite") as inner,
    ):
        error = in_thread(lambda: ask(server.url, "x"))
        assert isinstance(error, NoTape)
        assert "several cassettes are open" in str(error)
        assert server.seen == []
        assert in_thread(lambda: ask(server.url, "x"), contextvars.copy_context()) is None
    assert (len(outer.recorded), len(inner.recorded)) == (0, 1)


def test_a_thread_that_outlives_its_tape_never_goes_live(tmp_path: Path) -> None:
    go, ended = threading.Event(), []

    def late(url: str) -> None:
        go.wait(10)
        try:
            ask(url, "late")
        except BaseException as error:
            ended.append(error)

    with RawServer(count) as server:
        with use_cassette(tmp_path / "a.looplet.yaml", "rewrite"):
            thread = threading.Thread(target=late, args=(server.url,), name="straggler")
            thread.start()
        with use_cassette(tmp_path / "b.looplet.yaml", "rewrite") as other:
            go.set()
            thread.join()
        assert server.seen == []
    assert [type(error) for error in ended] == [NoTape]
    assert "'straggler' outlived" in str(ended[0])
    assert other.calls == 0


def test_a_thread_that_outlives_the_only_tape_never_goes_live(tmp_path: Path) -> None:
    go, ended = threading.Event(), []

    def late(url: str) -> None:
        go.wait(10)
        try:
            ask(url, "late")
        except BaseException as error:
            ended.append(error)

    with RawServer(count) as server:
        with use_cassette(tmp_path / "a.looplet.yaml", "rewrite"):
            thread = threading.Thread(target=late, args=(server.url,))
            thread.start()
        go.set()
        thread.join()
        assert server.seen == []
        assert [type(error) for error in ended] == [NoTape]
        with use_cassette(tmp_path / "b.looplet.yaml", "rewrite"):
            pass
        # Nothing is left behind: the next call is an ordinary one.
        assert ask(server.url, "x")
    assert len(server.seen) == 1


def test_a_task_that_outlives_its_tape_never_goes_live(tmp_path: Path) -> None:
    async def late(url: str, go: asyncio.Event) -> None:
        await go.wait()
        async with httpx2.AsyncClient(verify=TLS) as client:
            await client.post(url)

    async def main(url: str) -> None:
        go = asyncio.Event()
        async with use_cassette(tmp_path / "a.looplet.yaml", "rewrite"):
            task = asyncio.create_task(late(url, go))
            await asyncio.sleep(0)
        async with use_cassette(tmp_path / "b.looplet.yaml", "rewrite"):
            go.set()
            with pytest.raises(NoTape, match=r"after its cassette .*a\.looplet\.yaml was closed"):
                await task

    with RawServer(count) as server:
        asyncio.run(main(server.url))
        assert server.seen == []


def test_a_patched_transport_is_noticed_when_a_tape_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with use_cassette(tmp_path / "a.looplet.yaml"):
        monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", lambda self, request: None)
        with pytest.raises(HTTPLibraryUnseen, match="would pass the cassette"):
            use_cassette(tmp_path / "b.looplet.yaml").open()
        monkeypatch.undo()
    use_cassette(tmp_path / "b.looplet.yaml").open().close()
