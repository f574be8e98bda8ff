"""Skills from folders in the `SKILL.md` format that agents share.

A folder holds a file `SKILL.md`: front matter between two lines of `---` with `name` and `description`, then
the instructions. Everything else in the folder is bundled with the skill.
"""

from __future__ import annotations

import os
import re
import stat
from itertools import pairwise
from pathlib import Path

from looplet.errors import ConfigError
from looplet.skills.skill import Skill
from looplet.text import visible

FILE = "SKILL.md"
NAME_CHARS, DESCRIPTION_CHARS = 64, 1024
"""Most characters of a name and of a description, as the format sets them."""

LARGEST = 1_000_000
"""Most bytes of a `SKILL.md`."""

_FRONT = re.compile(r"\A﻿?---[ \t]*\r?\n(.*?)^---[ \t]*\r?\n?(.*)\Z", re.S | re.M)
_FIELD = re.compile(r"([A-Za-z_][\w-]*):[ \t]*(.*)")


def load_skill(folder: str | os.PathLike[str]) -> Skill:
    """The skill in *folder*.

    Raises:
        ConfigError: There is no readable `SKILL.md` with a name and a description; names the file.
    """
    path = Path(folder) / FILE
    found = _FRONT.match(_text(path))
    if found is None:
        raise ConfigError(f"{path} must begin with front matter between two lines of ---")
    fields = front_matter(found[1])
    for name, most in (("name", NAME_CHARS), ("description", DESCRIPTION_CHARS)):
        value = fields.get(name, "")
        if not value or len(value) > most:
            raise ConfigError(f"{path}: the front matter needs a {name} of 1 to {most} characters")
    if visible(fields["name"]) != fields["name"] or "\n" in fields["name"]:
        raise ConfigError(f"{path}: the name in the front matter must be one line without control characters")
    return Skill(
        name=fields["name"],
        description=fields["description"],
        instructions=found[2].strip(),
        folder=Path(folder),
    )


def _text(path: Path) -> str:
    try:
        about = path.stat()
        if stat.S_ISREG(about.st_mode) and about.st_size <= LARGEST:
            return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path} cannot be read: {problem}") from problem
    raise ConfigError(f"{path} is not a file of at most {LARGEST} bytes")


def load_skills(folder: str | os.PathLike[str]) -> list[Skill]:
    """The skills in all folders directly below *folder*, by name.

    Raises:
        ConfigError: One of them cannot be read, two have one name, or there is none.
    """
    homes = sorted(path.parent for path in Path(folder).glob(f"*/{FILE}"))
    if not homes:
        raise ConfigError(f"{folder} holds no folder with a {FILE}")
    skills = sorted((load_skill(home) for home in homes), key=lambda skill: skill.name)
    for one, other in pairwise(skills):
        if one.name == other.name:
            raise ConfigError(f"two skills are called {one.name!r}: {one.folder} and {other.folder}")
    return skills


def front_matter(text: str) -> dict[str, str]:
    """The plain fields of YAML front matter: scalars, quoted or not, and block scalars (`|`, `>`).

    Nested values are passed over; nothing in them means anything here.
    """
    fields: dict[str, str] = {}
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        found = _FIELD.fullmatch(lines[at])
        at += 1
        if found is None:
            continue
        block = []
        while at < len(lines) and (not lines[at].strip() or lines[at][0] in " \t"):
            block.append(lines[at].strip())
            at += 1
        fields[found[1]] = _scalar(found[2].strip(), block)
    return fields


def _scalar(value: str, block: list[str]) -> str:
    if value[:1] in ("|", ">"):
        return ("\n" if value[0] == "|" else " ").join(block).strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1].replace("''", "'") if value[0] == "'" else value[1:-1].replace('\\"', '"')
    plain = re.split(r"\s#", value, maxsplit=1)[0].rstrip()
    # A plain scalar may go on in the lines below it; a list or mapping there is no text.
    more = [line for line in block if line]
    if plain and not any(line.startswith("-") or _FIELD.fullmatch(line) for line in more):
        return " ".join([plain, *more])
    return plain
