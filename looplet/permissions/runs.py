"""Programs that run other programs, and what they would run.

Two questions are asked of a simple command. What may it run besides itself (`reach`, for rules that
deny: rather too much than too little)? And does it run anything that its own first word does not tell
(`opens`, for rules that allow)?
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from looplet.permissions.matcher import Unsure
from looplet.permissions.programs import (
    AWK_RUNS,
    BUILTINS,
    INLINE,
    INLINE_OPTION,
    OPTIONS,
    RISKY_NAMES,
    RUNNERS,
    SED_RUNS,
    SHELLS,
    TEXT_RUNNERS,
)
from looplet.permissions.shell import Command, commands_of

DEEPEST = 8
"""Shell texts inside shell texts that are followed."""

WIDEST = 256
"""Words of a command that runs others."""

_SHELL_TEXT = re.compile(r"(?=..).*[\s;&|<>`$()]", re.DOTALL)
_NO_PROGRAM = re.compile(r"-.*|[0-9.]+[smhd]?|[A-Za-z_]\w*=.*|\.|\{\}|[;+]", re.DOTALL)


def name_of(word: str) -> str:
    """The program that a command's first word names, without its folder."""
    return word.rsplit("/", 1)[-1]


def _kind(word: str) -> str:
    return name_of(word).lower().removesuffix(".exe")


def reach(command: Command) -> Iterator[list[str]]:
    """The words of *command*, then of everything it may run, as far as that stands in it.

    Raises:
        Unsure: What it runs cannot be told from the text.
    """
    return _reach(command, DEEPEST, set())


def _reach(command: Command, depth: int, texts: set[str]) -> Iterator[list[str]]:
    risky = next((name for name in command.assigned if RISKY_NAMES.fullmatch(name)), None)
    if risky:
        raise Unsure(f"{risky}=… in front of a command changes what runs")
    words = [word.text for word in command.words]
    if not words:
        return
    yield words
    starts = [0]
    name = _kind(words[0])
    if name in RUNNERS:
        if len(words) > WIDEST or not all(word.known for word in command.words):
            raise Unsure(f"{name!r} with a variable, or with more than {WIDEST} words")
        starts = list(range(len(words)))
    if name in BUILTINS and len(words) > 1:
        raise Unsure(f"{name!r} may change what later commands mean")
    for start in starts:
        if start:
            yield words[start:]
        for text in _texts_in(words[start:], all(word.known for word in command.words)):
            if text not in texts:
                texts.add(text)
                yield from _nested(text, depth, texts)
        _refuse_code(words[start:], certain=not start)


def _nested(text: str, depth: int, texts: set[str]) -> Iterator[list[str]]:
    if depth == 0:
        raise Unsure("commands nested too deep")
    for command in commands_of(text):
        yield from _reach(command, depth - 1, texts)


def _texts_in(words: list[str], known: bool) -> Iterator[str]:
    """The shell texts that the program *words[0]* is given."""
    name, args = _kind(words[0]), words[1:]
    if name in SHELLS:
        if not known:
            raise Unsure("a shell with a variable")
        yield from _given_to_shell(args)
    elif name == "eval":
        yield " ".join(args)
    elif name in TEXT_RUNNERS:
        for word in args:
            yield from (part for part in (word, word.partition("=")[2]) if _SHELL_TEXT.match(part))


def _given_to_shell(args: list[str]) -> list[str]:
    operands = [arg for arg in args if not arg.startswith(("-", "+"))]
    options = [arg for arg in args if arg.startswith("-")]
    if any(re.fullmatch(r"-[A-Za-z]*c[A-Za-z]*|--command(=.*)?", option) for option in options):
        return operands
    if not operands or any(re.fullmatch(r"-[A-Za-z]*s[A-Za-z]*", option) for option in options):
        raise Unsure("a shell that reads its commands from elsewhere")
    return []


def _refuse_code(words: Sequence[str], *, certain: bool) -> None:
    """Raise `Unsure` for a program that is given code of its own, or told to run something."""
    name, args = _kind(words[0]), words[1:]
    if INLINE.fullmatch(name) and ((certain and not args) or _inline_option(args)):
        raise Unsure(f"{name} runs code that is not a command")
    if name in ("awk", "gawk", "mawk", "nawk") and any(AWK_RUNS.search(arg) for arg in args):
        raise Unsure(f"{name} runs code that is not a command")
    if name in ("sed", "gsed") and any(SED_RUNS.search(arg) for arg in args):
        raise Unsure(f"{name} may run a command")
    option = None if name in RUNNERS else told_to_run(words)
    if option is not None:
        raise Unsure(f"{name} {option!r:.40} may run another program")


def _inline_option(args: Sequence[str]) -> str | None:
    """The option that brings code, among those before the script or module."""
    for arg in args:
        if INLINE_OPTION.fullmatch(arg):
            return arg
        if not arg.startswith("-"):
            return None
    return None


def told_to_run(words: Sequence[str]) -> str | None:
    """The argument with which a program is told to run another, or None."""
    name, args = _kind(words[0]), words[1:]
    if name == "git":
        first = _git_option(args)
        if first is not None:
            return first
    pattern = OPTIONS.get(name)
    return next((arg for arg in args if pattern and pattern.fullmatch(arg)), None)


def _git_option(args: Sequence[str]) -> str | None:
    """The option before git's sub-command that can make it run anything."""
    rest = iter(args)
    for arg in rest:
        if re.match(r"-c|--config-env|--exec-path=", arg):
            return arg
        if not arg.startswith("-"):
            return None
        if arg in ("-C", "--git-dir", "--work-tree", "--namespace"):
            next(rest, None)
    return None


def opens(words: Sequence[str]) -> str | None:
    """What in a command makes it run more than its first word says; None if nothing does.

    For a runner that is its first word; else the argument that tells the program to run another.
    """
    name, args = _kind(words[0]), words[1:]
    if name in ("find", "fd", "fdfind"):
        return told_to_run(words)
    if name in RUNNERS or name in SHELLS or (name in BUILTINS and args):
        return words[0]
    try:
        _refuse_code(words, certain=True)
    except Unsure:
        return told_to_run(words) or _inline_option(args) or words[0]
    return None


def names_program(words: Sequence[str]) -> bool:
    """Whether one of *words*, the fixed ones of a pattern after its first, can be a program's name."""
    return any(not _NO_PROGRAM.fullmatch(word) for word in words)
