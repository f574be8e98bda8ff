"""A run's folder: the keys other tools read, and that what was asked and answered is kept as it was."""

from __future__ import annotations

import asyncio
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from looplet import (
    BaseToolRegistry,
    CachePolicy,
    CancelToken,
    EvalContext,
    LoopConfig,
    MockLLMBackend,
    ProvenanceSink,
    StaticMemorySource,
    ToolSpec,
    async_composable_loop,
    composable_loop,
    tools_from,
)
from looplet.__main__ import main
from looplet.cache import CacheControl
from looplet.provenance import AsyncRecordingLLMBackend, RecordingLLMBackend

OWN = {"id": "user-7", "call_id": "theirs", "duration_ms": 5, "timestamp": 99}
MANIFEST = [
    "index",
    "timestamp",
    "duration_ms",
    "method",
    "prompt_chars",
    "response_chars",
    "response_blocks",
    "temperature",
    "max_tokens",
    "tool_count",
    "step_num",
    "error",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tools = BaseToolRegistry()
    tools.register(ToolSpec("look", "Look.", {"at": "the thing"}, lambda at: {"seen": dict(OWN)}))
    tools.register(ToolSpec("done", "Finish.", {"answer": "str"}, lambda answer: {"answer": answer}))
    asked = json.dumps({"tool": "look", "args": {"at": json.dumps(OWN)}})
    sink = ProvenanceSink(tmp_path / "run")
    llm = sink.wrap_llm(MockLLMBackend([asked, '{"tool": "done", "args": {"answer": "ok"}}']))
    list(composable_loop(llm, {"id": "T1", "goal": "g"}, tools, hooks=[sink.trajectory_hook()]))
    return sink.flush()


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_ids_and_times_of_the_users_own_are_kept(folder: Path) -> None:
    run = read(folder / "trajectory.json")
    assert run["task"] == {"id": "T1", "goal": "g"}
    assert run["steps"][0]["tool_result"]["data"] == {"seen": OWN}
    assert EvalContext.from_trajectory_dir(folder).task == {"id": "T1", "goal": "g"}


def test_a_steps_file_is_the_step_of_the_run(folder: Path) -> None:
    steps = read(folder / "trajectory.json")["steps"]
    assert [read(folder / "steps" / f"step_{n:02d}.json") for n in (1, 2)] == steps


def test_the_calls_of_the_run_have_the_keys_of_the_manifest(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    calls = read(folder / "trajectory.json")["llm_calls"]
    for line, call in zip(lines, calls, strict=True):
        assert {name: call[name] for name in MANIFEST} == {name: line[name] for name in MANIFEST}


def test_show_counts_the_characters_without_a_manifest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(folder)]) == 0
    whole = capsys.readouterr().out
    (folder / "manifest.jsonl").unlink()
    assert main(["show", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == whole.splitlines()[-1]


class Stoppable:
    """A backend whose `generate` names what only such backends are given."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, Any]] = []

    def generate(
        self,
        prompt: str,
        *,
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
        cancel_token: Any = None,
        cache_breakpoints: Any = None,
    ) -> str:
        self.given.append((cancel_token, cache_breakpoints))
        return '{"tool": "done", "args": {"answer": "ok"}}'


class AsyncStoppable(Stoppable):
    async def generate(self, prompt: str, **options: Any) -> str:  # type: ignore[override]
        return super().generate(prompt, **options)

    generate.__signature__ = inspect.signature(Stoppable.generate)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("inner", "kind"), [(Stoppable, "sync"), (AsyncStoppable, "async")])
def test_a_recorded_backend_is_given_what_its_own_signature_names(inner: type[Stoppable], kind: str) -> None:
    backend, token = inner(), CancelToken()
    config = LoopConfig(cancel_token=token, cache_policy=CachePolicy(memory=CacheControl()))
    config.memory_sources = [StaticMemorySource("be brief")]
    if kind == "sync":
        recorded: Any = RecordingLLMBackend(backend)
        list(composable_loop(recorded, {}, tools_from([], include_done=True), config=config))
    else:
        recorded = AsyncRecordingLLMBackend(backend)

        async def run() -> None:
            tools = tools_from([], include_done=True)
            async for _ in async_composable_loop(recorded, {}, tools, config=config):
                pass

        asyncio.run(run())
    ((seen, marks),) = backend.given
    assert seen is token
    assert [mark.label for mark in marks] == ["memory"]
    (call,) = recorded.calls
    assert (call.method, call.max_tokens, call.temperature) == ("generate", 2000, 0.2)
    assert "be brief" in call.prompt
