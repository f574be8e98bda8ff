"""The session log: what each step was for and what it found, in lines that a model can read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from looplet.plain import Plain

SUMMARY_TOOL = "__summary__"
"""The `tool` of an entry that stands for entries which `SessionLog.compact` took away."""

MODEL_SUMMARY_TOOL = "__compact_summary__"
"""The `tool` of an entry that holds a summary written by a model."""

Preserve: TypeAlias = "Callable[[LogEntry], bool] | Collection[object]"
"""Which entries a compaction must keep: a test, or a collection of step numbers, entities or recall keys."""

EntityFormatter: TypeAlias = "Callable[[set[str]], str | Iterable[str]]"
"""Turns the set of all entities into one or more lines."""

_Note: TypeAlias = tuple[int, str, str, str]
"""Step, theory, tool and reasoning of an entry that is not made yet, because nobody has looked at it."""

_SHOWN_ENTITIES = 20
_KEPT_FINDINGS = 8
_FINDING_CHARS = 4000
_MIN_COMPRESSIBLE = 3
_TIMELINE = 20
_LINE = "  S%s: %s — %.80s"
_RANGE = r"\[Compressed steps (\d+)-(\d+)\]"


@dataclass(slots=True, eq=False, repr=False)
class LogEntry(Plain):
    """What is remembered of one step.

    Attributes:
        step: The step's number; 0 for a summary of older steps.
        theory: What the agent believed at the time.
        tool: Name of the tool.
        reasoning: Why it was called.
        entities_seen: Things the result was about.
        findings: Sentences worth keeping.
        highlights: Entities worth pointing out.
        recall_key: Where the whole result can be asked for again.
    """

    step: int
    theory: str
    tool: str
    reasoning: str
    entities_seen: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    highlights: list[str] = field(default_factory=list)
    recall_key: str = ""

    def render(self, *, highlights_label: str = "highlights") -> str:
        """The entry as one line, with indented lines for what it found (two findings at most)."""
        text = _LINE % (self.step, self.tool, self.reasoning)
        if not (self.entities_seen or self.findings or self.highlights or self.recall_key):
            return text
        if self.entities_seen:
            text += f"\n    entities: {_joined(self.entities_seen[:8])}"
        if self.highlights:
            text += f"\n    {highlights_label}: {_joined(self.highlights)}"
        for finding in self.findings[:2]:
            text += f"\n    → {finding}"
        if self.recall_key:
            text += f"\n    [recall: {self.recall_key}]"
        return text


class SessionLog:
    """The entries of a run, and the theory in force.

    Attributes:
        current_theory: The latest theory that was recorded.

    Args:
        entity_formatter: Renders the set of all entities; the default lists the first 20 by name.
        title: What the rendered log is headed with.
        highlights_label: What highlights are called.
    """

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        drawn = (cls.render, cls.render_body) != (SessionLog.render, SessionLog.render_body)
        if drawn and cls.render_recent is SessionLog.render_recent:
            cls.render_recent = cls._render_own  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        entity_formatter: EntityFormatter | None = None,
        title: str = "SESSION LOG",
        highlights_label: str = "highlights",
    ) -> None:
        self._entries: list[LogEntry] = []
        self._notes: list[_Note] | None = []
        self.current_theory = ""
        self.title = title
        self.highlights_label = highlights_label
        self._entity_formatter = entity_formatter
        self._view = _View(highlights_label)

    @property
    def entries(self) -> list[LogEntry]:
        """The entries, oldest first: the list itself, not a copy.

        May be edited; replace an entry rather than changing an old one in place. A log that nobody looks into
        holds notes instead: it cannot have been edited, and its text costs what is new.
        """
        notes = self._notes
        if notes is not None:
            self._notes = None
            self._entries += [LogEntry(*note) for note in notes]
        return self._entries

    @entries.setter
    def entries(self, entries: list[LogEntry]) -> None:
        self._entries, self._notes = entries, None

    def record(
        self,
        step: int,
        theory: str,
        tool: str,
        reasoning: str,
        entities: Iterable[str] | None = None,
        findings: Iterable[str] | None = None,
        highlights: Iterable[str] | None = None,
        recall_key: str = "",
    ) -> None:
        """Add an entry. A blank *theory* means the one in force; any other becomes it."""
        if theory and theory.strip():
            self.current_theory = theory
        notes = self._notes
        if notes is not None and not (entities or findings or highlights or recall_key):
            notes.append((step, self.current_theory, tool, reasoning))
            return
        entry = LogEntry(
            step,
            self.current_theory,
            tool,
            reasoning,
            list(entities) if entities else [],
            list(findings) if findings else [],
            list(highlights) if highlights else [],
            recall_key,
        )
        self.entries.append(entry)

    def all_entities(self) -> set[str]:
        """Every entity and highlight of every entry."""
        return {name for entry in self.entries for name in (*entry.entities_seen, *entry.highlights)}

    def unknown(self, names: Iterable[str]) -> set[str]:
        """Those of *names* that no entry mentions, at a cost that does not grow with the log."""
        if self._notes is None:
            self._view.follow(self._entries, 1)
        return set(names) - self._view.entities

    def render(self) -> str:
        """The whole log with its header, or `""` when there are no entries."""
        body = self.render_body()
        return f"═══ {self.title} ═══\n{body}" if body else ""

    def render_body(self) -> str:
        """The whole log without its header line, or `""`."""
        if not self.entries:
            return ""
        entities = self.all_entities()
        shown = sorted(map(str, entities))[:_SHOWN_ENTITIES]
        lines = self._preamble(entities, shown)
        lines += [entry.render(highlights_label=self.highlights_label) for entry in self.entries]
        return "\n".join(lines)

    def render_recent(self, limit: int = 20) -> str:
        """The log with its header, at most *limit* entries long: the same as `render` while that is enough.

        Its cost does not grow with the log. A change made in place shows in the two newest entries only.
        A subclass with a `render` of its own is shown with that.
        """
        return "\n".join(self.recent_lines(limit))

    def _render_own(self, limit: int = 20) -> str:
        return self.render()

    def render_recent_body(self, limit: int = 20) -> str:
        """`render_recent` without the header line."""
        return "\n".join(self.recent_lines(limit)[1:])

    def recent_lines(self, limit: int = 20) -> list[str]:
        """What `render_recent` joins: the header, then what there is to tell; `[]` without entries."""
        notes, view = self._notes, self._view
        if notes is None:
            view.follow(self._entries, limit)
        else:
            view.follow_notes(notes)
        count = len(view.texts)
        if not count:
            return []
        if self.current_theory or view.entities:
            lines = [f"═══ {self.title} ═══", *self._preamble(view.entities, view.first_entities)]
        else:
            lines = [f"═══ {self.title} ═══", "Steps:"]
        if count > limit:
            lines.append(f"  … {count - limit} earlier steps")
        if limit > 0:
            lines += view.texts[-limit:]
        return lines

    def _preamble(self, entities: set[str], shown: list[str]) -> list[str]:
        lines = []
        if self.current_theory:
            lines += [f"Current theory: {self.current_theory}", ""]
        if entities and self._entity_formatter is not None:
            text = self._entity_formatter(entities)
            lines += [text] if isinstance(text, str) else list(text)
        elif entities:
            more = len(entities) - len(shown)
            tail = f" … and {more} more" if more else ""
            lines += [f"Entities discovered: {', '.join(shown)}{tail}", ""]
        lines.append("Steps:")
        return lines

    def render_compact(self, entries: list[LogEntry] | None = None) -> str:
        """A short summary of *entries* (all of them by default), the same text for the same entries."""
        entries = self.entries if entries is None else entries
        if not entries:
            return ""
        first, last = _span(entries)
        lines = [f"[Compressed steps {first}-{last}, {len(entries)} entries]"]
        tools = Counter(entry.tool for entry in entries if entry.tool not in _SUMMARIES)
        highlights = _unique(name for entry in entries for name in entry.highlights)
        findings = _unique(finding[:120] for entry in entries for finding in entry.findings)
        parts = (
            ("Tools used: ", ", ".join(f"{tool}×{count}" for tool, count in tools.items())),
            ("Theories: ", " → ".join(_unique(entry.theory for entry in entries if entry.theory)[-5:])),
            (f"{self.highlights_label.capitalize()}: ", _joined(highlights)),
            ("Entities: ", _joined(_unique(name for entry in entries for name in entry.entities_seen))),
            ("Key findings:", _bullets(findings[-_KEPT_FINDINGS:])),
            ("Timeline:", _timeline(entries)),
        )
        lines += [f"{label}{text}" for label, text in parts if text]
        return "\n".join(lines)

    def compact(self, max_entries_to_keep: int = 5, must_preserve: Preserve | None = None) -> bool:
        """Replace all but the newest entries by one summary entry; the set of entities stays the same.

        The summary holds at most eight findings, so a log that is compacted again and again does not grow.

        Args:
            max_entries_to_keep: How many of the newest entries stay; 0 keeps none.
            must_preserve: Older entries to keep as they are.

        Returns:
            Whether anything was replaced: that needs three older entries which may be summarised.
        """
        cut = len(self.entries) - max(0, max_entries_to_keep)
        if cut <= 0:
            return False
        keep = _keeper(must_preserve)
        old = self.entries[:cut]
        squeezed = [entry for entry in old if not keep(entry)]
        if len(squeezed) < _MIN_COMPRESSIBLE:
            return False
        preserved = [entry for entry in old if keep(entry)]
        self.entries[:cut] = [_merged(squeezed), *preserved]
        return True

    def to_list(self) -> list[dict[str, Any]]:
        """One dict for each entry, with the names of its fields as keys."""
        return [
            {
                "step": entry.step,
                "theory": entry.theory,
                "tool": entry.tool,
                "reasoning": entry.reasoning,
                "entities_seen": list(entry.entities_seen),
                "findings": list(entry.findings),
                "highlights": list(entry.highlights),
                "recall_key": entry.recall_key,
            }
            for entry in self.entries
        ]


class _View:
    """Texts and entities of the entries seen so far, so that a render costs what is new."""

    def __init__(self, highlights_label: str) -> None:
        self._label = highlights_label
        self._forget()

    def _forget(self) -> None:
        self._seen: list[LogEntry] = []
        self.texts: list[str] = []
        self.entities: set[str] = set()
        self.first_entities: list[str] = []

    def follow_notes(self, notes: list[_Note]) -> None:
        """Take in what was appended to *notes*, which nobody can have edited."""
        texts = self.texts
        for step, _, tool, reasoning in notes[len(texts) :]:
            texts.append(_LINE % (step, tool, reasoning))

    def follow(self, entries: list[LogEntry], limit: int) -> None:
        """Take in what was appended; start again if the entries were edited otherwise."""
        known = len(self._seen)
        tail = known - limit if known > limit else 0
        if known > len(entries) or self._seen[tail:] != entries[tail:known]:
            self._forget()
        start = len(self._seen) - 1 if self._seen else 0
        fresh = entries[start:]  # with the newest that is known, which may have been changed since
        self._seen[start:] = fresh
        texts = self.texts
        del texts[start:]
        for entry in fresh:
            if entry.entities_seen or entry.highlights:
                self._add((*entry.entities_seen, *entry.highlights))
            elif not (entry.findings or entry.recall_key):
                texts.append(_LINE % (entry.step, entry.tool, entry.reasoning))
                continue
            texts.append(entry.render(highlights_label=self._label))

    def _add(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.entities:
                self.entities.add(name)
                self.first_entities = sorted([*self.first_entities, str(name)])[:_SHOWN_ENTITIES]


_SUMMARIES = frozenset({SUMMARY_TOOL, MODEL_SUMMARY_TOOL})


def _merged(entries: list[LogEntry]) -> LogEntry:
    first, last = _span(entries)
    carried = _unique(f for entry in entries if entry.tool in _SUMMARIES for f in entry.findings)
    fresh = _unique(f for entry in entries if entry.tool not in _SUMMARIES for f in entry.findings)
    # What a model summarised comes first: it stands for the most. Of the rest the newest stay.
    findings = carried[:2] + (carried[2:] + fresh)[-(_KEPT_FINDINGS - len(carried[:2])) :]
    return LogEntry(
        step=0,
        theory=next((entry.theory for entry in reversed(entries) if entry.theory), ""),
        tool=SUMMARY_TOOL,
        reasoning=f"[Compressed steps {first}-{last}]",
        entities_seen=_unique(name for entry in entries for name in entry.entities_seen),
        findings=[finding[:_FINDING_CHARS] for finding in findings],
        highlights=_unique(name for entry in entries for name in entry.highlights),
    )


def _span(entries: list[LogEntry]) -> tuple[int, int]:
    steps: list[int] = []
    for entry in entries:
        known = re.match(_RANGE, entry.reasoning) if entry.tool == SUMMARY_TOOL else None
        steps += [int(known[1]), int(known[2])] if known else [entry.step]
    return min(steps), max(steps)


def _keeper(must_preserve: Preserve | None) -> Callable[[LogEntry], bool]:
    if must_preserve is None:
        return lambda entry: False
    if callable(must_preserve):
        return must_preserve
    wanted = set(must_preserve)
    return lambda entry: (
        not wanted.isdisjoint((entry.step, entry.recall_key, *entry.entities_seen, *entry.highlights))
    )


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _joined(names: list[str]) -> str:
    # A summary stands for any number of entries, and its text must not grow with them.
    text = ", ".join(map(str, names[:_SHOWN_ENTITIES]))
    more = len(names) - _SHOWN_ENTITIES
    return f"{text} … and {more} more" if more > 0 else text


def _bullets(lines: list[str]) -> str:
    return "".join(f"\n  → {line}" for line in lines)


def _timeline(entries: list[LogEntry]) -> str:
    earlier = len(entries) - _TIMELINE
    lines = [f"\n  … {earlier} earlier"] if earlier > 0 else []
    for entry in entries[-_TIMELINE:]:
        lines.append(f"\n  S{entry.step} {entry.tool}: {entry.reasoning[:60]}")
    return "".join(lines)
