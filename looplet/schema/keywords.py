"""One builder for each keyword of JSON Schema: given what the schema says, the test for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from looplet.schema.given import add_below, count_of, regex_of, tests_by_name, tests_of, wrong_word
from looplet.schema.words import OK, TYPES, Found, Test, is_type, key_of, same, shown
from looplet.text import escape_terminal
from looplet.values import bounded

if TYPE_CHECKING:
    from looplet.schema.check import Compiler

Schema: TypeAlias = Mapping[str, Any]
Build: TypeAlias = Callable[[Any, Schema, "Compiler", str], Test]

MATCHED_CHARS = 10_000
"""Longest text that is matched against one: a pattern may need time that grows steeply with the text."""


def _type(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    words = [given] if isinstance(given, str) else given
    if (
        not isinstance(words, (list, tuple))
        or not words
        or not all(isinstance(word, str) and word in TYPES for word in words)
    ):
        raise wrong_word(at, "type", f"one or more of {', '.join(TYPES)}", given)
    return _type_test(tuple(words))


@lru_cache(maxsize=100)
def _type_test(words: tuple[str, ...]) -> Test:
    kinds = frozenset(kind for word in words for kind in TYPES[word])
    expected = " or ".join(words)

    def test(value: object) -> Found:
        if type(value) in kinds or any(is_type(value, word) for word in words):
            return OK
        return [("", f"expected {expected}, got {shown(value)}")]

    return test


def _enum(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    if not isinstance(given, (list, tuple)) or not given:
        raise wrong_word(at, "enum", "a list of values", given)
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


def _bound(word: str, holds: Callable[[Any, Any], bool], phrase: str) -> Build:
    def build(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            raise wrong_word(at, word, "a number", given)

        def test(value: object) -> Found:
            if type(value) is bool or not isinstance(value, (int, float)) or holds(value, given):
                return OK
            return [("", f"expected {phrase} {given}, got {shown(value)}")]

        return test

    return build


def _multiple(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given <= 0:
        raise wrong_word(at, "multipleOf", "a number above 0", given)

    def test(value: object) -> Found:
        if type(value) is bool or not isinstance(value, (int, float)):
            return OK
        if isinstance(value, float) or isinstance(given, float):
            whole = _divides(given, value)
        else:
            whole = value % given == 0
        return OK if whole else [("", f"expected a multiple of {given}, got {shown(value)}")]

    return test


def _divides(step: float, value: float) -> bool:
    from fractions import Fraction  # brings decimal; few schemas ask for it

    try:
        # As they are written: 0.3 is three times 0.1, though 0.3 % 0.1 is not 0 in floating point.
        return (Fraction(repr(value)) / Fraction(repr(step))).denominator == 1
    except ValueError:  # NaN and infinity, which JSON does not have
        return False


def _size(kinds: tuple[type, ...], word: str, least: bool, unit: str) -> Build:
    def build(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
        bound = count_of(given, at, word)
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
    pattern = regex_of(given, at, "pattern")

    def test(value: object) -> Found:
        if not isinstance(value, str):
            return OK
        if len(value) > MATCHED_CHARS:
            return [("", f"expected at most {MATCHED_CHARS} characters, got {len(value)}")]
        return OK if pattern.search(value) else [("", f"expected to match {given!r}, got {shown(value)}")]

    return test


def _items(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    test_item = compiler.test(given, f"{at}.items")
    first = len(schema.get("prefixItems", ()))

    def test(value: object) -> Found:
        if not isinstance(value, (list, tuple)):
            return OK
        found: list[tuple[str, str]] = []
        for number in range(first, len(value)):
            add_below(test_item, f"[{number}]", value[number], found)
        return found

    return test


def _prefix_items(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    tests = tests_of(given, at, "prefixItems", compiler)

    def test(value: object) -> Found:
        found: list[tuple[str, str]] = []
        if isinstance(value, (list, tuple)):
            for number, (test_item, item) in enumerate(zip(tests, value, strict=False)):
                add_below(test_item, f"[{number}]", item, found)
        return found

    return test


def _contains(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    test_item = compiler.test(given, f"{at}.contains")
    least = count_of(schema.get("minContains", 1), at, "minContains")
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
        raise wrong_word(at, "uniqueItems", "True or False", given)

    def test(value: object) -> Found:
        if not given or not isinstance(value, (list, tuple)):
            return OK
        seen: set[Hashable] = set()
        for number, item in enumerate(value):
            key = key_of(item)
            if key in seen:
                return [(f"[{number}]", "appears twice")]
            seen.add(key)
        return OK

    return test


def _all_of(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    tests = tests_of(given, at, "allOf", compiler)
    return lambda value: [one for test in tests for one in test(value)]


def _any_of(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    tests = tests_of(given, at, "anyOf", compiler)

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
    tests = tests_of(given, at, "oneOf", compiler)

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


def _dependent_schemas(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    tests = tests_by_name(given, at, "dependentSchemas", compiler)

    def test(value: object) -> Found:
        if not isinstance(value, dict):
            return OK
        return [one for name, test in tests.items() if name in value for one in test(value)]

    return test


def _ref(given: Any, schema: Schema, compiler: Compiler, at: str) -> Test:
    if not isinstance(given, str):
        raise wrong_word(at, "$ref", "a text such as '#/$defs/NAME'", given)
    return compiler.reference(given, at)


KEYWORDS: dict[str, Build] = {
    "type": _type,
    "$ref": _ref,
    "enum": _enum,
    "const": _const,
    "minimum": _bound("minimum", lambda value, bound: value >= bound, "at least"),
    "maximum": _bound("maximum", lambda value, bound: value <= bound, "at most"),
    "exclusiveMinimum": _bound("exclusiveMinimum", lambda value, bound: value > bound, "more than"),
    "exclusiveMaximum": _bound("exclusiveMaximum", lambda value, bound: value < bound, "less than"),
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
    "dependentSchemas": _dependent_schemas,
}
"""Keyword to builder, in the order in which their tests run: the type comes first."""
