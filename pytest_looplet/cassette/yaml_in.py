"""YAML text to plain data: the C loader, safe, and without YAML's surprises.

Nothing but null, bool, number, string, list and mapping is ever built. Dates stay strings, `1e-05` is a
number, as in JSON and YAML 1.2, and a node cannot stand for another: anchors are refused, because a small
file full of them grows without bound when it is written out.
"""

from __future__ import annotations

import base64
import math
import re
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import yaml

_CONFLICT = re.compile(rb"^(<{7}|={7}|>{7}|\|{7})(?: |$)", re.MULTILINE)
_MARKS = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")
_MOST_OPEN, _DEEPEST = 2_000, 500
_NESTED = re.compile(rb"(?:[-?:][ \t]++){500}")


def _safe_loader() -> Any:
    """The C loader where PyYAML was built with it and it works.

    It keeps the classes of the first import of yaml for ever. After a second import, which a pytest session
    inside a session (pytester) makes, it takes no node for what it is.
    """
    compiled = sys.modules.get("yaml._yaml")
    fits = getattr(compiled, "ScalarNode", None) is yaml.ScalarNode
    return yaml.CSafeLoader if fits else yaml.SafeLoader


SAFE_LOADER = _safe_loader()


class NotYaml(ValueError):
    """The text cannot be read.

    Attributes:
        line: Line of the fault, from 1; None where it is not known.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


class _Loader(SAFE_LOADER):  # type: ignore[misc, valid-type]
    """The safe loader with JSON's idea of what a bare word is."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":timestamp", ":float"))]
        for first, found in SAFE_LOADER.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9]+(?:\.[0-9]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$"),
    list("-+0123456789"),
)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("it has a number that is too large")
    return number


_TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, Callable[[str], Any]] = {
    f"{_TAG}str": str,
    f"{_TAG}null": lambda text: None,
    f"{_TAG}bool": lambda text: text.lower() in ("true", "yes", "on"),
    f"{_TAG}int": lambda text: int(text.replace("_", ""), 0),
    f"{_TAG}float": lambda text: _finite(float(text)),
    f"{_TAG}binary": lambda text: base64.b64decode("".join(text.split()), validate=True),
}


def from_yaml(text: bytes) -> Any:
    """The plain data that *text* (UTF-8) says.

    Raises:
        NotYaml: it is not UTF-8, not YAML, has conflict markers, anchors, keys that come twice or are no
            text, or tags of other types.
    """
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotYaml(f"not UTF-8: {error.reason}", text.count(b"\n", 0, error.start) + 1) from None
    # Looking for the marks first is a hundred times as fast as the pattern.
    conflict = _CONFLICT.search(text) if any(mark in text for mark in _MARKS) else None
    if conflict:
        line = text.count(b"\n", 0, conflict.start()) + 1
        raise NotYaml("a merge conflict was left in it", line)
    try:
        check_depth(text, _Loader)
        return _build(_Loader(text).get_single_node(), set())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYaml(_reason(error), mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise NotYaml(str(error).partition("\n")[0] or type(error).__name__) from None


def check_depth(text: bytes, loader: Any) -> None:
    """Refuse a text that nests deeply: the C *loader* would use up the stack, and the process with it.

    Raises:
        NotYaml: it nests too deeply.
        yaml.YAMLError: it is not YAML.
    """
    if text.count(b"[") + text.count(b"{") <= _MOST_OPEN and not _NESTED.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            mark = event.start_mark
            raise NotYaml("it is nested too deeply", mark.line + 1 if mark else None)


def _reason(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part) or "not YAML"


def _build(node: Any, seen: set[int]) -> Any:
    """The data of a node. PyYAML's own constructor, made for any type at all, takes five times as long."""
    if node is None:
        return None
    value = node.value
    if type(node) is yaml.ScalarNode:
        return value if node.tag == f"{_TAG}str" else _scalar(node)
    if id(node) in seen:
        raise NotYaml("it uses YAML anchors, which a cassette never needs", node.start_mark.line + 1)
    seen.add(id(node))
    if type(node) is yaml.SequenceNode and node.tag == f"{_TAG}seq":
        return [_build(item, seen) for item in value]
    if type(node) is not yaml.MappingNode or node.tag != f"{_TAG}map":
        raise NotYaml(f"it has a value of type {node.tag}, which is not plain data", node.start_mark.line + 1)
    are_text = all(key.tag == f"{_TAG}str" and type(key) is yaml.ScalarNode for key, _ in value)
    made = {key.value: _build(item, seen) for key, item in value} if are_text else {}
    if len(made) != len(value):
        raise NotYaml("a key comes twice or is no text", node.start_mark.line + 1)
    return made


def _scalar(node: Any) -> Any:
    make = _SCALARS.get(node.tag)
    if make is None:
        raise NotYaml(f"it has a value of type {node.tag}, which is not plain data", node.start_mark.line + 1)
    try:
        return make(node.value)
    except ValueError as error:
        raise NotYaml(str(error), node.start_mark.line + 1) from None
