"""The redactor: text in, text without secrets out."""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from looplet.redact.known import known_secrets, spellings
from looplet.redact.layers import layers_of
from looplet.redact.names import TELLING_WORDS, is_secret_field, is_secret_header, is_secret_name
from looplet.redact.shapes import SHAPES, Shape

T = TypeVar("T")

_BASE64 = (
    # Behind `\\n` or `%3D` the first letters are those of the escape; a long text may be wrapped in lines.
    r"(?<![A-Za-z0-9+/_-])(?:(?<=\\)[nrt]|(?<=%)[0-9A-Fa-f]{2})?"
    r"(?P<run>(?:[A-Za-z0-9+/]{60,76}(?:\r?\n|(?:\\r)?\\n))*[A-Za-z0-9+/_-]{24,}+={0,2})"
)
# What stands for a secret: a member of something (`process.env.TOKEN_2`), or a file.
_NAMED = (
    r"(?:[a-z_]{2,20}\.)+\w{1,60}|(?:~|\.{1,2})/.*|/[a-z0-9._/-]*"
    r"|[\w./-]*\.(?:pem|key|crt|json|ya?ml|txt|toml)"
)
_WRAP = r"\\[rn]|\s"
_PLACEHOLDER = r"\[(?:redacted|env):[^\]]*\]?"
_SHORTEST = 6
_MOST_UNPACKED = 1_000_000
_LONGEST_SEEN, _MOST_SEEN = 8_000, 500
_DEEPEST = 4
_PAIRS = (("name", "value"), ("key", "value"), ("Name", "Value"), ("Key", "Value"))
_OF_PRIVATE_KEYS = ("d", "k", "p", "q", "dp", "dq", "qi")
_SOME = "a1b2c3d4"


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
        self._of_lines = ("PRIVATE KEY", "Private-Lines:", *(v for v in secrets or () if "\n" in v))
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

    def over_lines(self, text: str) -> str:
        """*text* without its secrets, if one may be on several lines: for what is kept line by line."""
        return self.text(text) if any(mark in text for mark in self._of_lines) else text

    def find(self, text: str) -> list[Found]:
        """Where the secrets in *text* are, first to last, none overlapping; without those of `extra`."""
        if len(text) < _SHORTEST:
            return []
        if (known := self._seen.get(text)) is not None:
            return known[:]
        raw = text.encode("utf-8", "surrogatepass")
        found = self._search(text) if self._tells(raw) else []
        if _may_be_base64(raw) and (coded := list(self._in_base64(text))):
            found = _apart(found + coded)
        if len(text) <= _LONGEST_SEEN:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen[text] = found
        return found[:]

    def _search(self, text: str, depth: int = 0) -> list[Found]:
        found = [
            Found(at.start(), at.end(), placeholder)
            for secret, placeholder in self._known
            if secret in text
            for at in re.finditer(re.escape(secret), text)
        ]
        lower = text.lower()
        runs = _long_runs(lower.encode("utf-8", "surrogatepass"))
        # Two shapes may share a hint, and a shape may have two in one text: each is tried once.
        hinted = _hinted(_HINTED, lower)
        if runs:
            hinted += _hinted(_HINTED_ALONE, runs) + _UNHINTED
        for shape in {id(shape): shape for shape in hinted}.values():
            found += _of_shape(shape, text)
        if depth < _DEEPEST:
            # A token behind `\\n` or `%3D` would else look like the end of a longer word.
            for layer in layers_of(text):
                found += [
                    Found(layer.outside(start), layer.outside(end), placeholder)
                    for start, end, placeholder in self._search(layer.text, depth + 1)
                ]
        return _apart(found)

    def may_hold(self, text: bytes) -> bool:
        """Whether a JSON text (UTF-8) can hold a secret at all: a cheap no saves going through its values."""
        return self._tells(text) or _may_be_base64(text)

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
        return bool(runs) and (
            any(word in runs for word in _hints()) or any(shape.pattern.search(runs) for shape in _UNHINTED)
        )

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
            for name, said in _PAIRS:
                if (
                    said in made
                    and isinstance(named := made.get(name), str)
                    and _is_credential(named, made[said])
                ):
                    made[said] = self._secret(value[said])
            if "kty" in made:
                made |= {name: self._secret(value[name]) for name in _OF_PRIVATE_KEYS if name in made}
            same = all(a is b for a, b in zip(made.values(), value.values(), strict=False))
            return value if same and made.keys() == value.keys() else made
        if isinstance(value, (list, tuple)):
            items = [self._value(item) for item in value]
            if len(items) == 2 and isinstance(items[0], str) and is_secret_header(items[0]):
                items[1] = self._secret(items[1])
            return value if all(a is b for a, b in zip(items, value, strict=True)) else type(value)(items)
        return value

    def _key(self, name: Any) -> Any:
        return self.text(name) if isinstance(name, str) and len(name) > 16 else name

    def _member(self, name: Any, item: Any) -> Any:
        if not isinstance(name, str):
            return self._value(item)
        if isinstance(item, str):
            return self._secret(item) if is_secret_field(name, item) else self.text(item)
        cleaned = self._value(item)
        if isinstance(cleaned, list) and is_secret_field(name.removesuffix("s"), _SOME):
            return self._secrets(name, cleaned)
        if isinstance(cleaned, dict) and "value" in cleaned and is_secret_field(name, _SOME):
            return {**cleaned, "value": self._member(name, cleaned["value"])}
        return cleaned

    def _secrets(self, name: str, items: list[Any]) -> list[Any]:
        """A list of *name*: `passwords` are texts, `cookies` are pairs of a name and a value."""
        made = [
            self._member(name.removesuffix("s"), item)
            if isinstance(item, str)
            else {**item, "value": self._secret(item["value"])}
            if isinstance(item, dict) and "name" in item and isinstance(item.get("value"), str)
            else item
            for item in items
        ]
        return items if made == items else made

    def _secret(self, item: Any) -> Any:
        """What stands under a name that says that it is a secret."""
        if not isinstance(item, str) or not is_secret_field("password", item):
            return self._value(item)
        cleaned = self.text(item)
        # A value that has a name of its own keeps it: it is looked up again when it is missing.
        return cleaned if re.fullmatch(_PLACEHOLDER, cleaned) else "[redacted:field]"

    def _in_base64(self, text: str) -> Iterator[Found]:
        for run in re.finditer(_BASE64, text):
            if self._holds(re.sub(_WRAP, "", run["run"]).rstrip("=")):
                yield Found(run.start("run"), run.end("run"), "[redacted:base64]")

    def _holds(self, run: str) -> bool:
        """Whether *run* holds a secret in base64; in front of that there may be a part of a path."""
        letters = run.replace("-", "+").replace("_", "/")
        plain = _decoded(letters)
        if self.find(_readable(plain)):
            return True
        if "/" not in run or len(run) > _LONGEST_SEEN or _is_text(plain):
            return False
        return bool(self.find(_readable(b"\n".join(_decoded(letters[skipped:]) for skipped in (1, 2, 3)))))


def _by_hint(*, alone: bool) -> dict[str, list[Shape]]:
    """Which shapes to try on a text that has a hint."""
    found: dict[str, list[Shape]] = {}
    for shape in SHAPES:
        for hint in shape.hints if shape.alone is alone else ():
            found.setdefault(hint, []).append(shape)
    return found


_HINTED, _HINTED_ALONE = _by_hint(alone=False), _by_hint(alone=True)
_UNHINTED = [shape for shape in SHAPES if not shape.hints]
_ASCII = bytes(byte if byte < 0x80 else ord(" ") for byte in range(256))
_LONG_RUN = b"x" * 16
_RUN_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+/=-.%@~$:"
_RUNS = bytes(ord("x") if byte in _RUN_BYTES or byte >= 0x80 else ord(" ") for byte in range(256))
_BASE64_RUN = b"x" * 24
_BASE64_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
_BASE64_RUNS = bytes(ord("x") if byte in _BASE64_BYTES else ord(" ") for byte in range(256))
_NAMING_WORDS = (
    *(*TELLING_WORDS, "://", "basic", "bearer", "code=", "jdbc:", ":5432:", ":3306:", ":*:", " -p"),
    *("redis-cli", "login ", "identified by", "session_id=", "sessionid=", "samlresponse=", "samlrequest="),
    *("kty", "%3a", "%2f%2f", ":\\/", "private-lines"),
)
_RARE = "jkw:=ghbpc%"
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


def _hinted(shapes: dict[str, list[Shape]], text: str) -> list[Shape]:
    return [shape for hint, found in shapes.items() if hint in text for shape in found]


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


def _may_be_base64(text: bytes) -> bool:
    return _BASE64_RUN in text.translate(_BASE64_RUNS)


def _decoded(letters: str) -> bytes:
    whole = letters[: len(letters) - (len(letters) % 4 == 1)]
    return binascii.a2b_base64(whole + "=" * (-len(whole) % 4))


def _is_text(data: bytes) -> bool:
    try:
        return data.decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False


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
        if secret.startswith(("[redacted:", "[env:")) or (name and not is_secret_field(name, secret)):
            continue
        if shape.random and (text[found.end() : found.end() + 1] == "(" or not _looks_random(secret)):
            continue
        if shape.strict and not _is_mixed(secret):
            continue
        yield Found(found.start(group), found.end(group), f"[redacted:{shape.kind}]")


def _looks_random(text: str) -> bool:
    """A digit among letters, or a long word of mixed case; the start of it decides."""
    start = text[:200]
    if re.fullmatch(_NAMED, start):
        return False
    letters = any(char.isalpha() for char in start)
    if any(char.isdigit() for char in start):
        return letters
    return letters and len(text) >= 16 and not start.islower() and not start.isupper()


def _is_mixed(text: str) -> bool:
    """Digits, capitals and small letters take turns as often as chance has it; no camel case, no uuid."""
    kinds = ["d" if c.isdigit() else "u" if c.isupper() else "l" for c in text[:200] if c.isalnum()]
    changes = [b for a, b in pairwise(kinds) if a != b]
    is_name = "u" in kinds and "l" in kinds and changes.count("d") < 2
    if not {"u", "l"} <= set(kinds) and not text.isalnum():
        return False
    return "d" in kinds and len(kinds) >= 16 and len(changes) > (0.4 if is_name else 0.3) * len(kinds)


def _apart(found: list[Found]) -> list[Found]:
    """The same stretches of text without overlaps; where two meet, the one that starts first names both."""
    apart: list[Found] = []
    for secret in sorted(found, key=lambda f: (f.start, -f.end)):
        if apart and secret.start < apart[-1].end:
            before = apart.pop()
            secret = Found(before.start, max(before.end, secret.end), before.placeholder)
        apart.append(secret)
    return apart
