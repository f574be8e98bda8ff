"""Sub-agents: a tool whose work is a run of its own, inside the limits of the run that called it.

Prints:
    #1 ✓ research(question=Who tamed cats?) → The Egyptians. [0ms]
    #2 ✓ done(answer=Cats were tamed by the Egyptians.) → 1 keys [0ms]
    the sub-agent called: look_up done
"""

from looplet import run_loop, run_sub_loop, tool
from looplet.testing import ScriptedChatBackend, call


@tool
def look_up(topic: str) -> str:
    """An article of the encyclopedia."""
    return "Cats came to the house in Egypt."


@tool
def research(question: str) -> str:
    """Find something out; a colleague does it."""
    researcher = ScriptedChatBackend(call("look_up", topic="cats"), "The Egyptians.")
    return run_sub_loop(researcher, question, [look_up], max_steps=3)["answer"]


llm = ScriptedChatBackend(call("research", question="Who tamed cats?"), "Cats were tamed by the Egyptians.")
run = run_loop(llm, "Who tamed cats?", [research])
for step in run:
    print(step.pretty())
for child in run.children:
    print("the sub-agent called:", *child.tools)
