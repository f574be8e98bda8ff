"""What a Python annotation means in JSON: the schema to show, and how to build the value it stands for.

Imports `typing` and `inspect` in full, so it is imported when the first function becomes a tool.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import pathlib
import types
import typing
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from looplet.schema.check import Check, compile_schema
from looplet.schema.words import type_word
from looplet.values import plain

Convert = Callable[[Any], Any]
"""Builds the annotated value from JSON data that fits the schema."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One annotation, read.

    Attributes:
        schema: What JSON must look like.
        convert: Builds the value the annotation asks for, or None where JSON data is that value.
    """

    schema: dict[str, Any]
    convert: Convert | None = None


_ANY = Shape({})
_SCALARS = {
    str: Shape({"type": "string"}),
    int: Shape({"type": "integer"}),
    float: Shape({"type": "number"}),
    bool: Shape({"type": "boolean"}),
    type(None): Shape({"type": "null"}),
    Any: _ANY,
    object: _ANY,
    inspect.Parameter.empty: _ANY,
    datetime.datetime: Shape({"type": "string", "format": "date-time"}, datetime.datetime.fromisoformat),
    datetime.date: Shape({"type": "string", "format": "date"}, datetime.date.fromisoformat),
    datetime.time: Shape({"type": "string", "format": "time"}, datetime.time.fromisoformat),
    uuid.UUID: Shape({"type": "string", "format": "uuid"}, uuid.UUID),
    decimal.Decimal: Shape({"type": ["number", "string"]}, lambda value: decimal.Decimal(str(value))),
    pathlib.Path: Shape({"type": "string"}, pathlib.Path),
    pathlib.PurePath: Shape({"type": "string"}, pathlib.PurePath),
}
_LISTS: dict[Any, Convert | None] = {
    list: None,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: None,
    collections.abc.MutableSequence: None,
    collections.abc.Iterable: None,
    collections.abc.Collection: None,
    collections.abc.Set: frozenset,
}
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class Reader:
    """Reads the annotations of one function; `definitions` are what their schemas refer to."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        self._open: dict[type, Shape] = {}
        self._looped: set[type] = set()

    def read(self, note: Any) -> Shape:
        """The shape of an annotation; what JSON has no word for may be anything."""
        if note is None:
            note = type(None)
        try:
            if note in _SCALARS:
                return _SCALARS[note]
        except TypeError:  # an annotation that cannot be hashed: Literal[[1]]
            return _ANY
        origin = typing.get_origin(note)
        if origin is None:
            return self._class(note)
        args = typing.get_args(note)
        if origin is typing.Annotated:
            return self._annotated(args[0], args[1:])
        if origin is typing.Literal:
            return _choice(list(args), None)
        if origin in (typing.Union, types.UnionType):
            return self._union([self.read(arg) for arg in args])
        if origin in (typing.Required, typing.NotRequired, typing.Final, typing.ClassVar):
            return self.read(args[0])
        return self._generic(origin, args)

    def _annotated(self, note: Any, extras: tuple[Any, ...]) -> Shape:
        shape = self.read(note)
        for extra in extras:
            text = extra if isinstance(extra, str) else getattr(extra, "description", None)
            if isinstance(text, str):
                return Shape({**shape.schema, "description": text}, shape.convert)
        return shape

    def _union(self, shapes: list[Shape]) -> Shape:
        schemas = [shape.schema for shape in shapes]
        if all(set(schema) == {"type"} and isinstance(schema["type"], str) for schema in schemas):
            schema: dict[str, Any] = {"type": list(dict.fromkeys(s["type"] for s in schemas))}
        else:
            schema = {"anyOf": schemas}
        if all(shape.convert is None for shape in shapes):
            return Shape(schema)
        return Shape(schema, self._first_that_fits(shapes))

    def _first_that_fits(self, shapes: list[Shape]) -> Convert:
        checks: list[Check] = []

        def build(value: Any) -> Any:
            if not checks:  # on first use, when all definitions are there
                checks.extend(compile_schema({**s.schema, "$defs": self.definitions}) for s in shapes)
            for check, shape in zip(checks, shapes, strict=True):
                if not check(value):
                    return shape.convert(value) if shape.convert else value
            return value

        return build

    def _generic(self, origin: Any, args: tuple[Any, ...]) -> Shape:
        if origin is tuple:
            return self._tuple(args)
        if origin in _LISTS:
            item = self.read(args[0]) if args else _ANY
            of_item = {"items": item.schema} if item.schema else {}
            return Shape({"type": "array", **of_item}, _each(item.convert, _LISTS[origin]))
        if origin in _DICTS:
            item = self.read(args[1]) if len(args) == 2 else _ANY
            schema = {"type": "object", "additionalProperties": item.schema or True}
            one = item.convert
            return Shape(schema, None if one is None else lambda value: {k: one(v) for k, v in value.items()})
        value = getattr(origin, "__value__", None)  # a generic alias of a `type` statement
        return _ANY if value is None else self.read(value)

    def _tuple(self, args: tuple[Any, ...]) -> Shape:
        if not args:
            return Shape({"type": "array"}, tuple)
        if len(args) == 2 and args[1] is Ellipsis:
            item = self.read(args[0])
            return Shape({"type": "array", "items": item.schema or True}, _each(item.convert, tuple))
        shapes = [self.read(arg) for arg in args if arg != ()]
        count = len(shapes)
        schema = {
            "type": "array",
            "prefixItems": [s.schema for s in shapes],
            "minItems": count,
            "maxItems": count,
        }
        parts = [shape.convert or _itself for shape in shapes]
        return Shape(schema, lambda value: tuple(part(v) for part, v in zip(parts, value, strict=True)))

    def _class(self, note: Any) -> Shape:
        if note in _LISTS or note in _DICTS or note is tuple:
            return self._generic(note, ())
        supertype = getattr(note, "__supertype__", None) or getattr(note, "__value__", None)
        if supertype is not None and not isinstance(note, type):
            return self.read(supertype)
        if not isinstance(note, type):
            return self.read(note.__bound__) if getattr(note, "__bound__", None) else _ANY
        if issubclass(note, enum.Enum):
            return _choice([member.value for member in note], note)
        if hasattr(note, "model_json_schema") and hasattr(note, "model_validate"):
            return self._pydantic(note)
        if dataclasses.is_dataclass(note):
            return self._record(note, self._dataclass_fields)
        if typing.is_typeddict(note):
            return self._record(note, self._typed_dict_fields)
        return _ANY

    def _pydantic(self, model: Any) -> Shape:
        schema = dict(model.model_json_schema())
        self.definitions.update(schema.pop("$defs", {}))
        return Shape(schema, model.model_validate)

    def _record(self, kind: type, fields: Callable[[Any], Shape]) -> Shape:
        if kind in self._open:
            self._looped.add(kind)
            return Shape({"$ref": f"#/$defs/{kind.__name__}"}, lambda value: self._open[kind].convert(value))  # type: ignore[misc]
        self._open[kind] = _ANY
        shape = fields(kind)
        if kind in self._looped:
            self.definitions[kind.__name__] = shape.schema
            self._open[kind] = shape
            return Shape({"$ref": f"#/$defs/{kind.__name__}"}, shape.convert)
        del self._open[kind]
        return shape

    def _dataclass_fields(self, kind: Any) -> Shape:
        fields = [field for field in dataclasses.fields(kind) if field.init]
        hints = hints_of(kind)
        shapes = {field.name: self.read(hints.get(field.name, Any)) for field in fields}
        missing = dataclasses.MISSING
        needed = [f.name for f in fields if f.default is missing and f.default_factory is missing]

        def build(value: dict[str, Any]) -> Any:
            return kind(**{name: (shapes[name].convert or _itself)(item) for name, item in value.items()})

        return Shape(_object(shapes, needed), build)

    def _typed_dict_fields(self, kind: Any) -> Shape:
        shapes = {name: self.read(note) for name, note in hints_of(kind).items()}
        needed = [name for name in shapes if name in kind.__required_keys__]
        schema = _object(shapes, needed)
        if all(shape.convert is None for shape in shapes.values()):
            return Shape(schema)
        return Shape(
            schema, lambda value: {n: (shapes[n].convert or _itself)(item) for n, item in value.items()}
        )


def hints_of(thing: Any) -> dict[str, Any]:
    """Annotations of a function or class; those that cannot be resolved count as any type."""
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except Exception:  # a name that is not in scope any more, or anything an annotation may do
        notes = getattr(thing, "__annotations__", {})
        return {name: Any if isinstance(note, str) else note for name, note in notes.items()}


def _itself(value: Any) -> Any:
    return value


def _each(item: Convert | None, whole: Convert | None) -> Convert | None:
    if item is None:
        return whole
    build = whole or list
    return lambda value: build([item(one) for one in value])


def _choice(values: list[Any], kind: type[enum.Enum] | None) -> Shape:
    if not all(plain(value) for value in values):
        names = [member.name for member in kind] if kind else []
        return Shape({"type": "string", "enum": names}, lambda name: kind[name]) if kind else _ANY
    words = {type_word(value) for value in values}
    typed = {"type": words.pop()} if len(words) == 1 else {}
    return Shape({**typed, "enum": values}, kind)


def _object(shapes: dict[str, Shape], needed: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: shape.schema for name, shape in shapes.items()},
        "required": needed,
        "additionalProperties": False,
    }
