"""What a matcher is: yes, no, or a third answer where neither can be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Unsure(Exception):
    """Raised by a matcher that can show neither that a call is meant nor that it is not.

    A rule that denies or asks then counts as matched, one that allows does not: doubt never widens
    access. The text says what is in doubt, for the audit log.
    """


class Described:
    """A matcher that can say in words what it looks for."""

    def __call__(self, args: dict[str, Any]) -> bool:
        """Whether these arguments are meant; raises `Unsure` where that cannot be told."""
        raise NotImplementedError(type(self).__name__)


def argument(args: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """The argument called *name*. Raises `Unsure` where it is missing or of another type."""
    if name not in args:
        raise Unsure(f"the argument {name!r} is missing")
    value = args[name]
    if type(value) is not kind:
        raise Unsure(f"the argument {name!r} is no {kind.__name__} but {type(value).__name__}")
    return value
