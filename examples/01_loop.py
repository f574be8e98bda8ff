"""The loop: a model, two tools, and steps that you are handed one by one.

Prints:
    #1 ✓ add(a=2, b=3) → 5 [0ms]
    #2 ✓ add(a=5, b=4) → 9 [0ms]
    #3 ✓ done(answer=The sum is 9.) → 1 keys [0ms]
"""

from looplet import composable_loop, tool, tools_from
from looplet.testing import ScriptedChatBackend, call


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


# With a real model: llm = OpenAIBackend(openai.OpenAI(), model="gpt-4o-mini")
llm = ScriptedChatBackend(call("add", a=2, b=3), call("add", a=5, b=4), "The sum is 9.")

for step in composable_loop(llm, "What is 2 + 3 + 4?", tools_from([add], include_done=True)):
    print(step.pretty())
