"""What a person is told when a request is not on the cassette: each cause, word for word."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from looplet.testing.provider import LocalProvider
from pytest_looplet.cassette import CassetteDrift, DriftClass, Policy, open_cassette, use_cassette
from tests.pytest_looplet.cassette.agents import OpenAIAgent
from tests.pytest_looplet.cassette.conftest import NOWHERE

RERECORD = "pytest --looplet-record tests/x.py::test_x"


class Changed(OpenAIAgent):
    """The recorded agent with one thing changed.

    Args:
        change: Is given each request before it is sent, with its number from 1.
        result: Text of the tool results.
    """

    def __init__(
        self, change: Callable[[dict[str, Any], int], None] = lambda asked, n: None, result: str = ""
    ) -> None:
        super().__init__(NOWHERE, max_retries=0)
        self.change = change
        self.result = result
        self.number = 0

    def request(self, messages: list[Any]) -> dict[str, Any]:
        self.number += 1
        asked = super().request(list(messages))
        self.change(asked, self.number)
        return asked

    def answer(self, turn: dict[str, Any], messages: list[Any], result: str = "") -> bool:
        return super().answer(turn, messages, *([self.result] if self.result else []))


def system_prompt(asked: dict[str, Any], number: int) -> None:
    asked["messages"][0] = {"role": "system", "content": "Be quick."}


def model(asked: dict[str, Any], number: int) -> None:
    asked["model"] = "gpt-5-mini"


def sampling(asked: dict[str, Any], number: int) -> None:
    asked["temperature"] = 0.9
    asked["max_tokens"] = 100


def tool_schema(asked: dict[str, Any], number: int) -> None:
    parameters = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    asked["tools"] = [{"type": "function", "function": {"name": "search", "parameters": parameters}}]


def another_tool(asked: dict[str, Any], number: int) -> None:
    asked["tools"] = [*asked["tools"], {"type": "function", "function": {"name": "pay", "parameters": {}}}]


def another_message(asked: dict[str, Any], number: int) -> None:
    if number == 2:
        asked["messages"].append({"role": "user", "content": "Hurry up!"})


HEAD = "model call {n} differs from the recording (cassette run.looplet.yaml, interaction {n})\n"
TOLD = {
    "tool result": (
        Changed(result="sunny\nand cold"),
        "history",
        HEAD.format(n=2)
        + """\
  messages[3] (result of step 1, search):
    sunny
  - and warm, naïve 🙂 x
  + and cold x
the first difference came from tool search at step 1""",
    ),
    "system prompt": (
        Changed(system_prompt),
        "prompt",
        HEAD.format(n=1)
        + """\
  messages[0] (system):
  - Be careful.
  + Be quick.""",
    ),
    "model": (Changed(model), "model", HEAD.format(n=1) + "  model: 'gpt-4o-mini' is now 'gpt-5-mini'"),
    "sampling": (
        Changed(sampling),
        "params",
        HEAD.format(n=1)
        + """\
  temperature: 0.2 is now 0.9
  max_tokens: (not sent) is now 100""",
    ),
    "tool schema": (
        Changed(tool_schema),
        "tools",
        HEAD.format(n=1)
        + """\
  schema of tool search:
          "properties": {
  -         "q": {
  +         "query": {
              "type": "string"
          "required": [
  -         "q"
  +         "query"
          ]""",
    ),
    "new tool": (Changed(another_tool), "tools", HEAD.format(n=1) + "  tool pay is new"),
    "new message": (
        Changed(another_message),
        "history",
        HEAD.format(n=2)
        + """\
  messages[4] (user) is new:
  + Hurry up!""",
    ),
}


@pytest.mark.parametrize("cause", TOLD)
def test_CA_05_a_change_is_told_in_one_screen(cause: str, cassette_path: Path) -> None:
    agent, kind, text = TOLD[cause]
    agent.number = 0
    with pytest.raises(CassetteDrift) as caught, use_cassette(cassette_path, rerecord_command=RERECORD):
        agent.run()
    assert str(caught.value) == f"{text}\nmeant to change it? {RERECORD}"
    assert caught.value.drift.classes == (kind,)


def test_CA_05_an_extra_call(cassette_path: Path) -> None:
    agent = OpenAIAgent(NOWHERE)
    with use_cassette(cassette_path) as cassette:
        agent.run()
        with pytest.raises(CassetteDrift) as caught:
            agent.run()
        cassette.forgive()
    assert str(caught.value) == (
        "the recording has 3 calls; call 4 is new (cassette run.looplet.yaml)\n"
        "  its last message, messages[1] (user):\n"
        "  + weather?\n"
        "  interaction 1 asked the same and is played already"
    )
    assert caught.value.drift.classes == ("calls",)


def test_an_agent_that_goes_on_where_it_had_stopped(cassette_path: Path) -> None:
    agent = OpenAIAgent(NOWHERE)
    with use_cassette(cassette_path) as cassette:
        agent.run()
        last = cassette.interactions[2].body
        assert last is not None
        more = [*last.turns, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Sure?"}]
        with pytest.raises(CassetteDrift) as caught:
            agent.client.chat.completions.create(**agent.request(more))
        cassette.forgive()
    assert str(caught.value) == (
        "the recording has 3 calls; call 4 is new (cassette run.looplet.yaml)\n"
        "  its last message, messages[7] (user):\n"
        "  + Sure?\n"
        "  it goes on where interaction 3, the last of its thread, ended"
    )


def test_a_new_call_names_the_tool_whose_result_it_carries(cassette_path: Path) -> None:
    agent = OpenAIAgent(NOWHERE)
    turns = [
        {"role": "user", "content": "Something else entirely."},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "pay"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "paid\ntwice"},
    ]
    with use_cassette(cassette_path, rerecord_command=RERECORD) as cassette:
        agent.run()
        with pytest.raises(CassetteDrift) as caught:
            agent.client.chat.completions.create(model="m", messages=turns)  # type: ignore[arg-type]
        cassette.forgive()
    assert str(caught.value) == (
        "the recording has 3 calls; call 4 is new (cassette run.looplet.yaml)\n"
        "  its last message, messages[2] (result of step 1, pay):\n"
        "  + paid\n"
        "  + twice\n"
        "its last message came from tool pay at step 1\n"
        f"meant to change it? {RERECORD}"
    )
    assert caught.value.drift.classes == ("calls",)


def test_a_thread_that_goes_on_while_another_is_not_over(tmp_path: Path) -> None:
    agent, path = OpenAIAgent(NOWHERE), tmp_path / "run.looplet.yaml"
    one, two = ([{"role": "user", "content": text}] for text in "ab")
    with LocalProvider(["A", "B"]) as provider, use_cassette(path, "rewrite"):
        for turns in (one, two):
            OpenAIAgent(provider.base_url).client.chat.completions.create(**agent.request(turns))
    more = [*one, {"role": "assistant", "content": "A"}, {"role": "user", "content": "Sure?"}]
    with use_cassette(path, unused="ignore") as cassette:
        agent.client.chat.completions.create(**agent.request(one))
        with pytest.raises(CassetteDrift) as caught:
            agent.client.chat.completions.create(**agent.request(more))
        cassette.forgive()
    assert str(caught.value) == (
        f"model call 2 is one more than was recorded (cassette {path})\n"
        "  its last message, messages[2] (user):\n"
        "  + Sure?\n"
        "  it goes on where interaction 1, the last of its thread, ended"
    )


def test_CA_05_missing_calls_are_listed(cassette_path: Path) -> None:
    with pytest.raises(AssertionError) as caught, use_cassette(cassette_path, rerecord_command=RERECORD):
        OpenAIAgent(NOWHERE).run(turns=1)
    assert str(caught.value) == (
        "2 of 3 recorded calls were not made (cassette run.looplet.yaml):\n"
        "  interaction 2: POST /v1/chat/completions (gpt-4o-mini)\n"
        "  interaction 3: POST /v1/chat/completions (gpt-4o-mini)\n"
        f"meant to change it? {RERECORD}"
    )


def test_CA_05_calls_in_another_order(cassette_path: Path) -> None:
    agent = OpenAIAgent(NOWHERE)
    with use_cassette(cassette_path) as recorded:
        agent.run()
    last = recorded.interactions[2].body
    assert last is not None
    with pytest.raises(CassetteDrift) as caught, use_cassette(cassette_path):
        agent.client.chat.completions.create(**agent.request(last.turns))
    assert str(caught.value) == (
        "model call 1 came out of order: it is interaction 3 (cassette run.looplet.yaml), and calls recorded "
        "before it were not made\n  POST /v1/chat/completions (gpt-4o-mini)"
    )


def test_an_order_that_only_warns(cassette_path: Path) -> None:
    agent = OpenAIAgent(NOWHERE)
    with use_cassette(cassette_path) as recorded:
        agent.run()
    last = recorded.interactions[2].body
    assert last is not None
    with open_cassette(cassette_path, drift_policy={"calls": "warn"}) as cassette:
        agent.client.chat.completions.create(**agent.request(last.turns))
    assert [d.classes for d in cassette.drifts] == [("calls",)]


def test_another_endpoint(cassette_path: Path) -> None:
    client = OpenAIAgent(NOWHERE).client
    with (
        pytest.raises(CassetteDrift, match="nothing was recorded for POST /v1/embeddings"),
        use_cassette(cassette_path),
    ):
        client.embeddings.create(model="e", input="x")


def test_sequence_plays_in_order_and_reports_the_drift(cassette_path: Path) -> None:
    with open_cassette(cassette_path, match="sequence", unused="error") as cassette:
        outcome = Changed(tool_schema, result="changed").run()
    assert outcome.texts == ["Done."]
    assert [d.call for d in cassette.drifts] == [1, 2, 3]
    assert cassette.drifts[0].classes == ("tools",)
    assert cassette.drifts[1].classes == ("history", "tools")


@pytest.mark.parametrize(("kind", "change"), [("prompt", system_prompt), ("tools", tool_schema)])
def test_a_class_that_warns_plays_and_is_reported(
    kind: DriftClass, change: Callable[[dict[str, Any], int], None], cassette_path: Path
) -> None:
    policy: dict[DriftClass, Policy] = {kind: "warn"}
    with open_cassette(cassette_path, drift_policy=policy, unused="error") as cassette:
        assert Changed(change).run().texts == ["Done."]
    assert {c for d in cassette.drifts for c in d.classes} == {kind}
    with pytest.raises(CassetteDrift), open_cassette(cassette_path, drift_policy=policy):
        Changed(model).run()


def test_a_mismatch_is_raised_again_where_the_agent_hid_it(cassette_path: Path) -> None:
    with (
        pytest.raises(CassetteDrift, match="gpt-5-mini"),
        use_cassette(cassette_path),
        contextlib.suppress(BaseException),
    ):
        Changed(model).run()


def test_what_cannot_matter_does_not(cassette_path: Path) -> None:
    def reordered(asked: dict[str, Any], number: int) -> None:
        asked["extra_headers"] = {"x-run": str(number)}
        asked["extra_query"] = {}
        ids = {c["id"]: f"mine-{n}" for n, m in enumerate(asked["messages"]) for c in m.get("tool_calls", ())}
        for message in asked["messages"]:
            for call in message.get("tool_calls", ()):
                call["id"] = ids.get(call["id"], call["id"])
            if "tool_call_id" in message:
                message["tool_call_id"] = ids.get(message["tool_call_id"], message["tool_call_id"])

    agent = Changed(reordered)
    with use_cassette(cassette_path):
        assert agent.run().texts == ["Done."]


def test_what_a_tool_said_is_shown_and_not_obeyed(cassette_path: Path) -> None:
    with pytest.raises(CassetteDrift) as caught, use_cassette(cassette_path):
        Changed(result="\x1b[2Jgone\u202e\n::error::x").run()
    told = str(caught.value)
    assert "\\x1b[2Jgone\\u202e" in told
    assert not any(line.lstrip().startswith("::") or "\x1b" in line for line in told.splitlines())
