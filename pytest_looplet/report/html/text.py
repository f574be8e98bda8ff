"""What models, tools and tests said, as text in HTML: escaped, whole lines visible, long ones cut."""

from __future__ import annotations

import html
import json

from looplet.text import visible

LONGEST = 20_000
"""Characters of one value that the page shows; the JSON report has all."""


def esc(text: object) -> str:
    """*text* as HTML text or as a quoted attribute; it can hold no tag and no control character."""
    return html.escape(visible(str(text)), quote=True)


def block(text: str, kind: str = "") -> str:
    """*text* as a block that keeps its lines; its end is left out where it is very long."""
    rest = ""
    if len(text) > LONGEST:
        rest = f'<p class="cut">… {len(text) - LONGEST:,} more characters in the JSON report</p>'
        text = text[:LONGEST]
    name = f' class="{kind}"' if kind else ""
    return f"<pre{name}>{esc(text)}</pre>{rest}"


def value(content: object, kind: str = "") -> str:
    """A JSON value as a block: a text as it is, everything else indented."""
    if isinstance(content, str):
        return block(content, kind)
    return block(json.dumps(content, indent=2, ensure_ascii=False, default=str), kind)


def number(figure: float | None, form: str, unit: str = "") -> str:
    """*figure* in the format *form*; a dash for None."""
    return "–" if figure is None else f"{format(figure, form)}{unit}"
