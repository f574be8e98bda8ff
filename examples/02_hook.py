"""A hook: any object with one of the loop's slots. This one counts, corrects and refuses.

Prints:
    #1 ✓ search(query=cats) → 1 items [0ms]
    #2 ✗ search({'query': 'cats'}) → ERROR: you asked that already; use what you have
    #3 ✓ done(answer=Cats purr.) → 1 keys [0ms]
"""

from looplet import Block, composable_loop, tool, tools_from
from looplet.testing import ScriptedChatBackend, call


@tool
def search(query: str) -> list:
    """Search the encyclopedia."""
    return [f"{query} purr"]


class NeverTwice:
    """Refuses a call that was made before; the model reads why."""

    def __init__(self):
        self.seen = set()

    def pre_dispatch(self, state, session_log, tool_call, step_num):
        key = (tool_call.tool, str(tool_call.args))
        if key in self.seen:
            return Block("you asked that already; use what you have")
        self.seen.add(key)
        return None


llm = ScriptedChatBackend(call("search", query="cats"), call("search", query="cats"), "Cats purr.")
tools = tools_from([search], include_done=True)
for step in composable_loop(llm, "What do cats do?", tools, hooks=[NeverTwice()]):
    print(step.pretty())
