"""A run that survives: the model fails in the middle, and the same call again goes on where it was.

Prints:
    #1 ✓ fetch(page=1) → page 1 [0ms]
    the model failed
    #3 ✓ fetch(page=2) → page 2 [0ms]
    #4 ✓ done(answer=Both pages are read.) → 1 keys [0ms]
    fetched: [1, 2]
"""

import tempfile

from looplet import LoopConfig, composable_loop, tool, tools_from
from looplet.testing import ScriptedChatBackend, bad_request, call

fetched = []


@tool
def fetch(page: int) -> str:
    """Fetch a page."""
    fetched.append(page)
    return f"page {page}"


def run(llm, folder):
    config = LoopConfig(checkpoint_dir=folder)
    for step in composable_loop(llm, "Read both", tools_from([fetch], include_done=True), config=config):
        if step.tool_call.tool == "__llm_error__":
            print("the model failed")
        else:
            print(step.pretty())


with tempfile.TemporaryDirectory() as folder:
    run(ScriptedChatBackend(call("fetch", page=1), bad_request()), folder)
    run(ScriptedChatBackend(call("fetch", page=2), "Both pages are read."), folder)
print("fetched:", fetched)
