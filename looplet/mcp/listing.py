"""What a server says of its tools, made fit for prompts, terminals and files."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from looplet.errors import ConfigError
from looplet.text import visible
from looplet.tools import ToolSpec
from looplet.values import bounded, dumps

DESCRIPTION_CHARS, SCHEMA_CHARS, WORDS_CHARS = 4_000, 50_000, 1_000
"""Most characters of a tool's description, of its whole schema as JSON, and of one description in that."""

MOST_TOOLS, MOST_DEPTH = 500, 30
"""Most tools of one server, and levels of a schema."""

_WORDS = frozenset({"description", "title", "$comment"})
"""Members of a schema that are for readers; whatever else has strange characters is refused."""

_DATA = frozenset({"const", "default", "enum", "examples"})
_BY_NAME = frozenset({"$defs", "definitions", "dependentSchemas", "properties"})
"""Members of a schema that hold values, and schemas under names of their own."""

_TURNS_ROUND = frozenset({"contains", "if", "not", "oneOf"})
"""Members that refuse more where the schema in them allows more."""

_logger = logging.getLogger("looplet.mcp")

Execute = Callable[..., Any]


def specs_of(listed: list[Any], prefix: str, bind: Callable[[str, bool], Execute]) -> list[ToolSpec]:
    """The tools in a server's list. Those that cannot be offered are left out, and logged.

    Args:
        listed: What `tools/list` gave.
        prefix: Put before every name.
        bind: `(name, has_ctx)`, gives what runs the tool that the server calls *name*.
    """
    specs: dict[str, ToolSpec] = {}
    for tool in listed[:MOST_TOOLS]:
        try:
            spec = _spec(tool, prefix, bind)
            if spec.name.lower() in specs:
                raise ConfigError(f"there are two tools named {spec.name!r}")
        except ConfigError as problem:
            _logger.warning("a tool of the MCP server is left out: %s", problem)
        else:
            specs[spec.name.lower()] = spec
    return list(specs.values())


def _spec(tool: object, prefix: str, bind: Callable[[str, bool], Execute]) -> ToolSpec:
    name = tool.get("name") if isinstance(tool, Mapping) else None
    if not isinstance(tool, Mapping) or not isinstance(name, str) or not name:
        raise ConfigError("it has no name")
    schema = _schema(tool.get("inputSchema"))
    shown = prefix + re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    if len(shown) > 64:
        raise ConfigError(f"the name {bounded(shown, 100)!r} has more than 64 characters")
    said = tool.get("description")
    description = bounded(visible(said), DESCRIPTION_CHARS) if isinstance(said, str) else ""
    spec = ToolSpec(shown, description, schema, bind(name, "ctx" not in schema["properties"]))
    try:
        spec.door()  # compiles the schema
    except (ConfigError, RecursionError) as problem:
        raise ConfigError(f"{shown}: {bounded(str(problem), 200)}") from problem
    return spec


def _schema(given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ConfigError("it has no inputSchema")
    schema: dict[str, Any] = _clean(given, 0)
    schema = _without_patterns(schema)
    schema["type"] = "object"
    if not isinstance(schema.setdefault("properties", {}), dict):
        raise ConfigError("the properties of its inputSchema are no object")
    if len(dumps(schema)) > SCHEMA_CHARS:
        raise ConfigError(f"its inputSchema has more than {SCHEMA_CHARS} characters")
    return schema


def _clean(value: Any, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise ConfigError(f"its inputSchema has more than {MOST_DEPTH} levels")
    if isinstance(value, dict):
        return dict(_members(value, depth + 1))
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, str) and visible(value) != value:
        raise ConfigError("its inputSchema has control or invisible characters")
    return value


def _members(value: dict[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if visible(name) != name:
            raise ConfigError("its inputSchema has control or invisible characters in a name")
        if name in _WORDS and isinstance(item, str):
            yield name, bounded(visible(item), WORDS_CHARS)
        else:
            yield name, _clean(item, depth)


def _without_patterns(schema: Any) -> Any:
    """*schema* with its regular expressions as words for the model.

    The server checks them itself, and one that needs for ever would stop our whole process.
    """
    if isinstance(schema, list):
        return [_without_patterns(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for name, item in schema.items():
        if name in _DATA:
            kept[name] = item
        elif name in _BY_NAME and isinstance(item, dict):
            kept[name] = {key: _without_patterns(one) for key, one in item.items()}
        elif (clean := _without_patterns(item)) == item or name not in _TURNS_ROUND:
            kept[name] = clean
    if isinstance(kept.get("patternProperties"), dict):
        del kept["patternProperties"]
        kept.pop("additionalProperties", None)
    if isinstance(kept.get("pattern"), str):
        said = kept.get("description")
        kept["description"] = (
            f"{said if isinstance(said, str) else ''} (pattern: {kept.pop('pattern')})".strip()
        )
    return kept
