"""What a step, a call, a case and a line of a report cost does not depend on how many came before.

It is counted, not timed: Python and C calls, files opened, bytes written.
"""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from looplet import (
    DefaultState,
    EvalContext,
    LoopConfig,
    MockLLMBackend,
    ProvenanceSink,
    Step,
    ToolCall,
    ToolResult,
    Trajectory,
    Usage,
    composable_loop,
    eval_run_batch,
    run_loop,
    tool,
)
from looplet.context import ContextPressureHook
from looplet.testing import ScriptedChatBackend, call
from looplet.testing.provider import LocalProvider, ProviderRequest
from pytest_looplet import use_cassette
from pytest_looplet.report.files import write
from pytest_looplet.report.model import EvalRow, SessionReport

pytestmark = pytest.mark.slow

SHORT, LONG = 100, 1_000
TOLERANCE = 1.1
OPENERS = {"open", "open_code"}


class Counted:
    """What a work did: Python and C calls, and how often it opened a file."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.calls = self.opens = 0
        sys.setprofile(self._see)
        try:
            work()
        finally:
            sys.setprofile(None)

    def _see(self, frame: FrameType, event: str, arg: Any) -> None:
        self.calls += event in ("call", "c_call")
        self.opens += event == "c_call" and arg.__name__ in OPENERS


def assert_linear(count: Callable[[int], Sequence[int]]) -> None:
    """Each of the counts of ten times as much is at most ten times as high, and a little."""
    count(3)  # what is imported or set up once does not count
    for short, long in zip(count(SHORT), count(LONG), strict=True):
        assert long <= short * LONG / SHORT * TOLERANCE


@tool(idempotent=True)
def add(a: int, b: int) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": a + b}


@tool
def done(answer: str) -> dict[str, str]:
    """Finish."""
    return {"answer": answer}


def run(steps: int, llm: Any = None, hooks: Sequence[object] = (), **config: Any) -> None:
    llm = llm or backend(steps)
    limits: dict[str, Any] = {
        "state": DefaultState(max_steps=steps + 1),
        "config": LoopConfig(max_steps=steps + 1, **config),
        "hooks": list(hooks),
    }
    assert sum(1 for _ in composable_loop(llm, "Add.", [add, done], **limits)) == steps + 1


def backend(steps: int) -> MockLLMBackend:
    adds = [f'{{"tool": "add", "args": {{"a": {i}, "b": 1}}}}' for i in range(steps)]
    return MockLLMBackend([*adds, '{"tool": "done", "args": {"answer": "ok"}}'])


def thread_backend(steps: int) -> ScriptedChatBackend:
    return ScriptedChatBackend(*[call("add", a=i, b=1) for i in range(steps)], call("done", answer="ok"))


def test_the_counts_see_work_that_grows():
    def quadratic(steps: int) -> None:
        seen: list[int] = []
        for step in range(steps):
            seen.append(step)
            for item in seen:
                abs(item)

    with pytest.raises(AssertionError):
        assert_linear(lambda steps: (Counted(lambda: quadratic(steps)).calls,))


@pytest.mark.parametrize("scripted", [backend, thread_backend], ids=["text", "thread"])
def test_a_step_of_the_loop(scripted):
    def taken(steps: int) -> tuple[int]:
        llm = scripted(steps)
        return (Counted(lambda: run(steps, llm)).calls,)

    assert_linear(taken)


def test_what_a_scripted_model_remembers():
    def remembered(steps: int) -> tuple[int]:
        llm = thread_backend(steps)
        tracemalloc.start()
        run(steps, llm)
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert [len(request.messages) for request in llm.requests] == [1 + 2 * i for i in range(steps + 1)]
        return (taken,)

    assert_linear(remembered)


@pytest.mark.parametrize("window", [10_000_000, 1], ids=["room for all", "no room"])
def test_a_look_at_how_full_the_window_is(window):
    def taken(steps: int) -> tuple[int]:
        llm = backend(steps)
        return (Counted(lambda: run(steps, llm, [ContextPressureHook(llm, context_window=window)])).calls,)

    assert_linear(taken)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_checkpointed_run(tmp_path):
    def written(steps: int) -> tuple[int, int, int]:
        folder = tmp_path / str(steps)
        counted = Counted(lambda: run(steps, checkpoint_dir=str(folder)))
        assert counted.opens < SHORT
        return counted.calls, counted.opens, size(folder)

    assert_linear(written)


def test_resuming_a_thread(tmp_path):
    def resumed(steps: int) -> tuple[int, int]:
        folder = tmp_path / str(steps)
        adds = [call("add", a=i, b=1) for i in range(steps)]
        limits: dict[str, Any] = {"config": LoopConfig(max_steps=steps + 2, checkpoint_dir=str(folder))}
        assert run_loop(ScriptedChatBackend(*adds), "Add.", [add, done], **limits).stop_reason == "llm_error"
        runs = []

        def finish() -> None:
            llm = ScriptedChatBackend(call("done", answer="ok"))
            runs.append(run_loop(llm, "Add.", [add, done], **limits))

        counted = Counted(finish)
        assert runs[0].stop_reason == "done"
        return counted.calls, sum(len(one.added) for one in runs[0].model_calls)

    assert_linear(resumed)


def test_a_run_past_the_window(tmp_path):
    def taken(steps: int) -> tuple[int, int]:
        folder = tmp_path / str(steps)
        config = LoopConfig(max_steps=steps + 1, context_window=1, checkpoint_dir=str(folder))
        script = [*[call("add", a=i, b=1) for i in range(steps)], call("done", answer="ok")]
        llm = ScriptedChatBackend(script, usage=Usage(1_000, 1))
        work = partial(run_loop, llm, "Add.", [add, done], config=config)
        return Counted(work).calls, size(folder)

    assert_linear(taken)


def recorded(folder: Path, steps: int) -> Counted:
    def work() -> None:
        sink = ProvenanceSink(folder / str(steps))
        recording = sink.trajectory_hook()
        llm = sink.wrap_llm(backend(steps))
        limits: dict[str, Any] = {
            "state": DefaultState(max_steps=steps + 1),
            "config": LoopConfig(max_steps=steps + 1),
        }
        list(composable_loop(llm, "Add.", [add, done], hooks=[recording], **limits))
        sink.flush()

    return Counted(work)


def test_a_run_directory(tmp_path):
    def written(steps: int) -> tuple[int, int]:
        counted = recorded(tmp_path, steps)
        return counted.calls, counted.opens

    assert_linear(written)


def bodies(calls: int) -> list[bytes]:
    """The requests of an agent with a growing thread."""
    turns: list[dict[str, str]] = [{"role": "user", "content": "go"}]
    made = []
    for number in range(calls):
        made.append(json.dumps({"model": "m", "messages": turns}).encode())
        turns += [
            {"role": "assistant", "content": f"call {number}"},
            {"role": "user", "content": f"on, {number}"},
        ]
    return made


def test_replaying_a_cassette(tmp_path):
    httpx2 = pytest.importorskip("httpx2")

    def ask(address: str, requests: list[bytes]) -> None:
        with httpx2.Client(base_url=address, headers={"content-type": "application/json"}) as client:
            for body in requests:
                assert client.post("/chat/completions", content=body).status_code == 200

    def answer(request: ProviderRequest) -> str:
        return f"answer {len(request.body['messages'])}"

    def played(calls: int) -> tuple[int]:
        requests = bodies(calls)
        path = tmp_path / f"{calls}.looplet.yaml"
        with LocalProvider(answer) as provider, use_cassette(path, mode="rewrite"):
            ask(provider.base_url, requests)

        def replay() -> None:
            with use_cassette(path, mode="replay"):
                ask("http://127.0.0.1:9/v1", requests)

        return (Counted(replay).calls,)

    assert_linear(played)


def eval_right(ctx: EvalContext) -> bool:
    return bool(ctx.final_output["answer"] == "ok")


def test_scoring_runs():
    def scored(runs: int) -> tuple[int]:
        contexts = [EvalContext(steps=[], task="go", final_output={"answer": "ok"}) for _ in range(runs)]
        return (Counted(lambda: eval_run_batch([eval_right], contexts)).calls,)

    assert_linear(scored)


def session(cases: int) -> SessionReport:
    finish = ToolCall(tool="done", args={"answer": "x"})
    step = Step(1, finish, ToolResult(tool="done", args_summary="", data={"answer": "x"}))
    names = [f"case-{number:04}" for number in range(cases)]
    rows = tuple(EvalRow("evals/eval_a.py", "eval_answer", name, 1, "passed", score=1.0) for name in names)
    runs = {f"evals/eval_a.py::{name}#1": Trajectory(run_id=name, task="go", steps=(step,)) for name in names}
    return SessionReport(rows, runs=runs)


@pytest.mark.parametrize("kind", ["json", "html", "md"])
def test_writing_a_report(tmp_path, kind):
    def written(cases: int) -> tuple[int]:
        report = session(cases)
        return (Counted(lambda: write(report, tmp_path / f"report.{kind}")).calls,)

    assert_linear(written)


EVALS = """
import pytest
from looplet import Trajectory

looplet_cases = [{{"id": f"c{{number}}", "task": "go"}} for number in range({cases})]

@pytest.fixture
def looplet_agent():
    return lambda case: Trajectory(run_id=case.id, task=case.task, final_output={{"answer": "ok"}})

def eval_right(ctx):
    return ctx.final_output["answer"] == "ok"
"""


def test_collecting_and_judging_cases(pytester):
    def judged(cases: int) -> int:
        path = pytester.makepyfile(**{f"eval_{cases}": EVALS.format(cases=cases)})
        return Counted(lambda: pytester.inline_run("-q", "-p", "no:cacheprovider", str(path))).calls

    judged(1)  # what is imported or set up once does not count
    none, short, long = judged(1), judged(6), judged(51)
    assert long - none <= (short - none) * 10 * TOLERANCE
