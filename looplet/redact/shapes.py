"""What credentials look like: one row a shape.

A row is tried only on text that has one of its hints, so that text without secrets costs a few searches
for fixed words.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Shape(NamedTuple):
    """One form that secrets have.

    Attributes:
        kind: Stands in the placeholder: `[redacted:github]`.
        hints: One of these is in every text that has it; lower case.
        rule: The regular expression that finds it; a group `secret` is the part to take out, else all of
            it. It consumes whatever it looks at, so that time stays linear in the text.
        random: The secret must look like one: it has a digit or mixes capitals with small letters, and is
            not the name of something that is called.
    """

    kind: str
    hints: tuple[str, ...]
    rule: str
    random: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """`rule`, compiled when it is first tried (`re` keeps it): most runs meet hardly any of these."""
        return re.compile(self.rule)


_START = r"(?<![A-Za-z0-9])"
_DIGIT = r"(?=[A-Za-z0-9_-]{0,200}\d)"


def _token(kind: str, prefixes: str, rest: str) -> Shape:
    """A token that starts with one of *prefixes* (separated by blanks)."""
    words = prefixes.split()
    starts = "|".join(re.escape(word) for word in words)
    return Shape(kind, tuple(w.lower() for w in words), f"{_START}(?:{starts}){rest}")


_NAME_HINTS = (
    *("password", "passwd", "passphrase", "pwd", "secret", "api_key", "api-key", "apikey", "access_key"),
    *(
        "access-key",
        "accesskey",
        "private_key",
        "privatekey",
        "account_key",
        "accountkey",
        "token",
        "credential",
    ),
)
# Begins with the telling word, not with the name it ends: a search that starts anywhere in a name is slow.
_PAGES = r"(?<!page_)(?<!page-)(?<!next)(?<!cursor_)(?<!continuation_)"
_NAME = rf"{_PAGES}(?:{'|'.join(_NAME_HINTS)})[A-Za-z0-9_]{{0,40}}"
_QUOTE = r"\\{0,8}[\"']"
_RUN = r"(?P<secret>[\w+/=.~%-]{8,}+)"

SHAPES: tuple[Shape, ...] = (
    Shape(
        "private key",
        ("private key", "private%20key", "private+key"),
        r"(?s)-----BEGIN(?: |%20|\+)(?:[A-Z0-9]+(?: |%20|\+))*PRIVATE(?: |%20|\+)KEY[^-]{0,10}-----"
        r".*?(?:-----END[^-]*-----|\Z)",
    ),
    _token("api key", "sk-", rf"{_DIGIT}[A-Za-z0-9_-]{{20,}}"),
    _token("github", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"[A-Za-z0-9_]{20,}"),
    _token("gitlab", "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- glsoat-", r"[\w-]{20,}"),
    _token("google", "AIza", r"[\w-]{30,}"),
    _token("google", "GOCSPX- ya29.", r"[\w-]{20,}"),
    _token("aws", "AKIA ASIA ABIA ACCA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _token("slack", "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xapp-", r"[\w-]{10,}"),
    _token("npm", "npm_", r"[A-Za-z0-9]{30,}"),
    _token("pypi", "pypi-", r"[\w-]{40,}"),
    _token("databricks", "dapi", r"[0-9a-f]{32}"),
    _token("huggingface", "hf_", rf"{_DIGIT}?[A-Za-z0-9]{{30,}}"),
    _token("stripe", "sk_live_ sk_test_ rk_live_ rk_test_ whsec_", r"[A-Za-z0-9]{16,}"),
    _token("api key", "pplx- gsk_ xai- r8_ tvly- lsv2_pt_ lsv2_sk_ pcsk_ fw_ nvapi-", r"[\w-]{20,}"),
    _token(
        "api key", "lin_api_ ntn_ secret_ sbp_ figd_ glsa_ glc_ hvs. PMAK- dckr_pat_ sntrys_", r"[\w-]{24,}"
    ),
    _token(
        "api key", "xkeysib- dop_v1_ doo_v1_ shpat_ shpca_ shppa_ shpss_ rubygems_ key-", r"[0-9a-f]{32,}"
    ),
    _token("sendgrid", "SG.", r"[\w-]{16,}\.[\w-]{16,}"),
    _token("age", "AGE-SECRET-KEY-1", r"[A-Z0-9]{30,}"),
    _token("twilio", "SK", r"[0-9a-f]{32}(?![A-Za-z0-9])"),
    _token("jwt", "eyJ", r"[\w-]{8,1000}+\.[\w-]{4,}+(?:\.[\w-]*+){1,3}"),
    Shape("telegram", (":a",), r"(?<!\d)\d{8,10}:A[\w-]{30,40}(?![\w-])"),
    Shape(
        "webhook",
        ("hooks.slack.com", "/api/webhooks/", "webhook.office.com"),
        r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks"
        r"|\.webhook\.office\.com)(?:/|%2F)(?P<secret>[\w/%@-]{16,})",
    ),
    Shape(
        "bearer",
        ("bearer",),
        r"(?i:\bbearer(?:\s|%20|\+){1,5})(?P<secret>[\w+/=.~%-]{16,}+)",
        random=True,
    ),
    Shape(
        "basic",
        ("basic",),
        r"(?i:authorization\\*[\"']?\s*[:=,]\s*\\*[\"']?\s*basic\s+)(?P<secret>[A-Za-z0-9+/]{8,}={0,2})",
    ),
    Shape("password", ("://",), r"://[^\s/:@\"'\[\]]*:(?P<secret>[^\s/@\"'\[\]]+)@"),
    Shape(
        "cookie",
        ("cookie:",),
        r"(?i:\b(?:set-)?cookie:\s*)(?P<secret>[^\s=;\"'\[]+=[^\r\n\"'\[]+)",
    ),
    Shape(
        "field",
        _NAME_HINTS,
        rf"(?P<name>(?i:{_NAME})){_QUOTE}\s{{0,5}}:\s{{0,5}}(?P<quote>{_QUOTE})(?P<secret>(?:(?!(?P=quote)).){{1,4000}})(?P=quote)",
    ),
    Shape(
        "assigned",
        _NAME_HINTS,
        rf"(?i:{_NAME})\s{{0,5}}[=:]\s{{0,5}}(?:{_QUOTE})?{_RUN}",
        random=True,
    ),
    Shape(
        "query",
        ("key=", "sig=", "signature=", "code=", "auth="),
        r"(?i:[?&;](?:key|sig|signature|code|auth|x-amz-[a-z-]+)=)(?P<secret>[^&\s\"'\[#]{8,})",
    ),
)
"""Tried in this order: whole credentials first, then what only a name gives away."""
