"""Stopping a run and going on with it, in one process."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import stat
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from looplet.checkpoint import Checkpoint, FileCheckpointStore
from looplet.clock import fixed_clock
from looplet.compact import PruneToolResults
from looplet.conversation import Conversation
from looplet.errors import CheckpointError
from looplet.loop import LoopConfig, async_composable_loop, composable_loop
from looplet.session import SessionLog
from looplet.testing import (
    AsyncScriptedChatBackend,
    ScriptedBackend,
    ScriptedChatBackend,
    call,
    calls,
    overflow,
)
from looplet.tools import tool, tools_from
from looplet.trajectory import TrajectoryBuilder
from looplet.types import DefaultState, ErrorKind

TASK = {"goal": "count"}


@tool
def add(a: int) -> dict[str, int]:
    """Give it back."""
    return {"sum": a}


@tool
def names() -> set[str]:
    """A value that JSON does not have."""
    return {"b"}


def numbered(reply: Any, first: int) -> Any:
    """The reply with call ids of its own, as a provider gives them."""
    blocks = [dict(block) for block in ScriptedChatBackend(reply).chat([], tools=[]).blocks]
    for offset, block in enumerate(blocks):
        block["id"] = f"call_{first + offset}"
    return blocks


SCRIPT = [
    numbered(call("add", a=1), 1),
    numbered(calls(call("add", a=2), call("names"), call("add", a=3)), 2),
    numbered(call("nope"), 5),
    numbered(call("add", a=4), 6),
    numbered(call("done", answer="ok"), 7),
]
ENDS_OF_REPLIES = {1: 1, 2: 2, 3: 2, 4: 2, 5: 3, 6: 4, 7: 5}
"""How many replies were used up when a step was handed out."""


class Life:
    """One process's worth of a run: what it kept, and how it ended."""

    def __init__(self, llm: Any, folder: Path | None, **config: Any) -> None:
        self.log, self.conversation = SessionLog(), Conversation()
        self.state = DefaultState(max_steps=9)
        self.builder = TrajectoryBuilder()
        self.arguments = {
            "llm": llm,
            "task": TASK,
            "tools": tools_from([add, names], include_done=True),
            "config": LoopConfig(
                max_steps=9,
                checkpoint_dir=str(folder) if folder else None,
                observers=[self.builder],
                **config,
            ),
            "state": self.state,
            "session_log": self.log,
            "conversation": self.conversation,
        }

    def until(self, number: int | None = None) -> Life:
        steps = composable_loop(**self.arguments)
        for step in steps:
            if step.number == number:
                break
        steps.close()
        return self


def whole() -> Life:
    return Life(ScriptedChatBackend(*SCRIPT), None).until()


@pytest.mark.parametrize("stop_after", range(1, 7))
def test_CK_13_a_resumed_run_equals_one_that_was_never_stopped(tmp_path: Path, stop_after: int) -> None:
    with fixed_clock():
        expected = whole()
    with fixed_clock():
        Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(stop_after)
        rest = SCRIPT[ENDS_OF_REPLIES[stop_after] :]
        resumed = Life(ScriptedChatBackend(*rest), tmp_path).until()
    assert resumed.log.render() == expected.log.render()
    ours, theirs = resumed.conversation.serialize(), expected.conversation.serialize()
    assert [m["content"] for m in ours["messages"]] == [m["content"] for m in theirs["messages"]]
    assert resumed.builder.trajectory.steps == expected.builder.trajectory.steps
    assert len(resumed.builder.trajectory.model_calls) == len(expected.builder.trajectory.model_calls)
    assert resumed.state.queries_used == expected.state.queries_used


def test_times_come_back_to_the_last_bit(tmp_path: Path) -> None:
    life = Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(5)
    again = Life(ScriptedChatBackend(*SCRIPT[3:]), tmp_path).until(6)
    stamps = [[m.timestamp for m in one.conversation.messages] for one in (life, again)]
    # The task was told at once: its time is that of the run's begin.
    assert len(stamps[0]) > 5
    assert stamps[1][1 : len(stamps[0])] == stamps[0][1:]
    assert stamps[0][0] - 5 < stamps[1][0] <= stamps[0][0]


def test_a_journal_loads_little(tmp_path: Path) -> None:
    program = f"""
import sys
from looplet import BaseToolRegistry, LoopConfig, ToolSpec, composable_loop
from looplet.testing import MockLLMBackend
tools = BaseToolRegistry()
tools.register(ToolSpec("done", "Finish.", {{"answer": "str"}}, lambda *, answer: answer))
llm = MockLLMBackend(['{{"tool": "done", "args": {{"answer": "ok"}}}}'])
before = set(sys.modules)
config = LoopConfig(checkpoint_dir={str(tmp_path / "run")!r})
list(composable_loop(llm, "x", tools, config=config))
print(*(set(sys.modules) - before))
"""
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (tmp_path / "run" / "journal.jsonl").exists()
    assert {"pathlib", "tempfile", "urllib.parse", "base64"}.isdisjoint(loaded.stdout.split())


def test_the_async_loop_resumes_too(tmp_path: Path) -> None:
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(3)
    life = Life(AsyncScriptedChatBackend(*SCRIPT[2:]), tmp_path)

    async def main() -> list[int]:
        async with aclosing(async_composable_loop(**life.arguments)) as steps:
            return [step.number async for step in steps]

    assert asyncio.run(main()) == [4, 5, 6, 7]


def test_a_text_run_resumes_with_the_prompts_it_sent(tmp_path: Path) -> None:
    script = [call("add", a=i) for i in range(30)]
    with fixed_clock():
        expected = Life(ScriptedBackend(*script[:8]), None).until(8)
    with fixed_clock():
        Life(ScriptedBackend(*script[:5]), tmp_path).until(5)
        resumed = Life(ScriptedBackend(*script[5:8]), tmp_path).until(8)
    texts = [m.text for m in resumed.conversation.messages]
    assert texts == [m.text for m in expected.conversation.messages]


def test_CK_06_the_budget_counts_across_restarts(tmp_path: Path) -> None:
    script = [call("add", a=i) for i in range(20)]
    Life(ScriptedBackend(*script), tmp_path).until(6)
    resumed = Life(ScriptedBackend(*script), tmp_path).until()
    assert [s.number for s in resumed.state.steps] == list(range(1, 10))
    assert resumed.builder.trajectory.stop_reason == "budget_exhausted"


REFUSED = {
    "finished": ({}, [add, names], TASK, "finished"),
    "another task": ({"until": 2}, [add, names], {"goal": "other"}, "another task"),
    "a tool gone": ({"until": 2}, [add], TASK, "tool names is gone"),
}


@pytest.mark.parametrize(("first", "tools", "task", "part"), REFUSED.values(), ids=REFUSED)
def test_CK_07_another_run_is_not_resumed_by_accident(
    tmp_path: Path, first: dict[str, int], tools: list[Any], task: Any, part: str
) -> None:
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(first.get("until"))
    life = Life(ScriptedChatBackend(), tmp_path)
    life.arguments.update(task=task, tools=tools_from(tools, include_done=True))
    with pytest.raises(CheckpointError, match=part):
        life.until()


def test_force_goes_on_all_the_same_and_never_begins_anew(tmp_path: Path) -> None:
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until()
    forced = Life(ScriptedChatBackend(call("done", answer="again")), tmp_path, resume="force").until()
    assert [s.number for s in forced.state.steps] == list(range(1, 9))
    fresh = Life(ScriptedChatBackend(*SCRIPT), tmp_path, resume="never").until(2)
    assert [s.number for s in fresh.state.steps] == [1, 2]
    assert (tmp_path / "journal.old.jsonl").exists()


def test_CK_05_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    first = composable_loop(**Life(ScriptedChatBackend(*SCRIPT), tmp_path).arguments)
    next(first)
    with pytest.raises(CheckpointError, match="in use"):
        Life(ScriptedChatBackend(*SCRIPT), tmp_path).until()
    first.close()


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(3)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    last_step = max(i for i, line in enumerate(lines) if b'"kind": "step"' in line)
    journal.write_bytes(b"".join(lines[:last_step]) + lines[last_step][:-20])
    resumed = Life(ScriptedChatBackend(*SCRIPT[2:]), tmp_path).until(5)
    results = [s.tool_result for s in resumed.state.steps]
    # Its step line is gone, its finish line is not: the result is known and the tool does not run again.
    assert [r.error for r in results[:4]] == [None] * 4


def test_CK_04_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(5)
    journal = tmp_path / "journal.jsonl"
    data = bytearray(journal.read_bytes())
    data[data.index(b'"sum": 1') + 8] ^= 1
    journal.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=r"journal.jsonl, line 4: damaged"):
        Life(ScriptedChatBackend(*SCRIPT), tmp_path).until()
    forced = Life(ScriptedChatBackend(*SCRIPT[1:]), tmp_path, resume="force").until()
    assert forced.builder.trajectory.stop_reason == "done"


@pytest.mark.parametrize("idempotent", [True, False], ids=["idempotent", "not idempotent"])
def test_a_call_in_doubt(tmp_path: Path, idempotent: bool) -> None:
    ran: list[int] = []

    @tool(idempotent=idempotent)
    def pay(amount: int) -> str:
        """Pay."""
        ran.append(amount)
        if len(ran) == 1:
            raise KeyboardInterrupt
        return "paid"

    def life(*script: Any) -> Life:
        one = Life(ScriptedChatBackend(*script), tmp_path)
        one.arguments["tools"] = tools_from([pay], include_done=True)
        return one

    with pytest.raises(KeyboardInterrupt):
        life(call("pay", amount=5)).until()
    resumed = life(call("done", answer="ok")).until()
    first = resumed.state.steps[0].tool_result
    if idempotent:
        assert (first.data, ran) == ("paid", [5, 5])
    else:
        assert ran == [5]
        assert "unknown whether it took effect" in (first.error or "")
        assert first.error_detail.context == {"in_doubt": True}  # type: ignore[union-attr]


def test_a_compaction_is_resumed(tmp_path: Path) -> None:
    adds = [call("add", a=i) for i in range(5)]
    script = [*adds, overflow(), overflow(), call("add", a=9), call("done", answer="ok")]
    service = PruneToolResults(keep_recent=1)
    Life(ScriptedChatBackend(*script), tmp_path, compact_service=service).until(6)
    rest = Life(ScriptedChatBackend(call("done", answer="ok")), tmp_path, compact_service=service)
    rest.until()
    request = rest.arguments["llm"].requests[0]
    assert request.text.count("[tool result cleared") == 4
    assert rest.builder.trajectory.stop_reason == "done"


@pytest.mark.parametrize("stop_after", [2, 3, 6])
@pytest.mark.parametrize("service", [None, PruneToolResults(keep_recent=1)], ids=["cut", "compacted"])
def test_a_run_past_the_window_is_resumed(tmp_path: Path, stop_after: int, service: Any) -> None:
    @tool(idempotent=True)
    def look(n: int) -> str:
        """Look."""
        return f"{n} {'x' * 3_000 if n % 2 else 'y'}"

    def life(folder: Path | None, first: int) -> Life:
        rest: list[Any] = [numbered(call("look", n=n), n) for n in range(first, 8)]
        if service is not None and first == 1:
            rest.insert(1, overflow())  # after a shortening that was made without asking
        one = Life(ScriptedChatBackend(*rest, call("done", answer="ok")), folder, compact_service=service)
        one.arguments["tools"] = tools_from([look], include_done=True)
        one.arguments["config"].context_window = 1
        return one

    with fixed_clock():
        expected = life(None, 1).until()
    with fixed_clock():
        life(tmp_path, 1).until(stop_after)
        resumed = life(tmp_path, stop_after + 1)
        resumed.until()
    results = [[step.tool_result.data for step in one.state.steps] for one in (resumed, expected)]
    assert results[0] == results[1]
    told = [one.arguments["llm"].requests[-1].text for one in (resumed, expected)]
    assert told[0] == told[1]
    assert "characters left out" in told[0]


def test_a_damaged_journal_is_passed_over_for_a_checkpoint_by_hand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(4)
    store = FileCheckpointStore(tmp_path)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"x", *lines[3:]]))
    with pytest.raises(CheckpointError, match=r"journal.jsonl, line 4: damaged"):
        store.load_latest()
    store.save(Checkpoint(2), "by_hand")
    latest = store.load_latest()
    assert latest is not None
    assert latest.step_number == 2
    assert "journal.jsonl, line 4: damaged" in caplog.text


def test_hook_state_is_saved_and_given_back(tmp_path: Path) -> None:
    class Counter:
        def __init__(self) -> None:
            self.seen = 0

        def pre_prompt(self, *args: Any) -> None:
            self.seen += 1

        def save_state(self) -> int:
            return self.seen

        def load_state(self, state: int) -> None:
            self.seen = state

    first = Life(ScriptedChatBackend(*SCRIPT), tmp_path)
    first.arguments["hooks"] = [Counter()]
    first.until(4)
    counter = Counter()
    second = Life(ScriptedChatBackend(*SCRIPT[2:]), tmp_path)
    second.arguments["hooks"] = [counter]
    second.until()
    assert counter.seen == 2 + 3


def test_a_hook_may_go_on_with_the_state_that_it_gave(tmp_path: Path) -> None:
    class Notes:
        def __init__(self) -> None:
            self.kept: list[int] = []

        def pre_dispatch(self, state: Any, session_log: Any, tool_call: Any, step_num: int) -> None:
            self.kept.append(step_num)

        def save_state(self) -> list[int]:
            return self.kept

        def load_state(self, state: list[int]) -> None:
            self.kept = state

    hooks = [Notes(), Notes()]
    for stop, hook, script in ((6, hooks[0], SCRIPT), (7, hooks[1], SCRIPT[4:])):
        life = Life(ScriptedChatBackend(*script), tmp_path)
        life.arguments["hooks"] = [hook]
        life.until(stop)
    assert hooks[1].kept[: len(hooks[0].kept)] == hooks[0].kept
    assert len(hooks[0].kept) > 3


def test_CK_12_a_full_disk(tmp_path: Path) -> None:
    life = Life(ScriptedChatBackend(*SCRIPT), tmp_path)
    steps = composable_loop(**life.arguments)
    next(steps)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        with pytest.raises(CheckpointError, match=r"journal.jsonl cannot be written"):
            list(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    resumed = Life(ScriptedChatBackend(*SCRIPT[1:]), tmp_path).until()
    assert resumed.builder.trajectory.stop_reason == "done"


def test_CK_10_files_are_for_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    Life(ScriptedChatBackend(*SCRIPT), folder).until(1)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(folder / "journal.jsonl").st_mode) == 0o600


def test_a_missing_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be opened"):
        Life(ScriptedChatBackend(*SCRIPT), tmp_path / "file" / "x").until()


# ------------------------------------------------------------------ the store


def test_a_store_keeps_what_it_was_given(tmp_path: Path) -> None:
    store = FileCheckpointStore(tmp_path)
    checkpoint = Checkpoint(
        3, {"entries": [], "current_theory": "t"}, None, {"queries_used": 2}, {}, {"task": "x"}, 1.5
    )
    store.save(checkpoint, "step_3")
    assert store.load("step_3") == checkpoint
    assert store.load("step_4") is None
    assert (tmp_path / "step_3.json").exists()


def test_the_latest_is_the_highest_step_and_a_damaged_file_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileCheckpointStore(tmp_path)
    for number in (2, 10, 9):
        store.save(Checkpoint(number), f"step_{number}")
    (tmp_path / "step_99.json").write_text("{")
    latest = store.load_latest()
    assert latest is not None
    assert latest.step_number == 10
    assert "step_99.json" in caplog.text


def test_the_latest_reads_the_journal(tmp_path: Path) -> None:
    life = Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(4)
    latest = FileCheckpointStore(tmp_path).load_latest()
    assert latest is not None
    assert latest.step_number == 4
    assert latest.conversation_data is not None
    assert len(latest.conversation_data["messages"]) == len(life.conversation.messages)
    assert latest.session_log_data["entries"] == life.log.to_list()


BAD_KEYS = ["", ".", "..", "a\0b", "x" * 200, "\u20ac" * 100, "\ud800"]


def test_the_latest_of_a_journal_is_copied_like_any_checkpoint(tmp_path: Path) -> None:
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(4)
    latest = FileCheckpointStore(tmp_path).load_latest()
    assert latest is not None
    copy = replace(latest, step_number=9)
    assert (copy.step_number, copy.metadata) == (9, latest.metadata)
    assert {**copy.to_dict(), "step_number": 4} == latest.to_dict()
    assert len((copy.conversation_data or {})["messages"]) > 4


@pytest.mark.parametrize("key", BAD_KEYS, ids=["empty", "dot", "dots", "NUL", "long", "wide", "half"])
def test_CK_08_keys_that_are_no_names(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="checkpoint key"):
        FileCheckpointStore(tmp_path).save(Checkpoint(1), key)


def test_CK_08_no_key_leaves_the_folder(tmp_path: Path) -> None:
    store = FileCheckpointStore(tmp_path / "in")
    store.save(Checkpoint(1), "../../evil")
    assert [p.name for p in tmp_path.rglob("*.json")] == ["evil.json"]
    assert (tmp_path / "in" / "evil.json").exists()


def test_CK_08_keys_that_differ_in_what_is_taken_off_do_not_share(tmp_path: Path) -> None:
    store = FileCheckpointStore(tmp_path)
    store.save(Checkpoint(1), "a/k")
    for other in ("k", "b/k", "a\\k"):
        assert store.load(other) is None
        with pytest.raises(ValueError, match=f"checkpoint key {re.escape(repr(other))}.*'a/k'"):
            store.save(Checkpoint(2), other)
    store.save(Checkpoint(3), "a/k")
    assert getattr(store.load("a/k"), "step_number", None) == 3


BAD_FILES = {
    "empty": "",
    "not JSON": "{",
    "a list": "[]",
    "no step": "{}",
    "a step that is text": '{"step_number": "3"}',
    "a step that is a bool": '{"step_number": true}',
}


@pytest.mark.parametrize("text", BAD_FILES.values(), ids=BAD_FILES)
def test_CK_09_a_file_of_another_shape(tmp_path: Path, text: str) -> None:
    (tmp_path / "k.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"k\.json"):
        FileCheckpointStore(tmp_path).load("k")


def test_starting_after_an_explicit_checkpoint() -> None:
    first = Life(ScriptedChatBackend(*SCRIPT), None).until(1)
    data = {"entries": first.log.to_list(), "current_theory": ""}
    checkpoint = Checkpoint(1, data, first.conversation.serialize(), {"queries_used": 1})
    second = Life(ScriptedChatBackend(*SCRIPT[3:]), None, initial_checkpoint=checkpoint).until()
    assert [s.number for s in second.state.steps] == [2, 3]
    assert len(second.log.entries) == 3
    assert second.state.queries_used == 2


def test_CK_01_the_latest_checkpoint_of_the_same_folder_changes_nothing(tmp_path: Path) -> None:
    numbers = []
    for first, until in ((0, 1), (1, 2), (2, None)):
        latest = FileCheckpointStore(tmp_path).load_latest()
        life = Life(ScriptedChatBackend(*SCRIPT[first:]), tmp_path, initial_checkpoint=latest)
        numbers.append([s.number for s in life.until(until).state.steps])
    assert numbers == [[1], [1, 2], [1, 2, 3, 4, 5, 6, 7]]
    assert len(life.log.entries) == 7
    assert len(life.conversation.messages) == len(whole().conversation.messages)


def test_CK_13_a_run_after_an_explicit_checkpoint_is_resumed_from_its_journal_alone(tmp_path: Path) -> None:
    first = Life(ScriptedChatBackend(*SCRIPT), None).until(1)
    data = {"entries": first.log.to_list(), "current_theory": ""}
    checkpoint = Checkpoint(1, data, first.conversation.serialize(), {"queries_used": 1})
    Life(ScriptedChatBackend(*SCRIPT[1:]), tmp_path, initial_checkpoint=checkpoint).until(2)
    again = Life(ScriptedChatBackend(*SCRIPT[2:]), tmp_path).until()
    assert [s.number for s in again.state.steps] == [2, 3, 4, 5, 6, 7]
    assert [entry.step for entry in again.log.entries] == [1, 2, 3, 4, 5, 6, 7]
    assert len(again.conversation.messages) == len(whole().conversation.messages)


def test_error_kinds_survive(tmp_path: Path) -> None:
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(5)
    resumed = Life(ScriptedChatBackend(*SCRIPT[3:]), tmp_path).until()
    assert resumed.state.steps[4].tool_result.error_kind is ErrorKind.VALIDATION


def test_a_call_in_doubt_is_told_once(tmp_path: Path) -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        raise KeyboardInterrupt

    def life(*script: Any) -> Life:
        one = Life(ScriptedChatBackend(*script), tmp_path)
        one.arguments["tools"] = tools_from([pay, add], include_done=True)
        return one

    with pytest.raises(KeyboardInterrupt):
        life(call("pay", amount=5)).until()
    life(call("add", a=1), call("add", a=2)).until(2)
    last = life(call("done", answer="ok")).until()
    doubts = [s.number for s in last.state.steps if "unknown whether" in (s.tool_result.error or "")]
    assert doubts == [1]


def lines_of(folder: Path) -> list[bytes]:
    return (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)


def test_killed_after_its_answer_was_accepted_a_run_is_finished(tmp_path: Path) -> None:
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until()
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines_of(tmp_path)[:-1]))
    with pytest.raises(CheckpointError, match="finished"):
        Life(ScriptedChatBackend(), tmp_path).until()


def test_nothing_stays_behind_the_last_good_line(tmp_path: Path) -> None:
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until(5)
    damaged = b"".join(lines_of(tmp_path)[:4]) + b"x" * 3000
    (tmp_path / "journal.jsonl").write_bytes(damaged)
    Life(ScriptedChatBackend(*SCRIPT[1:]), tmp_path).until(2)
    resumed = Life(ScriptedChatBackend(*SCRIPT[2:]), tmp_path).until()
    assert resumed.builder.trajectory.stop_reason == "done"


def test_a_task_that_holds_a_secret_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "k3y-of-the-house-9876")
    for script, until in ((SCRIPT, 1), (SCRIPT[1:], None)):
        life = Life(ScriptedChatBackend(*script), tmp_path)
        life.arguments["task"] = {"goal": "use k3y-of-the-house-9876"}
        life.until(until)
    assert life.builder.trajectory.stop_reason == "done"
    assert b"k3y-of-the-house" not in (tmp_path / "journal.jsonl").read_bytes()


def test_a_start_that_fails_gives_the_folder_back(tmp_path: Path) -> None:
    life = Life(ScriptedChatBackend(), tmp_path, initial_checkpoint="nope")
    with pytest.raises(AttributeError):
        life.until()
    Life(ScriptedChatBackend(*SCRIPT), tmp_path).until()


def test_an_observer_that_raises_at_the_end_does_not_keep_the_folder(tmp_path: Path) -> None:
    class Broken:
        def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
            raise OSError("no space for the trace")

    life = Life(ScriptedChatBackend(*SCRIPT), tmp_path)
    life.arguments["config"].observers.append(Broken())
    with pytest.raises(OSError, match="no space for the trace"):
        life.until()
    with pytest.raises(CheckpointError, match="finished"):
        Life(ScriptedChatBackend(), tmp_path).until()


def test_another_rule_is_another_agent(tmp_path: Path) -> None:
    from looplet.permissions import PermissionEngine, PermissionHook

    def life(limit: int, script: list[Any]) -> Life:
        one = Life(ScriptedChatBackend(*script), tmp_path)
        engine = PermissionEngine()
        if limit:
            engine.allow("*", arg_matcher=lambda args: len(args) < 5)
        else:
            engine.allow("*", arg_matcher=lambda args: len(args) < 0)
        one.arguments["hooks"] = [PermissionHook(engine)]
        return one

    life(1, SCRIPT).until(1)
    with pytest.raises(CheckpointError, match="permission rules changed"):
        life(0, SCRIPT[1:]).until()
    life(1, SCRIPT[1:]).until(2)


def test_what_ran_is_a_step_though_the_next_call_ended_the_run() -> None:
    @tool
    def stop() -> None:
        """Interrupt."""
        raise KeyboardInterrupt

    life = Life(ScriptedChatBackend(calls(call("add", a=1), call("stop"))), None)
    life.arguments["tools"] = tools_from([add, stop], include_done=True)
    with pytest.raises(KeyboardInterrupt):
        life.until()
    assert [s.tool_call.tool for s in life.state.steps] == ["add"]


def test_a_cancelled_save_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    real = os.fdatasync

    def slow(fd: int) -> None:
        time.sleep(0.05)
        real(fd)

    monkeypatch.setattr("looplet.checkpoint.journal._sync", slow)
    life = Life(AsyncScriptedChatBackend(*SCRIPT), tmp_path)

    async def main() -> None:
        async def consume() -> None:
            async with aclosing(async_composable_loop(**life.arguments)) as steps:
                async for _ in steps:
                    pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(0.12)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    data = (tmp_path / "journal.jsonl").read_bytes()
    assert not data.endswith(b"\0")
    kinds = [line.split(b'"kind": "')[1].split(b'"')[0] for line in lines_of(tmp_path)]
    assert kinds[-1] == b"end"
    assert kinds.count(b"begin") == 1
