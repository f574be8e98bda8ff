"""What holds when models, tools and hooks misbehave, through whole runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from looplet import (
    BaseToolRegistry,
    CancelToken,
    DefaultState,
    LoopConfig,
    ToolSpec,
    composable_loop,
    run_loop,
)
from looplet.engine.observe import RunObserver
from looplet.errors import ModelError
from looplet.testing import (
    ScriptedBackend,
    ScriptedChatBackend,
    bad_request,
    call,
    calls,
    server_error,
)
from looplet.testing.provider import LocalProvider, content_filter, no_choices, refusal, status
from looplet.tools import tools_from
from looplet.types import ChatReply, ErrorKind, Step

DONE = call("done", answer="ok")


def registry(**bodies: Any) -> BaseToolRegistry:
    tools = tools_from([], include_done=True)
    for name, body in bodies.items():
        tools.register(ToolSpec(name, f"The tool {name}.", {}, body))
    return tools


def collect(
    *replies: Any, tools: Any, backend: Any = ScriptedBackend, **more: Any
) -> tuple[list[Any], Any, Any]:
    llm, state = backend(*replies), DefaultState()
    steps = list(composable_loop(llm, tools=tools, state=state, **more))
    return steps, state._stop_reason, llm  # type: ignore[attr-defined]


def test_LB_01_what_no_retry_can_cure_is_one_question_and_no_pause() -> None:
    started = time.monotonic()
    (step,), reason, llm = collect(bad_request("no such model"), tools=registry())
    assert (reason, len(llm.requests), step.tool_call.tool) == ("llm_error", 1, "__llm_error__")
    assert step.tool_result.error_kind is ErrorKind.VALIDATION
    assert time.monotonic() - started < 0.5


def test_LB_02_the_last_step_names_cause_status_and_attempts() -> None:
    problem = server_error()
    problem.retry_after_s = 0.0
    (step,), _, llm = collect(problem, problem, problem, tools=registry())
    assert len(llm.requests) == 3
    assert f"3 attempts, HTTP {problem.status}" in step.tool_result.error
    assert step.tool_result.error_detail.context == {"status": problem.status, "attempts": 3}


def test_LB_03_retries_of_the_backend_and_of_the_loop_do_not_multiply() -> None:
    openai = pytest.importorskip("openai")
    from looplet import OpenAIBackend

    with LocalProvider(lambda request: status(503, "out to lunch", retry_after=0.01)) as provider:
        with openai.OpenAI(base_url=provider.base_url, api_key="k") as client:
            trajectory = run_loop(OpenAIBackend(client, model="m"), "x", registry())
        assert len(provider.requests) == 3
    assert "3 attempts, HTTP 503" in trajectory.steps[-1].tool_result.error


@pytest.mark.parametrize("reply", [no_choices(), refusal("I cannot."), content_filter()], ids=repr)
def test_LB_04_a_completion_that_says_nothing_is_one_clear_error(reply: Any) -> None:
    openai = pytest.importorskip("openai")
    from looplet import OpenAIBackend

    with LocalProvider([reply, "never asked for"]) as provider:
        with openai.OpenAI(base_url=provider.base_url, api_key="k") as client:
            trajectory = run_loop(OpenAIBackend(client, model="m"), "x", registry())
        assert len(provider.requests) == 1
    assert trajectory.stop_reason == "llm_error"
    assert not any(
        word in trajectory.steps[-1].tool_result.error for word in ("IndexError", "AttributeError")
    )


@pytest.mark.parametrize("given", [{"_raw_arguments": '{"a'}, "text", [1], None], ids=repr)
def test_LB_05_arguments_that_are_no_object_never_reach_the_body(given: Any) -> None:
    ran: list[Any] = []
    tools = registry(work=lambda **kw: ran.append(kw))
    block = {"type": "tool_use", "id": "c1", "name": "work", "input": given}
    steps, reason, llm = collect([block], DONE, tools=tools, backend=ScriptedChatBackend)
    assert (ran, reason) == ([], "done")
    assert steps[0].tool_result.error_kind is ErrorKind.PARSE
    assert "c1" in json.dumps(llm.requests[1].messages)


@pytest.mark.parametrize("backend", [ScriptedBackend, ScriptedChatBackend])
def test_LB_06_calls_beyond_the_budget_are_refused_visibly(backend: Any) -> None:
    ran: list[int] = []
    tools = registry(work=lambda: ran.append(1))
    batch = calls(*[call("work")] * 7)
    steps, reason, _ = collect(batch, tools=tools, backend=backend, config=LoopConfig(max_steps=3))
    assert (len(ran), len(steps), reason) == (3, 7, "budget_exhausted")
    assert [bool(step.tool_result.error) for step in steps] == [False] * 3 + [True] * 4


def test_LB_08_an_observer_that_raises_keeps_the_step(tmp_path: Path) -> None:
    class Probe:
        def post_dispatch(self, *args: Any) -> None:
            raise AssertionError("the agent misbehaved")

    state, seen = DefaultState(), []
    config = LoopConfig(checkpoint_dir=str(tmp_path))
    llm = ScriptedBackend(call("work"), DONE)
    steps = composable_loop(
        llm, task="t", tools=registry(work=lambda: 7), hooks=[Probe()], config=config, state=state
    )
    with pytest.raises(AssertionError, match="misbehaved"):
        seen.extend(steps)
    assert [step.tool_result.data for step in seen] == [7]
    assert state._stop_reason == "error"  # type: ignore[attr-defined]
    assert any(b'"work"' in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("backend", [ScriptedBackend, ScriptedChatBackend])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("always", [False, True], ids=["once", "from then on"])
def test_LB_08_a_step_that_an_observer_could_not_take_is_handed_out(
    backend: Any, at: int, always: bool
) -> None:
    class Clumsy(RunObserver):
        told = 0

        def step_taken(self, step: Step) -> None:
            self.told += 1
            if self.told == at or (always and self.told > at):
                raise ValueError("no more room")

    state, seen = DefaultState(), list[Step]()
    llm = backend([calls(call("work"), call("work")), call("work"), DONE])
    config = LoopConfig(observers=[Clumsy()])
    steps = composable_loop(llm, "t", registry(work=lambda: 7), config=config, state=state)
    with pytest.raises(ValueError, match="no more room"):
        seen.extend(steps)
    assert seen == state.steps
    assert [step.number for step in seen] == list(range(1, max(at, 2) + 1))


def test_LB_08_an_answer_that_an_observer_could_not_take_is_handed_out() -> None:
    class Clumsy(RunObserver):
        def answered(self, output: dict[str, Any]) -> None:
            raise ValueError("no more room")

    seen: list[Step] = []
    config = LoopConfig(observers=[Clumsy()])
    with pytest.raises(ValueError, match="no more room"):
        seen.extend(composable_loop(ScriptedBackend([DONE]), "t", registry(), config=config))
    assert [step.tool_call.tool for step in seen] == ["done"]


@pytest.mark.parametrize("name", ["extract_step_metadata", "extract_entities"])
def test_LB_08_a_step_that_nothing_could_be_read_from_is_handed_out(name: str) -> None:
    def unable(*given: Any) -> Any:
        raise ValueError("unreadable")

    seen: list[Step] = []
    llm = ScriptedBackend([calls(call("work"), call("work")), DONE])
    steps = composable_loop(llm, "t", registry(work=lambda: 7), config=LoopConfig(**{name: unable}))
    with pytest.raises(ValueError, match="unreadable"):
        seen.extend(steps)
    assert [step.number for step in seen] == [1, 2]


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a batch"])
def test_LB_08_what_ran_is_known_where_a_hook_ends_the_test(together: bool) -> None:
    class Judge:
        def post_dispatch(self, *args: Any) -> None:
            pytest.fail("the agent misbehaved")  # which is no Exception

    state = DefaultState()
    llm = ScriptedBackend([calls(call("work"), call("work")) if together else call("work"), DONE])
    with pytest.raises(BaseException, match="misbehaved"):
        list(composable_loop(llm, "t", registry(work=lambda: 7), hooks=[Judge()], state=state))
    assert [step.tool_result.data for step in state.steps] == [7] * (1 + together)


def test_LB_07_a_hook_that_raises_GeneratorExit_ends_the_run_through_its_door() -> None:
    ended = []

    class Leaver:
        def pre_prompt(self, *args: Any) -> None:
            raise GeneratorExit

        def on_loop_end(self, *args: Any) -> None:
            ended.append(1)

    assert list(composable_loop(ScriptedBackend([DONE]), "t", registry(), hooks=[Leaver()])) == []
    assert ended == [1]


def test_TV_12_the_text_of_a_model_error_and_of_a_hook_is_bounded_and_escaped() -> None:
    class Policy:
        def pre_dispatch(self, *args: Any) -> None:
            raise ValueError("\x1b[31m" + "x" * 100_000)

    broken = ModelError("\x1b[31m" + "x" * 100_000, kind=ErrorKind.VALIDATION)
    llm = ScriptedBackend([call("work"), broken])
    steps = list(composable_loop(llm, "t", registry(work=lambda: 7), hooks=[Policy()]))
    assert [step.tool_call.tool for step in steps] == ["work", "__llm_error__"]
    for step in steps:
        assert "\x1b" not in (step.tool_result.error or "")
        assert "\\x1b[31mxxx" in (step.tool_result.error or "")
        assert len(step.tool_result.error or "") < 2_500


def test_LB_15_TV_08_cancelling_in_a_batch_starts_nothing_more() -> None:
    token, ran = CancelToken(), []

    def stop() -> str:
        ran.append("stop")
        token.cancel()
        return "stopped"

    tools = registry(stop=stop, work=lambda: ran.append("work"))
    batch = calls(call("stop"), call("work"), DONE)
    steps, reason, _ = collect(batch, tools=tools, config=LoopConfig(cancel_token=token))
    assert (ran, reason) == (["stop"], "cancelled")
    assert steps[0].tool_result.data == "stopped"
    assert steps[1].tool_result.error_kind is ErrorKind.CANCELLED


def test_LB_17_a_call_that_was_cut_is_not_run() -> None:
    ran: list[int] = []
    block = {"type": "tool_use", "id": "c1", "name": "work", "input": {}, "truncated": True}
    steps, reason, _ = collect(
        ChatReply([block], "max_tokens"),
        DONE,
        tools=registry(work=lambda: ran.append(1)),
        backend=ScriptedChatBackend,
    )
    assert (ran, reason) == ([], "done")
    assert "max_tokens" in steps[0].tool_result.error


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), RecursionError(), MemoryError()], ids=repr)
def test_TV_02_what_a_tool_raises_is_its_result(error: BaseException) -> None:
    def fail() -> None:
        raise error

    steps, reason, _ = collect(call("fail"), DONE, tools=registry(fail=fail))
    assert reason == "done"
    assert type(error).__name__ in steps[0].tool_result.error


def test_TV_02_an_interrupt_ends_the_run_through_its_door() -> None:
    told: list[str] = []

    class Watch:
        def on_event(self, payload: Any) -> None:
            if payload.event == "stop":
                told.append(payload.termination_reason)

    def interrupt() -> None:
        raise KeyboardInterrupt

    llm = ScriptedBackend(call("interrupt"))
    with pytest.raises(KeyboardInterrupt):
        list(composable_loop(llm, tools=registry(interrupt=interrupt), hooks=[Watch()]))
    assert told == ["error"]


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value", [{1, 2}, b"\xff", object(), CYCLE, float("nan"), {(1, 2): 3}], ids=lambda v: type(v).__name__
)
def test_TV_03_what_json_cannot_hold_does_not_end_a_saved_run(value: Any, tmp_path: Path) -> None:
    config = LoopConfig(checkpoint_dir=str(tmp_path))
    trajectory = run_loop(ScriptedBackend(call("odd"), DONE), "t", registry(odd=lambda: value), config=config)
    assert trajectory.stop_reason == "done"
    json.dumps(trajectory.steps[0].tool_result.data, allow_nan=False)


def test_TV_04_a_huge_result_is_cut_everywhere() -> None:
    tools = registry(huge=lambda: "x" * 20_000_000)
    steps, _, llm = collect(call("huge"), DONE, tools=tools, backend=ScriptedChatBackend)
    assert len(steps[0].tool_result.data) < 2_000_000
    assert "..." in steps[0].tool_result.data or "…" in steps[0].tool_result.data
    assert len(llm.requests[1].text) < 100_000


def test_TV_05_a_tool_that_edits_its_arguments_edits_no_record() -> None:
    kept: list[Any] = []

    def edit(*, items: list[int]) -> int:
        kept.append(items)
        items.append(99)
        return len(items)

    tools = tools_from([edit], include_done=True)
    steps, _, _ = collect(call("edit", items=[1]), DONE, tools=tools)
    kept[0].clear()
    assert steps[0].tool_call.args == {"items": [1]}


def test_TV_12_an_error_text_is_bounded_and_escaped() -> None:
    def fail() -> None:
        raise RuntimeError("\x1b[2Jx" * 100_000)

    steps, _, llm = collect(call("fail"), DONE, tools=registry(fail=fail))
    assert len(steps[0].tool_result.error) < 3_000
    assert "\x1b" not in steps[0].tool_result.error
    assert "\x1b" not in llm.requests[1].text


@pytest.mark.parametrize("texts", [[None], [5], ["", None], [None, {}]], ids=repr)
def test_PA_01_text_that_is_none_costs_one_step(texts: list[Any]) -> None:
    blocks = [{"type": "text", "text": text} for text in texts]
    steps, reason, _ = collect(blocks, DONE, tools=registry(), backend=ScriptedChatBackend)
    assert [step.tool_call.tool for step in steps] == ["__parse_error__", "done"]
    assert reason == "done"


def test_an_answer_in_text_fits_a_done_whose_answer_may_be_anything() -> None:
    tools = BaseToolRegistry()
    schema = {"type": "object", "properties": {"answer": True}, "required": ["answer"]}
    tools.register(ToolSpec("done", "Finish.", schema, lambda answer: answer))
    steps, reason, _ = collect("It is 3.", tools=tools, backend=ScriptedChatBackend)
    assert [step.tool_result.data for step in steps] == ["It is 3."]
    assert reason == "done"
