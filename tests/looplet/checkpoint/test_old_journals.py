"""Journals that earlier code wrote are read and resumed: they are data here and never written anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from looplet.checkpoint import FileCheckpointStore
from looplet.clock import fixed_clock
from looplet.compact import PruneToolResults
from looplet.testing import ScriptedBackend, ScriptedChatBackend, call, overflow
from tests.looplet.checkpoint.test_resume import SCRIPT, Life, numbered

JOURNALS = Path(__file__).with_name("journals")


class Remembers:
    """A hook that saves what every encoder minds."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def post_dispatch(self, *args: Any) -> None:
        self.steps.append(['ä 😀 " \\ \x07 \u2028', 1.5, None, len(self.steps)])

    def save_state(self) -> Any:
        return list(self.steps)

    def load_state(self, state: Any) -> None:
        self.steps = state


def thread(folder: Path | None, replies: list[Any]) -> Life:
    """Several calls in one reply, an unknown tool, a value that JSON lacks, a hook that is saved."""
    life = Life(ScriptedChatBackend(*replies), folder)
    life.arguments["hooks"] = [Remembers()]
    return life


def text(folder: Path | None, replies: list[Any]) -> Life:
    """Prompts of text, past the point where the log in them is cut."""
    life = Life(ScriptedBackend(*replies), folder)
    life.state.max_steps = life.arguments["config"].max_steps = 60
    return life


def compacted(folder: Path | None, replies: list[Any]) -> Life:
    """Overflows, each followed by a compaction."""
    return Life(ScriptedChatBackend(*replies), folder, compact_service=PruneToolResults(keep_recent=1))


ADDS = [numbered(call("add", a=i), i) for i in range(40)]
DONE = numbered(call("done", answer="ok"), 99)
Maker = Callable[[Path | None, list[Any]], Life]
CASES: dict[str, tuple[Maker, list[Any], int, int]] = {
    "thread": (thread, SCRIPT, 3, 2),
    "text": (text, [*(call("add", a=n) for n in range(40)), call("done", answer="ok")], 33, 33),
    "compacted": (compacted, [*ADDS[:4], overflow(), ADDS[4], DONE], 5, 6),
}
"""By the name of the journal: who wrote it, with which replies, up to which step, replies used by then."""


def write(folder: Path) -> None:
    """Write the journals, as `tests/looplet/checkpoint/journals` holds them of old."""
    for name, (make, script, stop, _) in CASES.items():
        with fixed_clock():
            make(folder / name, script).until(stop)
        shutil.copy(folder / name / "journal.jsonl", folder / f"{name}.jsonl")


@pytest.mark.parametrize("torn", [0, 1, 2], ids=["stopped", "killed after a step", "killed in a call"])
@pytest.mark.parametrize("name", CASES)
def test_an_old_journal_is_resumed(tmp_path: Path, name: str, torn: int) -> None:
    make, script, stop, used = CASES[name]
    lines = (JOURNALS / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[: len(lines) - torn]))
    with fixed_clock():
        expected = make(None, script).until()
    resumed = make(tmp_path, script[used:]).until()
    steps, whole = (life.builder.trajectory.steps for life in (resumed, expected))
    assert [(s.number, s.tool_call.tool) for s in steps] == [(s.number, s.tool_call.tool) for s in whole]
    assert steps[: stop - 1] == whole[: stop - 1]
    if torn == 2 and name != "thread":  # there, the result of the call was known before its batch was over
        assert "unknown whether" in str(steps[stop - 1].tool_result.error)
    else:
        assert steps[stop - 1] == whole[stop - 1]
        texts = [[m.text for m in life.conversation.messages] for life in (resumed, expected)]
        assert texts[0] == texts[1]
        assert len(resumed.builder.trajectory.model_calls) == len(expected.builder.trajectory.model_calls)
    assert resumed.builder.trajectory.stop_reason == "done"
    hooks = [life.arguments.get("hooks", [None])[0] for life in (resumed, expected)]
    if torn == 0 and hooks[0] is not None:
        assert hooks[0].steps == hooks[1].steps


@pytest.mark.parametrize("name", CASES)
def test_an_old_journal_is_a_checkpoint(tmp_path: Path, name: str) -> None:
    make, script, stop, _ = CASES[name]
    shutil.copy(JOURNALS / f"{name}.jsonl", tmp_path / "journal.jsonl")
    found = FileCheckpointStore(tmp_path).load_latest()
    assert found is not None
    assert found.step_number == stop
    with fixed_clock():
        expected = make(None, script).until(stop)
    assert found.session_log_data["entries"] == expected.log.to_list()
    assert found.metadata["status"] == "stopped_by_caller"
