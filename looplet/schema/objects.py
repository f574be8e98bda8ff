"""The members of an object: what is known, required, forbidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from looplet.schema.given import add_below, names_of, regex_of, tests_by_name, wrong_word
from looplet.schema.keywords import KEYWORDS, MATCHED_CHARS, Schema
from looplet.schema.words import OK, TYPES, Found, Test
from looplet.text import escape_terminal
from looplet.values import bounded

if TYPE_CHECKING:
    from looplet.schema.check import Compiler

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
"""What is said of an object's members, and tested together."""

_SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None)})

SCALAR_KINDS: dict[str | None, frozenset[type]] = {
    word: frozenset(TYPES[word]) for word in ("string", "integer", "number", "boolean", "null")
} | {None: _SCALARS}
"""The Python types that fit each type of scalar, and those of all where none is named."""

_SAYS_MORE = (KEYWORDS.keys() - {"type"}) | OBJECT_KEYWORDS
_SAYS_NO_MORE_THAN_KINDS = (_SAYS_MORE - {"properties", "required", "additionalProperties"}).isdisjoint


def objects(schema: Schema, compiler: Compiler, at: str) -> Test:
    """The test for all that a schema says about the members of an object."""
    given = schema.get("properties", {})
    known = tests_by_name(given, at, "properties", compiler)
    plain = {name: kinds for name, item in given.items() if (kinds := _plain_kinds(item))}
    required = names_of(schema.get("required", ()), at, "required")
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


def plain_members(schema: Schema) -> dict[str, frozenset[type]]:
    """The members for which a look at the value's type is enough, and the types that fit.

    Empty where more is said of the object than what its members are and which it must have.
    """
    if not _SAYS_NO_MORE_THAN_KINDS(schema):
        return {}
    return {name: kinds for name, item in schema["properties"].items() if (kinds := _plain_kinds(item))}


def _plain_kinds(schema: object) -> frozenset[type]:
    """The Python types of which every value fits *schema*; scalars only."""
    if schema is True:
        return _SCALARS
    if not isinstance(schema, Mapping) or not _SAYS_MORE.isdisjoint(schema):
        return frozenset()
    if "type" not in schema:
        return _SCALARS
    word = schema["type"]
    return SCALAR_KINDS.get(word, frozenset()) if isinstance(word, str) else frozenset()


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
        (regex_of(pattern, at, "patternProperties"), test)
        for pattern, test in tests_by_name(
            schema.get("patternProperties", {}), at, "patternProperties", compiler
        ).items()
    ]
    names = compiler.test(schema.get("propertyNames", True), f"{at}.propertyNames")
    advice = f"unknown; known are {', '.join(known)}" if known else "unknown; nothing is expected here"

    def test(name: str, item: object, is_unknown: bool) -> Found:
        found: list[tuple[str, str]] = []
        place = "." + escape_terminal(bounded(str(name), 100))
        for pattern, one in by_pattern:
            if len(name) <= MATCHED_CHARS and pattern.search(name):
                is_unknown = False
                add_below(one, place, item, found)
        if is_unknown and closed:
            found.append((place, advice))
        elif is_unknown:
            add_below(other, place, item, found)
        add_below(names, place, name, found)
        return found

    return test


def _dependent(schema: Schema, at: str) -> Test | None:
    given = schema.get("dependentRequired")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise wrong_word(at, "dependentRequired", "a dict of lists of names", given)
    needs = {name: names_of(others, at, "dependentRequired") for name, others in given.items()}

    def test(value: object) -> Found:
        if not isinstance(value, dict):
            return OK
        pairs = [(name, other) for name, others in needs.items() if name in value for other in others]
        return [(f".{other}", f"missing, needed with {name}") for name, other in pairs if other not in value]

    return test
