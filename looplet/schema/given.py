"""What a schema says after each keyword: read, or refused with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from looplet.errors import ConfigError
from looplet.schema.words import Test, is_type
from looplet.text import escape_terminal
from looplet.values import bounded

if TYPE_CHECKING:
    from looplet.schema.check import Compiler

PATTERN_CHARS = 1_000
"""Longest regular expression a schema may hold."""


def wrong_word(at: str, word: str, wants: str, given: object) -> ConfigError:
    """The error for a keyword whose value cannot be its own."""
    return ConfigError(f"{at}.{word}: must be {wants}, not {escape_terminal(bounded(repr(given), 80))}")


def count_of(given: object, at: str, word: str) -> int:
    """A size, from 0."""
    if isinstance(given, bool) or not is_type(given, "integer") or given < 0:  # type: ignore[operator]
        raise wrong_word(at, word, "a whole number from 0", given)
    return int(given)  # type: ignore[call-overload, no-any-return]


def tests_of(given: object, at: str, word: str, compiler: Compiler) -> list[Test]:
    """The tests for a list of schemas, not empty."""
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise wrong_word(at, word, "a list of schemas", given)
    return [compiler.test(item, f"{at}.{word}[{number}]") for number, item in enumerate(given)]


def tests_by_name(given: object, at: str, word: str, compiler: Compiler) -> dict[str, Test]:
    """The tests for a dict of schemas."""
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise wrong_word(at, word, "a dict of schemas", given)
    return {name: compiler.test(item, f"{at}.{word}.{name}") for name, item in given.items()}


def names_of(given: object, at: str, word: str) -> list[str]:
    """A list of names."""
    if not isinstance(given, (list, tuple)) or not all(isinstance(name, str) for name in given):
        raise wrong_word(at, word, "a list of names", given)
    return list(given)


def regex_of(given: object, at: str, word: str) -> re.Pattern[str]:
    """A regular expression that Python understands."""
    if not isinstance(given, str) or len(given) > PATTERN_CHARS:
        raise wrong_word(at, word, f"a regular expression of at most {PATTERN_CHARS} characters", given)
    try:
        return re.compile(given)
    except (re.error, OverflowError) as error:
        raise ConfigError(f"{at}.{word}: not a regular expression: {error}") from error


def add_below(test: Test, place: str, value: object, into: list[tuple[str, str]]) -> None:
    """Add what is wrong with *value*, which stands at *place* below what is being tested."""
    for path, text in test(value):
        into.append((place + path, text))
