"""What there is to run on a page: its fenced and indented blocks, in order, with where they stand.

A whole Markdown parser reads the pages, and not a search for known languages: a block that nothing here can
run must turn a test red instead of being passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

NOTE = re.compile(r"<!--\s*(model|setup|not run):\s*(.*?)\s*-->", re.DOTALL)
"""A comment in the source of a page that says how it is run; `not run` wants a reason."""


@dataclass(frozen=True)
class Block:
    """One block of a page.

    Attributes:
        place: File and line, for messages.
        kind: The language; `model`, `setup` or `not run` for a comment that says how the page is run.
        title: The name of the file that the block is, if it is one.
        text: What stands in it.
    """

    place: str
    kind: str
    title: str
    text: str


def blocks_of(text: str, name: str, first_line: int = 1) -> list[Block]:
    """The blocks of a page, or of a docstring that begins at *first_line*."""
    return list(_blocks(text, name, first_line))


def page(path: Path, root: Path) -> list[Block]:
    """The blocks of a file."""
    return blocks_of(path.read_text(encoding="utf-8"), str(path.relative_to(root)))


def _blocks(text: str, name: str, first_line: int) -> Iterator[Block]:
    for token in MarkdownIt("commonmark").parse(text):
        line = first_line + (token.map[0] if token.map else 0)
        if token.type == "html_block":
            for kind, note in NOTE.findall(token.content):
                yield Block(f"{name}:{line}", kind, "", note)
        if token.type == "code_block":
            yield Block(f"{name}:{line}", "indented", "", token.content)
        if token.type == "fence":
            language, _, rest = token.info.partition(" ")
            title = re.search(r'title="([^"]*)"', rest)
            yield Block(f"{name}:{line}", language, title[1] if title else "", token.content)
