"""An agent for the crash tests: forty steps, each of which appends a line to a file.

`python agent.py FOLDER [POINT STEP]` makes the file FOLDER/up when it is about to run, prints each step it
is handed and kills itself at the named point.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from looplet import LoopConfig, ToolSpec, composable_loop, tools_from
from looplet.testing import ScriptedChatBackend, call, calls

STEPS = 40
POINTS = ("before the model", "before the tool", "in the tool", "after the effect", "in the consumer")


def answer(request: Any) -> Any:
    """What the model says next, told by how many results it has seen: every fifth time two calls at once."""
    seen = sum(block["type"] == "tool_result" for m in request.messages for block in m["content"])
    if seen >= STEPS:
        return call("done", answer="ok")
    if seen % 5 == 3 and seen + 2 <= STEPS:
        return calls(call("append", n=seen + 1), call("append", n=seen + 2))
    return call("append", n=seen + 1)


class Killer:
    """Kills the process at one point of one step."""

    def __init__(self, point: str = "", step: int = 0) -> None:
        self.point, self.step = point, step

    def at(self, point: str, step: int) -> None:
        if (point, step) == (self.point, self.step):
            os.kill(os.getpid(), signal.SIGKILL)

    def pre_prompt(self, state: Any, session_log: Any, context: Any, step_num: int) -> None:
        self.at("before the model", step_num)

    def pre_dispatch(self, state: Any, session_log: Any, tool_call: Any, step_num: int) -> None:
        self.at("before the tool", step_num)


def run(folder: Path, killer: Killer, **config: Any) -> Any:
    effects = folder / "effects"

    def append(n: int) -> int:
        killer.at("in the tool", n)
        with effects.open("a") as file:
            file.write(f"{n}\n")
        killer.at("after the effect", n)
        return n

    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    tools = tools_from([ToolSpec("append", "Append a line.", schema, append)], include_done=True)
    settings = LoopConfig(max_steps=STEPS + 5, checkpoint_dir=str(folder / "checkpoint"), **config)
    llm = ScriptedChatBackend(always=answer)
    return composable_loop(llm, {"goal": "count"}, tools, hooks=[killer], config=settings)


def main(folder: str, point: str = "", step: str = "0") -> None:
    killer = Killer(point, int(step))
    Path(folder, "up").touch()
    for taken in run(Path(folder), killer):
        sys.stdout.write(f"{taken.number} {taken.tool_call.tool} {taken.tool_result.error or ''}\n")
        sys.stdout.flush()
        killer.at("in the consumer", taken.number)


if __name__ == "__main__":
    main(*sys.argv[1:])
