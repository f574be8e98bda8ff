"""Checkpoints that a caller makes: the hook that saves them, and what a loop needs to go on."""

from __future__ import annotations

import json
import re

import pytest

from looplet import (
    Checkpoint,
    CheckpointedHook,
    Conversation,
    FileCheckpointStore,
    LoopConfig,
    MockLLMBackend,
    SessionLog,
    composable_loop,
    tools_from,
)
from looplet.checkpoint import CheckpointHook, resume_loop_state
from looplet.conversation import Message, MessageRole
from looplet.errors import CheckpointError


class Store:
    def __init__(self):
        self.saved = {}

    def save(self, checkpoint, key):
        self.saved[key] = checkpoint

    def load(self, key):
        return self.saved.get(key)


def test_every_few_steps_what_the_caller_makes_is_saved():
    store = Store()
    hook = CheckpointHook(store, Checkpoint, save_every_n_steps=2)
    for step in range(1, 6):
        assert hook.pre_prompt(None, None, None, step) is None
        assert hook.pre_dispatch(None, None, None, step) is None
        assert hook.post_dispatch(None, None, None, None, step) is None
    assert (hook.check_done(None, None, None, 5), hook.should_stop(None, 5, 0)) == (None, False)
    assert hook.on_loop_end(None, None, None, None) == 0
    assert {key: kept.step_number for key, kept in store.saved.items()} == {"step_2": 2, "step_4": 4}


def test_what_a_loop_needs_to_go_on(tmp_path):
    log, talk = SessionLog(), Conversation([Message(MessageRole.USER, "hello")])
    log.record(1, "it is there", "look", "because", entities=["e1"])
    made = Checkpoint(
        3,
        {"entries": log.to_list(), "current_theory": "it is there"},
        talk.serialize(),
        {"max_steps": 9, "queries_used": 2, "budget_remaining": 7},
        metadata={"task": "t"},
    )
    store = FileCheckpointStore(tmp_path)
    store.save(made, "mine")
    assert json.loads((tmp_path / "mine.json").read_text())["step_number"] == 3
    again = resume_loop_state(store.load("mine"))
    assert again["session_log"].render() == log.render()
    assert again["conversation"].messages[0].text == "hello"
    assert (again["step_offset"], again["metadata"]) == (3, {"task": "t"})
    assert again["state_counters"] == {"queries_used": 2, "budget_remaining": 7}


def going_on(folder, **config):
    tools = tools_from([], include_done=True)
    llm = MockLLMBackend(['{"tool": "done", "args": {"answer": "ok"}}'])
    return list(composable_loop(llm, "count", tools, config=LoopConfig(checkpoint_dir=folder, **config)))


def saved(folder, **metadata):
    log = SessionLog()
    log.record(3, "it is there", "look", "because")
    entries = {"entries": log.to_list(), "current_theory": "it is there"}
    FileCheckpointStore(folder).save(Checkpoint(1), "step_1")
    FileCheckpointStore(folder).save(Checkpoint(3, entries, metadata=metadata), "step_3")


@pytest.mark.parametrize("metadata", [{}, {"task": "count"}], ids=["of no task", "of this task"])
def test_a_run_goes_on_from_the_latest_file_of_its_folder_and_from_its_journal_afterwards(tmp_path, metadata):
    saved(tmp_path, **metadata)
    assert [step.number for step in going_on(tmp_path)] == [4]
    latest = FileCheckpointStore(tmp_path).load_latest()
    assert [entry["step"] for entry in latest.session_log_data["entries"]] == [3, 4]
    with pytest.raises(CheckpointError, match=r"journal.jsonl cannot be resumed: that run is finished"):
        going_on(tmp_path)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"task": "multiply"}, "it is of another task ('multiply', not 'count')"),
        ({"task": "count", "status": "done"}, "that run is finished"),
    ],
)
def test_a_file_of_another_run_is_gone_on_from_only_by_force(tmp_path, metadata, reason):
    saved(tmp_path, **metadata)
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        going_on(tmp_path)
    assert [step.number for step in going_on(tmp_path, resume="never")] == [1]
    (tmp_path / "journal.jsonl").unlink()
    assert [step.number for step in going_on(tmp_path, resume="force")] == [4]


def test_from_nearly_nothing():
    again = resume_loop_state(Checkpoint.from_dict({"step_number": 1}))
    assert (again["session_log"].entries, again["conversation"], again["state_counters"]) == ([], None, {})


def test_a_hook_with_a_memory_is_known_by_its_methods():
    class Remembers:
        def save_state(self):
            return 1

        def load_state(self, state):
            pass

    assert isinstance(Remembers(), CheckpointedHook)
    assert not isinstance(Store(), CheckpointedHook)
