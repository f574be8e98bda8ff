"""What the log of denials shows of a call: bounded, and without what looks like a secret."""

from __future__ import annotations

import re
from typing import Any

SHOWN_CHARS = 2000
SHOWN_ITEMS = 50
SHOWN_DEPTH = 8

_SECRET_NAME = re.compile(
    r"(?i)passw|secret|token|api_?-?key|authori[sz]ation|credential|cookie|private_?key"
)
_SECRET_TEXT = re.compile(
    r"(?i)\b(?:bearer|basic)\s+(?=\S*\d)[\w.~+/=-]{8,}|\b(?:sk|pk|ghp|xox[abp])[-_][\w-]{12,}"
)


_SECRET = "[redacted]"


def shown(value: object, name: str = "", depth: int = SHOWN_DEPTH) -> Any:
    """A bounded copy of a JSON value; *name* is the key it was found under.

    Text is cut at `SHOWN_CHARS` characters, lists and objects at `SHOWN_ITEMS` entries, nesting at
    *depth* levels; each cut says so. What is no JSON value is shown as its type.
    """
    if isinstance(value, str) and value and _SECRET_NAME.search(name):
        return _SECRET
    if isinstance(value, str):
        text = _SECRET_TEXT.sub(_SECRET, value[: 2 * SHOWN_CHARS])
        cut = max(len(text), len(value)) > SHOWN_CHARS
        return f"{text[:SHOWN_CHARS]}… [{len(value)} characters]" if cut else text
    if value is None or isinstance(value, int | float):
        return value
    if depth == 0 or not isinstance(value, dict | list | tuple):
        return f"<{type(value).__name__}>"
    if isinstance(value, dict):
        entries = list(value.items())[:SHOWN_ITEMS]
        short = {str(key)[:SHOWN_CHARS]: shown(item, str(key), depth - 1) for key, item in entries}
        return short | ({"…": f"{len(value)} entries"} if len(value) > SHOWN_ITEMS else {})
    items = [shown(item, "", depth - 1) for item in value[:SHOWN_ITEMS]]
    return items + ([f"… [{len(value)} items]"] if len(value) > SHOWN_ITEMS else [])
