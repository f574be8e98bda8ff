"""What a tool says of itself, in both parameter forms."""

import dataclasses
from functools import partial, wraps
from unittest.mock import MagicMock

import pytest

from looplet.errors import ConfigError
from looplet.tools import ToolSpec
from looplet.tools.probe import probe

SIMPLE = ToolSpec("n", "desc", {"a": "int", "b": "file path"}, lambda a, b: None)
JSON_SCHEMA = ToolSpec(
    "n",
    "desc",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {}, "c": {"type": ["string", "null"]}},
        "required": ["a"],
    },
    lambda a, b=None, c=None: None,
)


def test_positional_order_and_defaults():
    spec = ToolSpec("n", "d", {}, print, True, True)
    assert (spec.concurrent_safe, spec.free, spec.timeout_s, spec.idempotent) == (True, True, None, False)
    assert (SIMPLE.concurrent_safe, SIMPLE.free) == (False, False)


def test_repr_shows_no_function():
    assert "execute" not in repr(SIMPLE)


def test_the_simple_form():
    assert not SIMPLE.is_json_schema
    assert SIMPLE.parameter_names() == ["a", "b"]
    assert SIMPLE.required_parameters() == ["a", "b"]
    assert SIMPLE.spec_text() == "  n(a: int, b: file path)\n    desc"
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "int"},
            "b": {"type": "string", "description": "file path"},
        },
        "required": ["a", "b"],
    }
    assert SIMPLE.to_json_schema() == schema
    assert SIMPLE.to_api_schema() == {"name": "n", "description": "desc", "input_schema": schema}


def test_the_json_schema_form():
    assert JSON_SCHEMA.is_json_schema
    assert JSON_SCHEMA.parameter_names() == ["a", "b", "c"]
    assert JSON_SCHEMA.required_parameters() == ["a"]
    assert JSON_SCHEMA.spec_text() == "  n(a: integer, b?: any, c?: string|null)\n    desc"
    assert JSON_SCHEMA.to_api_schema()["input_schema"] is JSON_SCHEMA.parameters
    assert JSON_SCHEMA.to_json_schema() == JSON_SCHEMA.parameters
    assert JSON_SCHEMA.to_json_schema() is not JSON_SCHEMA.parameters


@pytest.mark.parametrize("parameters", [{"type": "str"}, {"type": "object"}, {"properties": "x"}, {}])
def test_the_simple_form_may_have_a_parameter_named_type(parameters):
    spec = ToolSpec("n", "d", parameters, print)
    assert not spec.is_json_schema
    assert spec.parameter_names() == list(parameters)


LABELS = {
    "str": "string",
    "string": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "bool": "boolean",
    "boolean": "boolean",
    "list": "array",
    "array": "array",
    "dict": "object",
    "object": "object",
    " Int ": "integer",
    "a number of things": "string",
}


@pytest.mark.parametrize(("label", "word"), LABELS.items())
def test_a_label_that_names_a_type_is_that_type(label, word):
    schema = ToolSpec("n", "d", {"a": label}, print).to_json_schema()
    assert schema["properties"]["a"] == {"type": word, "description": label}


def test_a_replaced_function_is_asked_anew():
    spec = ToolSpec("n", "d", {"a": "int"}, lambda a: None)
    assert spec.door().check({}) == ["a: missing"]
    spec.execute = lambda **anything: None
    assert spec.door().check({}) == []
    assert dataclasses.replace(spec, execute=lambda a, b: None).door().check({"a": 1}) == ["b: missing"]


def test_parameters_that_are_no_schema_are_refused():
    spec = ToolSpec("n", "d", {"type": "object", "properties": {"a": {"type": "int"}}}, print)
    with pytest.raises(ConfigError, match=r"schema\.properties\.a\.type"):
        spec.door()


class Thing:
    def method(self, a, *, b=1, ctx=None): ...

    @staticmethod
    def static(a, *, b=1, ctx=None): ...

    @classmethod
    def klass(cls, a, *, b=1, ctx=None): ...

    def __call__(self, a, *, b=1, ctx=None): ...


class AsyncThing:
    async def __call__(self, a, *, b=1, ctx=None): ...


def wrapped(function):
    @wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def signed(*args, **kwargs): ...


signed.__signature__ = __import__("inspect").signature(Thing().method)

CALLABLES = {
    "a function": lambda a, *, b=1, ctx=None: None,
    "a method": Thing().method,
    "a static method": Thing.static,
    "a class method": Thing.klass,
    "a callable object": Thing(),
    "an async callable object": AsyncThing(),
    "a partial": partial(lambda x, a, *, b=1, ctx=None: None, 1),
    "a wrapper": wrapped(lambda a, *, b=1, ctx=None: None),
    "a wrapped method": wrapped(Thing().method),
    "a function with a signature of its own": signed,
}


@pytest.mark.parametrize("function", CALLABLES.values(), ids=CALLABLES)
def test_what_a_callable_takes(function):
    takes = probe(function)
    assert (takes.names, takes.required, takes.anything, takes.ctx) == (frozenset("ab"), ("a",), False, True)
    assert takes.is_async == isinstance(function, AsyncThing)


def test_what_cannot_be_asked_takes_anything():
    for function in (lambda **anything: None, MagicMock(), iter):
        takes = probe(function)
        assert (takes.required, takes.ctx) == ((), False)
        assert takes.anything


async def coroutine(a): ...


async def async_generator(a):
    yield a


def generator(a):
    yield a


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (coroutine, True),
        (partial(coroutine, 1), True),
        (AsyncThing().__call__, True),
        (async_generator, True),
        (generator, False),
        (Thing, False),
    ],
)
def test_is_async(function, is_async):
    assert ToolSpec("n", "d", {}, function).is_async == is_async
