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
    GIT_TOLD,
    INLINE,
    INLINE_OPTION,
    LONG_OPTIONS,
    OPTIONS,
    RISKY_NAMES,
    RUNNERS,
    RUNNING,
    SED_PLAIN,
    SHELLS,
    TEXT_RUNNERS,
    VALUED_OPTION,
)
from looplet.permissions.shell import Command, commands_of

DEEPEST = 8
"""Shell texts inside shell texts that are followed."""

WIDEST = 256
"""Words of a command that runs others."""

_SHELL_TEXT = re.compile(r"(?=..).*[\s;&|<>`$()]", re.DOTALL)
_PLACE = re.compile(r"-exec|-execdir|-ok|-okdir|-x|-X|-I|-i|--replace|-I\S+|--replace=\S+")
_NO_PROGRAM = re.compile(r"-.*|[0-9.]+[smhd]?|[A-Za-z_]\w*=.*|\.|\{\}|[;+]", re.DOTALL)


def name_of(word: str) -> str:
    """The program that a command's first word names, without its folder."""
    return word.rsplit("/", 1)[-1]


def kind_of(word: str) -> str:
    """The same in lower case, without the ending of a program on Windows."""
    return name_of(word).lower().removesuffix(".exe")


def reach(command: Command) -> Iterator[list[str]]:
    """The words of *command*, then of everything it may run, as far as that stands in it.

    Raises:
        Unsure: What it runs cannot be told from the text.
    """
    return _reach(command, DEEPEST, set())


def _reach(command: Command, depth: int, texts: set[str]) -> Iterator[list[str]]:
    words = [word.text for word in command.words]
    names = list(command.assigned)
    if words and (kind_of(words[0]) == "export" or kind_of(words[0]) in RUNNERS):
        names += [word.partition("=")[0] for word in words[1:] if "=" in word]
    risky = next((name for name in names if RISKY_NAMES.fullmatch(name)), None)
    if risky:
        raise Unsure(f"{risky}=… in front of a command changes what runs")
    if not words:
        return
    yield words
    starts = [0]
    name = kind_of(words[0])
    if name in RUNNERS or running(words):
        _refuse_given(name, words)
        if len(words) > WIDEST or not all(word.known for word in command.words):
            raise Unsure(f"{name!r} with a variable, or with more than {WIDEST} words")
        starts = list(range(len(words)))
    if name in BUILTINS and len(words) > 1:
        raise Unsure(f"{name!r} may change what later commands mean")
    for start in starts:
        if start:
            yield words[start:]
        for text in texts_in(words[start:], all(word.known for word in command.words)):
            if text not in texts:
                texts.add(text)
                yield from _nested(text, depth, texts)
        _refuse_code(words[start:], certain=not start)


def running(words: Sequence[str]) -> str | None:
    """The sub-command under which a program runs another, as `run` of `docker run`; None without."""
    given = RUNNING.get(kind_of(words[0]), ())
    return next((word for word in words[1:4] if word in given), None)


def _refuse_given(name: str, words: Sequence[str]) -> None:
    """Raise `Unsure` where a runner takes the name of a program from what it reads or finds."""
    last = kind_of(words[-1])
    if name == "parallel" and len(words) == 1:
        raise Unsure("parallel runs what it reads")
    if name in ("xargs", "parallel") and len(words) > 1:
        plain = [word for word in words[1:] if not _NO_PROGRAM.fullmatch(word)]
        if last in RUNNERS or (plain and kind_of(plain[-1]) in RUNNERS):
            raise Unsure(f"{name} gives {last!r:.40} what it reads")
    for before, marks, word in zip(words, ["", *words], words[1:], strict=False):
        if (word == "{}" and _PLACE.fullmatch(before)) or (marks == "-I" and word == before):
            raise Unsure(f"{name} runs what it reads or finds")


def _nested(text: str, depth: int, texts: set[str]) -> Iterator[list[str]]:
    if depth == 0:
        raise Unsure("commands nested too deep")
    for command in commands_of(text):
        yield from _reach(command, depth - 1, texts)


def texts_in(words: list[str], known: bool) -> Iterator[str]:
    """The shell texts that the program *words[0]* is given."""
    name, args = kind_of(words[0]), words[1:]
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
    told = r"-[A-Za-z]*[cC][A-Za-z]*|--(?:init-)?command(=.*)?"
    if any(re.fullmatch(told, option, re.DOTALL) for option in options):
        return [*operands, *(option.partition("=")[2] for option in options if "=" in option)]
    if not operands or any(re.fullmatch(r"-[A-Za-z]*s[A-Za-z]*", option) for option in options):
        raise Unsure("a shell that reads its commands from elsewhere")
    return []


def _refuse_code(words: Sequence[str], *, certain: bool) -> None:
    """Raise `Unsure` for a program that is given code of its own, or told to run something."""
    name, args = kind_of(words[0]), words[1:]
    if INLINE.fullmatch(name) and ((certain and not args) or _inline_option(args)):
        raise Unsure(f"{name} runs code that is not a command")
    if name in ("awk", "gawk", "mawk", "nawk") and any(AWK_RUNS.search(arg) for arg in args):
        raise Unsure(f"{name} runs code that is not a command")
    if name in ("sed", "gsed") and not all(SED_PLAIN.fullmatch(script) for script in sed_scripts(args)):
        raise Unsure(f"{name} may run a command")
    option = None if name in RUNNERS else told_to_run(words)
    if option is not None:
        raise Unsure(f"{name} {option!r:.40} may run another program")


def _inline_option(args: Sequence[str]) -> str | None:
    """The option that brings code, among those before the script or module."""
    rest = iter(args)
    for arg in rest:
        if VALUED_OPTION.fullmatch(arg):
            next(rest, None)
        elif INLINE_OPTION.fullmatch(arg):
            return arg
        elif not arg.startswith("-"):
            return None
    return None


def sed_scripts(args: Sequence[str]) -> list[str]:
    """The scripts in the arguments of sed: those of options, else the first that is no option."""
    told = re.compile(r"(?:-[nrEsuzi]*e|--expression=?)(.*)", re.DOTALL)
    scripts = [
        found[1] or following
        for arg, following in zip(args, [*args[1:], ""], strict=True)
        if (found := told.fullmatch(arg))
    ]
    if scripts or any(re.match(r"-[nrEsuz]*f|--file", arg) for arg in args):
        return scripts
    return [arg for arg in args if not arg.startswith("-")][:1]


def told_to_run(words: Sequence[str]) -> str | None:
    """The argument with which a program is told to run another, or None."""
    name, args = kind_of(words[0]), words[1:]
    if name == "git":
        first = _git_option(args)
        if first is not None:
            return first
    pattern = OPTIONS.get(name)
    if pattern is None:
        return None
    return next((arg for arg in args if pattern.fullmatch(arg) or _is_shortened(arg, name)), None)


def _is_shortened(arg: str, name: str) -> bool:
    """Whether *arg* is the beginning of one of a program's long options that run another."""
    head = arg.partition("=")[0]
    long = head.startswith("--") and len(head) > 3 and head != "--checkpoint"
    return long and any(option.startswith(head) for option in LONG_OPTIONS[name])


def _git_option(args: Sequence[str]) -> str | None:
    """The option of git, or of its sub-command, that can make it run anything."""
    rest = iter(args)
    for arg in rest:
        if re.match(r"-c|--config-env|--exec-path=", arg):
            return arg
        if not arg.startswith("-"):
            told = GIT_TOLD.get(arg)
            return next((given for given in rest if told and told.match(given)), None)
        if arg in ("-C", "--git-dir", "--work-tree", "--namespace"):
            next(rest, None)
    return None


def opens(words: Sequence[str]) -> str | None:
    """What in a command makes it run more than its first word says; None if nothing does.

    For a runner that is its first word; else the argument that tells the program to run another.
    """
    name, args = kind_of(words[0]), words[1:]
    if name in ("find", "fd", "fdfind"):
        return told_to_run(words)
    if name in RUNNERS or name in SHELLS or (name in BUILTINS and args):
        return words[0]
    under = running(words)
    if under is not None:
        return under
    try:
        _refuse_code(words, certain=True)
    except Unsure:
        return told_to_run(words) or _inline_option(args) or words[0]
    return None


def names_program(words: Sequence[str]) -> bool:
    """Whether one of *words*, the fixed ones of a pattern after its first, can be a program's name."""
    return any(not _NO_PROGRAM.fullmatch(word) for word in words)
