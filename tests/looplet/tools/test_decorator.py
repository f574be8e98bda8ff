"""`@tool`: a function that is a tool and still a function."""

import dataclasses

import pytest

from looplet.errors import ConfigError
from looplet.tools import BaseToolRegistry, ToolSpec, tool, tools_from
from looplet.types import ToolCall, ToolContext


@tool
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@tool(name="sub", description="Take away.", timeout_s=3, free=True, idempotent=True, concurrent_safe=True)
def subtract(a: int, b: int) -> int:
    """Not this text."""
    return a - b


def test_it_is_a_spec():
    assert isinstance(add, ToolSpec)
    assert (add.name, add.description) == ("add", "Add two numbers.")
    assert add.parameters["required"] == ["a"]


def test_it_is_still_the_function():
    assert add(2, b=3) == 5
    assert (add.__name__, add.__doc__, add.__module__) == ("add", "Add two numbers.", __name__)


def test_its_arguments_are_the_specs_fields():
    assert (subtract.name, subtract.description) == ("sub", "Take away.")
    assert (subtract.timeout_s, subtract.free, subtract.idempotent, subtract.concurrent_safe) == (
        3,
        True,
        True,
        True,
    )


def test_it_is_dispatched_as_a_tool():
    registry = tools_from([add])
    assert registry.dispatch(ToolCall("add", {"a": 1})).data == 2
    assert registry.dispatch(ToolCall("add", {"a": "1"})).error.endswith(
        "a: expected integer, got string '1'"
    )


def test_ctx_is_given_and_not_shown():
    @tool
    def where(path: str, ctx: ToolContext | None = None) -> str:
        return f"{ctx.cwd}/{path}"

    assert list(where.parameters["properties"]) == ["path"]
    registry = tools_from([where])
    assert registry.dispatch(ToolCall("where", {"path": "x"}), ctx=ToolContext(cwd="/w")).data == "/w/x"


class Shop:
    def __init__(self):
        self.sold = []

    def sell(self, sku: str) -> int:
        """Sell one."""
        self.sold.append(sku)
        return len(self.sold)


def test_a_bound_method_is_a_tool():
    shop = Shop()
    registry = tools_from([shop.sell])
    assert registry.dispatch(ToolCall("sell", {"sku": "a"})).data == 1
    assert shop.sold == ["a"]


class Till:
    def __init__(self):
        self.paid = 0

    @tool(free=True)
    def pay(self, amount: int) -> int:
        """Pay."""
        self.paid += amount
        return self.paid


def test_a_decorated_method_is_a_tool_of_its_object():
    one, other = Till(), Till()
    assert one.pay(5) == 5
    registry = tools_from([one.pay])
    assert registry.dispatch(ToolCall("pay", {"amount": 2})).data == 7
    assert (one.paid, other.paid) == (7, 0)
    assert registry._tools["pay"].parameter_names() == ["amount"]
    assert registry._tools["pay"].free
    assert Till.pay.name == "pay"


def test_a_copy_with_other_fields_still_runs():
    copy = dataclasses.replace(subtract, name="minus")
    assert (copy.name, copy.timeout_s, copy(5, 3)) == ("minus", 3, 2)


def test_a_lambda_needs_a_name_that_can_be_one():
    with pytest.raises(ConfigError, match="'<lambda>'"):
        BaseToolRegistry().register(tool(lambda a: a))
    assert tool(name="same")(lambda a: a).name == "same"


@pytest.mark.parametrize("thing", [5, "name"])
def test_only_functions_become_tools(thing):
    with pytest.raises(ConfigError, match="makes a function a tool"):
        tool(thing)
