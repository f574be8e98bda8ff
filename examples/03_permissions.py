"""Permissions: nothing runs that no rule allows, whatever the model was talked into.

Prints:
    #1 ✓ read_note(name=todo) → buy milk [0ms]
    #2 ✗ delete_note({'name': 'todo'}) → ERROR: no rule matched
    #3 ✓ pay(amount=5.0) → paid 5.0 [0ms]
    #4 ✗ pay({'amount': 500.0}) → ERROR: too much for a machine
    #5 ✓ done(answer=Paid 5.) → 1 keys [0ms]
    denied: delete_note, pay
"""

from looplet import PermissionEngine, PermissionHook, composable_loop, tool, tools_from
from looplet.testing import ScriptedChatBackend, call


@tool
def read_note(name: str) -> str:
    """Read a note."""
    return "buy milk"


@tool
def delete_note(name: str) -> str:
    """Delete a note for ever."""
    return "deleted"


@tool
def pay(amount: float) -> str:
    """Pay an amount in US dollars."""
    return f"paid {amount}"


rules = (
    PermissionEngine()
    .allow("read_*")
    .deny("pay", arg_matcher=lambda args: args["amount"] > 100, reason="too much for a machine")
    .allow("pay")
)
llm = ScriptedChatBackend(
    call("read_note", name="todo"),
    call("delete_note", name="todo"),
    call("pay", amount=5.0),
    call("pay", amount=500.0),
    "Paid 5.",
)
tools = tools_from([read_note, delete_note, pay], include_done=True)
for step in composable_loop(llm, "Do my chores", tools, hooks=[PermissionHook(rules)]):
    print(step.pretty())
print("denied:", ", ".join(denial["tool"] for denial in rules.denials))
