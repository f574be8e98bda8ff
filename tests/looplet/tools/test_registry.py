"""Registration, and what a registry says of its tools."""

import pytest

from looplet.errors import ConfigError
from looplet.tools import BaseToolRegistry, ToolSpec, register_think_tool, tools_from
from looplet.types import ToolCall


def spec(name="add", **more):
    return ToolSpec(name, f"The {name} tool.", {"a": "int"}, lambda a: a, **more)


def registry(*names):
    made = BaseToolRegistry()
    for name in names:
        made.register(spec(name))
    return made


def test_an_empty_registry():
    assert registry().tool_names == []
    assert registry().tool_catalog_text() == "Available tools:"
    assert registry().tool_schemas() == []
    assert registry().introspect() == {"tool_count": 0, "tools": []}


def test_tools_stay_in_the_order_of_registration():
    made = registry("b", "a", "c")
    assert made.tool_names == ["b", "a", "c"]
    assert [schema["name"] for schema in made.tool_schemas()] == ["b", "a", "c"]
    assert made.tool_catalog_text().splitlines()[:3] == ["Available tools:", "  b(a: int)", "    The b tool."]


def test_introspection():
    made = registry()
    made.register(spec(concurrent_safe=True, free=True))
    assert made.introspect() == {
        "tool_count": 1,
        "tools": [
            {
                "name": "add",
                "description": "The add tool.",
                "parameters": {
                    "type": "object",
                    "properties": {"a": {"type": "integer", "description": "int"}},
                    "required": ["a"],
                },
                "concurrent_safe": True,
                "free": True,
            }
        ],
    }


@pytest.mark.parametrize("name", ["add", "ADD", "Add"])
def test_TV_06_a_name_that_is_taken_is_refused(name):
    made = registry("add")
    with pytest.raises(ConfigError, match=f"{name}.*'add' exists.*replace=True"):
        made.register(spec(name))
    assert made.tool_names == ["add"]


@pytest.mark.parametrize("name", ["add", "ADD"])
def test_TV_06_unless_it_is_to_be_replaced(name):
    made = registry("add", "other")
    new = spec(name)
    made.register(new, replace=True)
    assert sorted(made.tool_names) == sorted([name, "other"])
    assert made._tools[name] is new


def test_the_older_spelling_replaces():
    made = registry("add")
    made._register(spec("add"))
    assert made.tool_names == ["add"]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../x", "a\n", "é", "x" * 65, "a:b", None, 5])
def test_TV_06_a_name_that_providers_refuse_is_refused(name):
    with pytest.raises(ConfigError, match="use 1 to 64 letters"):
        registry(name)


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "__x__", "x" * 64])
def test_TV_06_other_names_are_taken(name):
    assert registry(name).tool_names == [name]


def test_a_schema_that_is_none_is_refused_with_the_tools_name():
    broken = ToolSpec("t", "d", {"type": "object", "properties": {"a": 5}}, print)
    with pytest.raises(ConfigError, match=r"tool 't': schema\.properties\.a"):
        registry().register(broken)


WRONG = {
    "a function": (lambda: 1, "make a function one with looplet.tool"),
    "no function": (ToolSpec("t", "d", {}, None), "tool 't': execute must be callable, not None"),
    "no parameters": (ToolSpec("t", "d", None, print), "tool 't': parameters must be a dict, not None"),
    "no time": (ToolSpec("t", "d", {}, print, timeout_s=0), "tool 't': timeout_s must be seconds above 0"),
    "a time in words": (ToolSpec("t", "d", {}, print, timeout_s="1"), "tool 't': timeout_s must be seconds"),
}


@pytest.mark.parametrize(("spec", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_a_tool_is_refused(spec, said):
    with pytest.raises(ConfigError, match=said):
        registry().register(spec)


def test_descriptions_follow_every_change():
    made = registry("a")
    assert len(made.tool_schemas()) == 1
    made.register(spec("b"))
    assert [schema["name"] for schema in made.tool_schemas()] == ["a", "b"]
    made._tools["a"] = spec("a", free=True)
    del made._tools["b"]
    assert [schema["name"] for schema in made.tool_schemas()] == ["a"]
    assert "b(" not in made.tool_catalog_text()


def test_a_list_of_schemas_is_the_callers_own():
    made = registry("a")
    made.tool_schemas().clear()
    assert len(made.tool_schemas()) == 1


@pytest.mark.parametrize(
    ("args", "analysis"), [({"analysis": "hm"}, "hm"), ({}, ""), ({"analysis": "", "__theory__": "t"}, "")]
)
def test_think(args, analysis):
    made = registry()
    register_think_tool(made)
    result = made.dispatch(ToolCall("think", args))
    assert result.data == {"acknowledged": True, "analysis": analysis}
    assert made._tools["think"].free
    assert made._tools["think"].concurrent_safe


def greet(name: str, loud: bool = False) -> str:
    """Greet somebody.

    Args:
        name: Whom.
    """
    return f"Hello {name}" + "!" * loud


def test_a_registry_from_functions_and_specs():
    made = tools_from([greet, spec()], include_done=True)
    assert made.tool_names == ["greet", "add", "done"]
    assert made.dispatch(ToolCall("greet", {"name": "Ann", "loud": True})).data == "Hello Ann!"
    assert made.dispatch(ToolCall("done", {"answer": "42"})).data == {"answer": "42"}
    assert made._tools["done"].required_parameters() == ["answer"]


def test_a_done_of_your_own_stays():
    own = spec("done")
    assert tools_from([own], include_done=True)._tools == {"done": own}
    assert tools_from([greet]).tool_names == ["greet"]


@pytest.mark.parametrize(("items", "said"), [([5], "not 5"), ([greet, greet], "'greet' exists")])
def test_what_is_no_tool_is_refused(items, said):
    with pytest.raises(ConfigError, match=said):
        tools_from(items)
