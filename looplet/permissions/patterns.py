"""What a pattern such as `git status*` says of a command, for rules that allow and rules that deny."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache

from looplet.errors import ConfigError
from looplet.permissions.globs import glob
from looplet.permissions.matcher import Unsure
from looplet.permissions.runs import Patterned, name_of, names_program, opens, reach
from looplet.permissions.shell import Command, commands_of

MOST_COMMANDS = 256
"""Simple commands of one text."""

MOST_NAMES, LONGEST_NAME = 16, 100
"""Patterns for file names that may stand for a program, and characters of one."""

_FLAGS = re.compile(r"-([A-Za-z0-9]+)\*?")


@dataclass(frozen=True, slots=True)
class Run:
    """A command as a rule that denies sees it: without its folder, in lower case."""

    text: str
    words: tuple[str, ...]
    options: bool
    known: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A command of a text, all that it may run, and what of that cannot be told."""

    command: Command
    runs: tuple[Run, ...]
    problem: str
    patterned: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A shell text, taken apart once for all rules.

    Attributes:
        seen: Its commands, in order.
        problem: Why it cannot be explained, or an empty text.
        programs: The names of all that it may run, in lower case; None where that cannot be told.
        patterned: For each program that is named by a pattern for file names: whether a name fits it.
    """

    seen: tuple[Seen, ...]
    problem: str
    programs: frozenset[str] | None
    patterned: tuple[Callable[[str], bool], ...] = ()


@lru_cache(maxsize=64)
def taken_apart(text: str) -> Text:
    """*text*, taken apart; remembered, because thousands of rules may ask about one text."""
    try:
        commands = commands_of(text)
    except Unsure as problem:
        return Text((), str(problem), None)
    if len(commands) > MOST_COMMANDS:
        return Text((), f"more than {MOST_COMMANDS} commands", None)
    seen = tuple(_look(command) for command in commands)
    programs = frozenset(run.words[0] for each in seen for run in each.runs)
    names = dict.fromkeys(name for each in seen for name in each.patterned)
    if len(names) > MOST_NAMES or any(len(name) > LONGEST_NAME for name in names):
        return Text((), "too many patterns for file names, or one too long", None)
    fits = tuple(_fitting(name) for name in names)
    return Text(seen, "", None if any(each.problem for each in seen) else programs, fits)


def _fitting(name: str) -> Callable[[str], bool]:
    compiled = re.compile(translate(name))
    return lambda text: compiled.match(text) is not None


def _look(command: Command) -> Seen:
    runs: list[Run] = []
    patterned: dict[str, None] = {}
    known = all(word.known for word in command.words)
    try:
        for words in reach(command):
            plain = [name_of(words[0]), *words[1:]]
            options = any(word.startswith("-") for word in plain[1:])
            low = tuple(word.lower() for word in plain)
            runs.append(Run(spelled(plain).lower(), low, options, known))
            if isinstance(words[0], Patterned):
                patterned[low[0]] = None
    except Unsure as problem:
        return Seen(command, tuple(runs), str(problem), tuple(patterned))
    return Seen(command, tuple(runs), "", tuple(patterned))


@dataclass(frozen=True, slots=True)
class Pattern:
    """A glob over the words of a simple command, joined by blanks."""

    text: str
    _exact: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    _loose: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    _alone: str = field(init=False, repr=False, compare=False)
    _first: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    name: str = field(init=False, repr=False, compare=False)
    words: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _options: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = self.text.split()
        if not words:
            raise ConfigError("a command pattern is a text such as 'git status*', and not empty")
        loose = " ".join([name_of(words[0]), *words[1:]]).lower()
        object.__setattr__(self, "_exact", glob(self.text))
        object.__setattr__(self, "_loose", glob(loose))
        object.__setattr__(self, "_alone", loose.removesuffix(" *"))
        object.__setattr__(self, "_first", glob(name_of(words[0]).lower()))
        object.__setattr__(self, "name", name_of(words[0]).lower().strip("*?"))
        object.__setattr__(self, "words", tuple(words))
        object.__setattr__(self, "_options", any(word.startswith("-") for word in words))

    def covers(self, words: Sequence[str]) -> bool:
        """Whether a rule that allows this pattern allows a command of these words.

        Raises:
            Unsure: The command fits, and runs another that the pattern does not name.
        """
        if not self._exact(spelled(words)):
            return False
        opened = opens(words)
        if opened is None or self.text == "*" or self._names(opened, words):
            return True
        raise Unsure(f"{words[0]} {opened if opened != words[0] else ''}runs more than {self.text!r} names")

    def _names(self, opened: str, words: Sequence[str]) -> bool:
        fixed: list[str] = []
        for word in self.words:
            if word[0] in "*?":
                break
            fixed.append(word.split("*")[0].split("?")[0])
            if "*" in word or "?" in word:
                break
        return opened in fixed[1:] if opened != words[0] else names_program(fixed[1:])

    def touches(self, run: Run) -> bool:
        """Whether a rule that denies this pattern is about a command.

        Folders before the program, upper and lower case, and the order and grouping of options do not
        matter.
        """
        # A denied `rm *` is also about `rm` alone.
        if self._loose(run.text) or run.text == self._alone:
            return True
        return len(self.words) > 1 and (run.options or self._options) and self._scattered(run.words)

    def may_touch(self, run: Run) -> bool:
        """Whether the pattern is about the program of a command, whatever its arguments."""
        return self._first(run.words[0])

    def may_expand(self, command: Command) -> bool:
        """Whether a pattern for file names may become the second word, as in `git pus?`."""
        first, *words = [word.text.lower() for word in command.words] or [""]
        if len(self.words) < 2 or self.words[1][0] in "-*?" or not self._first(name_of(first)):
            return False
        wanted, before = self.words[1].strip("*?").lower(), ""
        for given, word in zip(command.words[1:], words, strict=True):
            if given.glob and (len(word) > LONGEST_NAME or _fitting(word)(wanted)):
                return True
            if "-" not in (before[:1], word[:1]):
                return False
            before = word
        return False

    def _scattered(self, words: Sequence[str]) -> bool:
        """Whether the pattern's words stand among *words* in its order, options anywhere."""
        if not self._first(words[0]):
            return False
        given = {letter for word in words[1:] if (found := _FLAGS.fullmatch(word)) for letter in found[1]}
        spelled_out = any(word.startswith("--") and len(word) > 2 for word in words[1:])
        rest, anywhere = iter(words[1:]), not words[1:2] or words[1].startswith("-")
        for part in self.words[1:]:
            part = part.lower()
            flags = _FLAGS.fullmatch(part)
            if flags:
                if not spelled_out and not given.issuperset(flags[1]):
                    return False
            elif part.strip("*?") and not _found(glob(part), rest if anywhere else [words[1]]):
                return False
            anywhere = True
        return True


def _found(wanted: Callable[[str], bool], words: Iterable[str]) -> bool:
    return any(wanted(word) for word in words)


def spelled(words: Sequence[str]) -> str:
    """A command as one text: words joined by blanks, those with blanks or quotes in quotes."""
    return " ".join(
        word if word and not re.search(r"[\s'\"\\]", word) else "'" + word.replace("'", "'\\''") + "'"
        for word in words
    )
