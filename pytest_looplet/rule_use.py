"""Which permission rules decided something in a session, which never did, and what ran without any."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from looplet.engine.observe import Decision
from looplet.text import escape_terminal
from looplet.trajectory import Trajectory

MOST_LINES = 12
"""Lines in the terminal without -v."""


@dataclass(frozen=True, slots=True, order=True)
class RuleRow:
    """One rule of one place, in all runs of a session.

    Attributes:
        source: Where it is written, as `rules.toml:12`; empty if that is not known.
        rule: What it says.
        allowed: Calls that it let run.
        denied: Calls that it did not, also because nobody agreed to them.
    """

    source: str
    rule: str
    allowed: int = 0
    denied: int = 0

    @property
    def decided(self) -> int:
        """Calls that it decided about."""
        return self.allowed + self.denied


@dataclass(frozen=True, slots=True)
class RuleUse:
    """What became of the rules.

    Attributes:
        rules: All rules that could have decided, by place.
        unruled: How often each tool ran because of an engine's default, and no rule was about it.
    """

    rules: tuple[RuleRow, ...] = ()
    unruled: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rules or self.unruled)

    @property
    def unused(self) -> tuple[RuleRow, ...]:
        """The rules that never decided anything."""
        return tuple(row for row in self.rules if not row.decided)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        rules = [
            {"rule": row.rule, "source": row.source, "allowed": row.allowed, "denied": row.denied}
            for row in self.rules
        ]
        return {"rules": rules, "unruled": dict(self.unruled)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RuleUse:
        """What `to_dict` gave. Raises KeyError, TypeError or ValueError for anything else."""
        return joined(
            [
                cls(
                    tuple(
                        RuleRow(row["source"], row["rule"], int(row["allowed"]), int(row["denied"]))
                        for row in content["rules"]
                    ),
                    {str(tool): int(count) for tool, count in content["unruled"].items()},
                )
            ]
        )


def use_of(hooks: Sequence[object], run: Trajectory, *, done_tool: str = "done") -> RuleUse:
    """What the engines among *hooks* decided in *run*, and which of their rules did not come up."""
    if "looplet.permissions" not in sys.modules:  # then no hook is one of its
        return RuleUse()
    from looplet.permissions import PermissionHook

    engines = [hook.engine for hook in hooks if isinstance(hook, PermissionHook)]
    if not engines:
        return RuleUse()
    rows = [RuleRow(rule.source, _named(str(rule), rule.source)) for e in engines for rule in e.rules]
    unruled: Counter[str] = Counter()
    for decision in _decisions(run):
        rule, source = decision.details.get("rule"), decision.details.get("source", "")
        if rule == "default":
            # The call that ends a run needs no rule.
            unruled[decision.tool] += decision.verdict == "allow" and decision.tool != done_tool
        elif isinstance(rule, str):
            allowed = int(decision.verdict == "allow")
            rows.append(RuleRow(source, _named(rule, source), allowed, 1 - allowed))
    return joined([RuleUse(tuple(rows), {tool: count for tool, count in unruled.items() if count})])


def _decisions(run: Trajectory) -> Iterator[Decision]:
    yield from run.decisions
    for child in run.children:
        yield from _decisions(child)


def _named(rule: str, source: str) -> str:
    """A rule's decision and tool; the rest stands at its place, and may name a folder of one run."""
    return rule.partition(" (")[0] if source else rule


def joined(parts: Iterable[RuleUse]) -> RuleUse:
    """All *parts* together, the same in any order."""
    allowed: Counter[tuple[str, str]] = Counter()
    denied: Counter[tuple[str, str]] = Counter()
    unruled: Counter[str] = Counter()
    for part in parts:
        for row in part.rules:
            allowed[row.source, row.rule] += row.allowed
            denied[row.source, row.rule] += row.denied
        unruled.update(part.unruled)
    rows = (RuleRow(*key, allowed[key], denied[key]) for key in allowed)
    return RuleUse(tuple(sorted(rows, key=_place)), dict(sorted(unruled.items())))


def _place(row: RuleRow) -> tuple[str, int, str]:
    file, _, line = row.source.rpartition(":")
    return (file, int(line), row.rule) if line.isdigit() else (row.source, 0, row.rule)


use_key = pytest.StashKey[RuleUse]()
_noting = threading.Lock()


def note_use(config: pytest.Config, use: RuleUse) -> None:
    """Add *use* to that of this process."""
    if use:
        with _noting:
            config.stash[use_key] = joined([config.stash.get(use_key, RuleUse()), use])


def lines(use: RuleUse) -> list[str]:
    """What a person should know, in lines."""
    if not use:
        return []
    unused = use.unused
    decided = len(use.rules) - len(unused)
    told = [f"{decided} of {len(use.rules)} rules decided something"] if use.rules else []
    told += [f"never decided: {row.rule}{f' [{row.source}]' if row.source else ''}" for row in unused]
    told += [f"ran without any rule: {tool} ({count}x)" for tool, count in use.unruled.items()]
    return told


def show(terminal: pytest.TerminalReporter) -> None:
    """Print the lines, if there are any and the user wants to read that much."""
    told = lines(terminal.config.stash.get(use_key, RuleUse()))
    if not told or terminal.verbosity < 0:
        return
    terminal.section("looplet permissions", sep="=")
    most = len(told) if terminal.verbosity > 0 else MOST_LINES
    for line in told[:most]:
        terminal.write_line(escape_terminal(line))
    if len(told) > most:
        terminal.write_line(f"... {len(told) - most} more with -v")
