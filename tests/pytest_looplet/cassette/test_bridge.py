"""What we rely on in vcrpy and in the SDKs; and that a replay is the same whatever surrounds it."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from vcr import patch as vcr_patch
from vcr.cassette import Cassette as VcrCassette

from pytest_looplet.cassette import HTTPLibraryUnseen, use_cassette
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
            with urllib.request.urlopen(server.url) as reply:
                assert reply.read() == b'{"ok":true}'
        assert len(server.seen) == 2
    until = time.monotonic() + 20
    while vcr_patch.reset_patchers.__module__ != "vcr.patch" and time.monotonic() < until:
        time.sleep(0.01)  # a thread of the server may still end
        use_cassette(path, unused="ignore").open().close()
    assert vcr_patch.reset_patchers.__module__ == "vcr.patch"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server on 127.0.0.1 with a certificate of its own, and for clients that trust it."""
    x509 = pytest.importorskip("cryptography.x509", reason="makes a certificate")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(key.private_bytes(pem, *plain) + certificate.public_bytes(pem))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_threads_that_record_through_urllib_at_once_are_all_taped(
    scheme: str, tmp_path: Path, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    path, count = tmp_path / "a.looplet.yaml", 12
    together = threading.Barrier(count)

    def ask(number: int) -> bytes:
        together.wait()
        said = b""
        for turn in range(4):
            asked = urllib.request.Request(f"{url}/{number}/{turn}", data=b"{}")
            with urllib.request.urlopen(asked, context=tls[1] if scheme == "https" else None) as reply:
                said += reply.read()
        return said

    with RawServer(lambda asked: asked.send(asked.path.encode())) as server:
        url = server.url.replace("http:", f"{scheme}:")
        if scheme == "https":
            server.socket = tls[0].wrap_socket(server.socket, server_side=True)
        with use_cassette(path, "rewrite") as cassette, ThreadPoolExecutor(count) as pool:
            said = list(pool.map(ask, range(count)))
        assert len(cassette.recorded) == len(server.seen) == count * 4
        with use_cassette(path), ThreadPoolExecutor(count) as pool:
            assert list(pool.map(ask, range(count))) == said
        assert len(server.seen) == count * 4


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
