"""Test ids as file names, and files as messages name them."""

from __future__ import annotations

import hashlib
import os
import re

LONGEST_NAME = 120
"""Characters of a file name before the suffix; some file systems end at 143."""


def from_here(path: str | os.PathLike[str]) -> str:
    """*path* for people: without the current folder where it is below that, so that others may read it."""
    return os.fspath(path).removeprefix(os.path.join(os.getcwd(), ""))


def safe_name(names: list[str]) -> str:
    """The parts of a test id as a file name that every file system takes, and that no other id has."""
    whole = ".".join(names)
    base, bracket, parameters = whole.partition("[")
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", whole).strip("-.")
    plain = f"{base}[{parameters.removesuffix(']')}]" if bracket else base
    # Names that some file systems take for one: other characters became a dash, or only case differs.
    exact = (
        re.fullmatch(r"[A-Za-z0-9._]+(\[[a-z0-9]([a-z0-9._-]*[a-z0-9])?\])?", plain) is not None
        and len(safe) <= LONGEST_NAME
    )
    if exact:
        return safe
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe[: LONGEST_NAME - 9]}-{digest}"
