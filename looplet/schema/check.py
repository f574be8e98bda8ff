"""From a schema to a check, and from a check to readable violations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from looplet.errors import ConfigError
from looplet.schema.keywords import KEYWORDS
from looplet.schema.objects import OBJECT_KEYWORDS, objects
from looplet.schema.words import OK, Found, Test

Check: TypeAlias = Callable[[object], list[str]]
"""Gives every violation of a value as `path: what is wrong`; empty for a value that fits."""


MOST_REFERENCES = 100_000
"""References that one check follows: where each leads to two more, a small schema would take for ever."""


def violations(schema: Mapping[str, Any] | bool, value: object) -> list[str]:
    """Every way in which *value* does not fit *schema*, as `path: what is wrong`.

    For many values and one schema use `compile_schema`.

    Raises:
        ConfigError: *schema* is no schema.
    """
    return compile_schema(schema)(value)


def check_schema(schema: Mapping[str, Any] | bool) -> None:
    """Refuse what is no schema.

    Raises:
        ConfigError: names the place in the schema and what belongs there.
    """
    compile_schema(schema)


def compile_schema(schema: Mapping[str, Any] | bool) -> Check:
    """A check for values of *schema*, fast enough to run on every call.

    Raises:
        ConfigError: *schema* is no schema.
    """
    try:
        compiler = Compiler(schema)
        test = compiler.test(schema, "schema")
    except RecursionError:
        raise ConfigError("schema: nested too deeply; put repeated parts under $defs") from None

    def check(value: object) -> list[str]:
        compiler.left.references = MOST_REFERENCES
        try:
            found = test(value)
        except RecursionError:
            return ["nested too deeply to be checked"]
        if not found:
            return []
        return [f"{path.lstrip('.')}: {text}" if path else text for path, text in found]

    return check


class Compiler:
    """Compiles the parts of one schema; knows the whole, for references into it."""

    def __init__(self, root: object) -> None:
        self.root = root
        self.known: dict[str, Test] = {}
        self.left = threading.local()

    def test(self, schema: object, at: str) -> Test:
        """The test for a subschema; *at* is its place, for error texts."""
        if schema is True:
            return _anything
        if schema is False:
            return _nothing
        if not isinstance(schema, Mapping):
            raise ConfigError(f"{at}: a schema is a dict (or True or False), not {type(schema).__name__}")
        words = [word for word in schema if word in KEYWORDS]
        order = words if len(words) < 2 else [word for word in KEYWORDS if word in words]
        tests = [KEYWORDS[word](schema[word], schema, self, at) for word in order]
        if not OBJECT_KEYWORDS.isdisjoint(schema):
            tests.append(objects(schema, self, at))
        return _together(tests, "type" in schema)

    def reference(self, target: str, at: str) -> Test:
        """The test for a local reference such as `#/$defs/node`."""
        if target not in self.known:
            # Until it is compiled it is looked up when it is used: a reference may lead back to itself.
            self.known[target] = lambda value: self.known[target](value)
            self.known[target] = self.counted(self.test(self.resolve(target, at), target))
        return self.known[target]

    def counted(self, test: Test) -> Test:
        """*test*, which gives up where one check comes to it again and again."""

        def counting(value: object) -> Found:
            self.left.references -= 1
            if self.left.references < 0:
                raise RecursionError
            return test(value)

        return counting

    def resolve(self, target: str, at: str) -> object:
        """The subschema that *target* points to, through references that are nothing else."""
        seen: list[str] = []
        while target not in seen:
            seen.append(target)
            found = self.place(target, at)
            if not isinstance(found, Mapping) or set(found) != {"$ref"} or not isinstance(found["$ref"], str):
                return found
            target = found["$ref"]
        raise ConfigError(f"{at}.$ref: {target!r} leads back to itself")

    def place(self, target: str, at: str) -> object:
        """What stands at *target*, a JSON pointer."""
        if target != "#" and not target.startswith("#/"):
            raise ConfigError(f"{at}.$ref: {target!r} is not local; use '#/$defs/NAME'")
        found: object = self.root
        for part in target.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                raise ConfigError(f"{at}.$ref: nothing at {target!r}")
            found = found[key]
        return found


def _anything(value: object) -> Found:
    return OK


def _nothing(value: object) -> Found:
    return [("", "nothing is allowed here")]


def _together(tests: list[Test], has_type: bool) -> Test:
    if not tests:
        return _anything
    if len(tests) == 1:
        return tests[0]
    first, others = tests[0], tests[1:]
    if has_type and len(others) == 1:
        second = others[0]
        return lambda value: first(value) or second(value)

    def every(value: object) -> Found:
        found = list(first(value))
        if not (has_type and found):  # of the wrong type, and nothing else that is said of it matters
            for test in others:
                found += test(value)
        return found

    return every
