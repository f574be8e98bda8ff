"""A file grows with the work done, and what a replay does for a call does not grow with the calls before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import vcr
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator

from pytest_looplet.cassette import CassetteUnreadable, use_cassette
from pytest_looplet.cassette.exchange import Reply, Request
from pytest_looplet.cassette.format import dump, load
from pytest_looplet.cassette.secrets import scrubs
from pytest_looplet.cassette.tape import Rules, Slot, Tape
from pytest_looplet.cassette.yaml_in import from_yaml
from tests.pytest_looplet.cassette.agents import TLS
from tests.pytest_looplet.cassette.raw_server import Asked, RawServer

pytestmark = pytest.mark.slow

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


def prompts(calls: int) -> list[str]:
    """The prompts of an agent that writes all it did into one text, 3 kB a call."""
    history: list[str] = []
    made = []
    for number in range(calls):
        made.append(
            "\n".join(["TASK", "go\n", "STEPS", *history, "", f"Step {number}?\n", "Answer in JSON."])
        )
        history += [f"call {number}:", *(f"{number}.{line} {WORD}" for line in range(50))]
    return made


def asked_in(shape: str, prompt: str) -> bytes:
    turn = {"role": "user", "content": prompt}
    said = {"role": "system", "content": "Be careful.\n" * 60}
    asked = {
        "one turn": {"model": "m", "messages": [turn]},
        "after a system turn": {"model": "m", "messages": [said, turn]},
        "blocks": {"messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}]},
        "no thread": {"prompt": prompt, "max_tokens": 5},
    }
    return json.dumps(asked[shape], ensure_ascii=False, separators=(",", ":")).encode()


SHAPES = ("one turn", "after a system turn", "blocks", "no thread")


def recorded(calls: int) -> str:
    return recording(thread(calls))


def recording(bodies: list[bytes]) -> str:
    tape = Tape("x", None, plays=False, records=True, rules=Rules(), scrubs=scrubs())
    for body in bodies:
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


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_of_text_prompts_is_linear_and_exact(shape: str) -> None:
    bodies = [asked_in(shape, prompt) for prompt in prompts(32)]
    sizes = [len(recording(bodies[:calls])) for calls in (8, 16, 32)]
    per_call = [(sizes[1] - sizes[0]) / 8, (sizes[2] - sizes[1]) / 16]
    assert per_call[1] < per_call[0] * 1.05
    assert per_call[1] < 2 * len(WORD) * 50
    read = load(recording(bodies).encode(), "x")
    assert [interaction.request_bytes for interaction in read.interactions] == bodies
    assert dump(read) == recording(bodies)
    tape = Tape("x", read, plays=True, records=False, rules=Rules(), scrubs=scrubs())
    for body in bodies:
        assert isinstance(tape.ask(Request("POST", "/v1/chat/completions", body=body)), Reply)


lines = st.text(st.sampled_from("ab\n \t#:'-é\u2028"), max_size=300)


@given(st.lists(st.tuples(st.sampled_from(SHAPES), st.lists(lines, min_size=1, max_size=4)), max_size=6))
def test_any_prompt_after_any_other_is_exact(asked: list[tuple[str, list[str]]]) -> None:
    bodies = [asked_in(shape, "\n".join(texts) * 2) for shape, texts in asked]
    read = load(recording(bodies).encode(), "x")
    assert [interaction.request_bytes for interaction in read.interactions] == bodies


@pytest.mark.parametrize(
    "lines", ["[0, 9999]", "[5, 2]", "[-1, 2]", "[1]", "7", "[a, b]"], ids=lambda text: f"lines {text}"
)
def test_lines_that_are_not_there_are_an_error(lines: str) -> None:
    text = recording([asked_in("one turn", prompt) for prompt in prompts(3)])
    damaged = text.replace("- [0, ", f"- {lines}\n      - [0, ", 1)
    assert damaged != text
    with pytest.raises(CassetteUnreadable, match=r"x:\d+: call 3 is damaged"):
        load(damaged.encode(), "x")


def test_a_long_replay_matches_every_call() -> None:
    read = load(recorded(100).encode(), "x")
    tape = Tape("x", read, plays=True, records=False, rules=Rules(), scrubs=scrubs())
    for body in thread(100):
        assert isinstance(tape.ask(Request("POST", "/v1/chat/completions", body=body)), Reply)
    assert not tape.unplayed


def test_the_schema_says_what_is_written(recorded_text: str) -> None:
    schema = json.loads((Path(__file__).parents[3] / "docs/schemas/cassette.schema.json").read_text())
    validator = Draft202012Validator(schema)
    prompted = recording([asked_in("one turn", prompt) for prompt in prompts(3)])
    assert "repeated:" in prompted
    for text in (recorded_text, recorded(3), prompted):
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
