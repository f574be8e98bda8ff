"""What a checkpoint store must do, as tests for anybody's store.

    from looplet.testing.checkpoint_conformance import StoreConformance

    class TestMyStore(StoreConformance):
        def make_store(self, tmp_path):
            return MyStore(tmp_path)

Plain `test_*` methods with pytest's `tmp_path`; importing this module needs no pytest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from looplet.checkpoint import Checkpoint, CheckpointStore
from looplet.errors import CheckpointError

KEYS = ("step_1", "step_1_done", "with space", "ünïcode", "a.b", "x" * 100)
"""Keys that every store must keep apart."""

UNUSABLE = ("", ".", "..", "nul\0", "x" * 500)
"""Keys that every store must refuse with a ValueError."""


def sample(number: int = 3) -> Checkpoint:
    """A checkpoint with something in every field."""
    return Checkpoint(
        step_number=number,
        session_log_data={"entries": [], "current_theory": "it is the cache"},
        conversation_data={"version": 1, "messages": []},
        config_snapshot={"max_steps": 9, "queries_used": 2, "budget_remaining": 6},
        tool_results_store={"key": ["a", 1, None, True, "ü\n"]},
        metadata={"task": "x"},
        created_at=1_700_000_000.5,
    )


class StoreConformance:
    """Derive a test class from this one and say how a store is made."""

    def make_store(self, tmp_path: Path) -> CheckpointStore:
        """An empty store; called again with the same folder it must see what the first one kept."""
        raise AssertionError(f"{type(self).__name__} must define make_store(self, tmp_path)")

    def test_is_a_store(self, tmp_path: Path) -> None:
        """It has the methods of the protocol."""
        assert isinstance(self.make_store(tmp_path), CheckpointStore)

    def test_gives_back_what_it_was_given(self, tmp_path: Path) -> None:
        """Every field survives."""
        store = self.make_store(tmp_path)
        store.save(sample(), "step_3")
        assert store.load("step_3") == sample()

    def test_knows_nothing_of_other_keys(self, tmp_path: Path) -> None:
        """A missing key is None and no error."""
        store = self.make_store(tmp_path)
        store.save(sample(), "step_3")
        assert store.load("step_4") is None

    def test_replaces(self, tmp_path: Path) -> None:
        """The newest save under a key counts."""
        store = self.make_store(tmp_path)
        store.save(sample(1), "k")
        store.save(sample(2), "k")
        kept = store.load("k")
        assert kept is not None
        assert kept.step_number == 2

    def test_survives_a_restart(self, tmp_path: Path) -> None:
        """Another store over the same folder sees it."""
        self.make_store(tmp_path).save(sample(), "k")
        assert self.make_store(tmp_path).load("k") == sample()

    def test_keeps_keys_apart(self, tmp_path: Path) -> None:
        """No two keys share a place."""
        store = self.make_store(tmp_path)
        for number, key in enumerate(KEYS, 1):
            store.save(sample(number), key)
        assert [_number(store.load(key)) for key in KEYS] == list(range(1, len(KEYS) + 1))

    def test_refuses_unusable_keys(self, tmp_path: Path) -> None:
        """What cannot be a name is a ValueError."""
        store = self.make_store(tmp_path)
        for key in UNUSABLE:
            assert _refuses(store, sample(), key), f"key {key!r} was taken"

    def test_is_not_changed_by_what_comes_after(self, tmp_path: Path) -> None:
        """A checkpoint is kept as it was when it was saved."""
        store = self.make_store(tmp_path)
        checkpoint = sample()
        store.save(checkpoint, "k")
        checkpoint.metadata["task"] = "changed"
        kept = store.load("k")
        assert kept is not None
        assert kept.metadata["task"] == "x"

    def test_values_that_json_lacks(self, tmp_path: Path) -> None:
        """They are stored in some form or refused now, with a CheckpointError; never lost in silence."""
        store = self.make_store(tmp_path)
        odd = sample()
        odd.tool_results_store = {"odd": {1, 2}}
        try:
            store.save(odd, "odd")
        except CheckpointError:
            return
        kept = store.load("odd")
        assert kept is not None
        assert kept.tool_results_store["odd"]


def _number(checkpoint: Checkpoint | None) -> int | None:
    return checkpoint.step_number if checkpoint is not None else None


def _refuses(store: CheckpointStore, checkpoint: Checkpoint, key: Any) -> bool:
    try:
        store.save(checkpoint, key)
    except ValueError:
        return True
    return False
