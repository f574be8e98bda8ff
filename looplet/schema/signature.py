"""From a function to its description, the JSON Schema of its parameters, and arguments of the right type."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from looplet.errors import ConfigError
from looplet.schema.annotations import Convert, Reader, hints_of
from looplet.schema.docstrings import split_docstring
from looplet.values import plain


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as a tool.

    Attributes:
        description: Its docstring up to the first section.
        schema: Its parameters as a JSON Schema, without `ctx`, `*args` and `**kwargs`.
        execute: The function, or a wrapper that first builds dataclasses, enums, models, dates and paths
            from JSON data.
    """

    description: str
    schema: dict[str, Any]
    execute: Callable[..., Any]


def schema_from_signature(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of *function* as a JSON Schema: types from annotations, texts from its docstring.

    Raises:
        ConfigError: it has a positional-only parameter, or no signature at all.
    """
    return read_signature(function).schema


def read_signature(function: Callable[..., Any]) -> Signature:
    """All that a tool needs to know of *function*.

    Raises:
        ConfigError: it has a positional-only parameter, or no signature at all.
    """
    description, said = split_docstring(inspect.getdoc(function) or "")
    reader = Reader()
    hints = hints_of(inspect.unwrap(function))
    properties: dict[str, Any] = {}
    required: list[str] = []
    converts: dict[str, Convert] = {}
    for name, parameter in _parameters(function).items():
        shape = reader.read(hints.get(name, parameter.annotation))
        properties[name] = _described(shape.schema, said.get(name), parameter.default)
        if shape.convert is not None:
            converts[name] = shape.convert
        if parameter.default is parameter.empty:
            required.append(name)
    schema = {"type": "object", "properties": properties, "required": required}
    if reader.definitions:
        schema["$defs"] = reader.definitions
    return Signature(description, schema, _converting(function, converts) if converts else function)


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    label = getattr(function, "__name__", repr(function))
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise ConfigError(f"tool {label}: its signature cannot be read; wrap it in a def") from error
    only = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_ONLY]
    if only:
        raise ConfigError(f"tool {label}: {', '.join(only)} is positional-only, and tools are called by name")
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {n: p for n, p in parameters.items() if p.kind not in variable and n != "ctx"}


def _described(schema: dict[str, Any], text: str | None, default: Any) -> dict[str, Any]:
    described = dict(schema)
    if text and "description" not in described:
        described["description"] = text
    if default is not inspect.Parameter.empty and default is not None and plain(default):
        described["default"] = default
    return described


def _converting(function: Callable[..., Any], converts: dict[str, Convert]) -> Callable[..., Any]:
    def built(kwargs: dict[str, Any]) -> dict[str, Any]:
        return {name: converts[name](v) if name in converts else v for name, v in kwargs.items()}

    @functools.wraps(function)
    def execute(**kwargs: Any) -> Any:
        return function(**built(kwargs))

    @functools.wraps(function)
    async def execute_async(**kwargs: Any) -> Any:
        return await function(**built(kwargs))

    return execute_async if inspect.iscoroutinefunction(function) else execute
