"""Secrets known by their value: what environment variables hold, in every spelling it may turn up in."""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Mapping
from functools import lru_cache

from looplet.redact.names import is_secret_name

_SHORTEST = 8


def known_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Values of variables whose names look secret, to their names.

    Left out: what is shorter than 8 characters, plain words, numbers and paths, for those would be found
    in ordinary text. Of two variables with one value the first by name counts.
    """
    found: dict[str, str] = {}
    for name in sorted(environ):
        if is_secret_name(name) and _is_telling(value := environ[name].strip()):
            found.setdefault(value, name)
    return found


def _is_telling(value: str) -> bool:
    if len(value) < _SHORTEST or value.startswith(("/", "./", "~/")):
        return False
    return not (value.isalpha() or value.replace(".", "").isdigit() or value.lower().endswith("://"))


@lru_cache(256)
def spellings(secret: str) -> tuple[str, ...]:
    """How *secret* may be written: as it is, JSON-escaped, percent-encoded, in base64; the longest first."""
    from urllib.parse import quote, quote_plus  # dear to load, and most environments hold no secret

    forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    forms |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    forms |= {json.dumps(form)[1:-1] for form in list(forms)}
    raw = secret.encode("utf-8", "surrogatepass")
    for shift in range(3):
        # Inside a longer base64 text a secret has one of three forms; only whole groups are its own.
        first = -(-shift * 8 // 6) if shift else 0
        text = b2a_base64(b"\0" * shift + raw, newline=False).decode("ascii")
        own = text[first + (1 if shift else 0) : (shift + len(raw)) * 8 // 6]
        forms |= {own, own.replace("+", "-").replace("/", "_")}
    return tuple(sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True))
