"""Commands that go to places which their words do not name, or which links lead to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from looplet.permissions.matcher import Unsure
from looplet.permissions.programs import (
    AWK_OPENS,
    BLIND,
    BUILTINS,
    FOLLOWING,
    INLINE,
    LISTED,
    RUNNERS,
    SED_PATHLESS,
    SHELLS,
)
from looplet.permissions.runs import kind_of, opens, running, sed_scripts, texts_in

_FINDERS = ("find", "fd", "fdfind")
_HARMLESS = re.compile(r"-delete|-fprint.*|-fls|[^-].*", re.DOTALL)


def unseen(words: Sequence[str]) -> str | None:
    """What makes a command take places from elsewhere than its words, or None.

    That is a list, what it reads or finds, or a text in a language of its own.
    """
    if not _is_runner(words):
        return _unseen(words)
    return next((found for start in range(len(words)) if (found := _unseen(words[start:]))), None)


def pathless(words: Sequence[str]) -> list[str]:
    """The scripts among the words of sed that name no file, as often as they stand there."""
    if kind_of(words[0]) not in ("sed", "gsed") or any(re.match("--e(?!xpression)", word) for word in words):
        return []
    return [script for script in sed_scripts(words[1:]) if SED_PATHLESS.fullmatch(script)]


def follows_links(words: Sequence[str]) -> bool:
    """Whether a command goes into what links on its way lead to, besides those that its words name."""
    starts = range(len(words)) if _is_runner(words) else [0]
    return any(_told(FOLLOWING, words[start:]) is not None for start in starts)


def _is_runner(words: Sequence[str]) -> bool:
    name = kind_of(words[0])
    return (name in RUNNERS and name not in _FINDERS) or running(words) is not None


def _unseen(words: Sequence[str]) -> str | None:
    name = kind_of(words[0])
    if name in BLIND or (name in BUILTINS and len(words) > 1):
        return words[0]
    listed = _told(LISTED, words)
    if listed is not None:
        return listed
    if name in ("awk", "gawk", "mawk", "nawk"):
        return next((word for word in words if AWK_OPENS.search(word)), None)
    try:
        text = next(iter(texts_in(list(words), True)), None)
    except Unsure:
        return words[0]
    if text is not None or name in SHELLS or _is_runner(words):
        return text
    opened = opens(words)
    if opened is None or (opened != words[0] and not INLINE.fullmatch(name) and _HARMLESS.fullmatch(opened)):
        return None
    return opened


def _told(table: dict[str, re.Pattern[str]], words: Sequence[str]) -> str | None:
    """The argument that the table names for a program; of tar's, the first may do without a dash."""
    pattern, args = table.get(kind_of(words[0])), list(words[1:])
    if kind_of(words[0]) == "tar" and args and args[0][:1] != "-":
        args[0] = "-" + args[0]
    return next((arg for arg in args if pattern and pattern.fullmatch(arg)), None)
