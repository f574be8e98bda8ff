"""What a docstring says of a function and of each parameter: Google, NumPy and Sphinx style."""

from __future__ import annotations

import re

_SECTION = re.compile(
    r"^\s*(Args|Arguments|Parameters|Params|Returns?|Yields?|Raises|Examples?|Notes?|Warnings?|See Also)"
    r"\s*:?\s*$"
)
_ITEM = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_NUMPY_ITEM = re.compile(r"^\*{0,2}(\w+)\s*(?::.*)?$")
_SPHINX = re.compile(r"^\s*:param\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)$")
_FIELD = re.compile(r"^\s*:(?:param|returns?|raises|type|rtype|yields?)\b")


def split_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description before any section, and the text of each parameter.

    *text* is a docstring that `inspect.cleandoc` has straightened.
    """
    lines = text.splitlines()
    end = next((n for n, line in enumerate(lines) if _SECTION.match(line) or _FIELD.match(line)), len(lines))
    return "\n".join(lines[:end]).strip(), _sphinx(lines[end:]) | _sections(lines[end:])


def _sphinx(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if item := _SPHINX.match(line):
            name = item[1]
            found[name] = item[2].strip()
        elif name and line.startswith((" ", "\t")) and not _FIELD.match(line):
            found[name] = f"{found[name]} {line.strip()}".strip()
        else:
            name = ""
    return found


def _sections(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(lines):
        title = _SECTION.match(line)
        if title and title[1] in ("Args", "Arguments", "Parameters", "Params"):
            rest = lines[number + 1 :]
            underlined = bool(rest) and re.fullmatch(r"\s*-{3,}\s*", rest[0]) is not None
            found |= _items(rest[1:], _NUMPY_ITEM) if underlined else _items(rest, _ITEM)
    return found


def _items(lines: list[str], pattern: re.Pattern[str]) -> dict[str, str]:
    """Items at the indentation of the first line, with the deeper lines that follow each."""
    found: dict[str, str] = {}
    name, depth = "", -1
    for line in lines:
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        depth = indent if depth < 0 else depth
        if indent < depth or _SECTION.match(line):
            break
        item = pattern.match(line.strip()) if indent == depth else None
        if item:
            name = item[1]
            found[name] = item[2].strip() if pattern is _ITEM else ""
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found
