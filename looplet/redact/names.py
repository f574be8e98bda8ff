"""Names that say that what they hold is a secret."""

from __future__ import annotations

import re
from functools import lru_cache

_STRONG = (
    r"pass(?:word|wd|phrase|code)?|pwd|secrets?|(?:client|shared|signing|webhook|app)[_-]?secret"
    r"|(?:api|access|private|secret|account|master|signing|encryption|auth)[_-]?keys?"
    r"|(?:access|refresh|auth|id|session|bearer|api|bot|security|personal[_-]access)[_-]?tokens?"
    r"|authorization|credentials?|cookie|set-cookie|connection[_-]?string"
)
_WEAK = r"token|sig|signature|jwt|otp"

TELLING_WORDS = (
    *("pass", "pwd", "secret", "key", "token", "auth", "credential", "cookie", "connection"),
    *("sig", "jwt", "otp"),
)
"""One of these is in every name that says it holds a secret; lower case."""

_STRONG_FIELD = re.compile(rf"(?:.*[_.-])?(?:{_STRONG})", re.IGNORECASE)
_WEAK_FIELD = re.compile(
    rf"(?!(?:page|next|cursor|continuation|sync))(?:[a-z0-9]+[_.-])?(?:{_WEAK})", re.IGNORECASE
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_VARIABLE = re.compile(
    r"(?:.*_)?(?:(?:API|ACCESS|PRIVATE|SECRET)?KEY|TOKEN|SECRETS?|PASS|PASSWORD|PASSWD|PASSPHRASE|PWD|CREDENTIALS?|AUTH|PAT|DSN|COOKIE|JWT)"
    r"(?:_(?:[0-9]+|[A-Z0-9]{1,5}))?"
)
_NOT_A_VALUE = re.compile(r".*_(?:FILE|PATH|SOCK|DIR|URL|URI|HOST|PORT|NAME|ID|USER|TTL|TIMEOUT|EXPIRY)")
_HEADER = re.compile(
    r"(?:proxy-)?authorization|(?:set-)?cookie2?|(?:x-)?(?:[a-z0-9]+-)*(?:api-?key|auth|token|secret|password"
    r"|signature|credential|csrf|session)(?:-[a-z0-9]+)*|openai-(?:organization|project)|x-amz-.*",
    re.IGNORECASE,
)
_QUERY = re.compile(
    rf"(?:{_STRONG}|{_WEAK}|key|code|auth|x-amz-(?:signature|credential|security-token)|x-goog-signature)",
    re.IGNORECASE,
)
_TELLS_NOTHING = frozenset(
    {"string", "str", "text", "required", "optional", "none", "null", "true", "false"}
    | {"bearer", "basic", "auto", "password", "token", "secret"}
)
_RANDOM = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])\S{8,}")
_PLACEHOLDER = re.compile(r"\[(?:redacted|env):[^\]]*\]")


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret: `OPENAI_API_KEY`, `DB_PASSWORD`, `GITHUB_TOKEN`."""
    upper = name.upper()
    return _VARIABLE.fullmatch(upper) is not None and _NOT_A_VALUE.fullmatch(upper) is None


def is_secret_header(name: str) -> bool:
    """Whether an HTTP header of this name holds a credential."""
    return _HEADER.fullmatch(name) is not None


def is_secret_query(name: str) -> bool:
    """Whether a query or form field of this name holds a credential."""
    return _QUERY.fullmatch(name) is not None or is_secret_field(name, "a1b2c3d4")


def is_secret_field(name: str, value: str) -> bool:
    """Whether a member *name* of a JSON object says that its text *value* is a secret.

    `password` says so of anything; `token` only of something that looks like one, for language models call
    their words tokens.
    """
    strong, weak = _says(name)
    if not (strong or weak) or len(value) < 4 or value.lower() in _TELLS_NOTHING:
        return False
    if _PLACEHOLDER.fullmatch(value):
        return False
    return strong or _RANDOM.fullmatch(value) is not None


@lru_cache(maxsize=2_000)  # the members of a run have few names
def _says(name: str) -> tuple[bool, bool]:
    snake = _CAMEL.sub("_", name)
    return _STRONG_FIELD.fullmatch(snake) is not None, _WEAK_FIELD.fullmatch(snake) is not None
