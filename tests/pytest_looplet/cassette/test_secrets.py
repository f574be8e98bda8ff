"""No credential reaches the disk, wherever in a call it travels; and the replay still matches."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import pytest

from pytest_looplet.cassette import CassetteDrift, use_cassette
from tests.pytest_looplet.cassette.agents import TLS
from tests.pytest_looplet.cassette.raw_server import Asked, RawServer

# One of each kind, put together here so that no scanner takes this file for a leak.
GITHUB = "ghp_" + "FAKE1234abcd" * 3
OPENAI = "sk-proj-" + "FAKEabc123_-" * 5
NPM = "npm_" + "FAKE0a1b2c3d" * 3
PASSWORD = "Correct9Horse-Battery"
OWN = "my-own-9f8e7d6c5b4a"


def spellings(secret: str) -> Iterable[bytes]:
    raw = secret.encode()
    yield raw
    yield json.dumps(secret)[1:-1].encode()
    yield quote(secret, safe="").encode()
    for shift in range(3):
        packed = base64.b64encode(b"\0" * shift + raw)
        yield packed[4 * (shift > 0) : len(packed) - 4]


def assert_clean(path: Path, *secrets: str) -> None:
    text = path.read_bytes()
    for secret in secrets:
        for spelling in spellings(secret):
            assert spelling not in text, f"{secret!r} as {spelling!r}"


def echo(asked: Asked) -> None:
    asked.send(b'{"ok":true}', [("Content-Type", "application/json")])


PLACES: dict[str, Any] = {
    "authorization": ({"headers": {"Authorization": f"Bearer {OPENAI}"}}, [OPENAI]),
    "api key header": ({"headers": {"x-api-key": OWN, "api-key": OWN, "x-goog-api-key": OWN}}, [OWN]),
    "basic": ({"auth": ("user", PASSWORD)}, [PASSWORD]),
    "cookie": ({"headers": {"Cookie": f"session={OWN}; theme=dark"}}, [OWN]),
    "query": ({"params": {"key": OWN, "alt": "sse"}}, [OWN]),
    "other tokens in query": (
        {"params": {"hapikey": OWN, "session_id": OWN, "SAMLResponse": OWN, "app_key": OWN}},
        [OWN],
    ),
    "forms of OAuth": ({"data": {"client_assertion": OWN, "code_verifier": OWN, "code": OWN}}, [OWN]),
    "token in query": ({"params": {"access_token": OWN}}, [OWN]),
    "JSON": ({"json": {"messages": [{"role": "user", "content": f"my key is {OPENAI}"}]}}, [OPENAI]),
    "JSON in JSON": (
        {"json": {"messages": [{"role": "tool", "content": json.dumps({"env": {"T": GITHUB}})}]}},
        [GITHUB],
    ),
    "password member": ({"json": {"login": {"user": "x", "password": PASSWORD}}}, [PASSWORD]),
    "password in arguments": ({"json": {"arguments": json.dumps({"password": PASSWORD})}}, [PASSWORD]),
    "form": ({"data": {"user": "x", "password": PASSWORD}}, [PASSWORD]),
    "text": ({"content": f"token={GITHUB}"}, [GITHUB]),
    "odd JSON": ({"content": f'{{ "a" :"{GITHUB}"}}'}, [GITHUB]),
    "base64": ({"json": {"data": base64.b64encode(f"token={GITHUB}".encode()).decode()}}, [GITHUB]),
    "binary": ({"content": b"\xff\xfe" + GITHUB.encode() + b"\x00"}, [GITHUB]),
    "gzip": (
        {
            "content": gzip.compress(json.dumps({"a": GITHUB}).encode(), mtime=0),
            "headers": {"Content-Encoding": "gzip"},
        },
        [GITHUB],
    ),
    "path": ({"path": f"/bot{123456789}:AA{'x9' * 17}/send"}, [f":AA{'x9' * 17}"]),
}


def call(base: str, options: dict[str, Any]) -> httpx2.Response:
    rest = {k: v for k, v in options.items() if k != "path"}
    with httpx2.Client(verify=TLS) as client:
        return client.post(base + options.get("path", "/v1/x"), **rest)


@pytest.mark.parametrize("place", PLACES)
def test_CA_02_a_credential_in_a_request_is_not_on_the_disk(place: str, tmp_path: Path) -> None:
    options, secrets = PLACES[place]
    path = tmp_path / "a.looplet.yaml"
    with RawServer(echo) as server, use_cassette(path, "rewrite"):
        live = call(server.url, options)
        url = server.url
    assert_clean(path, *secrets)
    with use_cassette(path):
        assert call(url, options).json() == live.json()
    # What is not a secret still counts.
    with pytest.raises(CassetteDrift), use_cassette(path):
        call(url, {**options, "path": "/v2/x"})


def test_CA_02_userinfo_in_a_url(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    with RawServer(echo) as server, use_cassette(path, "rewrite"):
        call(f"http://user:{PASSWORD}@{urlsplit(server.url).netloc}", {})
    assert_clean(path, PASSWORD)


REPLIES: dict[str, Any] = {
    "set-cookie": (b"{}", [("Set-Cookie", f"s={OWN}; Path=/"), ("Set-Cookie", f"t={OWN}")], [OWN]),
    "echoed key": (json.dumps({"error": f"Incorrect API key provided: {OPENAI}."}).encode(), [], [OPENAI]),
    "text": (f"export TOKEN={GITHUB}\n".encode(), [], [GITHUB]),
    "gzip": (gzip.compress(f'{{"t":"{GITHUB}"}}'.encode()), [("Content-Encoding", "gzip")], [GITHUB]),
    "binary": (b"\x00\xff" + NPM.encode(), [], [NPM]),
}


@pytest.mark.parametrize("place", REPLIES)
def test_CA_02_a_credential_in_a_reply_is_not_on_the_disk(place: str, tmp_path: Path) -> None:
    body, headers, secrets = REPLIES[place]
    path = tmp_path / "a.looplet.yaml"
    with RawServer(lambda asked: asked.send(body, headers)) as server, use_cassette(path, "rewrite"):
        call(server.url, {})
    assert_clean(path, *secrets)


def deltas(*pieces: str) -> list[bytes]:
    return [
        b"data: " + json.dumps({"choices": [{"delta": {"content": p}}]}).encode() + b"\n\n" for p in pieces
    ]


CUT = (GITHUB[:9], GITHUB[9:20], GITHUB[20:21], GITHUB[21:])
WHOLE = b"".join(deltas(f"use {NPM} here"))
STREAMS = {
    "over the deltas": (deltas("the token is ", *CUT, " ok"), GITHUB),
    "two in one text": (deltas("a ", *CUT, " b ", *CUT, " c"), GITHUB),
    "over the bytes": ([WHOLE[n : n + 7] for n in range(0, len(WHOLE), 7)], NPM),
    "in one event": (deltas(f"use {NPM}"), NPM),
    "arguments of a call": (
        [
            b"data: "
            + json.dumps(
                {"choices": [{"delta": {"tool_calls": [{"index": n, "function": {"arguments": a}}]}}]}
            ).encode()
            + b"\n\n"
            for n, a in ((0, '{"t": "' + GITHUB[:8]), (1, '{"x": "'), (0, GITHUB[8:]), (1, '1"}'), (0, '"}'))
        ],
        GITHUB,
    ),
}


@pytest.mark.parametrize("place", STREAMS)
def test_CA_02_a_credential_cut_in_pieces_by_a_stream(place: str, tmp_path: Path) -> None:
    parts, secret = STREAMS[place]
    path = tmp_path / "a.looplet.yaml"
    with RawServer(lambda asked: asked.stream(parts)) as server, use_cassette(path, "rewrite"):
        url = server.url
        assert call(url, {}).content == b"".join(parts)
    assert_clean(path, secret, secret[:20], secret[-20:])
    with use_cassette(path):
        played = call(url, {}).text
    events = [json.loads(line[6:]) for line in played.splitlines() if line.startswith("data: ")]
    assert len(events) == b"".join(parts).count(b"data: ")
    assert "[redacted:" in played


KEY = "-----BEGIN EC PRIVATE KEY-----\n" + "0a1B2c3D4e5F6g7H" * 4 + "\n-----END EC PRIVATE KEY-----"
SAID = f'{{"text":"a\\n{GITHUB}","password":"{PASSWORD}"}}'


def chunk(piece: str, **style: Any) -> str:
    return json.dumps({"choices": [{"delta": {"content": piece}}]}, **style)


FORMS: dict[str, Any] = {
    "plain": lambda pieces: "".join(f"data: {chunk(p)}\n\n" for p in pieces),
    "no blank": lambda pieces: "".join(f"data:{chunk(p)}\n\n" for p in pieces),
    "with ids": lambda pieces: "".join(f"id: {n}\ndata: {chunk(p)}\n\n" for n, p in enumerate(pieces)),
    "over two lines": lambda pieces: "".join(
        "data: {chunk}\n\n".format(chunk=chunk(p).replace(" [", "\ndata: [")) for p in pieces
    ),
    "two styles": lambda pieces: "".join(
        f"data: {chunk(p, separators=((',', ':'), (', ', ': '))[n % 2])}\n\n" for n, p in enumerate(pieces)
    ),
    "end is missing": lambda pieces: "\n\n".join(f"data: {chunk(p)}" for p in pieces),
    "lines of JSON": lambda pieces: "".join(f"{chunk(p)}\n" for p in pieces),
    "a list": lambda pieces: "[" + ",\r\n".join(chunk(p, indent=2) for p in pieces) + "]",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("said", [SAID, KEY], ids=["JSON", "key"])
def test_CA_02_a_credential_cut_anywhere_in_a_stream_of_any_form(
    form: str, said: str, tmp_path: Path
) -> None:
    kind = "application/json" if form in ("lines of JSON", "a list") else "text/event-stream"
    cuts = [[said[:n], said[n:]] for n in range(1, len(said), 7)] + [list(said)]
    bodies = iter([FORMS[form](pieces).encode() for pieces in cuts])
    path = tmp_path / "a.looplet.yaml"
    with (
        RawServer(lambda asked: asked.send(next(bodies), [("Content-Type", kind)])) as server,
        use_cassette(path, "rewrite"),
    ):
        for _ in cuts:
            call(server.url, {})
    with use_cassette(path):
        played = [call(server.url, {}).text for _ in cuts]
    for text in played:
        pieces = re.findall(r'"content":\s*("(?:[^"\\]|\\.)*")', text.replace("\ndata: ", ""))
        told = "".join(json.loads(piece) for piece in pieces)
        assert "[redacted:" in told
        for secret in (GITHUB[-20:], PASSWORD[-10:], KEY[40:90]):
            assert secret not in told


def test_values_of_the_environment_go_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.looplet.yaml"
    said = {"json": {"messages": [{"role": "user", "content": f"use {OWN} now"}]}}
    monkeypatch.setenv("MY_SERVICE_API_KEY", OWN)
    with RawServer(echo) as server, use_cassette(path, "rewrite"):
        url = server.url
        call(url, said)
    assert_clean(path, OWN)
    assert "use [env:MY_SERVICE_API_KEY] now" in path.read_text(encoding="utf-8")
    with use_cassette(path):
        assert call(url, said).json() == {"ok": True}
    monkeypatch.setenv("MY_SERVICE_API_KEY", "another-value-1234")
    with use_cassette(path):
        assert call(
            url, {"json": {"messages": [{"role": "user", "content": "use another-value-1234 now"}]}}
        ).is_success


def test_a_variable_that_is_missing_in_replay_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.looplet.yaml"

    def asked() -> dict[str, Any]:
        return {
            "json": {
                "messages": [{"role": "user", "content": f"use {os.environ.get('MY_SECRET', 'nothing')}"}]
            }
        }

    monkeypatch.setenv("MY_SECRET", OWN)
    with RawServer(echo) as server, use_cassette(path, "rewrite"):
        url = server.url
        call(url, asked())
    monkeypatch.delenv("MY_SECRET")
    with (
        pytest.raises(CassetteDrift, match="held the value of MY_SECRET there, which is not set now"),
        use_cassette(path),
    ):
        call(url, asked())


def test_a_users_own_redactor(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    said = {"json": {"messages": [{"role": "user", "content": "customer 4711"}]}}
    redactors = [lambda text: text.replace("4711", "[customer]")]
    with RawServer(echo) as server, use_cassette(path, "rewrite", redactors=redactors):
        url = server.url
        call(url, said)
    assert "4711" not in path.read_text(encoding="utf-8")
    with use_cassette(path, redactors=redactors):
        assert call(url, said).is_success
