"""Rules from a file: TOML or JSON, nothing in it ignored.

    default = "deny"

    [[rules]]
    decision = "allow"
    tool = "bash"
    match = { kind = "command", pattern = ["git status*", "git diff*"] }

    [[rules]]
    decision = "ask"
    tool = "write"
    match = { kind = "path_within", root = "src", arg = "file_path" }
    reason = "writes go to src"

`match` is one table, or a list of tables that must all hold. Its kinds and keys are `KINDS`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from looplet.errors import ConfigError
from looplet.permissions.commands import command_matcher, command_within
from looplet.permissions.lines import Lines, Place, json_lines, line_of, toml_lines
from looplet.permissions.matcher import Described, Unsure
from looplet.permissions.paths import path_within
from looplet.permissions.rule import PermissionDecision, PermissionRule
from looplet.permissions.values import equals, one_of, regex, url_host

LARGEST = 8_000_000
"""Bytes of a rule file."""


@dataclass(frozen=True)
class RuleFile:
    """What a rule file says.

    Attributes:
        rules: The rules, in order; each knows its file and line.
        default: For calls that no rule is about.
    """

    rules: tuple[PermissionRule, ...]
    default: PermissionDecision


@dataclass(frozen=True)
class _All(Described):
    matchers: tuple[Described, ...]

    def __call__(self, args: dict[str, Any]) -> bool:
        doubt: Unsure | None = None
        for matcher in self.matchers:
            try:
                if not matcher(args):
                    return False
            except Unsure as problem:
                doubt = doubt or problem
        if doubt is not None:
            raise doubt
        return True

    def __str__(self) -> str:
        return " and ".join(str(matcher) for matcher in self.matchers)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_text(item) for item in value)


_SHAPES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "text": ("a text", _is_text),
    "texts": ("a list of texts", _is_texts),
    "text or texts": ("a text or a list of texts", lambda value: _is_text(value) or _is_texts(value)),
    "list": ("a list with at least one value", lambda value: isinstance(value, list) and bool(value)),
    "any": ("a value", lambda value: True),
    "words": ("a text, perhaps empty", lambda value: isinstance(value, str)),
    "decision": ('"allow", "deny" or "ask"', lambda value: value in ("allow", "deny", "ask")),
    "default": ('"allow" or "deny"', lambda value: value in ("allow", "deny")),
    "tables": ("a table or a list of tables", lambda value: isinstance(value, dict | list) and bool(value)),
}

KINDS: dict[str, dict[str, str]] = {
    "equals": {"arg": "text", "value": "any"},
    "one_of": {"arg": "text", "values": "list"},
    "regex": {"arg": "text", "pattern": "text"},
    "path_within": {"root": "text", "arg?": "text", "cwd?": "text", "default?": "text"},
    "url_host": {"hosts": "text or texts", "arg?": "text", "schemes?": "texts"},
    "command": {"pattern": "text or texts", "arg?": "text", "also?": "texts"},
    "command_within": {
        "pattern": "text or texts",
        "root": "text",
        "arg?": "text",
        "cwd?": "text",
        "also?": "texts",
    },
}
"""For each kind of match: its keys and what they hold; those with `?` may be left out."""

_TOP = {"default?": "default", "rules?": "any"}
_RULE = {"decision": "decision", "tool": "text", "match?": "tables", "reason?": "words"}


def load_rules(path: str | os.PathLike[str], *, base: str | os.PathLike[str] | None = None) -> RuleFile:
    """The rules of a `.toml` or `.json` file.

    Args:
        path: The file.
        base: Folder that relative roots start from; the file's own by default.

    Raises:
        ConfigError: The file cannot be read, or holds a key, a value or a rule that is wrong, unknown or
            there twice. The text names the file, the line, the rule and the key.
    """
    file = Path(path)
    data, lines = _parsed(file)
    return rules_of(data, file.name, lines, base=file.parent if base is None else base, shown=str(file))


def rules_of(
    data: object, name: str, lines: Lines, *, base: str | os.PathLike[str], shown: str | None = None
) -> RuleFile:
    """The rules that plain data says, as it comes out of a rule file.

    Args:
        data: `{"default": …, "rules": [{"decision": …, "tool": …, "match": …, "reason": …}, …]}`.
        name: The file, as it stands in each rule's `source`.
        lines: Where things stand in it.
        base: Folder that relative roots start from.
        shown: The file, as it stands in errors; *name* by default.

    Raises:
        ConfigError: As `load_rules`.
    """
    return _Reader(name, shown or name, lines, Path(base)).read(data)


def _parsed(file: Path) -> tuple[object, Lines]:
    if file.suffix.lower() not in (".toml", ".json"):
        raise ConfigError(f"{file}: a rule file is called *.toml or *.json")
    try:
        if file.stat().st_size > LARGEST:
            raise ConfigError(f"{file}: larger than {LARGEST:,} bytes")
        text = file.read_bytes().decode("utf-8")
    except OSError as problem:
        raise ConfigError(f"{file}: cannot be read ({problem.strerror or problem})") from None
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{file}: no UTF-8 text (byte {problem.start + 1})") from None
    try:
        return _from_toml(text) if file.suffix.lower() == ".toml" else _from_json(text)
    except RecursionError:
        raise ConfigError(f"{file}: nested too deep") from None
    except json.JSONDecodeError as problem:
        raise ConfigError(f"{file}:{problem.lineno}: not JSON: {problem.msg}") from None
    except _Twice as problem:
        line, key = problem.args
        raise ConfigError(f"{file}:{line}: the key {key!r:.60} stands there twice") from None
    except ValueError as problem:
        raise ConfigError(f"{file}{_line_in(str(problem), text)}: not TOML or JSON: {problem}") from None


def _line_in(message: str, text: str) -> str:
    if message.endswith("(at end of document)"):
        return f":{text.count(chr(10)) + 1}"
    words = message.replace(",", "").split("line ")
    number = words[-1].split(" ")[0] if len(words) > 1 else ""
    return f":{number}" if number.isdigit() else ""


def _from_toml(text: str) -> tuple[object, Lines]:
    import tomllib  # only rule files need it

    data = tomllib.loads(text)
    rules = data.get("rules")
    return data, toml_lines(text, len(rules) if isinstance(rules, list) else 0)


def _from_json(text: str) -> tuple[object, Lines]:
    twice: list[str] = []
    no_numbers: list[str] = []

    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice.extend(name for name in made if names.count(name) > 1)
        return made

    data = json.loads(text, object_pairs_hook=once, parse_constant=no_numbers.append)
    if no_numbers:
        line = line_of(text, no_numbers[0])
        raise ValueError(f"{no_numbers[0]} is no JSON number, line {line}")
    lines = json_lines(text)
    if twice:
        raise _Twice(lines.twice, twice[0])
    return data, lines


class _Twice(Exception):
    pass


class _Reader:
    def __init__(self, name: str, shown: str, lines: Lines, base: Path) -> None:
        self.name, self.shown, self.lines, self.base = name, shown, lines, base

    def read(self, data: object) -> RuleFile:
        top = self._table(data, _TOP, ())
        entries = top.get("rules", [])
        if not isinstance(entries, list):
            self._refuse(("rules",), "rules is a list of tables, each written as [[rules]]")
        rules, seen = [], dict[str, int]()
        for number, entry in enumerate(entries):
            place = ("rules", number)
            rules.append(self._rule(entry, place))
            same = seen.setdefault(_identity(entry), number)
            if same != number:
                self._refuse(place, f"says the same as rule {same + 1}, or the opposite of it; keep one")
        return RuleFile(tuple(rules), PermissionDecision(top.get("default", "deny")))

    def _rule(self, entry: object, place: Place) -> PermissionRule:
        table = self._table(entry, _RULE, place)
        matcher = self._matcher(table["match"], (*place, "match")) if "match" in table else None
        decision, line = PermissionDecision(table["decision"]), self.lines.of(place)
        source = f"{self.name}:{line}" if line else self.name
        try:
            return PermissionRule(table["tool"], decision, matcher, table.get("reason", ""), source)
        except ConfigError as problem:
            self._refuse((*place, "tool"), str(problem))

    def _matcher(self, match: object, place: Place) -> Described:
        if not isinstance(match, list):
            return self._one(match, place)
        matchers = [self._one(entry, (*place, number)) for number, entry in enumerate(match)]
        return matchers[0] if len(matchers) == 1 else _All(tuple(matchers))

    def _one(self, match: object, place: Place) -> Described:
        kind = match.get("kind") if isinstance(match, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            self._refuse((*place, "kind"), f"kind is one of {', '.join(KINDS)}, not {kind!r:.60}")
        table = self._table(match, {"kind": "text", **KINDS[kind]}, place)
        try:
            return _MADE[kind](table, self.base)
        except ConfigError as problem:
            self._refuse(place, str(problem))

    def _table(self, value: object, keys: Mapping[str, str], place: Place) -> dict[str, Any]:
        """*value* as a table with these keys, all checked."""
        if not isinstance(value, dict):
            self._refuse(place, f"here belongs a table, not {type(value).__name__}")
        allowed = {key.removesuffix("?"): shape for key, shape in keys.items()}
        for key, given in value.items():
            if key not in allowed:
                near = get_close_matches(str(key), allowed, 1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                self._refuse((*place, key), f"unknown key {key!r:.60}; {hint}known: {', '.join(allowed)}")
            told, fits = _SHAPES[allowed[key]]
            if not fits(given):
                self._refuse((*place, key), f"{key} is {told}, not {given!r:.60}")
        for key in keys:
            if not key.endswith("?") and key not in value:
                self._refuse(place, f"the key {key!r} is missing")
        return value

    def _refuse(self, place: Place, problem: str) -> NoReturn:
        line = self.lines.of(place) if place else 1
        rule = f"rule {place[1] + 1}: " if len(place) > 1 and isinstance(place[1], int) else ""
        raise ConfigError(f"{self.shown}{f':{line}' if line else ''}: {rule}{problem}")


def _identity(entry: Any) -> str:
    return json.dumps([entry["tool"].casefold(), entry.get("match")], sort_keys=True, default=str)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _only(table: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: table[key] for key in keys if key in table}


def _start(table: Mapping[str, Any], base: Path) -> Path | None:
    return base / table["cwd"] if "cwd" in table else None


_MADE: dict[str, Callable[[Mapping[str, Any], Path], Described]] = {
    "equals": lambda t, base: equals(t["value"], arg=t["arg"]),
    "one_of": lambda t, base: one_of(*t["values"], arg=t["arg"]),
    "regex": lambda t, base: regex(t["pattern"], arg=t["arg"]),
    "path_within": lambda t, base: path_within(
        base / t["root"], cwd=_start(t, base), **_only(t, "arg", "default")
    ),
    "url_host": lambda t, base: url_host(
        *_listed(t["hosts"]), **_only(t, "arg"), schemes=tuple(t.get("schemes", ("https", "http")))
    ),
    "command": lambda t, base: command_matcher(t["pattern"], **_only(t, "arg", "also")),
    "command_within": lambda t, base: command_within(
        t["pattern"], base / t["root"], cwd=_start(t, base), **_only(t, "arg", "also")
    ),
}
