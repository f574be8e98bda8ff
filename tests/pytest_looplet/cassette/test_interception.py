"""A replay loads what it intercepts with when there is an HTTP client to intercept, and not before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from looplet.testing.provider import LocalProvider
from pytest_looplet.cassette import use_cassette
from tests.pytest_looplet.cassette.raw_server import RawServer

pytestmark = pytest.mark.slow

POST = """
    http = {library}.Client(timeout=5)
    print(http.post("{url}/chat/completions", json={{"model": "m", "messages": []}}).text)
"""

REPLAY = """
import sys
from pytest_looplet.cassette import use_cassette
{before}
with use_cassette("run.looplet.yaml", unused="ignore"):
    {inside}
{after}
"""


def replay(folder: Path, **parts: str) -> subprocess.CompletedProcess[str]:
    """A replay in a Python of its own, where no client is loaded yet."""
    script = REPLAY.format(**{"before": "", "inside": "pass", "after": "", **parts})
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_without_a_client_nothing_is_loaded_to_intercept_it(tmp_path: Path) -> None:
    done = replay(
        tmp_path, after="print(sorted({'vcr', 'http.client', 'asyncio', 'yaml'} & set(sys.modules)))"
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


IMPORTS = {
    "before the cassette": ("import httpx2", ""),
    "inside it": ("", "import httpx2"),
    "inside it, by an SDK": ("", "import openai, httpx2"),
    "inside it, after one that fails to load": (
        "",
        "try: import requests\n    except Exception: import httpx2",
    ),
}


@pytest.mark.parametrize(("before", "inside"), IMPORTS.values(), ids=IMPORTS)
def test_CA_03_a_client_is_intercepted_whenever_it_is_loaded(
    before: str, inside: str, tmp_path: Path
) -> None:
    (tmp_path / "requests.py").write_text("import http.client\nraise ImportError('broken')\n")
    with RawServer(lambda asked: asked.send(b"")) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        post = POST.format(library="httpx2", url=url)
        done = replay(tmp_path, before=before, inside=f"{inside}\n{post}")
        assert server.seen == []
    assert "NotRecorded: no cassette for POST /chat/completions" in done.stderr


@pytest.mark.parametrize("client", ["http.client", "urllib.request"])
def test_CA_03_the_clients_of_the_standard_library_are_intercepted(client: str, tmp_path: Path) -> None:
    ask = {
        "http.client": "h = {client}.HTTPConnection('{host}'); h.request('GET', '/'); h.getresponse()",
        "urllib.request": "{client}.urlopen('http://{host}/')",
    }[client]
    with RawServer(lambda asked: asked.send(b"")) as server:
        host = f"127.0.0.1:{server.server_address[1]}"
        done = replay(tmp_path, inside=f"import {client}\n    {ask.format(client=client, host=host)}")
        assert server.seen == []
    assert "NotRecorded: no cassette for GET /:" in done.stderr


def test_a_recorded_call_plays_for_a_client_that_is_loaded_inside(tmp_path: Path) -> None:
    import httpx2

    with LocalProvider(["Hello."]) as provider, use_cassette(tmp_path / "run.looplet.yaml", "rewrite"):
        url = provider.base_url
        with httpx2.Client() as http:
            http.post(f"{url}/chat/completions", json={"model": "m", "messages": []})
    done = replay(tmp_path, inside=f"import httpx2\n{POST.format(library='httpx2', url=url)}")
    assert "Hello." in done.stdout
    assert done.stderr == ""


def test_what_was_put_in_place_is_taken_away_again(tmp_path: Path) -> None:
    done = replay(
        tmp_path,
        before="before = list(sys.meta_path)",
        inside="import http.client",
        after="print(sys.meta_path == before, http.client.HTTPConnection.__module__, http.client.__loader__)",
    )
    assert done.stdout.startswith("True http.client <_frozen_importlib_external.SourceFileLoader")
