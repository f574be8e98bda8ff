"""Checkpoints that a caller makes: the hook that saves them, and what a loop needs to go on."""

from __future__ import annotations

import json

from looplet import Checkpoint, CheckpointedHook, Conversation, FileCheckpointStore, SessionLog
from looplet.checkpoint import CheckpointHook, resume_loop_state
from looplet.conversation import Message, MessageRole


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
