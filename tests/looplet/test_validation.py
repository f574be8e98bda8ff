"""Fields by name and type: what is said of an answer, and a registry that asks for them."""

import asyncio
from typing import Any

import pydantic
import pytest

from looplet import LoopConfig, async_run_loop, run_loop, tool
from looplet.errors import ConfigError
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, call
from looplet.tools import BaseToolRegistry, ToolSpec
from looplet.types import ErrorKind, ToolCall
from looplet.validation import (
    DoneValidator,
    FieldSpec,
    OutputSchema,
    SimpleDoneValidator,
    ValidatingToolRegistry,
    ValidationResult,
    validate_args,
)

TYPES = {
    "str": (["a", ""], [1, None, True]),
    "int": ([1, -1], ["1", 1.0, True, None]),
    "float": ([1.5, 1], ["1", True, None]),
    "bool": ([True, False], [0, 1, "true"]),
    "list": ([[], [1]], [(1,), {}, "a"]),
    "dict": ([{}], [[], "a"]),
    "any": ([1, None, True, "a", []], []),
}


@pytest.mark.parametrize("word", TYPES)
def test_a_field_takes_its_type_and_no_other(word):
    good, bad = TYPES[word]
    schema = OutputSchema([FieldSpec("x", word)])
    for value in good:
        assert validate_args(schema, {"x": value}).valid
    for value in bad:
        errors = validate_args(schema, {"x": value}).errors
        assert errors == [f"field 'x': expected {word}, got {type(value).__name__}"]


SYNONYMS = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    " Str ": "str",
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    list: "list",
    dict: "dict",
    Any: "any",
}


@pytest.mark.parametrize(("given", "word"), SYNONYMS.items(), ids=str)
def test_other_words_for_types(given, word):
    assert FieldSpec("x", given).field_type == word


@pytest.mark.parametrize("given", ["txt", "", None, 5, bytes])
def test_an_unknown_type_is_refused(given):
    with pytest.raises(ConfigError, match=r"field_type .* is none of str, int"):
        FieldSpec("x", given)


def test_missing_allowed_and_unknown():
    schema = OutputSchema(
        [
            FieldSpec("a", "str"),
            FieldSpec("b", "int", required=False),
            FieldSpec("c", "any", False, "", [1, "x"]),
        ]
    )
    assert validate_args(schema, {"a": "x"}).valid
    assert validate_args(schema, {}).errors == ["missing required field: 'a'"]
    assert validate_args(schema, {"a": "x", "c": 2}).errors == [
        "field 'c': value 2 not in allowed values [1, 'x']"
    ]
    assert validate_args(schema, {"a": "x", "c": True}).errors == [
        "field 'c': value True not in allowed values [1, 'x']"
    ]
    loose = validate_args(schema, {"a": "x", "z": 1})
    assert (loose.valid, loose.errors, loose.warnings) == (True, [], ["unknown field: 'z'"])
    strict = validate_args(OutputSchema(schema.fields, strict=True), {"a": "x", "z": 1})
    assert (strict.valid, strict.errors, strict.warnings) == (False, ["unknown field: 'z'"], [])


def test_arguments_of_the_loop_are_not_the_answers():
    schema = OutputSchema([FieldSpec("a", "str")], strict=True)
    assert validate_args(schema, {"a": "x", "__theory__": "t"}).valid


def registry(ran):
    made = ValidatingToolRegistry()
    spec = ToolSpec("t", "d", {"a": "value"}, lambda **args: ran.append(args) or "ok")
    made.register_with_schema(spec, OutputSchema([FieldSpec("a", "int"), FieldSpec("b", "str")]))
    made.register(ToolSpec("free", "d", {}, lambda **args: "ok"))
    return made


def test_a_validating_registry_is_a_registry():
    made = registry([])
    assert isinstance(made, BaseToolRegistry)
    assert made.introspect()["tool_count"] == 2
    assert made.tool_names == ["t", "free"]


@pytest.mark.parametrize("how", ["one", "batch", "async"])
def test_TV_01_a_call_that_does_not_fit_never_runs(how):
    ran = []
    made = registry(ran)
    call = ToolCall("t", {"a": "x"})
    if how == "async":
        result = asyncio.run(made.dispatch_async(call))
    else:
        result = made.dispatch(call) if how == "one" else made.dispatch_batch([call])[0]
    assert result.error == "Validation failed: missing required field: 'b'; field 'a': expected int, got str"
    assert (result.error_kind, result.call_id) == (ErrorKind.VALIDATION, call.call_id)
    assert ran == []


def test_a_call_that_fits_runs():
    ran = []
    made = registry(ran)
    assert made.dispatch(ToolCall("t", {"a": 1, "b": "x", "c": 2})).data == "ok"
    assert made.dispatch(ToolCall("free", {"a": "anything"})).data == "ok"
    assert ran == [{"a": 1, "b": "x", "c": 2}]


def test_a_validator_of_done():
    validator = SimpleDoneValidator(["summary"], ["notes"])
    assert isinstance(validator, DoneValidator)
    assert validator.validate_done({"summary": "x", "notes": 1, "__theory__": "t"}).warnings == []
    result = validator.validate_done({"other": 1})
    assert (result.valid, result.errors) == (False, ["missing required done field: 'summary'"])
    assert result.warnings == ["unexpected done field: 'other'"]
    assert SimpleDoneValidator(["a"]).validate_done({"a": 1}).valid


class Line(pydantic.BaseModel):
    sku: str
    count: int = pydantic.Field(gt=0)


class Order(pydantic.BaseModel):
    """What the agent answers."""

    lines: list[Line]
    note: str = ""

    @pydantic.model_validator(mode="after")
    def not_empty(self):
        if not self.lines:
            raise ValueError("an order has lines")
        return self


SCHEMAS = {
    "pydantic": (Order, "field 'lines.0.count': Input should be greater than 0"),
    "JSON Schema": (
        {"properties": {"lines": {"items": {"properties": {"count": {"minimum": 1}}}}}},
        "lines[0].count",
    ),
    "a validator": (SimpleDoneValidator(["lines", "reason"]), "missing required done field: 'reason'"),
    "fields": (
        OutputSchema([FieldSpec("lines", "list"), FieldSpec("reason", "str")]),
        "missing required field: 'reason'",
    ),
}


@tool(name="done")
def order(lines: list, reason: str = "", note: str = "") -> str:
    """Answer."""
    return "taken"


BAD = {"lines": [{"sku": "a", "count": 0}]}
GOOD = {"lines": [{"sku": "a", "count": 2}], "reason": "asked for"}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(("schema", "says"), SCHEMAS.values(), ids=SCHEMAS)
def test_an_answer_that_does_not_fit_goes_back_to_the_model(mode, schema, says):
    script = [call("done", **BAD), call("done", **GOOD)]
    config = LoopConfig(output_schema=schema)
    if mode == "sync":
        found = run_loop(ScriptedChatBackend(script), "t", [order], config=config)
    else:
        found = asyncio.run(async_run_loop(AsyncScriptedChatBackend(script), "t", [order], config=config))
    rejected, accepted = [step.tool_result.data for step in found.steps]
    assert rejected["rejected"] is True
    assert says in rejected["reason"]
    assert (accepted, found.final_output) == ("taken", GOOD)


class Even:
    """A validator of one's own."""

    def __init__(self, *errors):
        self.errors = list(errors)

    def validate_done(self, payload):
        return ValidationResult(len(payload["lines"]) % 2 == 0, self.errors)


@pytest.mark.parametrize(("errors", "says"), [(["odd"], "odd"), ([], "it is not valid")])
def test_a_validator_of_ones_own(errors, says):
    llm = ScriptedChatBackend([call("done", lines=[1]), call("done", lines=[1, 2])])
    found = run_loop(llm, "t", [order], config=LoopConfig(output_schema=Even(*errors)))
    assert found.steps[0].tool_result.data["reason"] == f"Output schema validation failed: {says}"
    assert found.final_output == {"lines": [1, 2]}


def test_what_a_model_says_of_the_whole_is_told_too():
    llm = ScriptedChatBackend([call("done", lines=[]), call("done", **GOOD)])
    found = run_loop(llm, "t", [order], config=LoopConfig(output_schema=Order))
    assert "an order has lines" in found.steps[0].tool_result.data["reason"]


@pytest.mark.parametrize("schema", [5, "Order", object()])
def test_what_is_no_schema_is_refused_at_once(schema):
    with pytest.raises(ConfigError, match="class of a pydantic model"):
        run_loop(ScriptedChatBackend([]), "t", [order], config=LoopConfig(output_schema=schema))
