"""Whatever went over the wire comes back from the file exactly; whatever is no cassette is an error."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from pytest_looplet.cassette import CassetteError, CassetteUnreadable, open_cassette
from pytest_looplet.cassette.body import BodyReader
from pytest_looplet.cassette.encoding import STYLES, bytes_of, shown, styled
from pytest_looplet.cassette.exchange import Reply, Request, reply_from_wire
from pytest_looplet.cassette.format import dump, load
from pytest_looplet.cassette.interaction import Interaction, Recording
from pytest_looplet.cassette.yaml_in import from_yaml
from pytest_looplet.cassette.yaml_out import to_yaml

pytestmark = pytest.mark.slow

TEXT = st.text() | st.text(" \n\t:#-|>'\"\\ab{}[]&*!%@`")
UTF8 = st.text(st.characters(codec="utf-8")) | st.text(" \n\t:#-|>'\"\\ab{}[]&*!%@`")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def values(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        SCALARS | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=12,
    )


@settings(max_examples=60, deadline=None)
@given(values(UTF8))
def test_yaml_says_what_was_written(value: Any) -> None:
    again = from_yaml(to_yaml({"value": value}).encode("utf-8"))
    assert json.dumps(again) == json.dumps({"value": value})


ASCII_STYLES = [name for name in STYLES if "ascii" in name]
EVENTS = st.builds(
    lambda value, name: (f"event: {name}\n" if name else "") + "data: " + json.dumps(value),
    values(TEXT),
    st.sampled_from(["", "delta"]),
)
STREAMS = st.lists(EVENTS | UTF8 | st.just("data: [DONE]"), max_size=5).map("\n\n".join)
BODIES = (
    st.binary()
    | UTF8.map(str.encode)
    | st.builds(styled, values(TEXT), st.sampled_from(ASCII_STYLES))
    | STREAMS.flatmap(lambda s: st.sampled_from([s, f"{s}\n\n", s.replace("\n", "\r\n")])).map(str.encode)
)


@settings(max_examples=80, deadline=None)
@given(BODIES, st.booleans())
def test_a_body_comes_back_byte_for_byte(raw: bytes, events: bool) -> None:
    made = from_yaml(to_yaml({"x": 1, **shown(raw, events=events)}).encode("utf-8"))
    assert bytes_of(made) == raw


TURNS = st.lists(
    st.dictionaries(st.sampled_from(["role", "content", "n"]), UTF8 | SCALARS, max_size=2) | UTF8
)
HEADERS = st.lists(st.tuples(st.sampled_from(["x-a", "x-b", "content-type"]), UTF8), max_size=4).map(tuple)
REPLIES = st.builds(
    Reply,
    st.integers(100, 599),
    HEADERS,
    BODIES,
    st.sampled_from(["whole", "cut", "cancelled"]),
) | st.builds(Reply, st.just(0), failure=st.sampled_from(["ConnectTimeout", "ReadError"]))


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[bytes, Reply]]:
    """Requests that continue, shorten and change each other, with their replies."""
    turns: list[Any] = draw(TURNS)
    style = draw(st.sampled_from([*STYLES, "other"]))
    made = []
    for _ in range(draw(st.integers(1, 5))):
        turns = turns[: draw(st.integers(0, len(turns)))] if draw(st.booleans()) else turns
        turns = turns + draw(TURNS)
        value = {"model": draw(st.sampled_from(["a", "b"])), "messages": turns}
        if draw(st.booleans()):
            value["temperature"] = draw(st.sampled_from([1, 1.0, True, 0]))
        raw = json.dumps(value, indent=3).encode() if style == "other" else styled(value, style)
        made.append((draw(BODIES) if draw(st.integers(0, 4)) == 0 else raw, draw(REPLIES)))
    return made


@settings(max_examples=60, deadline=None)
@given(conversations())
def test_a_cassette_holds_exactly_what_was_said(said: list[tuple[bytes, Reply]]) -> None:
    reader = BodyReader(lambda value: value)
    interactions = []
    for raw, reply in said:
        body = reader.read(raw)
        kept = b"" if body is not None and body.style else raw
        interactions.append(Interaction(Request("POST", "/v1/x", "a=b", "h", kept), body, reply))
    text = dump(Recording(interactions))
    again = load(text.encode("utf-8"), "x.yaml")
    assert [(i.request_bytes, i.reply) for i in again.interactions] == said
    assert dump(again) == text


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b'{"a":1}')),
        ("deflate", zlib.compress(b'{"a":1}')),
        ("deflate", zlib.compress(b'{"a":1}')[2:-4]),
        ("deflate, gzip", gzip.compress(zlib.compress(b'{"a":1}'))),
        ("identity", b'{"a":1}'),
        ("", b'{"a":1}'),
    ],
    ids=[
        "gzip",
        "deflate",
        "deflate without its head",
        "both",
        "identity",
        "none",
    ],  # gzip bytes hold the time, and all xdist workers must collect the same
)
def test_compression_is_undone(encoding: str, packed: bytes) -> None:
    headers = [("Content-Encoding", encoding)] if encoding else []
    assert reply_from_wire(200, headers, packed) == Reply(200, (), b'{"a":1}')


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "snappy"])
def test_a_body_whose_compression_cannot_be_undone_is_kept_with_its_encoding(encoding: str) -> None:
    reply = reply_from_wire(200, [("content-encoding", encoding)], b"not packed")
    assert (reply.body, reply.kept_encoding) == (b"not packed", encoding)


DAMAGED = {
    "empty": (b"", ": it is empty"),
    "blank": (b" \n\n", ": it is empty"),
    "not YAML": (b"a: [1\nb: }", ":2: "),
    "not UTF-8": (b"a: 1\nb: \xff\xfe", ":2: not UTF-8"),
    "merge conflict": (
        b"looplet_cassette: 1\ninteractions:\n<<<<<<< HEAD\n- a: 1\n=======\n",
        ":3: a merge conflict was left",
    ),
    "another file": (b"name: x\n", ": it is no cassette"),
    "a list": (b"- 1\n", ": it is no cassette"),
    "newer version": (b"looplet_cassette: 99\ninteractions: []\n", ": it has format version 99"),
    "version true": (b"looplet_cassette: true\ninteractions: []\n", ": it has format version True"),
    "version 1.0": (b"looplet_cassette: 1.0\ninteractions: []\n", ": it has format version 1.0"),
    "vcrpy's own, damaged": (b"version: 1\ninteractions:\n- {}\n", ": a damaged vcrpy cassette"),
    "an object": (b"looplet_cassette: 1\ninteractions: !!python/object/apply:os.system ['true']\n", ":2: "),
    "anchors": (
        b"looplet_cassette: 1\ninteractions:\n- &a {x: 1}\n- request: {a: *a, b: *a}\n",
        ": it uses YAML anchors",
    ),
    "a member missing": (b"looplet_cassette: 1\ninteractions:\n- call: 1\n...\n", ":3: call 1 is damaged"),
    "a call that is not there": (
        b"looplet_cassette: 1\ninteractions:\n- request: {method: POST, url: /, like: 7, keep: 1}\n"
        b"  reply: {status: 200}\n...\n",
        ":3: call 1 is damaged",
    ),
    "a status that is none": (
        b"looplet_cassette: 1\ninteractions:\n- request: {method: POST, url: /}\n"
        b"  reply: {status: ok}\n...\n",
        ":3: call 1 is damaged",
    ),
}


@pytest.mark.parametrize("mode", ["replay", "missing", "tail"])
@pytest.mark.parametrize("what", DAMAGED)
def test_CA_06_a_damaged_file_is_an_error_that_names_it(what: str, mode: Any, tmp_path: Path) -> None:
    text, told = DAMAGED[what]
    path = tmp_path / "a.looplet.yaml"
    path.write_bytes(text)
    with pytest.raises(CassetteUnreadable) as caught:
        open_cassette(path, mode=mode, rerecord_command="pytest --looplet-record x")
    assert str(caught.value).startswith(f"cannot read cassette {path}")
    assert told in str(caught.value)
    assert "pytest --looplet-record x" in str(caught.value)
    assert path.read_bytes() == text


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | UTF8.map(str.encode))
def test_CA_06_arbitrary_bytes_are_never_an_empty_cassette(text: bytes) -> None:
    with pytest.raises(CassetteError, match=r"x\.yaml"):
        load(text, "x.yaml")


def test_CA_06_a_file_cut_anywhere_is_an_error(recorded_text: str) -> None:
    raw = recorded_text.encode("utf-8")
    for at in range(len(raw) // 40, len(raw) - 2, len(raw) // 40):
        with pytest.raises(CassetteUnreadable, match=r"x\.yaml(:\d+)?: "):
            load(raw[:at], "x.yaml")


def test_CA_01_only_plain_data_is_built(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    evil = f"looplet_cassette: 1\ninteractions: !!python/object/apply:pathlib.Path.touch ['{marker}']\n"
    with pytest.raises(CassetteUnreadable):
        load(evil.encode(), "x.yaml")
    assert not marker.exists()


def test_a_person_can_read_it(recorded_text: str) -> None:
    assert "      - role: tool\n" in recorded_text
    assert "        content: |-\n          sunny\n          and warm, naïve 🙂 x\n" in recorded_text
    assert "    like: 1\n    keep: 2\n" in recorded_text
    assert recorded_text.endswith("\n")
    assert not recorded_text.endswith("\n\n")
    assert yaml.safe_load(recorded_text)["interactions"][0]["call"] == 1


def test_binary_is_base64() -> None:
    assert shown(b"\xff\x00") == {"base64": base64.b64encode(b"\xff\x00").decode()}
