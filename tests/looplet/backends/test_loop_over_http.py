"""Whole runs of the loop through the official SDKs, over real HTTP: what came of them, and what was sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from looplet import LoopConfig, Trajectory, async_run_loop, run_loop
from looplet.streaming import CallbackEmitter
from looplet.testing import call, calls, chunks
from looplet.testing.provider import (
    LocalProvider,
    cut,
    malformed,
    refuses_tools,
    status,
)
from looplet.tools import tools_from

pytestmark = pytest.mark.slow

SOON = 0.01
ADD, ECHO = call("add", a=1, b=2), call("echo", text="hi")
BOTH = calls(ADD, ECHO, text="Both.")
DONE = call("done", answer="3")
IN_TEXT = ['{"tool": "add", "args": {"a": 1, "b": 2}}', '{"tool": "done", "args": {"answer": "3"}}']
BROKEN = [{"type": "tool_use", "id": "c1", "name": "add", "input": {"_raw_arguments": '{"a": 1'}}]


def add(a: int, b: int) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": a + b}


def echo(text: str) -> str:
    """Say it again."""
    return text


@dataclass
class Row:
    """A script for the provider, and what must come of it.

    `steps` are lines such as `1 ✓ add`; `calls` counts the questions to the model,
    retries left out.
    """

    replies: Sequence[Any]
    steps: Sequence[str]
    calls: int
    stop: str = "done"
    heard: str = ""
    config: dict[str, Any] = field(default_factory=dict)


STREAM = {"stream_tokens": True}
ORDINARY = ["1 ✓ add", "2 ✓ done"]

TABLE = {
    "chat": Row([ADD, "It is 3."], ORDINARY, 2),
    "a call of done": Row([ADD, DONE], ORDINARY, 2),
    "parallel tools": Row([BOTH, DONE], ["1 ✓ add", "2 ✓ echo", "3 ✓ done"], 2),
    "parallel tools at once": Row(
        [BOTH, DONE], ["1 ✓ add", "2 ✓ echo", "3 ✓ done"], 2, config={"concurrent_dispatch": True}
    ),
    "streamed": Row(
        [BOTH, chunks("It ", "is 3.")],
        ["1 ✓ add", "2 ✓ echo", "3 ✓ done"],
        2,
        heard="Both.It is 3.",
        config=STREAM,
    ),
    "429 with Retry-After": Row([status(429, retry_after=SOON), ADD, DONE], ORDINARY, 2),
    "429 while streaming": Row(
        [ADD, status(429, retry_after=SOON), chunks("3.")], ORDINARY, 2, heard="3.", config=STREAM
    ),
    "500 twice": Row([ADD, *[status(500, retry_after=SOON)] * 2, DONE], ORDINARY, 2),
    "500 three times": Row(
        [ADD, *[status(500, "out to lunch", retry_after=SOON)] * 3],
        ["1 ✓ add", "2 ✗ __llm_error__"],
        2,
        stop="llm_error",
    ),
    "a cut body": Row([cut(ADD), ADD, DONE], ORDINARY, 2),
    "a cut stream": Row([cut(ADD), ADD, DONE], ORDINARY, 2, config=STREAM),
    "a stream cut after text": Row(
        [cut("one two three four five six")],
        ["1 ✗ __llm_error__"],
        1,
        stop="llm_error",
        heard="one",
        config=STREAM,
    ),
    "malformed JSON": Row([malformed(), ADD, DONE], ORDINARY, 2),
    "malformed arguments": Row([BROKEN, DONE], ["1 ✗ add", "2 ✓ done"], 2),
    "wrong arguments": Row([call("add", a="x"), DONE], ["1 ✗ add", "2 ✓ done"], 2),
    "a wrong key": Row([status(401, "wrong key")], ["1 ✗ __llm_error__"], 1, stop="llm_error"),
    "tools are refused": Row([refuses_tools(), *IN_TEXT], ORDINARY, 3),
}


def run(talker: Any, provider: LocalProvider, row: Row, **options: Any) -> tuple[Trajectory, str]:
    heard: list[str] = []
    emitter = CallbackEmitter(lambda event: heard.append(getattr(event, "chunk", "")))
    arguments = {
        "task": "Add 1 and 2.",
        "tools": tools_from([add, echo], include_done=True),
        "config": LoopConfig(system_prompt="be brief", **row.config),
        "stream": emitter,
        **options,
    }
    backend = talker.backend(provider)
    if talker.name.endswith("async"):
        return talker.runner.run(async_run_loop(backend, **arguments)), "".join(heard)
    return run_loop(backend, **arguments), "".join(heard)


@pytest.mark.filterwarnings("ignore:the provider refuses tools")
@pytest.mark.parametrize("name", TABLE)
def test_a_run(talker: Any, name: str) -> None:
    row = TABLE[name]
    with LocalProvider(row.replies) as provider:
        got, heard = run(talker, provider, row)
        assert provider.failures == []
        requests = provider.requests
    lines = [f"{s.number} {'✗' if s.tool_result.error else '✓'} {s.tool_call.tool}" for s in got.steps]
    assert (lines, got.stop_reason) == (list(row.steps), row.stop)
    assert len(got.model_calls) == row.calls
    assert len(requests) == len(row.replies)
    assert heard.startswith(row.heard)
    assert all(request.endpoint == talker.endpoint for request in requests)
    assert "be brief" in requests[-1].text
    if row.stop == "done":
        assert got.usage.output_tokens > 0
        assert got.final_output["answer"]


@pytest.mark.parametrize("config", [{}, STREAM, {"use_native_tools": False}], ids=["chat", "stream", "text"])
def test_a_model_call_tells_the_requests_it_took(talker: Any, config: dict[str, Any]) -> None:
    replies = [ADD, DONE] if "use_native_tools" not in config else IN_TEXT
    row = Row([status(429, retry_after=SOON), *replies], ORDINARY, 2, config=config)
    with LocalProvider(row.replies) as provider:
        got, _ = run(talker, provider, row)
        assert len(provider.requests) == 3
    assert [one.attempts for one in got.model_calls] == [2, 1]


def test_the_thread_that_was_sent(talker: Any) -> None:
    with LocalProvider([BOTH, DONE]) as provider:
        got, _ = run(talker, provider, TABLE["parallel tools"])
        first, second = (request.messages for request in provider.requests)
    assert second[: len(first)] == first
    ids = [step.tool_call.call_id for step in got.steps[:2]]
    if talker.is_openai:
        assert [m["role"] for m in second] == ["system", "user", "assistant", "tool", "tool"]
        assert [c["id"] for c in second[2]["tool_calls"]] == ids
        assert [m["tool_call_id"] for m in second[3:5]] == ids
        assert json.loads(second[3]["content"]) == {"sum": 3}
        assert second[4]["content"] == "hi"
    else:
        assert [m["role"] for m in second] == ["user", "assistant", "user"]
        assert [b["id"] for b in second[1]["content"] if b["type"] == "tool_use"] == ids
        results = [b for b in second[2]["content"] if b["type"] == "tool_result"]
        assert [b["tool_use_id"] for b in results] == ids


def test_an_error_step_names_cause_status_and_attempts(talker: Any) -> None:
    row = TABLE["500 three times"]
    with LocalProvider(row.replies) as provider:
        got, _ = run(talker, provider, row)
    last = got.steps[-1].tool_result
    for part in ("out to lunch", "HTTP 500", "3 attempts"):
        assert part in last.error
    assert last.error_kind == "network"
    assert last.error_retriable
