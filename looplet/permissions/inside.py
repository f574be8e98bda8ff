"""Whether commands stay in a folder: every place that their words may name is looked up."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from looplet.permissions.elsewhere import follows_links, pathless, unseen
from looplet.permissions.matcher import Unsure
from looplet.permissions.paths import LONGEST, Root
from looplet.permissions.shell import Command, Word

MOST_WORDS = 512
"""Words of a text whose paths are looked up."""

MOST_PLACES = 5000
"""Places that one command may name: its paths, from each folder that it names."""

_BETWEEN = re.compile(r"[^\w./~*?\\-]+")  # signs that seldom stand in a path, and often beside one
_FLAGS = re.compile(r"-[^\s\"'`=:,;/.~-][^\s\"'`=:,;/.~]*")
_WEB = re.compile(r"\bhttps?://(?=\w)")


def stay_inside(commands: Sequence[Command], root: Root) -> None:
    """Raise `Unsure` unless every path that the commands name is inside *root*."""
    if sum(len(command.words) for command in commands) > MOST_WORDS:
        raise Unsure(f"more than {MOST_WORDS} words")
    for command in commands:
        words = [word.text for word in command.words]
        moves = words[0] in ("cd", "pushd", "popd", "chdir")
        if moves and (len(commands) > 1 or words[-1] in (words[0], "-")):
            raise Unsure(f"{words[0]}, after which paths start elsewhere")
        hidden = unseen(words)
        if hidden:
            raise Unsure(f"{words[0]} {hidden!r:.60} may go where no word says")
        if follows_links(words):
            root.check_links()
        named = list(command.words if "/" in words[0] else command.words[1:])
        for script in pathless(words):
            named = _without(named, script)
        parts = (part for word in named for part in _parts(word, root))
        _check_places(dict.fromkeys(islice(parts, MOST_PLACES + 1)), root)


def _without(words: list[Word], text: str) -> list[Word]:
    """*words* without the first that is *text*."""
    at = next((place for place, word in enumerate(words) if word.text == text), len(words))
    return words[:at] + words[at + 1 :]


def _check_places(names: dict[str, None], root: Root) -> None:
    """Look up *names* where the command starts, and in each folder that is among them.

    There they start with `-C folder`, and their last parts arrive there when they are copied.
    """
    starts = {os.path.realpath(root.cwd): None}
    todo = [root.cwd]
    for start in todo:
        if len(todo) * len(names) > MOST_PLACES:
            raise Unsure(f"more than {MOST_PLACES} places")
        last = dict.fromkeys(name.rstrip("/").rpartition("/")[2] for name in names)
        for name in names if start is root.cwd else {**names, **last}:
            if not _check_place(name, start, root):
                continue
            place = os.path.realpath(os.path.join(start, name))
            if place not in starts and os.path.isdir(place):
                starts[place] = None
                todo.append(place)


def _check_place(name: str, start: str, root: Root) -> bool:
    """Whether there is something at *name*; raises `Unsure` unless it is inside."""
    first = name.partition("/")[0]
    if first and ".." not in name.split("/") and not os.path.lexists(os.path.join(start, first)):
        return False  # without a link on the way it stays where it starts
    if not root.leads_in(name, start):
        raise Unsure(f"{name!r:.80} is outside the folder")
    return True


def _parts(word: Word, root: Root) -> Iterator[str]:
    """All that a program may take for a path in a word."""
    for part in _paths_in(word.text):
        if word.glob and ("*" in part or "?" in part or "[" in part):
            yield from root.files_of(part)
        else:
            yield part


def _paths_in(word: str) -> Iterator[str]:
    """The word, its ends and pieces between signs, and what may stand behind options of one letter."""
    if len(word) > LONGEST:
        raise Unsure(f"a word of more than {LONGEST:,} characters")
    if "\\" in word and ".." in word:
        raise Unsure(f"{word!r:.80} is no plain path")
    plain = _WEB.sub("", word)
    parts = [word, *(plain[at.end() :] for at in _BETWEEN.finditer(plain)), *_BETWEEN.split(plain)]
    for part in dict.fromkeys(parts):
        if part.startswith("~"):
            raise Unsure(f"{part!r:.80} may mean a home folder")
        if part not in ("", "-"):
            yield part
        flags = _FLAGS.match(part)
        if flags:
            yield from (part[at:] for at in range(2, flags.end() + 1) if part[at:] not in ("", "-"))
