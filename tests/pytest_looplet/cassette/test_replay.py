"""Record over real HTTP, stop the server, replay: for each SDK, sync and async, and all that may happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from looplet.testing import call, calls
from looplet.testing.provider import LocalProvider, status
from pytest_looplet.cassette import use_cassette
from tests.pytest_looplet.cassette.agents import (
    AnthropicAgent,
    AsyncAnthropicAgent,
    AsyncOpenAIAgent,
    OpenAIAgent,
    Outcome,
)

CASES = {
    "plain": (["It is sunny."], {}),
    "streaming": (["It is sunny, I think."], {"stream": True}),
    "tools": ([call("search", q="x"), call("search", q="y"), "Done."], {}),
    "streamed tools": ([call("search", q="x"), "Done."], {"stream": True}),
    "parallel tools": ([calls(call("search", q="x"), call("search", q="y")), "Done."], {}),
    "429 then 200": ([status(429, retry_after=0.01), "Done."], {}),
    "500": ([status(500, retry_after=0.01)] * 3, {}),
}
AGENTS: dict[str, Callable[..., Any]] = {
    "openai": OpenAIAgent,
    "openai async": AsyncOpenAIAgent,
    "anthropic": AnthropicAgent,
    "anthropic async": AsyncAnthropicAgent,
}


def run(agent: Any) -> Outcome:
    outcome = asyncio.run(agent.arun()) if hasattr(agent, "arun") else agent.run()
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", AGENTS)
def test_a_replay_without_the_server_is_the_same(kind: str, case: str, tmp_path: Path) -> None:
    script, options = CASES[case]
    path = tmp_path / "a.looplet.yaml"
    with LocalProvider(list(script)) as provider:
        base_url = provider.base_url
        with use_cassette(path, "rewrite") as recorded:
            live = run(AGENTS[kind](base_url, **options))
    with use_cassette(path) as played:
        again = run(AGENTS[kind](base_url, **options))
    assert again == live
    assert live.texts or live.calls or live.errors
    assert len(played.played) == len(recorded.recorded) == len(script)
    assert not played.unplayed
    assert "sk-" not in path.read_text(encoding="utf-8")


def responses(client: Any) -> object:
    return client.responses.create(model="m", input="weather?", instructions="Be careful.").output_text


def streamed_responses(client: Any) -> object:
    events = client.responses.create(model="m", input=[{"role": "user", "content": "weather?"}], stream=True)
    return [event.model_dump() for event in events]


def embeddings(client: Any) -> object:
    return client.embeddings.create(model="e", input=["a", "b"]).model_dump()


def raw_reply(client: Any) -> object:
    raw = client.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": "x"}]
    )
    return raw.status_code, raw.headers["x-request-id"], raw.parse().choices[0].message.content


@pytest.mark.parametrize("ask", [responses, streamed_responses, embeddings, raw_reply])
def test_other_endpoints_of_the_sdk(ask: Callable[[Any], object], tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    with LocalProvider(lambda request: "It is sunny.") as provider:
        client = OpenAIAgent(provider.base_url).client
        if "responses" in ask.__name__ and not hasattr(client, "responses"):
            pytest.skip("this openai is older than its Responses API")
        with use_cassette(path, "rewrite"):
            live = ask(client)
    with use_cassette(path):
        assert ask(client) == live


def test_several_providers_and_a_judge_in_one_cassette(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    script = [call("search", q="x"), "Done."]
    with (
        LocalProvider(list(script)) as one,
        LocalProvider(list(script)) as two,
        LocalProvider(["1"]) as judge,
    ):
        agents = [OpenAIAgent(one.base_url), AnthropicAgent(two.base_url), OpenAIAgent(judge.base_url)]
        with use_cassette(path, "rewrite"):
            live = [agent.run(task) for agent, task in zip(agents, ("a", "b", "judge"), strict=True)]
    with use_cassette(path):
        assert [agent.run(task) for agent, task in zip(agents, ("a", "b", "judge"), strict=True)] == live


@pytest.mark.slow
def test_clients_that_the_sdks_make_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, turns = tmp_path / "a.looplet.yaml", [{"role": "user", "content": "weather?"}]

    def ask() -> list[Any]:
        with openai.OpenAI() as one, anthropic.Anthropic() as two:
            said = one.chat.completions.create(model="m", messages=turns)  # type: ignore[arg-type]
            blocks = two.messages.create(model="m", max_tokens=9, messages=turns)  # type: ignore[arg-type]
        return [said.choices[0].message.content, blocks.content[0].model_dump()["text"]]

    with LocalProvider(["A", "B"]) as provider:
        for name, value in provider.env.items():
            monkeypatch.setenv(name, value)
        with use_cassette(path, "rewrite"):
            assert ask() == ["A", "B"]
    with use_cassette(path):
        assert ask() == ["A", "B"]


def test_two_recordings_of_one_run_are_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "a.looplet.yaml", tmp_path / "b.looplet.yaml"]
    for path in paths:
        with LocalProvider([call("search", q="x"), "Done."]) as provider, use_cassette(path, "rewrite"):
            OpenAIAgent(provider.base_url).run()
    assert paths[0].read_bytes() == paths[1].read_bytes()
