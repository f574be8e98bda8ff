"""Fields that an answer or a call must have: names and types, and a registry that asks for them.

For tools with a JSON Schema the ordinary registry checks arguments already; this is the older, shorter form,
and what `LoopConfig.output_schema` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeAlias, runtime_checkable

from looplet.errors import ConfigError
from looplet.schema import compile_schema
from looplet.tools import BaseToolRegistry, ToolSpec, refused
from looplet.types import ErrorKind, ToolCall, ToolResult
from looplet.values import bounded

_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "any": (object,),
}
_WORDS: tuple[tuple[object, str], ...] = (
    *((name, name) for name in _KINDS),
    ("string", "str"),
    ("integer", "int"),
    ("number", "float"),
    ("boolean", "bool"),
    ("array", "list"),
    ("object", "dict"),
    (str, "str"),
    (int, "int"),
    (float, "float"),
    (bool, "bool"),
    (list, "list"),
    (dict, "dict"),
    (object, "any"),
    (Any, "any"),
)


@dataclass
class FieldSpec:
    """One field.

    Attributes:
        name: Its key.
        field_type: `str int float bool list dict any`; JSON's words and Python's types are taken too. A
            whole number is a float, True is neither.
        required: Whether it must be there.
        description: For people.
        allowed_values: The values it may have, or None for all.

    Raises:
        ConfigError: `field_type` names no type.
    """

    name: str
    field_type: str
    required: bool = True
    description: str = ""
    allowed_values: list[Any] | None = None

    def __post_init__(self) -> None:
        given: object = self.field_type
        word = given.strip().lower() if isinstance(given, str) else given
        known = next((name for other, name in _WORDS if word is other or word == other), None)
        if known is None:
            raise ConfigError(f"field {self.name!r}: field_type {given!r} is none of {', '.join(_KINDS)}")
        self.field_type = known

    def problem_with(self, value: object) -> str | None:
        """Why *value* cannot be this field's, or None."""
        kinds = _KINDS[self.field_type]
        is_flag = isinstance(value, bool) and self.field_type not in ("bool", "any")
        if is_flag or not isinstance(value, kinds):
            return f"field {self.name!r}: expected {self.field_type}, got {type(value).__name__}"
        if self.allowed_values is not None and not _among(value, self.allowed_values):
            allowed = bounded(repr(self.allowed_values), 500)
            return f"field {self.name!r}: value {bounded(repr(value), 200)} not in allowed values {allowed}"
        return None


def _among(value: object, allowed: list[Any]) -> bool:
    # True equals 1 in Python and means something else in JSON.
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)


@dataclass
class OutputSchema:
    """The fields of an answer or of a call's arguments.

    Attributes:
        fields: What is known.
        strict: Whether any other field is an error; else it is a warning.
    """

    fields: list[FieldSpec]
    strict: bool = False


@dataclass
class ValidationResult:
    """What came of a check.

    Attributes:
        valid: Whether there is no error.
        errors: What is wrong, a sentence each.
        warnings: What is odd and accepted.
    """

    valid: bool
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def validate_args(schema: OutputSchema, args: Mapping[str, Any]) -> ValidationResult:
    """Check *args* against *schema*. Names that begin with `__` are the loop's own and not looked at."""
    known = {spec.name: spec for spec in schema.fields}
    errors = [
        f"missing required field: {spec.name!r}"
        for spec in schema.fields
        if spec.required and spec.name not in args
    ]
    given = {name: value for name, value in args.items() if not str(name).startswith("__")}
    problems = (known[name].problem_with(value) for name, value in given.items() if name in known)
    errors += [problem for problem in problems if problem]
    unknown = [f"unknown field: {name!r}" for name in given if name not in known]
    errors += unknown if schema.strict else []
    return ValidationResult(not errors, errors, [] if schema.strict else unknown)


class PydanticModel(Protocol):
    """The class of a pydantic model (version 2)."""

    def model_validate(self, obj: Any) -> Any:
        """An instance made of *obj*; raises where it does not fit."""
        ...


AnySchema: TypeAlias = "OutputSchema | DoneValidator | PydanticModel | Mapping[str, Any]"
"""What `LoopConfig.output_schema` takes: fields, a validator, a pydantic model's class, a JSON Schema."""


def output_check(schema: AnySchema) -> Callable[[dict[str, Any]], list[str]]:
    """What says what is wrong with the arguments of `done`.

    Raises:
        ConfigError: *schema* is none of what may be given.
    """
    if isinstance(schema, OutputSchema):
        fields = schema
        return lambda args: validate_args(fields, args).errors
    if isinstance(schema, Mapping):
        return compile_schema(dict(schema))
    for name, check in (("validate_done", _by_validator), ("model_validate", _by_pydantic)):
        method = getattr(schema, name, None)
        if callable(method):
            return partial(check, method)
    raise ConfigError(
        f"LoopConfig(output_schema={bounded(repr(schema), 200)}): give an OutputSchema, a DoneValidator, the "
        "class of a pydantic model, or a JSON Schema"
    )


def _by_validator(validate: Callable[[dict[str, Any]], ValidationResult], args: dict[str, Any]) -> list[str]:
    found = validate(args)
    return [] if found.valid else found.errors or ["it is not valid"]


def _by_pydantic(validate: Callable[[Any], Any], args: dict[str, Any]) -> list[str]:
    try:
        validate(args)
    except ValueError as problem:  # pydantic's own is one
        told: Callable[[], list[Mapping[str, Any]]] | None = getattr(problem, "errors", None)
        return [str(problem)] if told is None else [_sentence(error) for error in told()]
    return []


def _sentence(error: Mapping[str, Any]) -> str:
    where = ".".join(map(str, error.get("loc", ())))
    return f"field {where!r}: {error.get('msg')}" if where else str(error.get("msg"))


class ValidatingToolRegistry(BaseToolRegistry):
    """A registry whose tools may have an `OutputSchema` that their arguments must fit."""

    def __init__(self) -> None:
        super().__init__()
        self._field_schemas: dict[str, OutputSchema] = {}

    def register_with_schema(self, spec: ToolSpec, schema: OutputSchema) -> None:
        """Add a tool whose arguments must fit *schema*.

        Raises:
            ConfigError: as `register`.
        """
        self.register(spec)
        self._field_schemas[spec.name] = schema

    def _refuse(self, call: ToolCall) -> ToolResult | None:
        schema = self._field_schemas.get(call.tool)
        checked = validate_args(schema, call.args) if schema is not None else None
        if checked is None or checked.valid:
            return None
        message = f"Validation failed: {'; '.join(checked.errors)}"
        summary = self._summarize_args(call)
        return refused(
            call, ErrorKind.VALIDATION, message, args_summary=summary, context={"violations": checked.errors}
        )


@runtime_checkable
class DoneValidator(Protocol):
    """Decides whether the arguments of `done` are an answer."""

    def validate_done(self, payload: dict[str, Any]) -> ValidationResult:
        """Check the arguments of `done`."""
        ...


class SimpleDoneValidator:
    """A `DoneValidator` that asks for fields by name.

    Args:
        required_fields: Names that must be there.
        optional_fields: Names that may be there; any other is a warning.
    """

    def __init__(self, required_fields: Sequence[str], optional_fields: Sequence[str] | None = None) -> None:
        self.required_fields = list(required_fields)
        self.optional_fields = list(optional_fields or ())

    def validate_done(self, payload: dict[str, Any]) -> ValidationResult:
        """Check that every required field is there."""
        missing = [n for n in self.required_fields if n not in payload]
        errors = [f"missing required done field: {name!r}" for name in missing]
        known = {*self.required_fields, *self.optional_fields}
        others = [name for name in payload if name not in known]
        warnings = [f"unexpected done field: {name!r}" for name in others if not name.startswith("__")]
        return ValidationResult(not errors, errors, warnings)
