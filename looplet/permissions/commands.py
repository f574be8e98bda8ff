"""Matchers for shell commands: `command_matcher` and `command_within`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from os import PathLike
from typing import Any

from looplet.errors import ConfigError
from looplet.permissions.globs import glob
from looplet.permissions.matcher import Described, Unsure, argument
from looplet.permissions.paths import Root
from looplet.permissions.runs import name_of, names_program, opens, reach
from looplet.permissions.shell import Command, Word, commands_of

MOST_COMMANDS = 256
"""Simple commands of one text."""

MOST_WORDS = 512
"""Words of a text whose paths are looked up."""

_FLAGS = re.compile(r"-([A-Za-z0-9]+)\*?")


@dataclass(frozen=True, slots=True)
class _Run:
    """A command as a rule that denies sees it: without its folder, in lower case."""

    text: str
    words: tuple[str, ...]
    options: bool
    known: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """A command of a text, all that it may run, and what of that cannot be told."""

    command: Command
    runs: tuple[_Run, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class _Text:
    """A shell text, taken apart once for all rules.

    `programs` holds the names of all that it may run, or None where that cannot be told.
    """

    seen: tuple[_Seen, ...]
    problem: str
    programs: frozenset[str] | None


@lru_cache(maxsize=64)
def _taken_apart(text: str) -> _Text:
    try:
        commands = commands_of(text)
    except Unsure as problem:
        return _Text((), str(problem), None)
    if len(commands) > MOST_COMMANDS:
        return _Text((), f"more than {MOST_COMMANDS} commands", None)
    seen = tuple(_look(command) for command in commands)
    programs = frozenset(run.words[0] for each in seen for run in each.runs)
    return _Text(seen, "", None if any(each.problem for each in seen) else programs)


def _look(command: Command) -> _Seen:
    runs: list[_Run] = []
    known = all(word.known for word in command.words)
    try:
        for words in reach(command):
            plain = [name_of(words[0]), *words[1:]]
            options = any(word.startswith("-") for word in plain[1:])
            low = tuple(word.lower() for word in plain)
            runs.append(_Run(spelled(plain).lower(), low, options, known))
    except Unsure as problem:
        return _Seen(command, tuple(runs), str(problem))
    return _Seen(command, tuple(runs), "")


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A glob over the words of a simple command, joined by blanks."""

    text: str
    _exact: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    _loose: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    _alone: str = field(init=False, repr=False, compare=False)
    _first: Callable[[str], bool] = field(init=False, repr=False, compare=False)
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

    def touches(self, run: _Run) -> bool:
        """Whether a rule that denies this pattern is about a command.

        Folders before the program, upper and lower case, and the order and grouping of options do not
        matter.
        """
        # A denied `rm *` is also about `rm` alone.
        if self._loose(run.text) or run.text == self._alone:
            return True
        return len(self.words) > 1 and (run.options or self._options) and self._scattered(run.words)

    def may_touch(self, run: _Run) -> bool:
        """Whether the pattern is about the program of a command, whatever its arguments."""
        return self._first(run.words[0])

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


@dataclass(frozen=True)
class _Commands(Described):
    patterns: tuple[_Pattern, ...]
    arg: str
    also: frozenset[str]
    root: Root | None = None
    _programs: frozenset[str] = field(init=False, repr=False, compare=False)
    _any_program: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first = [name_of(pattern.words[0]).lower() for pattern in self.patterns]
        object.__setattr__(self, "_programs", frozenset(first))
        object.__setattr__(self, "_any_program", any("*" in name or "?" in name for name in first))

    def __call__(self, args: dict[str, Any]) -> bool:
        text = _taken_apart(argument(args, self.arg, str))
        if text.problem:
            raise Unsure(text.problem)
        if text.programs is not None and self._programs.isdisjoint(text.programs) and not self._any_program:
            return False
        touched = [True for each in text.seen if self._touches(each)]
        if not touched:
            return False
        self._refuse_oddities(args, [each.command for each in text.seen])
        return True

    def _touches(self, seen: _Seen) -> bool:
        """Whether a command is one of the patterns', seen as widely as a rule that denies must see it."""
        for run in seen.runs:
            for pattern in self.patterns:
                if pattern.touches(run):
                    return True
                if not run.known and pattern.may_touch(run):
                    raise Unsure("a variable in a command")
        if seen.problem:
            raise Unsure(seen.problem)
        return False

    def _refuse_oddities(self, args: dict[str, Any], commands: Sequence[Command]) -> None:
        """Raise `Unsure` unless every command is plain and covered."""
        extra = [
            n for n, value in args.items() if isinstance(value, (str, list, dict)) and n not in self.also
        ]
        extra = [name for name in extra if name != self.arg]
        if extra:
            raise Unsure(f"the argument {extra[0]!r} beside the command may change what it does")
        for command in commands:
            oddity = command.oddity()
            if oddity:
                raise Unsure(oddity)
            words = [word.text for word in command.words]
            if not any(pattern.covers(words) for pattern in self.patterns):
                raise Unsure(f"{words[0]!r:.60} is not covered")
        if self.root is not None:
            _stay_inside(commands, self.root)

    def __str__(self) -> str:
        told = " or ".join(repr(pattern.text) for pattern in self.patterns)
        return f"{self.arg} is {told}" + (f" inside {self.root}" if self.root else "")


def command_matcher(
    pattern: str | Sequence[str], *, arg: str = "command", also: Collection[str] = ("description",)
) -> Described:
    """Shell commands that fit *pattern*.

    A rule that allows it allows a text of which every simple command fits, joined by `&&`, `||`, `;`, `|`
    or newlines, with nothing in it that cannot be explained: no redirection, substitution, variable,
    background, assignment in front. A rule that denies it denies a text in which any command fits, also
    behind quotes, paths and programs that run others, or which cannot be explained.

    Args:
        pattern: As `git status*`, over the words without their quotes; `*` stands for any text. Several
            patterns may cover one text together.
        arg: The argument with the command.
        also: Arguments with text or structure that may stand beside it; others (an environment, a
            folder) are not explained.

    Raises:
        ConfigError: A pattern is empty or no text.
    """
    return _Commands(_patterns(pattern), arg, frozenset(also))


def command_within(
    pattern: str | Sequence[str],
    root: str | PathLike[str],
    *,
    arg: str = "command",
    cwd: str | PathLike[str] | None = None,
    also: Collection[str] = ("description",),
) -> Described:
    """Shell commands that fit *pattern* and name no path outside the folder *root*.

    Every word, and every part of one that may be a path, is looked up where it really is. Relative ones
    start from *cwd*, where the tool has to run; *root* by default. The rest is as with `command_matcher`.

    Raises:
        ConfigError: A pattern is empty or no text, or *root* or *cwd* cannot be a folder.
    """
    return _Commands(_patterns(pattern), arg, frozenset(also), Root(root, cwd))


def _patterns(pattern: str | Sequence[str]) -> tuple[_Pattern, ...]:
    texts = list(pattern) if isinstance(pattern, Sequence) and not isinstance(pattern, str) else [pattern]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ConfigError("command pattern: give a text such as 'git status*', or a list of them")
    return tuple(_Pattern(str(text)) for text in texts)


def _stay_inside(commands: Sequence[Command], root: Root) -> None:
    """Raise `Unsure` unless every path that the commands name is inside *root*."""
    if sum(len(command.words) for command in commands) > MOST_WORDS:
        raise Unsure(f"more than {MOST_WORDS} words")
    for command in commands:
        name = command.words[0].text
        if name in ("cd", "pushd", "popd", "chdir") and (len(commands) > 1 or len(command.words) == 1):
            raise Unsure(f"{name}, after which paths start elsewhere")
        for place, word in enumerate(command.words):
            if place or "/" in word.text:
                _check_word(word, root)


def _check_word(word: Word, root: Root) -> None:
    for part in _paths_in(word.text):
        if word.glob:
            root.check_glob(part)
        elif not root.holds(part):
            raise Unsure(f"{part!r:.80} is outside the folder")


def _paths_in(word: str) -> list[str]:
    """The word, and its ends that a program may take for a path."""
    parts = [word, *(word[at.end() :] for at in re.finditer(r"[=:,@]", word))]
    if re.match(r"-[A-Za-z0-9]", word):
        parts += [word[at:] for at in range(2, 9)]
        rooted = re.search(r"[/.~]", word)
        parts += [word[rooted.start() :]] if rooted else []
    return [part for part in parts if part not in ("", "-")]
