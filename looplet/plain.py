"""Equality and repr by fields, written once."""

from __future__ import annotations

from dataclasses import fields
from reprlib import recursive_repr
from typing import Any, ClassVar


class Plain:
    """Base of dataclasses with `eq=False, repr=False` that behave as if both were generated.

    Generating the two for each class takes as long as the rest of its import.
    """

    __slots__ = ()
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _values(self) == _values(other)

    @recursive_repr()
    def __repr__(self) -> str:
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr]  # type: ignore[arg-type]
        return f"{type(self).__qualname__}({', '.join(shown)})"


def _values(record: Any) -> tuple[object, ...]:
    return tuple([getattr(record, f.name) for f in fields(record) if f.compare])
