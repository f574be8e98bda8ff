"""Looking after cassette files: what is in them, what must not be, bringing old ones up to date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looplet.redact import Redactor
from pytest_looplet.cassette import files
from pytest_looplet.cassette.body import Body
from pytest_looplet.cassette.errors import CassetteUnreadable
from pytest_looplet.cassette.format import dump, load
from pytest_looplet.cassette.interaction import Interaction, Recording
from pytest_looplet.cassette.secrets import scrub_reply, scrub_request

SUFFIX = ".looplet.yaml"
"""What cassette files are named, so that they are told from other YAML."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One cassette file, at a glance.

    Attributes:
        path: The file.
        calls: Recorded calls.
        size: Bytes.
        modified: When the file was last written, seconds since the epoch.
        models: Models that were asked, in the order they first were.
        input_tokens: As the providers counted; 0 where they did not say.
        output_tokens: The same.
    """

    path: Path
    calls: int
    size: int
    modified: float
    models: tuple[str, ...]
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Leak:
    """Something in a file that looks like a secret; `line` counts from 1, `kind` says what it looks like."""

    path: Path
    line: int
    kind: str


def cassettes_in(folders: Iterable[Path]) -> list[Path]:
    """The cassette files in and below *folders*, sorted; a file that is named itself is taken as it is."""
    found: set[Path] = set()
    for folder in folders:
        found.update(folder.rglob(f"*{SUFFIX}") if folder.is_dir() else [folder])
    return sorted(found)


def read(path: Path) -> Recording:
    """The recording in a cassette file.

    Raises:
        CassetteUnreadable: it is missing or damaged.
    """
    text = files.read(path)
    if text is None:
        raise CassetteUnreadable(str(path), "there is no such file")
    return load(text, str(path))


def summary(path: Path) -> Summary:
    """What *path* holds.

    Raises:
        CassetteUnreadable: it is missing or damaged.
    """
    interactions = read(path).interactions
    stat = path.stat()
    usage = [tokens_of(interaction) for interaction in interactions]
    return Summary(
        path,
        len(interactions),
        stat.st_size,
        stat.st_mtime,
        tuple(dict.fromkeys(i.model for i in interactions if i.model)),
        sum(sent for sent, _ in usage),
        sum(written for _, written in usage),
    )


_COUNTS = (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens"))


def tokens_of(interaction: Interaction) -> tuple[int, int]:
    """Tokens sent and written: what the last `usage` in the reply says, also at the end of a stream.

    0 where it does not say.
    """
    body = interaction.reply.body.decode("utf-8", "replace") if interaction.reply else ""
    for names in _COUNTS:
        counts = [re.findall(rf'"{name}":\s*(\d+)', body) for name in names]
        if counts[1]:
            return (int(counts[0][-1]) if counts[0] else 0, int(counts[1][-1]))
    return 0, 0


def leaks(path: Path, redactor: Redactor | None = None) -> list[Leak]:
    """What looks like a secret in the text of *path*, whatever kind of file it is.

    Raises:
        CassetteUnreadable: it cannot be read.
    """
    raw = files.read(path)
    if raw is None:
        raise CassetteUnreadable(str(path), "there is no such file")
    text = raw.decode("utf-8", "replace")
    return [
        Leak(
            path,
            text.count("\n", 0, found.start) + 1,
            found.placeholder.strip("[]").removeprefix("redacted:"),
        )
        for found in (redactor or Redactor.of_environment()).find(text)
    ]


def redacted(recording: Recording, redactor: Redactor | None = None) -> Recording:
    """The same recording without secrets, for files that were recorded before they were known as such."""
    redactor = redactor or Redactor.of_environment()
    return Recording([_clean(i, redactor) for i in recording.interactions], recording.free_order)


def _clean(interaction: Interaction, redactor: Redactor) -> Interaction:
    body = interaction.body
    clean: Any = redactor.value(body.json) if body is not None else None
    reply = scrub_reply(redactor, interaction.reply) if interaction.reply else None
    request = scrub_request(redactor, interaction.request, body)
    return Interaction(
        request, Body(clean, body.thread, body.style) if body else None, reply, interaction.number
    )


def rewrite(path: Path, recording: Recording) -> bool:
    """Write *recording* to *path* in today's format; False if the file says just that already.

    Raises:
        CassetteNotWritten: the disk refused it.
    """
    text = dump(recording)
    if files.read(path) == text.encode("utf-8"):
        return False
    files.write(path, text)
    return True


def orphans(folders: Sequence[Path], used: Iterable[Path]) -> list[Path]:
    """Cassettes in *folders* that are not among those *used*: they belong to no test any more."""
    known = {path.resolve() for path in used}
    return [path for path in cassettes_in(folders) if path.resolve() not in known]
