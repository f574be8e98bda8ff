"""The engine on its own: no backend, no driver; replies are fed to it by hand."""

from __future__ import annotations

from typing import Any

import pytest

from looplet.engine.needs import Ask, Leave, RunTool, Wait
from looplet.engine.script import script
from looplet.errors import ModelError
from looplet.planning import prepare
from looplet.testing import MockLLMBackend
from looplet.tools import BaseToolRegistry, ToolSpec
from looplet.types import ChatReply, ErrorKind, Step, ToolResult


def said(text: str) -> ChatReply:
    return ChatReply([{"type": "text", "text": text}])


ADD = said('{"tool": "add", "args": {"a": 1}}')
DONE = said('{"tool": "done", "args": {"answer": "ok"}}')


def registry() -> BaseToolRegistry:
    tools = BaseToolRegistry()
    tools.register(ToolSpec("add", "Add.", {"a": "int"}, lambda a: a))
    tools.register(ToolSpec("done", "Finish.", {"answer": "str"}, lambda answer: answer))
    return tools


def run_of(**given: Any) -> Any:
    arguments = dict.fromkeys(
        ("task", "context", "hooks", "config", "state", "session_log", "stream", "conversation")
    )
    return prepare(llm=MockLLMBackend(), tools=registry(), **{**arguments, **given})


def answer_to(need: Any) -> Any:
    """What a world in which every tool works would send back."""
    if isinstance(need, RunTool):
        return ToolResult(need.call.tool, "", {"ok": True}, call_id=need.call.call_id)
    return None


def feed(run: Any, replies: list[Any]) -> list[str]:
    """Feed *replies* and name the needs in their order."""
    engine = script(run)
    answer: Any = None
    seen: list[str] = []
    while True:
        try:
            need = engine.send(answer)
        except StopIteration:
            return seen
        seen.append(type(need).__name__)
        answer = replies.pop(0) if isinstance(need, Ask) else answer_to(need)


def test_a_run_asks_runs_and_hands_out() -> None:
    run = run_of()
    assert feed(run, [ADD, DONE]) == ["Ask", "RunTool", "Step", "Ask", "RunTool", "Step"]
    assert run.stop_reason == "done"
    assert run.final_output == {"answer": "ok"}


def test_a_failure_that_may_pass_is_waited_for() -> None:
    busy = ModelError("busy", kind=ErrorKind.RATE_LIMIT, status=429, retriable=True, retry_after_s=7)
    engine = script(run_of())
    assert isinstance(next(engine), Ask)
    wait = engine.send(busy)
    assert isinstance(wait, Wait)
    assert (wait.seconds, wait.cancel_token) == (7, None)
    assert isinstance(engine.send(None), Ask)


def test_the_pause_doubles_and_has_jitter() -> None:
    def busy() -> ModelError:
        return ModelError("busy", kind=ErrorKind.NETWORK, retriable=True)

    engine = script(run_of())
    next(engine)
    first = engine.send(busy())
    engine.send(None)
    second = engine.send(busy())
    assert isinstance(first, Wait)
    assert isinstance(second, Wait)
    assert 1.0 <= first.seconds <= 1.25
    assert 2.0 <= second.seconds <= 2.5


@pytest.mark.parametrize(
    ("problem", "stop", "tool"),
    [
        (ModelError("wrong key", kind=ErrorKind.PERMISSION_DENIED, status=401), "llm_error", "__llm_error__"),
        (ModelError("too long", kind=ErrorKind.CONTEXT_OVERFLOW, status=400), "", "__parse_error__"),
    ],
    ids=["the provider is gone", "only the second question is too long"],
)
def test_a_model_that_fails_when_it_is_asked_again(problem: ModelError, stop: str, tool: str) -> None:
    run = run_of()
    engine = script(run)
    next(engine)
    again = engine.send(said("no call in here"))
    assert isinstance(again, Ask)
    assert again.request.purpose == "recovery"
    step = engine.send(problem)
    assert isinstance(step, Step)
    assert (step.tool_call.tool, run.stop_reason) == (tool, stop)
    assert ("wrong key" in str(step.tool_result.error)) == bool(stop)
    engine.close()


def test_a_resumed_run_goes_on_in_the_middle_of_a_batch() -> None:
    from looplet.engine.run import Pending
    from looplet.types import ToolCall

    run = run_of()
    known = ToolResult("add", "a=1", 1, call_id="c1")
    run.pending = [
        Pending(ToolCall("add", {"a": 1}, "", "c1"), 1, known, judged=True, ran=True),
        Pending(ToolCall("add", {"a": 2}, "", "c2"), 2),
    ]
    run.first_step = 1
    engine = script(run)
    need = next(engine)
    assert isinstance(need, RunTool)
    assert need.call.call_id == "c2"
    first = engine.send(answer_to(need))
    assert isinstance(first, Step)
    assert first.number == 1


@pytest.mark.parametrize("where", ["asking", "running", "handing out"])
def test_leaving_ends_through_the_one_door(where: str) -> None:
    ended: list[str] = []

    class Probe:
        def on_event(self, payload: Any) -> None:
            if payload.event == "stop":
                ended.append(payload.termination_reason)

        def on_loop_end(self, state: Any, session_log: Any, context: Any, llm: Any) -> int:
            ended.append("on_loop_end")
            return 0

    run = run_of(hooks=[Probe()])
    engine = script(run)
    need = next(engine)
    if where != "asking":
        need = engine.send(ADD)
    if where == "handing out":
        engine.send(answer_to(need))
    with pytest.raises(StopIteration):
        engine.throw(Leave())
    assert ended == ["stopped_by_caller", "on_loop_end"]
    assert run.state._stop_reason == "stopped_by_caller"


def test_an_exception_from_outside_leaves_after_the_door() -> None:
    run = run_of()
    engine = script(run)
    next(engine)
    with pytest.raises(KeyboardInterrupt):
        engine.throw(KeyboardInterrupt())
    assert run.stop_reason == "error"
