"""A reply with several calls, killed or failing anywhere inside: what was not to run never does."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from looplet.conversation import Conversation
from looplet.errors import CheckpointError
from looplet.hook_decision import Deny, HookDecision
from looplet.loop import LoopConfig, composable_loop
from looplet.session import SessionLog
from looplet.testing import ScriptedChatBackend
from looplet.tools import ToolSpec, tools_from
from looplet.types import DefaultState, Step

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


def use(tool: str, call_id: str, **args: Any) -> dict[str, Any]:
    return {"type": "tool_use", "name": tool, "input": args, "id": call_id}


class Agent:
    """An agent whose model answers by the number of its turns; keeps each effect, and calls *at* all over."""

    def __init__(self, folder: Path | None, replies: list[list[dict[str, Any]]], **config: Any) -> None:
        self.at: Callable[[str], None] = lambda place: None
        self.effects: list[int | None] = []
        self.replies = replies
        self.log, self.conversation = SessionLog(), Conversation()
        self.state = DefaultState(max_steps=config.get("max_steps", 12))
        self.config = LoopConfig(
            **{"max_steps": 12, **config}, checkpoint_dir=None if folder is None else str(folder)
        )

    def steps(self) -> Generator[Step, None, Any]:
        specs = [
            ToolSpec("note", "Note.", SCHEMA, self.note),
            ToolSpec("free", "Note for free.", SCHEMA, self.note, free=True),
            ToolSpec("safe", "Note at once.", SCHEMA, self.note, concurrent_safe=True),
        ]
        tools = tools_from(specs, include_done=True)
        more: dict[str, Any] = {
            "state": self.state,
            "session_log": self.log,
            "conversation": self.conversation,
        }
        llm = ScriptedChatBackend(always=self.answer)
        return composable_loop(llm, "note", tools, hooks=[self], config=self.config, **more)

    def answer(self, request: Any) -> Any:
        self.at("the model")
        turns = sum(message["role"] == "assistant" for message in request.messages)
        return copy.deepcopy(self.replies[turns])

    def note(self, n: int | None = None) -> dict[str, Any]:
        self.at("in the tool")
        self.effects.append(n)
        self.at("in the tool")
        return {"noted": n}

    def pre_dispatch(self, state: Any, session_log: Any, tool_call: Any, step_num: int) -> Any:
        self.at("before the tool")
        n = tool_call.args.get("n")
        if n == 13:
            return Deny("not this one")
        return HookDecision(updated_args={"n": 100}) if n == 10 else None

    def post_dispatch(
        self, state: Any, session_log: Any, tool_call: Any, tool_result: Any, step_num: int
    ) -> None:
        self.at("after the tool")

    def kept(self) -> Any:
        """Everything that a run leaves, without times."""
        conversation = self.conversation.serialize()
        for message in conversation["messages"]:
            message.pop("timestamp")
            (message.get("tool_result") or {}).pop("duration_ms", None)
        return json.dumps([conversation, self.log.to_list(), self.state.queries_used])


UNREADABLE = use("note", "c2", _raw_arguments='{"n": 1')
REPLIES = [
    [use("note", "c0", n=1)],
    [
        use("note", "c1", n=10),
        UNREADABLE,
        use("free", "c3", n=3),
        use("nobody", "c4"),
        use("note", "c5", n=13),
        use("note", "c6", n=6),
        use("note", "c7", n=7),
    ],
    [use("done", "c8", answer="ok")],
]


@pytest.mark.slow
@pytest.mark.parametrize("max_steps", [12, 6], ids=["plenty", "beyond the budget"])
def test_CK_02_killed_anywhere_in_a_batch_outside_of_its_tools(tmp_path: Path, max_steps: int) -> None:
    whole = Agent(None, REPLIES, max_steps=max_steps)
    list(whole.steps())
    first = Agent(tmp_path / "first", REPLIES, max_steps=max_steps)
    journal = tmp_path / "first" / "journal.jsonl"
    seen: list[Step] = []
    killed: list[tuple[str, bytes, list[int | None], int]] = []

    def at(place: str) -> None:
        if place != "in the tool" and journal.exists():
            killed.append((place, journal.read_bytes(), list(first.effects), len(seen)))

    first.at = at
    for step in first.steps():
        seen.append(step)
        if step.tool_call.tool != "done":
            at("in the consumer")
    assert first.kept() == whole.kept()
    assert len({place for place, *_ in killed}) == 4
    for number, (place, data, effects, shown) in enumerate(killed):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(data)
        again = Agent(folder, REPLIES, max_steps=max_steps)
        steps = [step.number for step in again.steps()]
        assert steps == list(range(shown + 1, len(seen) + 1)), place
        assert effects + again.effects == whole.effects, place
        assert again.kept() == whole.kept(), place


def test_CK_01_of_calls_that_do_not_run_at_once_only_one_is_in_doubt(tmp_path: Path) -> None:
    batch = [use("note", "a", n=1), use("note", "b", n=2), use("note", "c", n=3)]
    agent = Agent(tmp_path, [batch], concurrent_dispatch=True)
    agent.at = lambda place: _interrupt() if place == "in the tool" and agent.effects == [1] else None
    with pytest.raises(KeyboardInterrupt):
        list(agent.steps())
    again = Agent(tmp_path, [batch, [use("done", "d", answer="ok")]], concurrent_dispatch=True)
    doubts = ["unknown whether" in (step.tool_result.error or "") for step in again.steps()]
    assert (doubts, again.effects) == ([True, False, False, False], [2, 3])


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_calls_that_run_at_once_still_do(tmp_path: Path) -> None:
    batch = [use("note", "a", n=1), use("safe", "b", n=2), use("safe", "c", n=3), use("done", "d", answer="")]
    agent = Agent(tmp_path, [batch], concurrent_dispatch=True)
    running: list[int] = []
    agent.at = lambda place: running.append(len(agent.effects)) if place == "in the tool" else None
    assert [step.tool_result.data for step in agent.steps()][:3] == [{"noted": n} for n in (1, 2, 3)]
    assert sorted(filter(None, agent.effects)) == [1, 2, 3]


@pytest.mark.parametrize("ids", [("", ""), ("x", "x")], ids=["none", "the same"])
def test_CK_13_a_provider_that_gives_its_calls_no_ids(tmp_path: Path, ids: tuple[str, str]) -> None:
    batch = [use("note", ids[0], n=1), use("note", ids[1], n=2)]
    replies = [batch, [use("done", "d", answer="ok")]]
    steps = Agent(tmp_path, replies).steps()
    next(steps)
    steps.close()
    again = Agent(tmp_path, replies)
    assert [step.number for step in again.steps()] == [2, 3]
    asked: Any = again.conversation.messages[1].content
    answered = [step.tool_call.call_id for step in again.state.steps[:2]]
    assert [block.data["id"] for block in asked] == answered
    assert [step.tool_result.data for step in again.state.steps[:2]] == [{"noted": 1}, {"noted": 2}]


@pytest.mark.parametrize("fails", range(1, 8))
def test_CK_12_what_ran_in_a_batch_is_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    batch = [use("note", f"c{n}", n=n) for n in (1, 2, 3)]
    replies = [batch, [use("done", "d", answer="ok")]]
    agent = Agent(tmp_path, replies)
    write, written = os.write, 0

    def full(fd: int, data: Any) -> int:
        nonlocal written
        written += 1
        if written >= fails:
            write(fd, bytes(data)[:5])
            raise OSError(28, os.strerror(28))
        return write(fd, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        seen: list[int] = []
        with pytest.raises(CheckpointError, match=r"journal\.jsonl cannot be written"):
            seen.extend(step.number for step in agent.steps())
    assert seen == list(range(1, len(agent.effects) + 1))
    again = Agent(tmp_path, replies)
    rest = list(again.steps())
    doubts = [s for s in rest if "unknown whether" in (s.tool_result.error or "")]
    assert len(doubts) <= 1
    effects = agent.effects + again.effects
    assert sorted(filter(None, effects)) == [1, 2, 3]


class Broken:
    """An observer that cannot keep one of the steps."""

    def __init__(self, number: int) -> None:
        self.number = number

    def step_taken(self, step: Step) -> None:
        if step.number == self.number:
            raise OSError("no space for the trace")


@pytest.mark.parametrize("folder", ["journal", None], ids=["journal", "no journal"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_CK_12_a_step_that_an_observer_could_not_keep_is_handed_out_once(
    tmp_path: Path, number: int, folder: str | None
) -> None:
    batch = [use("note", f"c{n}", n=n) for n in (1, 2, 3)]
    agent = Agent(tmp_path / folder if folder else None, [batch], observers=[Broken(number)])
    seen: list[int] = []
    with pytest.raises(OSError, match="no space for the trace"):
        seen.extend(step.number for step in agent.steps())
    assert seen == [1, 2, 3]
    assert [step.number for step in agent.state.steps] == [1, 2, 3]
    assert len(agent.log.entries) == 3
