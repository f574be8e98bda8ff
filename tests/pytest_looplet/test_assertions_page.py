"""The page about assertions is true: its examples run, and it names every expectation."""

import re
from pathlib import Path

from looplet import run_loop, tool
from looplet.testing import ScriptedChatBackend, call
from looplet.types import ChatReply, Usage
from pytest_looplet import Expectation

PAGE = (Path(__file__).parents[2] / "docs" / "assertions.md").read_text(encoding="utf-8")


@tool
def lookup_order(order_id: str) -> dict:
    """Look an order up."""
    return {"status": "shipped"}


@tool
def issue_refund(order_id: str, amount: float) -> dict:
    """Pay it back."""
    return {"refunded": True}


@tool
def done(answer: str) -> str:
    """Finish."""
    return answer


def turn(tool_name, **args):
    block = {"type": "tool_use", "id": f"id_{tool_name}", "name": tool_name, "input": args}
    return ChatReply([block], "tool_use", "m", Usage(100, 10))


def test_the_examples_hold():
    model = ScriptedChatBackend(
        turn("lookup_order", order_id="1234"),
        turn("issue_refund", order_id="1234", amount=99.0),
        turn("done", answer="Order 1234 is refunded."),
    )
    names = {"run": run_loop(model, "Refund order 1234", [lookup_order, issue_refund, done]), "call": call}
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        exec(example, names)


def test_every_expectation_is_named():
    named = set(re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE))
    assert named == {name for name in vars(Expectation) if "to_" in name}
