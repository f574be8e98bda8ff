"""What dataclasses generate anew for each class, written once."""

from __future__ import annotations

from dataclasses import fields
from reprlib import recursive_repr
from typing import Any, ClassVar, dataclass_transform


@dataclass_transform(kw_only_default=True, eq_default=False)
class ByName:
    """Base of classes whose fields are given by name, once; a default is the class's attribute.

    Like a dataclass for type checkers, but no code is generated when the class is defined.
    """

    def __init__(self, **fields: Any) -> None:
        self.__dict__ = fields


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


class Frozen(Plain):
    """`Plain` for dataclasses that are frozen: two that are equal have one hash."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(_values(self))


def _values(record: Any) -> tuple[object, ...]:
    return tuple([getattr(record, f.name) for f in fields(record) if f.compare])
