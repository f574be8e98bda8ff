"""Record over real HTTP, stop the server, replay: for each SDK, sync and async, and all that may happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    "500": ([status(500), status(500), status(500)], {}),
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


def test_two_recordings_of_one_run_are_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "a.looplet.yaml", tmp_path / "b.looplet.yaml"]
    for path in paths:
        with LocalProvider([call("search", q="x"), "Done."]) as provider, use_cassette(path, "rewrite"):
            OpenAIAgent(provider.base_url).run()
    assert paths[0].read_bytes() == paths[1].read_bytes()
