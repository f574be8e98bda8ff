"""YAML text to plain data: the C loader, safe, and without YAML's surprises.

Nothing but null, bool, number, string, list and mapping is ever built. Dates stay strings, `1e-05` is a
number, as in JSON and YAML 1.2, and a node cannot stand for another: anchors are refused, because a small
file full of them grows without bound when it is written out.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

_CONFLICT = re.compile(rb"^(<{7}|={7}|>{7}|\|{7})(?: |$)", re.MULTILINE)
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NotYaml(ValueError):
    """The text cannot be read.

    Attributes:
        line: Line of the fault, from 1; None where it is not known.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


class _Loader(_BASE):  # type: ignore[misc]
    """The safe loader with JSON's idea of what a bare word is."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":timestamp", ":float"))]
        for first, found in _BASE.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9]+(?:\.[0-9]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$"),
    list("-+0123456789"),
)


def from_yaml(text: bytes) -> Any:
    """The plain data that *text* (UTF-8) says.

    Raises:
        NotYaml: it is not UTF-8, not YAML, has conflict markers, anchors, or tags of other types.
    """
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotYaml(f"not UTF-8: {error.reason}", text.count(b"\n", 0, error.start) + 1) from None
    if conflict := _CONFLICT.search(text):
        line = text.count(b"\n", 0, conflict.start()) + 1
        raise NotYaml("a merge conflict was left in it", line)
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYaml(_reason(error), mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise NotYaml(str(error).splitlines()[0] if str(error) else type(error).__name__) from None
    if b"&" in text and b"*" in text:
        _refuse_shared(data, set())
    return data


def _reason(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part) or "not YAML"


def _refuse_shared(node: object, seen: set[int]) -> None:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
    if children is None:
        return
    if id(node) in seen:
        raise NotYaml("it uses YAML anchors, which a cassette never needs")
    seen.add(id(node))
    for child in children:
        _refuse_shared(child, seen)
