"""A case: what an agent is asked, what is expected of it, and where that is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from looplet.errors import LoopletError


class CaseError(LoopletError, ValueError):
    """A case or a file of cases is wrong; the text names file, line and the mend."""


@dataclass(frozen=True, slots=True)
class AgentCase:
    """A case as the agent sees it: all but what is expected.

    Attributes:
        id: Names the case in test ids, file names and reports.
        task: What the agent is asked.
        tags: Marks of the pytest items of this case.
        files: Files to put into the workspace: path and content.
        metadata: Anything else.
    """

    id: str
    task: Any
    tags: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case(AgentCase):
    """A case as an eval sees it.

    Attributes:
        expected: What a good run comes to; any JSON value.
        source: Where it is written: `file:line`, or the name of a list.
    """

    expected: Any = None
    source: str = ""

    def for_agent(self) -> AgentCase:
        """The case without its expectation."""
        return AgentCase(self.id, self.task, self.tags, dict(self.files), dict(self.metadata))


FIELDS: dict[str, tuple[type, ...]] = {
    "id": (str, int),
    "task": (str, dict, list),
    "expected": (object,),
    "tags": (list, tuple),
    "files": (dict,),
    "metadata": (dict,),
}
"""Fields of a case and the types they may have."""

Row = tuple[Any, str]
"""A case as it was read, and where it stands."""


def parse_cases(rows: Iterable[Row]) -> list[Case]:
    """Check *rows* and make cases of them; a row that is a `Case` already is taken as it is.

    Raises:
        CaseError: an unknown or missing field, a wrong type, an id that occurs twice.
    """
    cases: list[Case] = []
    first: dict[str, str] = {}
    for value, source in rows:
        case = value if isinstance(value, Case) else _parse(value, source)
        if case.id in first:
            raise CaseError(f"{source}: the id {case.id!r} is taken by {first[case.id]}; ids must be unique")
        first[case.id] = source
        cases.append(case)
    return cases


def _parse(value: object, source: str) -> Case:
    if not isinstance(value, Mapping):
        raise CaseError(f"{source}: a case is a mapping with id and task, not {_show(value)}")
    for name in value:
        if name not in FIELDS:
            raise CaseError(f"{source}: unknown field {name!r}{_nearest(str(name))}")
    for name in ("id", "task"):
        if value.get(name) is None:
            raise CaseError(f"{source}: the case has no {name}")
    for name, given in value.items():
        if given is not None and not _fits(name, given):
            raise CaseError(f"{source}: {name} must be {_names(FIELDS[name])}, not {_show(given)}")
    identity = str(value["id"])
    if not identity.strip() or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", identity):
        raise CaseError(f"{source}: the id {identity!r} is empty or holds control or half characters")
    return Case(
        id=identity,
        task=value["task"],
        tags=_texts(value.get("tags") or (), "tags", source),
        files=_files(value.get("files") or {}, source),
        metadata=dict(value.get("metadata") or {}),
        expected=value.get("expected"),
        source=source,
    )


def _fits(name: str, value: object) -> bool:
    return isinstance(value, FIELDS[name]) and not (name == "id" and isinstance(value, bool))


def _texts(values: Iterable[Any], name: str, source: str) -> tuple[str, ...]:
    for value in values:
        if not isinstance(value, str) or not value:
            raise CaseError(f"{source}: {name} must be texts, not {_show(value)}")
    return tuple(values)


def _files(values: Mapping[Any, Any], source: str) -> dict[str, str]:
    for path, content in values.items():
        if not isinstance(path, str) or not isinstance(content, str):
            raise CaseError(f"{source}: files must map paths to texts, not {_show(path)} to {_show(content)}")
        if path.startswith(("/", "\\")) or ".." in Path(path).parts or ":" in path[:2]:
            raise CaseError(f"{source}: the file {path!r} must lie below the workspace")
    return dict(values)


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, FIELDS, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; a case has {', '.join(FIELDS)}"


def _names(types: tuple[type, ...]) -> str:
    words = {str: "text", int: "a whole number", dict: "a mapping", list: "a list", tuple: "a list"}
    return " or ".join(dict.fromkeys(words.get(kind, kind.__name__) for kind in types))


def _show(value: object) -> str:
    return f"{type(value).__name__} {value!r:.60}"


# ---------------------------------------------------------------- JSON and JSON lines


def read_json_cases(path: Path) -> list[Row]:
    """The rows of a `.json` file (a list of cases, or one case) or of a `.jsonl` file (one a line).

    Raises:
        CaseError: the file cannot be read or is no JSON; the text names file and line.
    """
    text = read_text(path)
    if path.suffix.lower() == ".jsonl":
        return [
            (_decode(line, path, number), f"{path}:{number}")
            for number, line in enumerate(text.split("\n"), 1)
            if line.strip()
        ]
    whole = _decode(text, path, 1)
    if not isinstance(whole, list):
        return [(named_after(whole, path), f"{path}:1")]
    return list(zip(whole, _places(text, path), strict=True))


def read_text(path: Path) -> str:
    """The text of a file of cases.

    Raises:
        CaseError: it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(f"{path}: {error}") from error


def named_after(case: Any, path: Path) -> Any:
    """A file that holds one case may leave its id to the file's name."""
    return {"id": path.stem, **case} if isinstance(case, dict) else case


def _decode(text: str, path: Path, first_line: int) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        line = first_line + getattr(error, "lineno", 1) - 1
        raise CaseError(f"{path}:{line}: {getattr(error, 'msg', error)}") from error


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} occurs twice")
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _places(text: str, path: Path) -> list[str]:
    """`file:line` of each item of the list that *text* is."""
    decoder, places = json.JSONDecoder(), []
    at = _skip(text, text.index("[") + 1)
    while text[at] != "]":
        places.append(f"{path}:{text.count(chr(10), 0, at) + 1}")
        _, at = decoder.raw_decode(text, at)
        at = _skip(text, at)
    return places


def _skip(text: str, at: int) -> int:
    match = re.compile(r"[\s,]*").match(text, at)
    return match.end() if match else at
