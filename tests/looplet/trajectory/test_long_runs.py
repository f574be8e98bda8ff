"""What a long run costs to record, save, load, print and assert on is linear: counted, not timed."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Callable

import pytest

from looplet import DefaultState, LoopConfig, tool
from looplet.testing import ScriptedChatBackend, call
from looplet.trajectory import Trajectory, run_loop
from looplet.trajectory.table import step_table
from pytest_looplet import Unmet, expect

pytestmark = pytest.mark.slow

SHORT, LONG = 100, 1_000
TOLERANCE = 1.15


@tool
def look(order_id: str) -> dict[str, str]:
    """Look an order up."""
    return {"order": order_id, "text": f"some words of a result, number {order_id} " * 4}


@tool
def done(answer: str) -> str:
    """Finish."""
    return answer


def run_of(steps: int) -> Trajectory:
    script = [call("look", order_id=str(number)) for number in range(steps - 1)]
    llm = ScriptedChatBackend(*script, call("done", answer="ok"))
    config = LoopConfig(max_steps=steps, system_prompt="Be careful. " * 100)
    return run_loop(llm, "Look.", [look, done], config=config, state=DefaultState(max_steps=steps))


def calls_of(work: Callable[[], object]) -> int:
    """Python and C calls that *work* makes."""
    count = 0

    def count_calls(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_calls)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that *work* held at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def runs() -> dict[int, Trajectory]:
    return {steps: run_of(steps) for steps in (SHORT, LONG)}


@pytest.fixture(scope="module")
def files(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for steps, run in runs.items():
        run.save(folder / f"{steps}.json")
    return {steps: folder / f"{steps}.json" for steps in runs}


def test_recording(runs):
    assert calls_of(lambda: run_of(LONG)) / calls_of(lambda: run_of(SHORT)) < LONG / SHORT * TOLERANCE


def test_saving(runs, files, tmp_path):
    used = {n: calls_of(lambda: runs[n].save(tmp_path / "r.json")) for n in (SHORT, LONG)}  # noqa: B023
    assert used[LONG] / used[SHORT] < LONG / SHORT * TOLERANCE
    # A writer holds a step at a time, and what every call was sent, as a list of messages.
    assert peak_of(lambda: runs[LONG].save(tmp_path / "r.json")) < files[LONG].stat().st_size
    assert files[LONG].stat().st_size / files[SHORT].stat().st_size < LONG / SHORT * TOLERANCE


def test_loading(runs, files):
    assert Trajectory.load(files[LONG]) == runs[LONG]
    used = {n: calls_of(lambda: Trajectory.load(files[n])) for n in (SHORT, LONG)}  # noqa: B023
    assert used[LONG] / used[SHORT] < LONG / SHORT * TOLERANCE


def test_the_text_is_what_the_standard_library_writes(files):
    text = files[SHORT].read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True, allow_nan=False) + "\n"


def test_printing_and_asserting(runs):
    used = {}
    for steps, run in runs.items():

        def judge(run: Trajectory = run) -> None:
            step_table(run, width=100, max_rows=12)
            expect(run).to_call("look", times=len(run) - 1).to_finish()
            with pytest.raises(Unmet) as caught:
                expect(run).to_call_in_order("done", "look")
            assert len(str(caught.value).splitlines()) <= 40

        used[steps] = calls_of(judge)
    assert used[LONG] / used[SHORT] < LONG / SHORT * TOLERANCE
