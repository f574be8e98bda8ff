"""Matchers for shell commands: `command_matcher` and `command_within`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from looplet.errors import ConfigError
from looplet.permissions.inside import stay_inside
from looplet.permissions.matcher import Described, Unsure, argument
from looplet.permissions.paths import Root
from looplet.permissions.patterns import Pattern, Seen, taken_apart
from looplet.permissions.runs import name_of, refuse_hidden
from looplet.permissions.shell import Command


@dataclass(frozen=True)
class _Commands(Described):
    patterns: tuple[Pattern, ...]
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
        text = taken_apart(argument(args, self.arg, str))
        if text.problem:
            raise Unsure(text.problem)
        named = any(fits(pattern.name) for fits in text.patterned for pattern in self.patterns)
        known = text.programs is not None and self._programs.isdisjoint(text.programs)
        if known and not named and not self._any_program:
            return False
        touched = [True for each in text.seen if self._touches(each)]
        if named and not touched:
            raise Unsure("a pattern for file names in the place of a program")
        if not touched:
            return False
        self._refuse_oddities(args, [each.command for each in text.seen])
        return True

    def _touches(self, seen: Seen) -> bool:
        """Whether a command is one of the patterns', seen as widely as a rule that denies must see it."""
        for run in seen.runs:
            for pattern in self.patterns:
                if pattern.touches(run):
                    return True
                if not run.known and pattern.may_touch(run):
                    raise Unsure("a variable in a command")
        if seen.problem:
            raise Unsure(seen.problem)
        if any(pattern.may_expand(seen.command) for pattern in self.patterns):
            raise Unsure("a pattern for file names in a command")
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
            refuse_hidden(command)
            words = [word.text for word in command.words]
            if not any(pattern.covers(words) for pattern in self.patterns):
                raise Unsure(f"{words[0]!r:.60} is not covered")
        if self.root is not None:
            stay_inside(commands, self.root)

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

    Every word, and every part of one that may be a path, is looked up where it really is, from *cwd*, where
    the tool has to run (*root* by default), and from each folder that the command names. A command that
    takes paths from elsewhere (a list, what it reads, a text in another language) is not covered, and one
    that follows links only where no link of *root* leads out. The rest is as with `command_matcher`.

    Raises:
        ConfigError: A pattern is empty or no text, or *root* or *cwd* cannot be a folder.
    """
    return _Commands(_patterns(pattern), arg, frozenset(also), Root(root, cwd))


def _patterns(pattern: str | Sequence[str]) -> tuple[Pattern, ...]:
    texts = list(pattern) if isinstance(pattern, Sequence) and not isinstance(pattern, str) else [pattern]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ConfigError("command pattern: give a text such as 'git status*', or a list of them")
    return tuple(Pattern(str(text)) for text in texts)
