"""Names that say that what they hold is a secret."""

from __future__ import annotations

import re
from functools import lru_cache

_STRONG = (
    r"pass(?:word|wd|phrase|code)?|pwd|secrets?|(?:client|shared|signing|webhook|app)[_-]?secret"
    r"|(?:api|app|application|access|private|secret|account|master|signing|encryption|auth|subscription)"
    r"[ _-]?keys?"
    r"|(?:access|refresh|auth|id|identity|session|bearer|api|bot|security|personal[_-]access)[ _-]?tokens?"
    r"|authorization|credentials?|cookie|set-cookie|connection[_-]?string"
)
_WEAK = r"token|sig|signature|jwt|otp|auth"

TELLING_WORDS = (
    *("pass", "pwd", "secret", "key", "token", "auth", "credential", "cookie", "connection"),
    *("sig", "jwt", "otp"),
)
"""One of these is in every name that says it holds a secret; lower case."""

# Patterns are compiled when they are first asked for (`re` keeps them): most runs meet no secret.
_STRONG_FIELD = rf"(?i)(?:.*[_.-])?(?:{_STRONG})"
_WEAK_FIELD = rf"(?i)(?!(?:page|next|cursor|continuation|sync))(?:[a-z0-9]+[_.-])?(?:{_WEAK})"
_CAMEL = r"(?<=[a-z0-9])(?=[A-Z])"
_HEADER = (
    r"(?i)(?:proxy-)?auth(?:orization|entication(?:-info)?)|(?:set-)?cookie2?"
    r"|(?:x-)?(?:[a-z0-9]+-)*(?:api-?key|auth|token|secret|password"
    r"|signature|credential|csrf|session)(?:-[a-z0-9]+)*|(?:[a-z0-9]+-)+(?:subscription|functions?|application|master|access|private|rapidapi|service)-key"
    r"|openai-(?:organization|project)|x-amz-.*"
)
_QUERY = (
    rf"(?i)(?:{_STRONG}|{_WEAK}|key|hapikey|code(?:_verifier)?|auth|s(?:ession_?)?id|(?:client_)?assertion|saml(?:request|response)"
    r"|x-amz-(?:signature|credential|security-token)|x-goog-signature)"
)
_RANDOM = r"(?=\S*\d)(?=\S*[A-Za-z])[^\s\\]{8,}"
_PLACEHOLDER = r"\[(?:redacted|env):[^\]]*\]"

_VARIABLE_WORDS = frozenset(
    {"KEY", "APIKEY", "ACCESSKEY", "PRIVATEKEY", "SECRETKEY", "TOKEN", "SECRET", "SECRETS", "AUTH", "PAT"}
    | {"PASS", "PASSWORD", "PASSWD", "PASSPHRASE", "PWD", "CREDENTIAL", "CREDENTIALS", "DSN", "COOKIE", "JWT"}
)
_NOT_A_VALUE = frozenset(
    {"FILE", "PATH", "SOCK", "DIR", "URL", "URI", "HOST", "PORT", "NAME", "ID", "USER", "TTL", "TIMEOUT"}
    | {"EXPIRY"}
)
_LONGEST_SUFFIX = 5
_TELLS_NOTHING = frozenset(
    {"string", "str", "text", "required", "optional", "none", "null", "true", "false"}
    | {"bearer", "basic", "auto", "password", "token", "secret"}
)


@lru_cache(4096)
def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret: `OPENAI_API_KEY`, `DB_PASSWORD`, `GITHUB_TOKEN`."""
    *before, last = name.upper().split("_")
    if last in _VARIABLE_WORDS:
        return True
    # A number or a few letters may follow: `API_KEY_2`, `TOKEN_PROD`.
    is_suffix = last.isascii() and last.isalnum() and (last.isdigit() or len(last) <= _LONGEST_SUFFIX)
    return bool(before) and before[-1] in _VARIABLE_WORDS and is_suffix and last not in _NOT_A_VALUE


def is_secret_header(name: str) -> bool:
    """Whether an HTTP header of this name holds a credential."""
    return re.fullmatch(_HEADER, name) is not None


def is_secret_query(name: str) -> bool:
    """Whether a query or form field of this name holds a credential."""
    return re.fullmatch(_QUERY, name) is not None or is_secret_field(name, "a1b2c3d4")


def is_secret_field(name: str, value: str) -> bool:
    """Whether a member *name* of a JSON object says that its text *value* is a secret.

    `password` says so of anything; `token` only of something that looks like one, for language models call
    their words tokens.
    """
    strong, weak = _says(name)
    if not (strong or weak) or len(value) < 4 or value.lower() in _TELLS_NOTHING:
        return False
    if re.fullmatch(_PLACEHOLDER, value):
        return False
    return strong or re.fullmatch(_RANDOM, value) is not None


@lru_cache(maxsize=2_000)  # the members of a run have few names
def _says(name: str) -> tuple[bool, bool]:
    snake = re.sub(_CAMEL, "_", name)
    return re.fullmatch(_STRONG_FIELD, snake) is not None, re.fullmatch(_WEAK_FIELD, snake) is not None
