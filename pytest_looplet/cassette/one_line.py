"""A value that is written as JSON on a single line, wherever a cassette is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Plain: TypeAlias = Any
"""None, bool, int, finite float, str, list and dict with str keys, nested; or `OneLine` of that."""


@dataclass(frozen=True, slots=True)
class OneLine:
    """A value to be written as JSON on a single line."""

    value: Plain
