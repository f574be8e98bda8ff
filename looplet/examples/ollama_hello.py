"""The hello-world agent with a model on your own machine, through Ollama.

    ollama pull llama3.1:8b
    python -m looplet.examples.ollama_hello

`OLLAMA_MODEL` names another model, `OLLAMA_BASE_URL` another server that speaks OpenAI's chat completions.
"""

from __future__ import annotations

import os
import sys

from looplet.backends import OpenAIBackend
from looplet.examples.hello_world import TASK, greet
from looplet.loop import LoopConfig, composable_loop
from looplet.tools import tools_from

URL = "http://localhost:11434/v1"
MODEL = "llama3.1:8b"


def main() -> int:
    """Run the agent and print its steps. Returns 0 if it finished, else 1 with a hint on standard error."""
    try:
        from openai import OpenAI
    except ImportError:
        sys.exit('the openai package is missing: pip install "pytest-looplet[openai]"')
    url = os.environ.get("OLLAMA_BASE_URL", URL)
    model = os.environ.get("OLLAMA_MODEL", MODEL)
    llm = OpenAIBackend(OpenAI(base_url=url, api_key="ollama"), model=model)
    config = LoopConfig(max_steps=8, system_prompt="You greet people with the tools you have.")
    tools = tools_from([greet], include_done=True)
    finished = False
    for step in composable_loop(llm, task=TASK, tools=tools, config=config):
        print(step.pretty())
        finished = step.tool_call.tool == "done" and not step.tool_result.error
    if not finished:
        sys.stderr.write(f"not finished: is a server at {url}, and does it have the model {model}?\n")
    return 0 if finished else 1


if __name__ == "__main__":
    sys.exit(main())
