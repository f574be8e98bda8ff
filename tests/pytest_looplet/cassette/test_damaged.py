"""A cassette that was edited or merged into something else is an error with a sentence."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pytest_looplet.cassette import CassetteUnreadable
from pytest_looplet.cassette.body import BodyReader
from pytest_looplet.cassette.encoding import styled
from pytest_looplet.cassette.exchange import Reply, Request
from pytest_looplet.cassette.format import dump, load
from pytest_looplet.cassette.interaction import Interaction, Recording
from pytest_looplet.cassette.yaml_in import from_yaml
from pytest_looplet.cassette.yaml_out import to_yaml

pytestmark = pytest.mark.slow

PROMPT = "".join(f"line {n} of a prompt that goes on and on\n" for n in range(20))
EVENTS = b'event: delta\ndata: {"a":1}\n\ndata: [DONE]\n\nrest'


def sample() -> str:
    """A cassette with one of everything the format knows."""
    turn = {"role": "user", "content": "go"}
    asked: list[Any] = [
        {"model": "m", "messages": [turn], "user": "u"},
        {"model": "m", "messages": [turn, {"role": "assistant", "content": "x"}]},
        {"prompt": PROMPT},
        {"prompt": PROMPT + "and more\n"},
    ]
    bodies = [
        styled(asked[0], "spaced"),
        styled(asked[1], "compact"),
        *(styled(a, "compact") for a in asked[2:]),
    ]
    bodies += [b"plain text", b"\xff\xfe"]
    event_stream = (("content-type", "text/event-stream"),)
    replies = [
        Reply(200, (("x-a", "1"),), b'{"ok":true}'),
        Reply(200, event_stream, EVENTS),
        Reply(429, (("x-a", "1"), ("x-a", "2")), b"later"),
        Reply(0, failure="ConnectTimeout"),
        Reply(200, (), b"half", "cut"),
        Reply(200, (), b"\xff", kept_encoding="gzip"),
    ]
    reader = BodyReader(lambda value: value)
    made = []
    for raw, reply in zip(bodies, replies, strict=True):
        body = reader.read(raw)
        headers = (("content-type", "text/plain"),) if body is None else ()
        request = Request("POST", "/v1/x", "a=b", "h", raw if body is None else b"", headers)
        made.append(Interaction(request, body, reply))
    return dump(Recording(made))


VCRPY = """\
version: 1
interactions:
- request:
    method: POST
    uri: https://api.openai.com/v1/chat/completions
    headers: {accept: ['*/*']}
    body: '{"model":"m","messages":[]}'
  response:
    status: {code: 200, message: OK}
    headers: {content-type: [application/json]}
    body: {string: '{}'}
"""


def test_the_sample_has_one_of_everything() -> None:
    text = sample()
    members = (
        "like keep without style repeated lines text base64 json events rest ended content_encoding failure"
    )
    assert [name for name in members.split() if f"{name}:" not in text] == []
    assert dump(load(text.encode(), "x.yaml")) == text


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a value, from the outside in."""
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield from places(item, (*path, key))


GOOD = {"ours": from_yaml(sample().encode()), "vcrpy's": from_yaml(VCRPY.encode())}
PLACES = [(kind, place) for kind, data in GOOD.items() for place in places(data)]
GONE = object()
JUNK: list[Any] = [
    GONE,
    None,
    True,
    -1,
    0,
    99,
    2.5,
    "",
    "junk",
    [],
    ["x"],
    [1, 2, 3],
    [[]],
    {},
    {"x": 1},
    [None],
]


def changed(data: Any, place: tuple[Any, ...], junk: Any) -> Any:
    made = copy.deepcopy(data)
    target = made
    for key in place[:-1]:
        target = target[key]
    if junk is GONE:
        del target[place[-1]]
    else:
        target[place[-1]] = junk
    return made


def read(data: Any) -> Recording | CassetteUnreadable:
    try:
        return load((to_yaml(data) + "...\n").encode(), "x.yaml")
    except CassetteUnreadable as error:
        return error


def check(data: Any) -> None:
    """It is read as it stands, or told in a sentence that names the file."""
    found = read(data)
    if isinstance(found, Recording):
        again = load(dump(found).encode(), "x.yaml")
        assert [i.request_bytes for i in again.interactions] == [i.request_bytes for i in found.interactions]
        return
    told = str(found)
    assert re.match(r"cannot read cassette x\.yaml(:\d+)?: \S", told)
    assert not re.search(r"\w+Error|object has no|not subscriptable|indices must|unpack|NoneType", told), told
    assert len(told) < 400


@pytest.mark.parametrize("junk", JUNK, ids=[repr(j) if j is not GONE else "gone" for j in JUNK])
def test_one_change_anywhere(junk: Any) -> None:
    for kind, place in PLACES:
        check(changed(GOOD[kind], place, junk))


ANY = st.recursive(
    st.sampled_from([j for j in JUNK if j is not GONE]) | st.integers() | st.text("ab:\n", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["at", "lines", "like", "keep", "json", "data", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["ours", "vcrpy's"]), st.data())
def test_several_changes_anywhere(kind: str, data: st.DataObject) -> None:
    value = GOOD[kind]
    for _ in range(data.draw(st.integers(1, 4))):
        known = list(places(value))
        if known:
            value = changed(value, data.draw(st.sampled_from(known)), data.draw(ANY | st.just(GONE)))
    check(value)


CALL = "looplet_cassette: 1\ninteractions:\n- call: 1\n  request: {asked}\n  reply: {said}\n...\n"
ASKED, SAID = "{method: POST, url: /}", "{status: 200}"
TOLD = {
    "no reply": (ASKED, None, "it has no `reply`"),
    "no url": ("{method: POST}", SAID, "the request has no `url`"),
    "a url that is none": ("{method: POST, url: 5}", SAID, "`url` of the request must be text, not 5"),
    "no keep": ("{method: POST, url: /, like: 1}", SAID, "the request has no `keep`"),
    "no status": (ASKED, "{text: x}", "the reply has no `status`"),
    "a status that is none": (ASKED, "{status: ok}", "must be a whole number, not 'ok'"),
    "a style that is none": (ASKED, "{status: 200, style: x, json: {}}", "`style` must be compact, "),
    "an end that is none": (ASKED, "{status: 200, ended: x}", "must be whole, cut, cancelled; not 'x'"),
    "events that are none": (ASKED, "{status: 200, events: x}", "`events` must be a list, not 'x'"),
    "an event without data": (ASKED, "{status: 200, events: [{}]}", "an event has no `data`"),
    "no base64": (ASKED, "{status: 200, base64: x}", "`base64` is no base64"),
    "a header that is none": (ASKED, "{status: 200, headers: {a: 1}}", "header `a` must be text, not 1"),
}


@pytest.mark.parametrize(("asked", "said", "told"), TOLD.values(), ids=TOLD)
def test_what_is_wrong_and_where(asked: str, said: str | None, told: str) -> None:
    text = CALL.replace("{asked}", asked)
    text = text.replace("  reply: {said}\n", "") if said is None else text.replace("{said}", said)
    with pytest.raises(CassetteUnreadable, match="call 1 is damaged: ") as caught:
        load(text.encode(), "x.yaml")
    assert told in str(caught.value)
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("value", "told"),
    [("!!binary AAAA", "type !!binary"), ("1e999", "a number that is too large")],
    ids=["bytes", "infinity"],
)
def test_what_json_has_no_word_for(value: str, told: str) -> None:
    text = CALL.format(asked="{method: POST, url: /, json: {a: [" + value + "]}}", said=SAID)
    with pytest.raises(CassetteUnreadable, match=told):
        load(text.encode(), "x.yaml")


def test_a_call_that_was_taken_out_by_hand() -> None:
    data = changed(GOOD["ours"], ("interactions", 0), GONE)
    assert "it says `call: 2`; calls must be numbered in their order" in str(read(data))


DEEP = {
    "lists": b"[" * 100_000,
    "closed lists": b"looplet_cassette: " + b"[" * 3_000 + b"]" * 3_000,
    "mappings": b"{a: " * 50_000,
    "lists of lines": b"- " * 50_000,
    "keys": b"? " * 50_000,
    "lists with closed ones in text": b'["]]]]", ' * 50_000,
    "a list as a key": b"[a]: 1\n",
    "a list as a key that says it is text": b"!!str [a]: 1\n",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_CA_06_a_text_that_nests_without_end_does_not_take_the_process_down(text):
    # A loader that goes down with it uses up the C stack: the process is gone, with every result in it.
    with pytest.raises(CassetteUnreadable, match=r"cannot read cassette x\.yaml"):
        load(text, "x.yaml")
