"""An agent that pays once a person agrees, in processes that are killed while the person is being asked.

`python agent.py FOLDER TRIALS` forks two processes for each trial: one that asks and is killed by SIGKILL
at some moment after it asked, and one that comes later with the answer. Prints what became of each trial,
a JSON object a line.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from looplet import LoopConfig, composable_loop, tool, tools_from
from looplet.approval import ApprovalHook
from looplet.testing import ScriptedChatBackend, call, calls

ANSWERS = ("approve", "deny")


def says(request: Any) -> Any:
    """The model: look, pay 5, done when it has read what came of it."""
    if any(words in request.text for words in ("paid 5", "refused this call", "it is unknown whether")):
        return call("done", answer="told")
    if "seen" in request.text:
        return calls(call("pay", amount=5), call("look"))
    return call("look")


def start(folder: Path, hook: ApprovalHook, *, dies: bool = False) -> Any:
    @tool
    def pay(amount: int, *, ctx: Any = None) -> Any:
        """Pay."""
        if ctx is None or ctx.approve(f"pay {amount}?") != "approve":
            return {"needs_approval": True, "approval_description": f"pay {amount}?"}
        with (folder / "effects").open("a") as file:
            file.write(f"{amount}\n")
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"paid {amount}"

    @tool
    def look() -> str:
        """Look."""
        return "seen"

    settings = LoopConfig(max_steps=6, checkpoint_dir=str(folder / "checkpoint"))
    tools = tools_from([look, pay], include_done=True)
    return composable_loop(ScriptedChatBackend(always=says), "pay", tools, hooks=[hook], config=settings)


def forked(work: Callable[[], None]) -> int:
    """Run *work* in a process of its own; gives its id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)


def trial(folder: Path, number: int, chance: random.Random) -> dict[str, Any]:
    folder.mkdir()
    reading, writing = os.pipe()

    def ask() -> None:
        for step in start(folder, ApprovalHook()):
            if isinstance(step.tool_result.data, dict):
                os.write(writing, b"asked")  # the question has reached the person
        time.sleep(60)

    asking = forked(ask)
    os.close(writing)
    asked = os.read(reading, 5)
    time.sleep(chance.choice([0.0, chance.uniform(0, 0.02)]))
    os.kill(asking, signal.SIGKILL)
    _, status = os.waitpid(asking, 0)
    os.close(reading)
    answer = ANSWERS[number % 5 == 4]
    told = folder / "told"

    def go_on() -> None:
        waiting = ApprovalHook()
        list(start(folder, waiting))  # without an answer it waits on
        request = waiting.pending
        assert request is not None
        later = ApprovalHook()
        later.answer(answer, call_id=request.call_id)
        steps = [(step.tool_call.tool, step.tool_result.error or "") for step in start(folder, later)]
        told.write_text(json.dumps([request.to_dict(), steps]))

    os.waitpid(forked(go_on), 0)
    effects = folder / "effects"
    return {
        "asked": asked.decode(),
        "killed": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "answer": answer,
        "effects": effects.read_text().split() if effects.exists() else [],
        "later": json.loads(told.read_text()) if told.exists() else None,
    }


def killed_while_it_paid(folder: Path) -> dict[str, Any]:
    """The process that has the answer is killed inside the call; a third one goes on."""
    folder.mkdir()
    os.waitpid(forked(lambda: list(start(folder, ApprovalHook()))), 0)
    _, status = os.waitpid(forked(lambda: list(start(folder, ApprovalHook("approve"), dies=True))), 0)
    steps = [
        (step.tool_call.tool, step.tool_result.error or "") for step in start(folder, ApprovalHook("approve"))
    ]
    return {
        "killed": os.WTERMSIG(status),
        "effects": (folder / "effects").read_text().split(),
        "later": steps,
    }


def main(folder: str, trials: str) -> None:
    chance = random.Random(11)
    for number in range(int(trials)):
        sys.stdout.write(json.dumps(trial(Path(folder) / str(number), number, chance)) + "\n")
        sys.stdout.flush()
    sys.stdout.write(json.dumps(killed_while_it_paid(Path(folder) / "cut")) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
