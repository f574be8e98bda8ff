"""A function's signature and docstring as a description, a JSON Schema and a way to call it."""

import datetime
import enum
import pathlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict, TypeVar

import pydantic
import pytest
from jsonschema import Draft202012Validator

from looplet.errors import ConfigError
from looplet.schema import check_schema
from looplet.schema.signature import read_signature, schema_from_signature


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(TypedDict):
    city: str
    zip: NotRequired[int]


@dataclass
class Item:
    sku: str
    count: int = 1
    color: Color = Color.RED


@dataclass
class Node:
    value: int
    children: "list[Node]" = field(default_factory=list)


class Order(pydantic.BaseModel):
    number: int = pydantic.Field(ge=1)
    items: list[str] = []


Money = NewType("Money", float)
T = TypeVar("T")
ITEM = {
    "type": "object",
    "properties": {
        "sku": {"type": "string"},
        "count": {"type": "integer"},
        "color": {"type": "string", "enum": ["red", "blue"]},
    },
    "required": ["sku"],
    "additionalProperties": False,
}

ANNOTATIONS = {
    "text": (str, {"type": "string"}),
    "whole number": (int, {"type": "integer"}),
    "number": (float, {"type": "number"}),
    "flag": (bool, {"type": "boolean"}),
    "nothing": (None, {"type": "null"}),
    "anything": (Any, {}),
    "a class of ours": (object, {}),
    "a bare list": (list, {"type": "array"}),
    "a list of text": (list[str], {"type": "array", "items": {"type": "string"}}),
    "a sequence": (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
    "an iterable": (Iterable[int], {"type": "array", "items": {"type": "integer"}}),
    "a set": (set[int], {"type": "array", "items": {"type": "integer"}}),
    "a bare dict": (dict, {"type": "object", "additionalProperties": True}),
    "a dict": (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    "a mapping": (Mapping[str, Any], {"type": "object", "additionalProperties": True}),
    "a pair": (
        tuple[int, str],
        {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
        },
    ),
    "a tuple of any length": (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
    "optional": (str | None, {"type": ["string", "null"]}),
    "a union": (
        int | list[str],
        {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]},
    ),
    "a choice": (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    "a mixed choice": (Literal["a", 1], {"enum": ["a", 1]}),
    "an enum": (Color, {"type": "string", "enum": ["red", "blue"]}),
    "an int enum": (Level, {"type": "integer", "enum": [1, 2]}),
    "a typed dict": (
        Place,
        {
            "type": "object",
            "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    ),
    "a dataclass": (Item, ITEM),
    "a list of dataclasses": (list[Item], {"type": "array", "items": ITEM}),
    "a described type": (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
    "a described field": (
        Annotated[int, pydantic.Field(description="how many")],
        {"type": "integer", "description": "how many"},
    ),
    "a new type": (Money, {"type": "number"}),
    "a type variable": (T, {}),
    "a date": (datetime.date, {"type": "string", "format": "date"}),
    "a path": (pathlib.Path, {"type": "string"}),
}


@pytest.mark.parametrize(("note", "schema"), ANNOTATIONS.values(), ids=ANNOTATIONS)
def test_annotation(note, schema):
    def tool(a): ...

    tool.__annotations__ = {"a": note}
    found = schema_from_signature(tool)
    assert found == {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    Draft202012Validator.check_schema(found)
    check_schema(found)


def test_defaults_make_a_parameter_optional():
    def tool(a, b: int = 3, *args, c: str | None = None, d: Color = Color.RED, ctx=None, **more): ...

    found = schema_from_signature(tool)
    assert found["required"] == ["a"]
    assert list(found["properties"]) == ["a", "b", "c", "d"]
    assert found["properties"]["b"] == {"type": "integer", "default": 3}
    assert "default" not in found["properties"]["c"]
    assert "default" not in found["properties"]["d"]


def test_a_type_that_contains_itself():
    def tool(tree: Node): ...

    found = schema_from_signature(tool)
    assert found["properties"]["tree"] == {"$ref": "#/$defs/Node"}
    assert found["$defs"]["Node"]["properties"]["children"] == {
        "type": "array",
        "items": {"$ref": "#/$defs/Node"},
    }
    built = read_signature(lambda tree: tree).execute
    assert built(tree=1) == 1


def test_a_pydantic_model_brings_its_own_schema():
    def tool(order: Order): ...

    order = schema_from_signature(tool)["properties"]["order"]
    assert order["properties"]["number"] == {"minimum": 1, "title": "Number", "type": "integer"}


BUILT = {
    "an enum": (Color, "red", Color.RED),
    "a dataclass": (Item, {"sku": "a", "color": "blue"}, Item("a", 1, Color.BLUE)),
    "a list of dataclasses": (list[Item], [{"sku": "a"}], [Item("a")]),
    "a dict of dataclasses": (dict[str, Item], {"k": {"sku": "a"}}, {"k": Item("a")}),
    "an optional dataclass": (Item | None, {"sku": "a"}, Item("a")),
    "nothing in its place": (Item | None, None, None),
    "one of two": (Color | Item, {"sku": "a"}, Item("a")),
    "a set": (set[int], [1, 1, 2], {1, 2}),
    "a tuple": (tuple[int, Color], [1, "red"], (1, Color.RED)),
    "a tree": (Node, {"value": 1, "children": [{"value": 2}]}, Node(1, [Node(2)])),
    "a model": (Order, {"number": 3}, Order(number=3)),
    "a date": (datetime.date, "2026-01-02", datetime.date(2026, 1, 2)),
    "a uuid": (
        uuid.UUID,
        "12345678123456781234567812345678",
        uuid.UUID(int=0x12345678123456781234567812345678),
    ),
    "a path": (pathlib.Path, "a/b", pathlib.Path("a/b")),
    "a typed dict": (Place, {"city": "Rome"}, {"city": "Rome"}),
    "text": (str, "x", "x"),
}


@pytest.mark.parametrize(("note", "given", "value"), BUILT.values(), ids=BUILT)
def test_the_function_gets_what_its_annotation_says(note, given, value):
    def tool(a):
        return a

    tool.__annotations__ = {"a": note}
    assert read_signature(tool).execute(a=given) == value


async def test_an_async_function_stays_async():
    async def tool(color: Color):
        return color

    assert await read_signature(tool).execute(color="red") is Color.RED


def test_a_function_that_needs_nothing_built_is_used_as_it_is():
    def tool(a: int, b: list[str]): ...

    assert read_signature(tool).execute is tool


def test_annotations_that_are_text():
    def tool(a: "int", b: "NoSuchName"): ...  # noqa: F821

    assert schema_from_signature(tool)["required"] == ["a", "b"]


def test_positional_only_parameters_are_refused():
    def tool(a, /): ...

    with pytest.raises(ConfigError, match="tool tool: a is positional-only"):
        schema_from_signature(tool)


def test_a_callable_without_a_signature_is_refused():
    with pytest.raises(ConfigError, match="signature cannot be read"):
        schema_from_signature(iter)


def google(a, b, c):
    """Find things.

    Two paragraphs.

    Args:
        a: The first,
            over two lines.
        b (int): The second.
        **c: The rest: all of it.

    Returns:
        things: not a parameter.
    """


def numpy(a, b, c):
    """Find things.

    Two paragraphs.

    Parameters
    ----------
    a : str
        The first,
        over two lines.
    b : int
        The second.
    c
        The rest: all of it.

    Returns
    -------
    list
        Not a parameter.
    """


def sphinx(a, b, c):
    """Find things.

    Two paragraphs.

    :param a: The first,
        over two lines.
    :param int b: The second.
    :param c: The rest: all of it.
    :returns: nothing
    """


@pytest.mark.parametrize("function", [google, numpy, sphinx])
def test_docstring(function):
    signature = read_signature(function)
    assert signature.description == "Find things.\n\nTwo paragraphs."
    texts = [said.get("description") for said in signature.schema["properties"].values()]
    assert texts == ["The first, over two lines.", "The second.", "The rest: all of it."]


def test_no_docstring_is_no_description():
    assert read_signature(lambda a: a).description == ""
