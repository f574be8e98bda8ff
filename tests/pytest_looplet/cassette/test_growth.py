"""A file grows with the work done, and what a replay does for a call does not grow with the calls before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import vcr
from jsonschema import Draft202012Validator

from pytest_looplet.cassette import use_cassette
from pytest_looplet.cassette.exchange import Reply, Request
from pytest_looplet.cassette.format import dump, load
from pytest_looplet.cassette.secrets import scrubs
from pytest_looplet.cassette.tape import Rules, Slot, Tape
from pytest_looplet.cassette.yaml_in import from_yaml
from tests.pytest_looplet.cassette.agents import TLS
from tests.pytest_looplet.cassette.raw_server import Asked, RawServer

WORD = "some words of a result, naïve ones too\n"


def thread(calls: int) -> list[bytes]:
    """The request bodies of an agent that made *calls* calls of 2 kB each."""
    turns: list[dict[str, str]] = [{"role": "user", "content": "go"}]
    bodies = []
    for number in range(calls):
        asked = {"model": "m", "messages": turns, "tools": [{"name": "search"}]}
        bodies.append(json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode())
        turns = [
            *turns,
            {"role": "assistant", "content": f"call {number}"},
            {"role": "tool", "content": f"{number} {WORD * 50}"},
        ]
    return bodies


def recorded(calls: int) -> str:
    tape = Tape("x", None, plays=False, records=True, rules=Rules(), scrubs=scrubs())
    for body in thread(calls):
        slot = tape.ask(Request("POST", "/v1/chat/completions", body=body))
        assert isinstance(slot, Slot)
        slot.finish(Reply(200, (("content-type", "application/json"),), b'{"ok":true}'))
    tape.recording.interactions = tape.recorded
    return dump(tape.recording)


def test_the_file_is_linear_in_the_calls() -> None:
    sizes = [len(recorded(calls)) for calls in (10, 40, 120)]
    per_call = [(sizes[1] - sizes[0]) / 30, (sizes[2] - sizes[1]) / 80]
    assert per_call[1] < per_call[0] * 1.05
    assert per_call[1] < 2 * len(WORD) * 50


def test_a_long_replay_matches_every_call() -> None:
    read = load(recorded(100).encode(), "x")
    tape = Tape("x", read, plays=True, records=False, rules=Rules(), scrubs=scrubs())
    for body in thread(100):
        assert isinstance(tape.ask(Request("POST", "/v1/chat/completions", body=body)), Reply)
    assert not tape.unplayed


def test_the_schema_says_what_is_written(recorded_text: str) -> None:
    schema = json.loads((Path(__file__).parents[3] / "docs/schemas/cassette.schema.json").read_text())
    validator = Draft202012Validator(schema)
    for text in (recorded_text, recorded(3)):
        validator.validate(from_yaml(text.encode()))
    with pytest.raises(Exception, match="required"):
        validator.validate({"looplet_cassette": 1, "interactions": [{"call": 1}]})


def test_a_plain_vcrpy_cassette_is_read(tmp_path: Path) -> None:
    import httpx2

    path = tmp_path / "plain.yaml"

    def answer(asked: Asked) -> None:
        asked.send(b'{"echo": %s}' % (asked.body or b"null"), [("Content-Type", "application/json")])

    with RawServer(answer) as server, vcr.use_cassette(str(path)):
        url = server.url
        live = [httpx2.post(url, json={"messages": [n]}, verify=TLS).json() for n in ("a", "b")]
    with use_cassette(path):
        assert [httpx2.post(url, json={"messages": [n]}, verify=TLS).json() for n in ("a", "b")] == live
