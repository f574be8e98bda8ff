"""Matchers for single arguments: `equals`, `one_of`, `regex`, `url_host`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from looplet.errors import ConfigError
from looplet.permissions.linear import choices_of
from looplet.permissions.matcher import Described, Unsure, argument

_HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/?#@:\[\]\\%]+)(?P<port>:[0-9]{1,5})?(?:[/?#].*)?"
)
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*")
_PORTS = {"http": ":80", "https": ":443"}

MOST_STEPS = 5_000_000
"""Steps that one comparison with a regular expression may take in the worst case."""

MOST_CHOICES = 100_000
"""Ways in which branches and counted repeats may be combined: trying one is dearer than a step of a `*`."""


@dataclass(frozen=True)
class _OneOf(Described):
    values: tuple[object, ...]
    arg: str

    def __call__(self, args: dict[str, Any]) -> bool:
        if self.arg not in args:
            raise Unsure(f"the argument {self.arg!r} is missing")
        given = args[self.arg]
        if any(type(value) is type(given) and value == given for value in self.values):
            return True
        if not any(type(value) is type(given) for value in self.values):
            raise Unsure(f"the argument {self.arg!r} is of another type: {type(given).__name__}")
        return False

    def __str__(self) -> str:
        return f"{self.arg} is " + " or ".join(f"{value!r:.60}" for value in self.values)

    def __hash__(self) -> int:
        return hash((self.arg, repr(self.values)))


def equals(value: object, *, arg: str) -> Described:
    """Calls whose argument *arg* is exactly *value*, of the same type: 1, 1.0 and True differ."""
    return one_of(value, arg=arg)


def one_of(*values: object, arg: str) -> Described:
    """Calls whose argument *arg* is exactly one of *values*. Raises `ConfigError` without values."""
    if not values:
        raise ConfigError(f"one_of(arg={arg!r}): give at least one value")
    return _OneOf(values, arg)


@dataclass(frozen=True)
class _Regex(Described):
    pattern: re.Pattern[str]
    arg: str
    repeats: int
    choices: int

    def __call__(self, args: dict[str, Any]) -> bool:
        text = argument(args, self.arg, str)
        steps = self.choices * len(text) ** self.repeats
        if self.choices > MOST_CHOICES or steps > MOST_STEPS or len(text) > MOST_STEPS // 50:
            raise Unsure(f"a text of {len(text):,} characters would take too long to compare")
        return self.pattern.fullmatch(text) is not None

    def __str__(self) -> str:
        return f"{self.arg} matches {self.pattern.pattern!r}"


def regex(pattern: str, *, arg: str) -> Described:
    """Calls whose argument *arg*, as a whole, matches a regular expression.

    The time it takes is bounded: patterns whose time may explode are refused when they are made, and a
    text that is too long for the pattern is in doubt.

    Args:
        pattern: Without look-around, back references, conditions, and repeats inside repeats.
        arg: The argument with the text.

    Raises:
        ConfigError: *pattern* is no regular expression, or has one of these.
    """
    try:
        compiled = re.compile(pattern)
        repeats, choices = choices_of(pattern)
    except (re.error, ValueError, OverflowError, RecursionError, TypeError) as problem:
        raise ConfigError(f"regex {pattern!r:.80}: {problem}") from None
    return _Regex(compiled, arg, repeats, choices)


@dataclass(frozen=True)
class _UrlHost(Described):
    hosts: tuple[str, ...]
    arg: str
    schemes: tuple[str, ...]

    def __call__(self, args: dict[str, Any]) -> bool:
        scheme, host, port = _parts(argument(args, self.arg, str))
        named = host.rstrip(".")
        near = [known for known in self.hosts if _is_host(named, known.partition(":")[0])]
        if not near:
            if _NUMERIC.fullmatch(named):
                raise Unsure(f"the host {host!r:.60} is a number, which has many spellings")
            return False
        allowed = {known.partition(":")[2] or _PORTS.get(scheme, "")[1:] for known in near}
        if scheme not in self.schemes or (port or _PORTS.get(scheme, ""))[1:] not in allowed or host != named:
            raise Unsure(f"{scheme}://{host}{port} is a known host in an unusual form")
        return True

    def __str__(self) -> str:
        return f"{self.arg} is at {' or '.join(self.hosts)}"


def _parts(url: str) -> tuple[str, str, str]:
    """Scheme, host and port of an absolute URL that every reader takes apart in the same way."""
    found = _URL.fullmatch(url)
    if found is None or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise Unsure(f"{url!r:.80} is no plain URL")
    return found["scheme"].lower(), found["host"].lower(), found["port"] or ""


def _is_host(host: str, known: str) -> bool:
    return host.endswith(known[1:]) if known.startswith("*.") else host == known


def url_host(*hosts: str, arg: str = "url", schemes: tuple[str, ...] = ("https", "http")) -> Described:
    """Calls whose argument *arg* is a URL at one of *hosts*.

    Args:
        hosts: As `example.com`, `*.example.com` (sub-domains, not the domain) or `example.com:8443`; without
            a port, the usual one of the scheme is meant.
        arg: The argument with the URL.
        schemes: Schemes that may be used.

    Raises:
        ConfigError: A host is none.
    """
    for host in hosts or ("",):
        if not isinstance(host, str) or not _HOST.fullmatch(host.lower()):
            raise ConfigError(f"url_host: {host!r:.80} is no host; give one such as 'example.com'")
    return _UrlHost(tuple(host.lower() for host in hosts), arg, tuple(schemes))
