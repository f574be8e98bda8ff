"""One builder for each keyword of JSON Schema: given what the schema says, the test for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from looplet.errors import ConfigError
from looplet.schema.words import OK, TYPES, Found, Test, is_type, same, shown
from looplet.text import escape_terminal
from looplet.values import bounded

if TYPE_CHECKING:
    from looplet.schema.check import Compiler

Schema: TypeAlias = Mapping[str, Any]
Build: TypeAlias = Callable[[Any, Schema, "Compiler", str], Test]

PATTERN_CHARS = 1_000
"""Longest regular expression a schema may hold."""

MATCHED_CHARS = 10_000
"""Longest text that is matched against one: a pattern may need time that grows steeply with the text."""


def _wrong(at: str, word: str, wants: str, given: object) -> ConfigError:
    return ConfigError(f"{at}.{word}: must be {wants}, not {escape_terminal(bounded(repr(given), 80))}")


def _count(given: object, at: str, word: str) -> int:
    if isinstance(given, bool) or not is_type(given, "integer") or given < 0:  # type: ignore[operator]
        raise _wrong(at, word, "a whole number from 0", given)
    return int(given)  # type: ignore[call-overload, no-any-return]


def _schemas(given: object, at: str, word: str, compiler: Compiler) -> list[Test]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise _wrong(at, word, "a list of schemas", given)
    return [compiler.test(item, f"{at}.{word}[{number}]") for number, item in enumerate(given)]


def _named(given: object, at: str, word: str, compiler: Compiler) -> dict[str, Test]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise _wrong(at, word, "a dict of schemas", given)
    return {name: compiler.test(item, f"{at}.{word}.{name}") for name, item in given.items()}


def _names(given: object, at: str, word: str) -> list[str]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(name, str) for name in given):
        raise _wrong(at, word, "a list of names", given)
    return list(given)


def _regex(given: object, at: str, word: str) -> re.Pattern[str]:
    if not isinstance(given, str) or len(given) > PATTERN_CHARS:
        raise _wrong(at, word, f"a regular expression of at most {PATTERN_CHARS} characters", given)
    try:
        return re.compile(given)
    except (re.error, OverflowError) as error:
        raise ConfigError(f"{at}.{word}: not a regular expression: {error}") from error


def _type(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    words = [given] if isinstance(given, str) else given
    if not isinstance(words, (list, tuple)) or not words or not all(word in TYPES for word in words):
        raise _wrong(at, "type", f"one or more of {', '.join(TYPES)}", given)
    kinds = frozenset(kind for word in words for kind in TYPES[word])
    expected = " or ".join(words)

    def test(value: object) -> Found:
        if type(value) in kinds or any(is_type(value, word) for word in words):
            return OK
        return [("", f"expected {expected}, got {shown(value)}")]

    return test


def _enum(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    if not isinstance(given, (list, tuple)) or not given:
        raise _wrong(at, "enum", "a list of values", given)
    texts = frozenset(item for item in given if type(item) is str)
    choices = escape_terminal(bounded(", ".join(repr(item) for item in given), 400))

    def test(value: object) -> Found:
        if type(value) is str:
            fits = value in texts
        else:
            fits = any(same(value, item) for item in given)
        return OK if fits else [("", f"expected one of {choices}, got {shown(value)}")]

    return test


def _const(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    text = escape_terminal(bounded(repr(given), 200))
    return lambda value: OK if same(value, given) else [("", f"expected {text}, got {shown(value)}")]


def _bound(holds: Callable[[Any, Any], bool], phrase: str) -> Build:
    def build(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            raise _wrong(at, phrase, "a number", given)

        def test(value: object) -> Found:
            if type(value) is bool or not isinstance(value, (int, float)) or holds(value, given):
                return OK
            return [("", f"expected {phrase} {given}, got {shown(value)}")]

        return test

    return build


def _multiple(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given <= 0:
        raise _wrong(at, "multipleOf", "a number above 0", given)

    def test(value: object) -> Found:
        if type(value) is bool or not isinstance(value, (int, float)):
            return OK
        # Through the quotient: 0.3 % 0.1 is not 0 in floating point.
        quotient = (
            value / given if isinstance(value, float) or isinstance(given, float) else value % given == 0
        )
        whole = quotient if isinstance(quotient, bool) else abs(quotient - round(quotient)) < 1e-9
        return OK if whole else [("", f"expected a multiple of {given}, got {shown(value)}")]

    return test


def _size(kinds: tuple[type, ...], word: str, least: bool, unit: str) -> Build:
    def build(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
        bound = _count(given, at, word)
        phrase = f"expected at {'least' if least else 'most'} {bound} {unit}"

        def test(value: object) -> Found:
            if not isinstance(value, kinds):
                return OK
            size = len(value)  # type: ignore[arg-type]
            fits = size >= bound if least else size <= bound
            return OK if fits else [("", f"{phrase}, got {size}")]

        return test

    return build


def _pattern(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    pattern = _regex(given, at, "pattern")

    def test(value: object) -> Found:
        if not isinstance(value, str):
            return OK
        if len(value) > MATCHED_CHARS:
            return [("", f"expected at most {MATCHED_CHARS} characters, got {len(value)}")]
        return OK if pattern.search(value) else [("", f"expected to match {given!r}, got {shown(value)}")]

    return test


def _below(test: Test, place: str, value: object, into: list[tuple[str, str]]) -> None:
    for path, text in test(value):
        into.append((place + path, text))


def _items(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    test_item = compiler.test(given, f"{at}.items")
    first = len(schema.get("prefixItems", ()))

    def test(value: object) -> Found:
        if not isinstance(value, (list, tuple)):
            return OK
        found: list[tuple[str, str]] = []
        for number in range(first, len(value)):
            _below(test_item, f"[{number}]", value[number], found)
        return found

    return test


def _prefix_items(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    tests = _schemas(given, at, "prefixItems", compiler)

    def test(value: object) -> Found:
        found: list[tuple[str, str]] = []
        if isinstance(value, (list, tuple)):
            for number, (test_item, item) in enumerate(zip(tests, value, strict=False)):
                _below(test_item, f"[{number}]", item, found)
        return found

    return test


def _contains(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    test_item = compiler.test(given, f"{at}.contains")
    least = _count(schema.get("minContains", 1), at, "minContains")
    most = schema.get("maxContains")

    def test(value: object) -> Found:
        if not isinstance(value, (list, tuple)):
            return OK
        count = sum(1 for item in value if not test_item(item))
        if count >= least and (most is None or count <= most):
            return OK
        return [("", f"{count} of the items fit what it must contain")]

    return test


def _unique(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    if not isinstance(given, bool):
        raise _wrong(at, "uniqueItems", "True or False", given)

    def test(value: object) -> Found:
        if not given or not isinstance(value, (list, tuple)):
            return OK
        seen: dict[str, list[object]] = {}
        for number, item in enumerate(value):
            alike = seen.setdefault(shown(item), [])
            if any(same(item, other) for other in alike):
                return [(f"[{number}]", "appears twice")]
            alike.append(item)
        return OK

    return test


def _all_of(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    tests = _schemas(given, at, "allOf", compiler)
    return lambda value: [one for test in tests for one in test(value)]


def _any_of(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    tests = _schemas(given, at, "anyOf", compiler)

    def test(value: object) -> Found:
        every = []
        for one in tests:
            found = one(value)
            if not found:
                return OK
            every.append(found)
        return _nearest(every)

    return test


def _nearest(every: list[Found]) -> Found:
    # The alternative that went wrong deepest, or least often, is the one that was meant.
    best = min(every, key=lambda found: (-max(len(path) for path, _ in found), len(found)))
    if max(len(path) for path, _ in best):
        return best
    return [("", " or ".join(dict.fromkeys(text for found in every for _, text in found)))]


def _one_of(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    tests = _schemas(given, at, "oneOf", compiler)

    def test(value: object) -> Found:
        every = [one(value) for one in tests]
        fitting = sum(1 for found in every if not found)
        if fitting == 1:
            return OK
        return [("", f"fits {fitting} alternatives instead of one")] if fitting else _nearest(every)

    return test


def _not(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    excluded = compiler.test(given, f"{at}.not")
    return lambda value: OK if excluded(value) else [("", f"not allowed: {shown(value)}")]


def _if(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    condition = compiler.test(given, f"{at}.if")
    then = compiler.test(schema.get("then", True), f"{at}.then")
    otherwise = compiler.test(schema.get("else", True), f"{at}.else")
    return lambda value: otherwise(value) if condition(value) else then(value)


def _ref(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    if not isinstance(given, str):
        raise _wrong(at, "$ref", "a text such as '#/$defs/NAME'", given)
    return compiler.reference(given, at)


OBJECT_KEYWORDS = frozenset(
    [
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "dependentRequired",
    ]
)


def objects(schema: Schema, compiler: Compiler, at: str) -> Test:
    """The test for all that a schema says about the members of an object."""
    given = schema.get("properties", {})
    known = _named(given, at, "properties", compiler)
    plain = {name: kinds for name, item in given.items() if (kinds := _plain_kinds(item))}
    required = _names(schema.get("required", ()), at, "required")
    needed = frozenset(required)
    unknown = _unknown_members(schema, compiler, at, list(known))

    def member(name: str, item: object) -> Found:
        one = known.get(name)
        wrong = () if one is None else [(f".{name}{path}", text) for path, text in one(item)]
        return wrong if unknown is None else [*wrong, *unknown(name, item, one is None)]

    # A member of a plain type needs no call, unless something is said of members by their name.
    quick = plain if unknown is None or _only_closed(schema) else {}

    def test(value: object) -> Found:
        if not isinstance(value, dict):
            return OK
        found: list[tuple[str, str]] = []
        for name, item in value.items():
            if name not in quick or type(item) not in quick[name]:
                found += member(name, item)
        if not needed <= value.keys():
            found += [(f".{name}", "missing") for name in required if name not in value]
        return found or OK

    more = _dependent(schema, at)
    return test if more is None else lambda value: [*test(value), *more(value)]


def _plain_kinds(schema: object) -> frozenset[type]:
    """The Python types that fit a schema which asks for a type and nothing else."""
    if not isinstance(schema, Mapping) or schema.get("type") not in _SCALAR_TYPES:
        return frozenset()
    if not _SAYS_MORE.isdisjoint(schema):
        return frozenset()
    return frozenset(TYPES[schema["type"]])


def _only_closed(schema: Schema) -> bool:
    return "patternProperties" not in schema and "propertyNames" not in schema


def _unknown_members(
    schema: Schema, compiler: Compiler, at: str, known: list[str]
) -> Callable[[str, object, bool], Found] | None:
    """The test for members by their name, or None where the schema says nothing of them."""
    words = ("additionalProperties", "patternProperties", "propertyNames")
    if not any(schema.get(word, True) is not True for word in words):
        return None
    other = compiler.test(schema.get("additionalProperties", True), f"{at}.additionalProperties")
    closed = schema.get("additionalProperties") is False
    by_pattern = [
        (_regex(pattern, at, "patternProperties"), test)
        for pattern, test in _named(
            schema.get("patternProperties", {}), at, "patternProperties", compiler
        ).items()
    ]
    names = compiler.test(schema.get("propertyNames", True), f"{at}.propertyNames")
    advice = f"unknown; known are {', '.join(known)}" if known else "unknown; nothing is expected here"

    def test(name: str, item: object, is_unknown: bool) -> Found:
        found: list[tuple[str, str]] = []
        place = "." + escape_terminal(bounded(str(name), 100))
        for pattern, one in by_pattern:
            if pattern.search(name):
                is_unknown = False
                _below(one, place, item, found)
        if is_unknown and closed:
            found.append((place, advice))
        elif is_unknown:
            _below(other, place, item, found)
        _below(names, place, name, found)
        return found

    return test


def _dependent(schema: Schema, at: str) -> Test | None:
    given = schema.get("dependentRequired")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise _wrong(at, "dependentRequired", "a dict of lists of names", given)
    needs = {name: _names(others, at, "dependentRequired") for name, others in given.items()}

    def test(value: object) -> Found:
        if not isinstance(value, dict):
            return OK
        pairs = [(name, other) for name, others in needs.items() if name in value for other in others]
        return [(f".{other}", f"missing, needed with {name}") for name, other in pairs if other not in value]

    return test


KEYWORDS: dict[str, Build] = {
    "type": _type,
    "$ref": _ref,
    "enum": _enum,
    "const": _const,
    "minimum": _bound(lambda value, bound: value >= bound, "at least"),
    "maximum": _bound(lambda value, bound: value <= bound, "at most"),
    "exclusiveMinimum": _bound(lambda value, bound: value > bound, "more than"),
    "exclusiveMaximum": _bound(lambda value, bound: value < bound, "less than"),
    "multipleOf": _multiple,
    "minLength": _size((str,), "minLength", True, "characters"),
    "maxLength": _size((str,), "maxLength", False, "characters"),
    "pattern": _pattern,
    "minItems": _size((list, tuple), "minItems", True, "items"),
    "maxItems": _size((list, tuple), "maxItems", False, "items"),
    "uniqueItems": _unique,
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "minProperties": _size((dict,), "minProperties", True, "members"),
    "maxProperties": _size((dict,), "maxProperties", False, "members"),
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
}
"""Keyword to builder, in the order in which their tests run: the type comes first."""

_SCALAR_TYPES = ("string", "integer", "number", "boolean", "null")
_SAYS_MORE = (KEYWORDS.keys() - {"type"}) | OBJECT_KEYWORDS
