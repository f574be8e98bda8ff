"""What we rely on in vcrpy and in the SDKs; and that a replay is the same whatever surrounds it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from vcr import patch as vcr_patch
from vcr.cassette import Cassette as VcrCassette

from pytest_looplet.cassette import HTTPLibraryUnseen, NetworkBlocked, use_cassette
from tests.pytest_looplet.cassette.agents import TLS
from tests.pytest_looplet.cassette.conftest import NOWHERE
from tests.pytest_looplet.cassette.raw_server import RawServer


def test_vcrpys_builder_is_the_one_we_build_on() -> None:
    # A new group may be a client that we should tape ourselves; look at it before this list grows.
    assert vcr_patch.PATCHER_NAMES == (
        "httplib",
        "requests",
        "boto3",
        "urllib3",
        "httplib2",
        "tornado",
        "aiohttp",
        "httpx",
        "httpx2",
    )
    ours = [(object, "__doc__", "patched")]
    cassette = VcrCassette("x", custom_patches=ours, skip_patchers=vcr_patch.PATCHER_NAMES)
    assert [getattr(p, "attribute", p) for p in vcr_patch.CassettePatcherBuilder(cassette).build()] == [
        "__doc__"
    ]
    for name in ("can_play_response_for", "play_response", "append", "write_protected", "_load", "_save"):
        assert hasattr(VcrCassette, name)


def test_a_call_through_httpx_is_taped_while_a_stub_of_vcrpy_makes_a_real_one(tmp_path: Path) -> None:
    """vcrpy takes its patches away meanwhile, for all threads."""
    path = tmp_path / "a.looplet.yaml"
    with RawServer(lambda asked: asked.send(b'{"ok":true}')) as server:
        with use_cassette(path, "rewrite") as cassette:
            with vcr_patch.force_reset():
                httpx2.post(server.url, json={"messages": []}, verify=TLS)
            with urllib.request.urlopen(server.url) as reply:
                assert reply.read() == b'{"ok":true}'
        assert len(cassette.recorded) == len(server.seen) == 2
        with use_cassette(path, unused="ignore") as cassette, vcr_patch.force_reset():
            assert httpx2.post(server.url, json={"messages": []}, verify=TLS).json() == {"ok": True}
            with pytest.raises(NetworkBlocked):
                urllib.request.urlopen(server.url)
            cassette.forgive()
        assert len(server.seen) == 2
    assert vcr_patch.reset_patchers.__module__ == "vcr.patch"


def test_an_sdk_on_an_unknown_http_library_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = type("Client", (), {"__module__": "httpx9._client"})
    monkeypatch.setitem(sys.modules, "openai", SimpleNamespace(DefaultHttpxClient=unknown))  # type: ignore[arg-type]
    with pytest.raises(HTTPLibraryUnseen, match=r"openai \d\S* speaks through httpx9"):
        use_cassette(tmp_path / "a.looplet.yaml").open()
    monkeypatch.undo()
    transport = httpx2.HTTPTransport.handle_request
    use_cassette(tmp_path / "a.looplet.yaml").open().close()
    assert httpx2.HTTPTransport.handle_request is transport


REPLAY = """
import json, sys
import httpx2
from pytest_looplet import use_cassette
with use_cassette(sys.argv[1]) as cassette, httpx2.Client() as client:
    for call in cassette.interactions:
        print(client.post(sys.argv[2] + "/chat/completions", content=json.dumps(call.body.json)).content)
assert "pytest" not in sys.modules and "_pytest" not in sys.modules
"""


@pytest.mark.slow
def test_CA_04_a_replay_is_the_same_whatever_surrounds_it(cassette_path: Path) -> None:
    said = set()
    for seed, zone, language in (
        ("0", "UTC", "C"),
        ("1", "Asia/Tokyo", "C.UTF-8"),
        ("2", "America/Lima", "C"),
    ):
        environ = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LANG": language, "LC_ALL": language}
        command = [sys.executable, "-c", REPLAY, str(cassette_path), NOWHERE]
        said.add(subprocess.run(command, env=environ, check=True, capture_output=True).stdout)
    assert len(said) == 1
