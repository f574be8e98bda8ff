"""Rules that can never count, because an earlier one decides all they are about."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from looplet.permissions.globs import glob
from looplet.permissions.rule import PermissionRule

_GLOBS = 100
"""Patterns remembered; loading thousands of rules must not take the square of their number."""


class Covers:
    """Takes rules in order and tells of each which earlier one makes it idle.

    Only a rule without an argument matcher is known to cover another: what two matchers share cannot
    be told from outside, save where they are equal.
    """

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._globs: list[tuple[int, Callable[[str], bool]]] = []
        self._same: dict[object, int] = {}

    def take(self, rule: PermissionRule, number: int) -> int | None:
        """Enter *rule*; the number of the first earlier rule that covers it, or None."""
        tool = rule.tool.casefold()
        earlier = [self._names[tool]] if tool in self._names else []
        earlier += [n for n, names in self._globs if _covers(names, tool)][:1]
        if rule.arg_matcher is None:
            self._enter(tool, number)
        elif isinstance(rule.arg_matcher, Hashable):
            same = self._same.setdefault((tool, rule.arg_matcher), number)
            earlier += [same] if same != number else []
        return min(earlier, default=None)

    def _enter(self, tool: str, number: int) -> None:
        self._names.setdefault(tool, number)
        if ("*" in tool or "?" in tool) and len(self._globs) < _GLOBS:
            self._globs.append((number, glob(tool)))


def _covers(wide: Callable[[str], bool], narrow: str) -> bool:
    """Whether *wide* means every name that *narrow* means; may say no where the answer is yes."""
    # No name holds a space, so that one can stand for any character.
    return all(wide(narrow.replace("*", some).replace("?", " ")) for some in ("", " ", "   "))
