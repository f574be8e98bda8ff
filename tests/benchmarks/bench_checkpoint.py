"""What durability adds to a step, beside one line appended and synced."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from looplet import DefaultState, FileCheckpointStore, LoopConfig, MockLLMBackend, composable_loop, tool

STEPS = 200


@tool
def add(a: int, b: int) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": a + b}


@tool
def done(answer: str) -> dict[str, str]:
    """Finish."""
    return {"answer": answer}


ADDS = [json.dumps({"tool": "add", "args": {"a": n, "b": 1}, "reasoning": "r"}) for n in range(STEPS)]


def run(directory: Path | None = None) -> None:
    llm = MockLLMBackend([*ADDS, '{"tool": "done", "args": {"answer": "ok"}}'])
    config = LoopConfig(max_steps=STEPS + 1, checkpoint_dir=directory and str(directory))
    state = DefaultState(max_steps=STEPS + 1)
    taken = sum(1 for _ in composable_loop(llm, "Add.", [add, done], state=state, config=config))
    assert taken == STEPS + 1


def journal(directory: Path) -> None:
    """The floor: two messages a step as one line, synced."""
    with open(directory / "journal.jsonl", "ab", buffering=0) as file:
        for number in range(STEPS):
            function = {"name": "add", "arguments": f'{{"a": {number}, "b": 1}}'}
            call = {"id": f"call_{number}", "type": "function", "function": function}
            asked = {"role": "assistant", "content": None, "tool_calls": [call]}
            told = {"role": "tool", "tool_call_id": call["id"], "content": json.dumps({"sum": number + 1})}
            file.write(json.dumps([asked, told]).encode() + b"\n")
            os.fsync(file.fileno())


def test_a_durable_step(timed, tmp_path):
    def fresh() -> Path:
        directory = tmp_path / "run"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return directory

    work = {"floor": lambda: journal(fresh()), "base": run, "ours": lambda: run(fresh())}
    title = "what a durable checkpoint adds to a step, over one appended and synced line"
    timed(title, work, per=STEPS, target=1.5, rounds=10)


def test_reading_back(timed, tmp_path):
    journal(tmp_path)
    run(tmp_path / "run")

    def lines() -> None:
        with open(tmp_path / "journal.jsonl", "rb") as file:
            assert sum(len(json.loads(line)) for line in file) == 2 * STEPS

    def latest() -> None:
        assert FileCheckpointStore(tmp_path / "run").load_latest() is not None

    work = {"floor": lines, "ours": latest}
    timed("reading a checkpoint back, over reading the lines", work, per=STEPS, target=5, rounds=20)
