"""What a store gives of a run that the loop kept: each step under its key, with its counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from looplet import (
    BaseToolRegistry,
    Checkpoint,
    FileCheckpointStore,
    LoopConfig,
    MockLLMBackend,
    ToolSpec,
    composable_loop,
)
from looplet.checkpoint import resume_loop_state

LOOK = '{"tool": "look", "args": {"at": "a"}}'
DONE = '{"tool": "done", "args": {"answer": "ok"}}'


@pytest.fixture
def store(tmp_path: Path) -> FileCheckpointStore:
    tools = BaseToolRegistry()
    tools.register(ToolSpec("look", "Look.", {"at": "str"}, lambda at: {"seen": at}))
    tools.register(ToolSpec("done", "Finish.", {"answer": "str"}, lambda answer: {"answer": answer}))
    config = LoopConfig(max_steps=5, checkpoint_dir=str(tmp_path))
    list(composable_loop(MockLLMBackend([LOOK, LOOK, DONE]), {"id": "t"}, tools, config=config))
    return FileCheckpointStore(tmp_path)


def seen(checkpoint: Checkpoint | None) -> tuple[int, int, int, str | None] | None:
    """Number, log entries, messages and status."""
    if checkpoint is None:
        return None
    assert checkpoint.conversation_data is not None
    messages = checkpoint.conversation_data["messages"]
    entries = checkpoint.session_log_data["entries"]
    return checkpoint.step_number, len(entries), len(messages), checkpoint.metadata.get("status")


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("step_1", (1, 1, 4, None)),
        ("step_2", (2, 2, 8, None)),
        ("step_3_done", (3, 3, 12, "done")),
        ("step_3", None),
        ("step_2_done", None),
        ("step_9", None),
        ("step_x", None),
        ("other", None),
    ],
)
def test_the_steps_of_a_run_have_keys(
    store: FileCheckpointStore, key: str, wanted: tuple[int, int, int, str | None] | None
) -> None:
    assert seen(store.load(key)) == wanted


def test_the_counters_of_a_step(store: FileCheckpointStore) -> None:
    checkpoint = store.load("step_1")
    assert checkpoint is not None
    assert checkpoint.config_snapshot == {"max_steps": 5, "queries_used": 1, "budget_remaining": 4}
    assert resume_loop_state(checkpoint)["state_counters"] == {"queries_used": 1, "budget_remaining": 4}


def test_a_file_goes_before_the_journal(store: FileCheckpointStore) -> None:
    store.save(Checkpoint(7), "step_1")
    found = store.load("step_1")
    assert found is not None
    assert found.step_number == 7
