"""A backend without HTTP is taped at its own protocol, into the same file."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import httpx2
import pytest

from looplet.errors import ModelError
from looplet.testing import AsyncScriptedChatBackend, ScriptedBackend, ScriptedChatBackend, call, rate_limit
from looplet.types import capabilities_of
from pytest_looplet import CassetteDrift, tape_backend, use_cassette
from tests.pytest_looplet.cassette.agents import TLS
from tests.pytest_looplet.cassette.raw_server import RawServer

TASK = [{"role": "user", "content": [{"type": "text", "text": "weather?"}]}]
TOOLS = [{"name": "search", "description": "d", "input_schema": {"type": "object"}}]


def chat(model: Any, **options: Any) -> Any:
    return model.chat(TASK, tools=TOOLS, system_prompt="s", **options)


def test_a_chat_backend_is_recorded_and_replayed(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    live = ScriptedChatBackend([call("search", q="x")])
    with use_cassette(path, "rewrite"):
        said = chat(tape_backend(live))
    with use_cassette(path):
        again = chat(tape_backend(ScriptedChatBackend([])))
    assert again == said
    assert "method: CALL" in path.read_text(encoding="utf-8")
    with pytest.raises(CassetteDrift, match="system_prompt: 's' is now 'other'"), use_cassette(path):
        tape_backend(ScriptedChatBackend([])).chat(TASK, tools=TOOLS, system_prompt="other")


def test_an_async_backend(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"

    async def ask(script: list[Any]) -> Any:
        return await tape_backend(AsyncScriptedChatBackend(script)).chat(TASK, tools=[])

    with use_cassette(path, "rewrite"):
        said = asyncio.run(ask(["Sunny."]))
    with use_cassette(path):
        assert asyncio.run(ask([])) == said


def test_text_beside_http_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    with (
        RawServer(lambda asked: asked.send(b'"judged"')) as server,
        use_cassette(path, "rewrite") as cassette,
    ):
        url = server.url
        assert tape_backend(ScriptedBackend(["Sunny."])).generate("weather?") == "Sunny."
        httpx2.post(url, verify=TLS)
    assert len(cassette.recorded) == 2
    with use_cassette(path):
        assert tape_backend(ScriptedBackend([])).generate("weather?") == "Sunny."
        assert httpx2.post(url, verify=TLS).json() == "judged"


def test_a_failure_is_replayed_as_the_same_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    kinds = []
    for mode, script in (("rewrite", [rate_limit()]), ("replay", [])):
        with use_cassette(path, mode), pytest.raises(ModelError) as caught:  # type: ignore[arg-type]
            chat(tape_backend(ScriptedChatBackend(script)))
        kinds.append((caught.value.kind, caught.value.retriable))
    assert kinds[0] == kinds[1]


def test_it_looks_like_the_backend() -> None:
    real = ScriptedChatBackend(["x"])
    taped = tape_backend(real)
    assert capabilities_of(taped) == capabilities_of(real)
    assert inspect.signature(taped.chat) == inspect.signature(real.chat)
    assert chat(taped).text == "x"
    with pytest.raises(TypeError, match="int is no backend"):
        tape_backend(1)
