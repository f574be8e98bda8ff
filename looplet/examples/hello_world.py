"""The smallest agent: two tools, a loop you step through, and two evals of it.

    python -m looplet.examples.hello_world --scripted    # needs no server
    export OPENAI_BASE_URL=http://localhost:11434/v1
    python -m looplet.examples.hello_world --model llama3.1:8b

Without `--scripted` it talks to any server of OpenAI's chat completions.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from looplet.backends import OpenAIBackend
from looplet.evals import EvalContext, EvalHook
from looplet.loop import LoopConfig, composable_loop
from looplet.testing import ScriptedChatBackend, call
from looplet.tools import tool, tools_from
from looplet.types import ChatBackend

TASK = {"goal": "Greet Alice and Bob, one call each, then finish."}

SCRIPT = (call("greet", name="Alice"), call("greet", name="Bob"), call("done", answer="Greeted"))


@tool
def greet(name: str) -> dict[str, str]:
    """Greet one person by name."""
    return {"greeting": f"Hello, {name}!"}


def eval_greeted_everyone(ctx: EvalContext) -> float:
    """The share of the two people who were greeted."""
    greeted = {step.tool_call.args.get("name") for step in ctx.steps if step.tool_call.tool == "greet"}
    return len(greeted & {"Alice", "Bob"}) / 2


def eval_completed(ctx: EvalContext) -> bool:
    """Whether the agent finished by itself."""
    return ctx.completed


def backend(model: str, base_url: str | None = None) -> OpenAIBackend:
    """A backend for the server at *base_url*, or else at `OPENAI_BASE_URL`.

    Exits with a hint if the openai package is missing.
    """
    try:
        from openai import OpenAI
    except ImportError:
        sys.exit(
            'the openai package is missing: pip install "pytest-looplet[openai]", or run with --scripted'
        )
    client = OpenAI(
        base_url=base_url or os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:19823/v1"),
        api_key=os.environ.get("OPENAI_API_KEY", "x"),  # local servers want one and ignore it
    )
    return OpenAIBackend(client, model=model)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the agent and print its steps and evals. Returns 0 if it finished, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m looplet.examples.hello_world",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scripted", action="store_true", help="use a scripted model: no server, no key")
    parser.add_argument("--model", default=os.environ.get("OPENAI_MODEL", "gpt-4.1"), help="model to ask for")
    options = parser.parse_args(argv)

    llm: ChatBackend = ScriptedChatBackend(*SCRIPT) if options.scripted else backend(options.model)
    evals = EvalHook([eval_greeted_everyone, eval_completed], task=TASK, verbose=True)
    finished = False
    for step in composable_loop(
        llm,
        task=TASK,
        tools=tools_from([greet], include_done=True),
        hooks=[evals],
        config=LoopConfig(max_steps=8, system_prompt="You greet people with the tools you have."),
    ):
        print(step.pretty())
        finished = step.tool_call.tool == "done" and not step.tool_result.error
    return 0 if finished else 1


if __name__ == "__main__":
    sys.exit(main())
