"""What a tool is: its name, what it says of itself, what it takes, and the function behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from looplet.errors import ConfigError
from looplet.schema import SCALAR_KINDS, Check, compile_schema, plain_members
from looplet.tools.probe import Takes, probe

LABEL_TYPES = {
    "str": "string",
    "string": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "bool": "boolean",
    "boolean": "boolean",
    "list": "array",
    "array": "array",
    "dict": "object",
    "object": "object",
}
"""Labels of the simple parameter form that name a type; any other label is a description."""

_OPEN_WORDS = frozenset(
    {"additionalProperties", "patternProperties", "$ref", "allOf", "anyOf", "oneOf", "if"}
)


class Door:
    """What is asked of arguments before a tool's body runs; belongs to one `execute` and one `parameters`.

    Attributes:
        takes: What `execute` takes.
        names: The arguments that are known.
        kinds: Those that fit if they are of one of these types.
        required: Those that must be given.
        brief: Whether the body took next to no time when it last ran on a thread; None before it has.
    """

    __slots__ = ("_check", "brief", "execute", "kinds", "names", "parameters", "required", "takes")

    def __init__(self, spec: ToolSpec) -> None:
        self.execute = spec.execute
        self.parameters = spec.parameters
        self.takes = takes = probe(spec.execute)
        self._check: Check | None = None
        self.brief: bool | None = None
        if spec.is_json_schema:
            schema = _declared_at_door(spec.parameters, takes)
            self._check = compile_schema(schema)
            self.names = takes.names.union(schema["properties"])
            self.required = frozenset(schema["required"])
            kinds = plain_members(schema)
        else:
            # It cannot be wrong: its schema is made for arguments that do not fit at first sight.
            self.names = takes.names.union(spec.parameters)
            self.required = frozenset(takes.required)
            kinds = _kinds_of(spec.parameters, takes)
        for name in [name for name in kinds if name == "ctx" or str(name)[:2] == "__"]:
            del kinds[name]  # not the model's to give, or not the tool's to get
        self.kinds = kinds

    def fitting(self, args: dict[str, Any]) -> dict[str, Any] | None:
        """A copy of *args* if one look tells that they fit, as it mostly does; None if `check` has to say."""
        kinds = self.kinds
        for name, value in args.items():
            if name not in kinds or type(value) not in kinds[name]:
                return None
        return {**args} if self.required <= args.keys() else None

    def check(self, args: dict[str, Any]) -> list[str]:
        """The violations of *args*."""
        if self._check is None:
            self._check = compile_schema(_labelled_at_door(self.parameters, self.takes))
        return self._check(args)


@dataclass
class ToolSpec:
    """A tool that a model can call.

    Attributes:
        name: Letters, digits, `_`, `.` and `-`, at most 64.
        description: What it does, for the model.
        parameters: Either the simple form `{"path": "file to read", "limit": "int"}`, where every parameter
            is required and a label that names a type sets it; or a JSON Schema with `type: object` and
            `properties`.
        execute: Called with the arguments by name, and with `ctx` (a `ToolContext` or None) where it has a
            parameter of that name. May be async, or a generator, whose items are collected.
        concurrent_safe: May run at the same time as its neighbours in a batch.
        free: Does not count against the step budget.
        timeout_s: Seconds after which its caller stops waiting; None means no limit.
        idempotent: Running it twice is as good as once, so that a resume may repeat it.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    execute: Callable[..., Any] = field(repr=False)
    concurrent_safe: bool = False
    free: bool = False
    timeout_s: float | None = None
    idempotent: bool = False
    _door: Door | None = field(default=None, init=False, repr=False, compare=False)

    changes: ClassVar[int] = 0
    """How often a field of any tool was set, for whoever keeps a text made of several."""

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name != "_door":
            ToolSpec.changes += 1

    @property
    def is_json_schema(self) -> bool:
        """Whether `parameters` is a JSON Schema and not the simple form."""
        return self.parameters.get("type") == "object" and "properties" in self.parameters

    @property
    def is_async(self) -> bool:
        """Whether `execute` is a coroutine function or an async generator function."""
        return self.door().takes.is_async

    def parameter_names(self) -> list[str]:
        """The names of the parameters, in order."""
        return list(self.parameters["properties"] if self.is_json_schema else self.parameters)

    def required_parameters(self) -> list[str]:
        """The names that must be given: all of them in the simple form."""
        return list(self.parameters.get("required", ()) if self.is_json_schema else self.parameters)

    def spec_text(self) -> str:
        """Two lines for a prompt: `  name(a: integer, b?: string)` and the description."""
        required = self.required_parameters()
        if self.is_json_schema:
            words = {name: _type_text(said) for name, said in self.parameters["properties"].items()}
        else:
            words = dict(self.parameters)
        listed = ", ".join(f"{name}{'' if name in required else '?'}: {word}" for name, word in words.items())
        return f"  {self.name}({listed})\n    {self.description}"

    def to_api_schema(self) -> dict[str, Any]:
        """`{"name", "description", "input_schema"}`, the form that backends take."""
        schema = self.parameters if self.is_json_schema else self.to_json_schema()
        return {"name": self.name, "description": self.description, "input_schema": schema}

    def to_json_schema(self) -> dict[str, Any]:
        """The parameters as a JSON Schema."""
        if self.is_json_schema:
            return dict(self.parameters)
        properties = {name: _label_schema(label) for name, label in self.parameters.items()}
        return {"type": "object", "properties": properties, "required": list(self.parameters)}

    def door(self) -> Door:
        """The check of this tool's arguments, built on first use.

        Raises:
            ConfigError: `parameters` is no schema.
        """
        door = self._door
        if door is None or door.execute is not self.execute or door.parameters is not self.parameters:
            self._door = door = Door(self)
        return door


def _declared_at_door(parameters: dict[str, Any], takes: Takes) -> dict[str, Any]:
    """What a JSON Schema declares, and on top that which `execute` could not be called with."""
    # That they are an object is known of arguments.
    declared = {word: said for word, said in parameters.items() if word != "type"}
    required = [*_names_in(declared.get("required", ())), *takes.required]
    schema = {**declared, "required": list(dict.fromkeys(required))}
    closed = not takes.anything and _OPEN_WORDS.isdisjoint(declared)
    return _closed(schema, takes) if closed and isinstance(declared["properties"], dict) else schema


def _labelled_at_door(parameters: dict[str, Any], takes: Takes) -> dict[str, Any]:
    """The same of the simple form. What must be given, `execute` knows best."""
    properties = {
        # A label that names no type promises none.
        name: {"type": word} if (word := _type_named(label)) else {}
        for name, label in parameters.items()
    }
    schema = {"properties": properties, "required": list(takes.required)}
    return schema if takes.anything else _closed(schema, takes)


def _closed(schema: dict[str, Any], takes: Takes) -> dict[str, Any]:
    known = schema["properties"]
    also = {name: True for name in takes.names if name not in known}
    return {**schema, "properties": {**known, **also}, "additionalProperties": False}


def _kinds_of(parameters: dict[str, Any], takes: Takes) -> dict[str, frozenset[type]]:
    """What `plain_members` gives for `_labelled_at_door`, without the schema."""
    kinds = {}
    for name, label in parameters.items():
        word = _type_named(label)
        if word not in ("array", "object"):
            kinds[name] = SCALAR_KINDS[word]
    if not takes.anything:
        for name in takes.names:
            if name not in parameters:
                kinds[name] = SCALAR_KINDS[None]
    return kinds


def _names_in(required: object) -> Sequence[str]:
    if not isinstance(required, (list, tuple)):
        raise ConfigError(f"'required' is {required!r}; give a list of parameter names")
    return required


def _type_named(label: object) -> str | None:
    return LABEL_TYPES.get(label.strip().lower()) if isinstance(label, str) else None


def _label_schema(label: object) -> dict[str, Any]:
    return {"type": _type_named(label) or "string", "description": str(label)}


def _type_text(said: object) -> str:
    word = said.get("type", "any") if isinstance(said, dict) else "any"
    return "|".join(map(str, word)) if isinstance(word, list) else str(word)
