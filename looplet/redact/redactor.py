"""The redactor: text in, text without secrets out."""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from looplet.redact.known import known_secrets, spellings
from looplet.redact.names import TELLING_WORDS, is_secret_field, is_secret_header, is_secret_name
from looplet.redact.shapes import SHAPES, Shape

T = TypeVar("T")

_BASE64 = r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}(?![A-Za-z0-9+/_=-])"
_PLACEHOLDER = r"\[(?:redacted|env):[^\]]*\]?"
_SHORTEST = 6
_SHORTEST_BASE64 = 24
_MOST_UNPACKED = 1_000_000
_LONGEST_SEEN, _MOST_SEEN = 8_000, 500


class Found(NamedTuple):
    """A secret in a text: where it is (`text[start:end]`), and what to put there."""

    start: int
    end: int
    placeholder: str


class Redactor:
    """Takes secrets out of text and of plain data. Usable from any thread.

    Args:
        secrets: Values to take out wherever they stand, and the names to put in their place.
        extra: Further functions of a text, called last.
    """

    def __init__(
        self, secrets: Mapping[str, str] | None = None, extra: Sequence[Callable[[str], str]] = ()
    ) -> None:
        self._known = [
            (form, f"[env:{name}]") for value, name in (secrets or {}).items() for form in spellings(value)
        ]
        self._known.sort(key=lambda pair: len(pair[0]), reverse=True)
        self._known_bytes = [form.encode("utf-8", "surrogatepass") for form, _ in self._known]
        self._extra = tuple(extra)
        # A run says the same many times: its system prompt with every call, a result in step and message.
        self._seen: dict[str, list[Found]] = {}

    @classmethod
    def of_environment(
        cls, environ: Mapping[str, str] | None = None, extra: Sequence[Callable[[str], str]] = ()
    ) -> Redactor:
        """A redactor that knows the secrets in *environ* (default: the process environment, as it is now)."""
        return cls(known_secrets(os.environ if environ is None else environ), extra)

    def text(self, text: str) -> str:
        """*text* with a placeholder in the place of each secret."""
        found = self.find(text)
        if found:
            parts, at = [], 0
            for secret in found:
                parts += [text[at : secret.start], secret.placeholder]
                at = secret.end
            text = "".join([*parts, text[at:]])
        for function in self._extra:
            text = function(text)
        return text

    def find(self, text: str) -> list[Found]:
        """Where the secrets in *text* are, first to last, none overlapping; without those of `extra`."""
        if len(text) < _SHORTEST:
            return []
        if (known := self._seen.get(text)) is not None:
            return known[:]
        found = self._search(text) if self._tells(text.encode("utf-8", "surrogatepass")) else []
        coded = list(self._in_base64(text)) if len(text) >= _SHORTEST_BASE64 else []
        if coded:
            found = _apart(found + coded)
        if len(text) <= _LONGEST_SEEN:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen[text] = found
        return found[:]

    def _search(self, text: str) -> list[Found]:
        found = [
            Found(at.start(), at.end(), placeholder)
            for secret, placeholder in self._known
            if secret in text
            for at in re.finditer(re.escape(secret), text)
        ]
        lower = text.lower()
        runs = _long_runs(lower.encode("utf-8", "surrogatepass"))
        # Two shapes may share a hint, and a shape may have two in one text: each is tried once.
        hinted = [shape for hint, shape in _HINTED if hint in lower]
        if runs:
            hinted += [shape for hint, shape in _HINTED_ALONE if hint in runs]
        for shape in {id(shape): shape for shape in hinted}.values():
            found += _of_shape(shape, text)
        return _apart(found)

    def may_hold(self, text: bytes) -> bool:
        """Whether a JSON text (UTF-8) can hold a secret at all: a cheap no saves going through its values."""
        return self._tells(text) or re.search(_BASE64.encode(), text) is not None

    def _tells(self, text: bytes) -> bool:
        """Whether a word of *text*, or a known value, tells of a secret. What is in base64 tells of none."""
        # Looking for words is cheapest in text of one byte a character; all of these words are ASCII.
        folded = text.lower()
        lower = folded.decode("latin-1")
        for letter, words in _NAMING.items():
            if letter not in lower:
                continue
            for word in words:
                if word in lower:
                    return True
        if self._extra or (self._known_bytes and any(secret in text for secret in self._known_bytes)):
            return True
        runs = _long_runs(folded)
        return bool(runs) and any(word in runs for word in _hints())

    def value(self, value: T) -> T:
        """Plain data with the secrets taken out of its text; what has none is given back as it is.

        Members whose name says so (`password`) lose their text, whatever it looks like.
        """
        return self._value(value)  # type: ignore[no-any-return]

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            made = {self._key(name): self._member(name, item) for name, item in value.items()}
            named = made.get("name")
            if "value" in made and isinstance(named, str) and _is_credential(named, made["value"]):
                made["value"] = self._member("authorization", value["value"])
            same = all(a is b for a, b in zip(made.values(), value.values(), strict=False))
            return value if same and made.keys() == value.keys() else made
        if isinstance(value, (list, tuple)):
            items = [self._value(item) for item in value]
            if len(items) == 2 and isinstance(items[0], str) and is_secret_header(items[0]):
                items[1] = self._member("authorization", items[1])
            return value if all(a is b for a, b in zip(items, value, strict=True)) else type(value)(items)
        return value

    def _key(self, name: Any) -> Any:
        return self.text(name) if isinstance(name, str) and len(name) > 16 else name

    def _member(self, name: Any, item: Any) -> Any:
        if isinstance(item, str) and isinstance(name, str) and is_secret_field(name, item):
            cleaned = self.text(item)
            # A value that has a name of its own keeps it: it is looked up again when it is missing.
            return cleaned if re.fullmatch(_PLACEHOLDER, cleaned) else "[redacted:field]"
        return self._value(item)

    def _in_base64(self, text: str) -> Iterator[Found]:
        for run in re.finditer(_BASE64, text):
            padded = run[0].rstrip("=").replace("-", "+").replace("_", "/")
            try:
                plain = binascii.a2b_base64(padded + "=" * (-len(padded) % 4))
            except (binascii.Error, ValueError):
                continue
            if self.find(_readable(plain)):
                yield Found(run.start(), run.end(), "[redacted:base64]")


_HINTED = tuple((hint, shape) for shape in SHAPES for hint in shape.hints if not shape.alone)
_HINTED_ALONE = tuple((hint, shape) for shape in SHAPES for hint in shape.hints if shape.alone)
_ASCII = bytes(byte if byte < 0x80 else ord(" ") for byte in range(256))
_LONG_RUN = b"x" * 16
_RUN_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+/=-.%@~$:"
_RUNS = bytes(ord("x") if byte in _RUN_BYTES or byte >= 0x80 else ord(" ") for byte in range(256))
_NAMING_WORDS = (*TELLING_WORDS, "://", "basic", "bearer", "code=")
_RARE = "jkw:=ghbpc"
"""Characters of those words, rare ones first: to look for one costs next to nothing, and many lack it."""
_NAMING = {
    letter: [word for word in _NAMING_WORDS if next(rare for rare in _RARE if rare in word) == letter]
    for letter in _RARE
}


@cache
def _hints() -> tuple[str, ...]:
    """One of these is in every text that `find` finds something in, base64 aside."""
    words = {*TELLING_WORDS, *(hint for shape in SHAPES for hint in shape.hints)}
    # A word that holds another one need not be looked for.
    return tuple(sorted(w for w in words if not any(o in w for o in words - {w})))


def _is_credential(name: str, value: object) -> bool:
    """Whether a pair of *name* and *value*, as lists of headers and variables hold them, is a credential."""
    return isinstance(value, str) and (
        is_secret_header(name) or is_secret_name(name) or is_secret_field(name, value)
    )


def _long_runs(text: bytes) -> str:
    """The long runs of characters in a text: a secret that is known by its shape alone is in one of them."""
    if _LONG_RUN not in (kinds := text.translate(_RUNS)):
        return ""
    runs = [text[run.start() : run.end()] for run in re.finditer(_LONG_RUN + b"+", kinds)]
    return b" ".join(runs).decode("latin-1")


def _readable(data: bytes) -> str:
    """Decoded data as text: what gzip data holds, or its beginning; binary data with its ASCII parts."""
    if data.startswith(b"\x1f\x8b"):
        import zlib  # such data is rare

        try:
            data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _MOST_UNPACKED)
        except zlib.error:
            return ""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.translate(_ASCII).decode("ascii")


def _of_shape(shape: Shape, text: str) -> Iterator[Found]:
    pattern = shape.pattern
    group = "secret" if "secret" in pattern.groupindex else 0
    for found in pattern.finditer(text):
        secret = found[group]
        name = found["name"] if "name" in pattern.groupindex else ""
        if "[redacted:" in secret or "[env:" in secret or (name and not is_secret_field(name, secret)):
            continue
        if shape.random and (text[found.end() : found.end() + 1] == "(" or not _looks_random(secret)):
            continue
        yield Found(found.start(group), found.end(group), f"[redacted:{shape.kind}]")


def _looks_random(text: str) -> bool:
    """A digit among letters, or a long word of mixed case; the start of it decides."""
    start = text[:200]
    letters = any(char.isalpha() for char in start)
    if any(char.isdigit() for char in start):
        return letters
    return letters and len(text) >= 16 and not start.islower() and not start.isupper()


def _apart(found: list[Found]) -> list[Found]:
    """The same stretches of text without overlaps; where two meet, the one that starts first names both."""
    apart: list[Found] = []
    for secret in sorted(found, key=lambda f: (f.start, -f.end)):
        if apart and secret.start < apart[-1].end:
            before = apart.pop()
            secret = Found(before.start, max(before.end, secret.end), before.placeholder)
        apart.append(secret)
    return apart
