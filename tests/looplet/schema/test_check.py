"""JSON Schema: our check agrees with the reference implementation, and says where and what."""

import pytest
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator

from looplet.errors import ConfigError
from looplet.schema import check_schema, compile_schema, violations

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "role": {"enum": ["admin", "user"]},
        "address": {"type": "object", "properties": {"zip": {"pattern": "^[0-9]{5}$"}}, "required": ["zip"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}

SAYS = {
    "nothing wrong": ({"name": "A", "age": None, "role": "user", "tags": ["x"]}, []),
    "missing": ({"name": "A"}, ["age: missing"]),
    "a wrong type": ({"name": 3, "age": 1}, ["name: expected string, got integer 3"]),
    "a flag is no number": ({"name": "A", "age": True}, ["age: expected integer or null, got boolean True"]),
    "null is no text": ({"name": None, "age": 1}, ["name: expected string, got null"]),
    "unknown": (
        {"name": "A", "age": 1, "nam": 2},
        ["nam: unknown; known are name, age, role, address, tags"],
    ),
    "an enum": (
        {"name": "A", "age": 1, "role": "root"},
        ["role: expected one of 'admin', 'user', got string 'root'"],
    ),
    "a bound": ({"name": "A", "age": -1}, ["age: expected at least 0, got integer -1"]),
    "too short": ({"name": "", "age": 1}, ["name: expected at least 1 characters, got 0"]),
    "nested": ({"name": "A", "age": 1, "address": {}}, ["address.zip: missing"]),
    "a pattern": (
        {"name": "A", "age": 1, "address": {"zip": "1"}},
        ["address.zip: expected to match '^[0-9]{5}$', got string '1'"],
    ),
    "an item": ({"name": "A", "age": 1, "tags": ["a", 5]}, ["tags[1]: expected string, got integer 5"]),
    "everything": (
        {"age": "x", "tags": [1, 2, 3]},
        [
            "age: expected integer or null, got string 'x'",
            "tags: expected at most 2 items, got 3",
            "tags[0]: expected string, got integer 1",
            "tags[1]: expected string, got integer 2",
            "tags[2]: expected string, got integer 3",
            "name: missing",
        ],
    ),
    "not an object": ([], ["expected object, got array"]),
}


@pytest.mark.parametrize(("value", "said"), SAYS.values(), ids=SAYS)
def test_TV_01_every_violation_is_named_by_its_path(value, said):
    assert violations(PERSON, value) == said


MORE = {
    "const": ({"const": 1}, 1.0, True, 1),
    "not": ({"not": {"type": "string"}}, 1, "a", 1),
    "if": ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 5}}, "ab", 1, 1),
    "oneOf": ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, 1, 3, 1),
    "dependentRequired": ({"dependentRequired": {"a": ["b", "c"]}}, {"b": 1}, {"a": 1}, 2),
    "contains": ({"contains": {"const": 1}, "maxContains": 1}, [1, 2], [1, 1], 1),
    "prefixItems": ({"prefixItems": [{"type": "string"}], "items": False}, ["a"], [1, 2], 2),
    "patternProperties": (
        {"patternProperties": {"^x": {"type": "null"}}},
        {"x1": None, "y": 1},
        {"x1": 1},
        1,
    ),
    "propertyNames": ({"propertyNames": {"maxLength": 2}}, {"ab": 1}, {"abc": 1}, 1),
    "additionalProperties": ({"additionalProperties": {"type": "null"}}, {"a": None}, {"a": 1}, 1),
    "a definition": ({"$defs": {"a": {"type": "null"}}, "$ref": "#/$defs/a"}, None, 1, 1),
    "a definition of a definition": (
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "null"}}, "$ref": "#/$defs/a"},
        None,
        1,
        1,
    ),
    "a tree": (
        {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}},
        {"kids": [{"kids": []}]},
        {"kids": [{"kids": [3]}]},
        1,
    ),
    "an escaped reference": ({"$defs": {"a/b~": {"type": "null"}}, "$ref": "#/$defs/a~1b~0"}, None, 1, 1),
    "multipleOf": ({"multipleOf": 0.1}, 0.3, 0.35, 1),
    "multipleOf a huge number": ({"multipleOf": 3}, 3 * 10**40, 3 * 10**40 + 1, 1),
    "multipleOf of what is hardly more than nothing": ({"multipleOf": 7}, 0.0, 1e-12, 1),
    "multipleOf of nearly all that a float holds": ({"multipleOf": 0.3}, 1e308 * 1.5, 1e308, 1),
    "uniqueItems across the kinds of numbers": ({"uniqueItems": True}, [1, True, "1"], [1, 1.0], 1),
    "uniqueItems of objects": (
        {"uniqueItems": True},
        [{"a": 1, "b": True}, {"a": 1, "b": 1}],
        [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}],
        1,
    ),
    "dependentSchemas": ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"b": 1}, {"a": 1}, 1),
    "true": (True, 1, None, 0),
    "false": (False, None, 1, 1),
}


@pytest.mark.parametrize(("schema", "good", "bad", "count"), MORE.values(), ids=MORE)
def test_keywords(schema, good, bad, count):
    if schema is not False:
        assert violations(schema, good) == []
    assert len(violations(schema, bad)) == count


def test_the_alternative_that_was_meant_explains():
    schema = {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"type": "integer"}}}]}
    assert violations(schema, {"a": "x"}) == ["a: expected integer, got string 'x'"]
    assert violations(schema, 5) == ["expected null, got integer 5 or expected object, got integer 5"]


NO_SCHEMAS = {
    "a list": ([], "schema: a schema is a dict"),
    "an unknown type": ({"type": "int"}, r"schema\.type: must be one or more of string, integer"),
    "a type in a list in a list": ({"type": [["string"]]}, r"schema\.type"),
    "a type that is a number": ({"type": 5}, r"schema\.type"),
    "properties that are a list": ({"properties": ["a"]}, r"schema\.properties: must be a dict of schemas"),
    "a property that is text": ({"properties": {"a": "int"}}, r"schema\.properties\.a: a schema is a dict"),
    "required as text": ({"required": "a"}, r"schema\.required: must be a list of names"),
    "an empty enum": ({"enum": []}, r"schema\.enum"),
    "a negative length": ({"minLength": -1}, r"schema\.minLength: must be a whole number from 0"),
    "a bound that is text": ({"minimum": "1"}, r"schema\.minimum: must be a number"),
    "a broken pattern": ({"pattern": "("}, r"schema\.pattern: not a regular expression"),
    "a huge pattern": ({"pattern": "a" * 5000}, r"at most 1000 characters"),
    "a dangling reference": ({"$ref": "#/$defs/a"}, r"nothing at '#/\$defs/a'"),
    "a reference elsewhere": ({"$ref": "https://example.com/s"}, "is not local"),
    "a reference to itself": ({"$ref": "#"}, "leads back to itself"),
    "references in a circle": (
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        "leads back to itself",
    ),
    "an empty anyOf": ({"anyOf": []}, r"schema\.anyOf: must be a list of schemas"),
}


@pytest.mark.parametrize(("schema", "said"), NO_SCHEMAS.values(), ids=NO_SCHEMAS)
def test_what_is_no_schema_is_refused(schema, said):
    with pytest.raises(ConfigError, match=said):
        check_schema(schema)


def test_a_schema_as_deep_as_a_stack_is_refused():
    schema = {}
    for _ in range(100_000):
        schema = {"items": schema}
    with pytest.raises(ConfigError, match="nested too deeply"):
        check_schema(schema)


def test_a_schema_that_refers_to_itself_without_end_lets_nothing_through():
    assert violations({"allOf": [{"$ref": "#"}]}, 1) == ["nested too deeply to be checked"]


def test_references_that_double_at_each_level_let_nothing_through():
    levels = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}
    schema = {"$ref": "#/$defs/d0", "$defs": {**levels, "d40": False}}
    assert violations(schema, 1) == ["nested too deeply to be checked"]


def test_text_too_long_for_a_pattern_is_refused():
    assert violations({"pattern": "(a+)+$"}, "a" * 20_000) == ["expected at most 10000 characters, got 20000"]


def test_messages_are_short_and_have_no_control_characters():
    check = compile_schema({"enum": ["\x1b[31m" * 1000], "additionalProperties": False})
    for value in ("x" * 10**6, {"\x1b" * 1000: 1}, "\u202e"):
        said = "; ".join(check(value))
        assert 0 < len(said) < 1000
        assert "\x1b" not in said
        assert "\u202e" not in said


words = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
names = st.sampled_from(["a", "b", "c"])
small = st.integers(0, 3)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.sampled_from([0.5, 1.0, 2.5, -1.0])
    | st.sampled_from(["", "a", "ab", "b1"])
)
values = st.recursive(
    leaves, lambda one: st.lists(one, max_size=3) | st.dictionaries(names, one, max_size=3), max_leaves=6
)
schemas = st.recursive(
    st.just({})
    | st.builds(lambda word: {"type": word}, words)
    | st.builds(lambda v: {"const": v}, leaves)
    | st.booleans(),
    lambda one: st.fixed_dictionaries(
        {},
        optional={
            "type": words | st.lists(words, min_size=1, max_size=3, unique=True),
            "enum": st.lists(leaves, min_size=1, max_size=3),
            "properties": st.dictionaries(names, one, max_size=3),
            "required": st.lists(names, max_size=2, unique=True),
            "additionalProperties": one,
            "patternProperties": st.dictionaries(st.sampled_from(["a", "^b"]), one, max_size=1),
            "propertyNames": one,
            "items": one,
            "prefixItems": st.lists(one, min_size=1, max_size=2),
            "contains": one,
            "minItems": small,
            "maxItems": small,
            "uniqueItems": st.booleans(),
            "minLength": small,
            "maxLength": small,
            "minProperties": small,
            "maxProperties": small,
            "minimum": st.integers(-2, 3),
            "exclusiveMaximum": st.integers(-2, 3),
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "pattern": st.sampled_from(["^a", "1$"]),
            "allOf": st.lists(one, min_size=1, max_size=2),
            "anyOf": st.lists(one, min_size=1, max_size=2),
            "oneOf": st.lists(one, min_size=1, max_size=2),
            "not": one,
            "if": one,
            "then": one,
            "else": one,
        },
    ),
    max_leaves=5,
)


@given(schemas, st.lists(values, max_size=8))
def test_agrees_with_the_reference_implementation(schema, candidates):
    reference = Draft202012Validator(schema)
    check = compile_schema(schema)
    assert [not check(value) for value in candidates] == [reference.is_valid(value) for value in candidates]
