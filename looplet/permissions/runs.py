"""Programs that run other programs, and what they would run.

Two questions are asked of a simple command. What may it run besides itself (`reach`, for rules that
deny: rather too much than too little)? And does it run anything that its own first word does not tell
(`opens`, for rules that allow)?
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from looplet.permissions.matcher import Unsure
from looplet.permissions.programs import (
    AWK_RUNS,
    BUILTINS,
    COMPUTING,
    FROM_FILE,
    GIT_TOLD,
    INLINE,
    INLINE_MODULE,
    INLINE_OPTION,
    LONG_OPTIONS,
    NO_CODE,
    OPTIONS,
    READERS,
    RISKY_NAMES,
    RUNNERS,
    RUNNING,
    SCRIPTED,
    SED_PLAIN,
    SHELLS,
    STANDARD_INPUT,
    STARTING_MODULE,
    TEXT_RUNNERS,
    VALUED_OPTION,
)
from looplet.permissions.shell import Command, Word, commands_of

DEEPEST = 8
"""Shell texts inside shell texts that are followed."""

WIDEST = 256
"""Words of a command that runs others."""

_SHELL_TEXT = re.compile(r"(?!\{[^{}]*\}\Z)(?=..)(?:!|.*[\s;&|<>`$()'\"\\{])", re.DOTALL)
_DASH = re.compile(r"(?:-[A-Za-z]*f ?|--[fm][a-z]*[= ])-(?: .*)?", re.DOTALL)
_SSH_COMMAND = re.compile(r"(?i)(?:-\w*o)?\s*(?:proxy|local|remote|knownhosts)command\b.*", re.DOTALL)
_VALUED = re.compile(r"-[A-Za-z]*[adEILnPs]|--(?:arg-file|delimiter|max-\w+|process-slot-var)")
_PLACE = re.compile(r"-exec|-execdir|-ok|-okdir|-x|-X|-I|-i|--replace|-I\S+|--replace=\S+")
_NO_PROGRAM = re.compile(r"-.*|[0-9.]+[smhd]?|[A-Za-z_]\w*=.*|\.|\{\}|[;+]", re.DOTALL)


def name_of(word: str) -> str:
    """The program that a command's first word names, without its folder."""
    return word.rsplit("/", 1)[-1]


def kind_of(word: str) -> str:
    """The same in lower case, without the ending of a program on Windows."""
    return name_of(word).lower().removesuffix(".exe")


_INDEX, _COMPUTED = re.compile(r"\w\["), re.compile(r"\$[({]|`")
_SPLIT = re.compile(r"-[A-Za-z0]*S|--s")
_SHELL_VALUED = re.compile(r"[-+][A-Za-z]*[oO]|--(?:rc|init-)file")
_NAMELESS = frozenset(("-v", "-R", "-p", "let", "read", "unset"))


class Patterned(str):
    """A program's name that is a pattern for file names: the shell may put another in its place."""


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
    refuse_hidden(command)
    if name in RUNNERS or running(words):
        if len(words) > WIDEST or not all(word.known for word in command.words):
            raise Unsure(f"{name!r} with a variable, or with more than {WIDEST} words")
        starts = list(range(len(words)))
        for start in starts:
            _refuse_given(kind_of(words[start]), words[start:])
    if name in BUILTINS and len(words) > 1:
        raise Unsure(f"{name!r} may change what later commands mean")
    for start in starts:
        script = _script(words[start:])
        for at in [start, start + script] if script else [start]:
            if at:
                yield [_marked(command.words, at), *words[at + 1 :]]
        for text in texts_in(words[start:], all(word.known for word in command.words)):
            if text not in texts:
                texts.add(text)
                yield from _nested(text, depth, texts)
        _refuse_code(words[start:], certain=not start or command.fed)


def _marked(words: Sequence[Word], at: int) -> str:
    """The word that may be a program's name, marked if it is a pattern that says anything."""
    word = words[at]
    told = name_of(word.text).strip("*?")
    first = all(_NO_PROGRAM.fullmatch(before.text) for before in words[1:at])
    pattern = re.search(r"[*?\[]", word.text) and (told or first)
    return Patterned(word.text) if pattern else word.text


def _script(words: Sequence[str]) -> int:
    """The place of the operand that an interpreter runs as a program, or 0."""
    name = kind_of(words[0])
    if name not in SHELLS and not SCRIPTED.fullmatch(name):
        return 0
    for at, (before, word) in enumerate(pairwise(words), 1):
        valued = name in SHELLS and at > 1 and _SHELL_VALUED.fullmatch(before)
        if not valued and not word.startswith(("-", "+")):
            return at
    return 0


def refuse_hidden(command: Command) -> None:
    """Raise `Unsure` for a command that may run what it reads, or what stands in a variable's index."""
    words = [word.text for word in command.words]
    if not COMPUTING.isdisjoint(words[:3]):
        known = all(word.known for word in command.words)
        index = _INDEX.search(" ".join(words))
        computed = index is not None and _COMPUTED.search(" ".join(words), index.end())
        if computed or (not known and not _NAMELESS.isdisjoint(words)):
            raise Unsure("an index that a shell may compute")
    if not command.fed:
        return
    for word in command.words:
        if kind_of(word.text) in READERS:
            raise Unsure(f"{word.text!r:.40} may run what it reads")
        if STANDARD_INPUT.fullmatch(word.text.rpartition("=")[2]):
            raise Unsure(f"{word.text!r:.40} is what it reads")
    if any(kind_of(word) in FROM_FILE for word in words) and any(
        _DASH.fullmatch(" ".join(pair)) for pair in zip(words, [*words[1:], ""], strict=True)
    ):
        raise Unsure(f"{words[0]!r:.40} may run what it reads")


def running(words: Sequence[str]) -> str | None:
    """The sub-command under which a program runs another, as `run` of `docker run`; None without."""
    given = RUNNING.get(kind_of(words[0]), ())
    return next((word for word in words[1:12] if word in given), None)


def _refuse_given(name: str, words: Sequence[str]) -> None:
    """Raise `Unsure` where a runner takes the name of a program from what it reads or finds."""
    last = kind_of(words[-1])
    if name == "parallel" and len(words) == 1:
        raise Unsure("parallel runs what it reads")
    if name in ("xargs", "gxargs", "parallel") and len(words) > 1:
        program = kind_of(words[_after_options(words)])
        if program in RUNNERS or program in SHELLS:
            raise Unsure(f"{name} gives {program!r:.40} what it reads")
        plain = [word for word in words[1:] if not _NO_PROGRAM.fullmatch(word)]
        if last in RUNNERS or (plain and kind_of(plain[-1]) in RUNNERS):
            raise Unsure(f"{name} gives {last!r:.40} what it reads")
    if name in ("ssh", "scp", "sftp") and any(_SSH_COMMAND.fullmatch(word) for word in words[1:]):
        raise Unsure(f"{name} may run a command here")
    for before, marks, word in zip(words, ["", *words], words[1:], strict=False):
        if (word == "{}" and _PLACE.fullmatch(before)) or (marks == "-I" and word == before):
            raise Unsure(f"{name} runs what it reads or finds")


def _after_options(words: Sequence[str]) -> int:
    at = 1
    while at < len(words) - 1 and words[at].startswith("-"):
        at += 2 if _VALUED.fullmatch(words[at]) else 1
    return min(at, len(words) - 1)


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
        if name in ("env", "genv") and "\\" in "".join(args) and any(map(_SPLIT.match, args)):
            raise Unsure("an escape of env's own")
        for word in args:
            value = word.partition("=")[2]
            yield from (part for part in (word, value) if _SHELL_TEXT.match(part))
            if word.startswith("--") and value:
                yield value
            elif word.startswith("-"):
                yield from (word[at:] for at in range(2, min(len(word), 9)) if word[at - 1] in "cS")


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
    if INLINE.fullmatch(name) and ((certain and not args) or _inline_option(words)):
        raise Unsure(f"{name} runs code that is not a command")
    if name in ("awk", "gawk", "mawk", "nawk") and any(AWK_RUNS.search(arg) for arg in args):
        raise Unsure(f"{name} runs code that is not a command")
    if name in ("sed", "gsed") and not all(SED_PLAIN.fullmatch(script) for script in sed_scripts(args)):
        raise Unsure(f"{name} may run a command")
    option = None if name in RUNNERS else told_to_run(words)
    if option is not None:
        raise Unsure(f"{name} {option!r:.40} may run another program")


def _inline_option(words: Sequence[str]) -> str | None:
    """The option that brings code, or with which there is no script, so that code is read."""
    python = kind_of(words[0]).startswith(("py", "ipy"))
    rest, before = iter(words[1:]), ""
    for arg in rest:
        module = re.fullmatch(r"-[bBdEhiIOqsSuvVx]*m(.*)", arg) if python else None
        if module:
            return arg if _runs_text(module[1] or next(rest, "code"), rest) else None
        if VALUED_OPTION.fullmatch(arg):
            if "data:" in next(rest, ""):
                return arg
        elif NO_CODE.fullmatch(arg) or (arg == "-v" and not python):
            return None
        elif INLINE_OPTION.fullmatch(arg):
            return arg
        elif not arg.startswith("-") and (not before.startswith("--") or "=" in before):
            return None
        before = arg
    return words[-1] if before.startswith("-") and kind_of(words[0]) not in READERS else None


def _runs_text(module: str, rest: Iterable[str]) -> bool:
    started = bool(STARTING_MODULE.fullmatch(module)) and any(map(INLINE_MODULE.fullmatch, rest))
    return started or bool(INLINE_MODULE.fullmatch(module))


def sed_scripts(args: Sequence[str]) -> list[str]:
    """The scripts in the arguments of sed: those of options, else the first that is no option."""
    told = re.compile(r"(?:-[nrEsuzib]*e|--e[a-z]*=?)(.*)", re.DOTALL)
    scripts = [
        found[1] or following
        for arg, following in zip(args, [*args[1:], ""], strict=True)
        if (found := told.fullmatch(arg))
    ]
    if scripts or any(re.match(r"-[nrEsuzb]*f|--f", arg) for arg in args):
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
    if name == "tar" and args and args[0][:1] != "-":
        args = ["-" + args[0], *args[1:]]
    return next((arg for arg in args if pattern.fullmatch(arg) or _is_shortened(arg, name)), None)


def _is_shortened(arg: str, name: str) -> bool:
    """Whether *arg* is the beginning of one of a program's long options that run another."""
    head = arg.partition("=")[0]
    long = head.startswith("--") and len(head) > 2 and head != "--checkpoint"
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
        return told_to_run(words) or _inline_option(words) or words[0]
    return None


def names_program(words: Sequence[str]) -> bool:
    """Whether one of *words*, the fixed ones of a pattern after its first, can be a program's name."""
    return any(not _NO_PROGRAM.fullmatch(word) for word in words)
