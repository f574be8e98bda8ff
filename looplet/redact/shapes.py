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
        strict: It must look like one even more, for the words before it do not tell for certain.
        alone: It is a run of at least 16 characters without blanks or brackets, its hint among them.
    """

    kind: str
    hints: tuple[str, ...]
    rule: str
    random: bool = False
    strict: bool = False
    alone: bool = False

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
    return Shape(kind, tuple(w.lower() for w in words), f"{_START}(?:{starts}){rest}", alone=True)


_NAME_HINTS = (
    *(
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "secret",
        "api_key",
        "api-key",
        "api key",
        "apikey",
        "secret key",
    ),
    *("access_key", "access-key", "accesskey", "subscription-key", "app_key", "app-key", "appkey"),
    *("private_key", "privatekey", "account_key", "accountkey", "encryption_key", "encryptionkey"),
    *("application_key", "application-key", "functions-key", "signing_key", "signingkey", "master_key"),
    *("token", "credential"),
)
_INITIALS = sorted({hint[0] for hint in _NAME_HINTS})
# Names of what is no secret: of a page's token, and of how many, where, which.
_PAGES = r"(?<!(?i:page|next).)(?<!(?i:page|next|sync)[_-].)(?<!(?i:cursor)[_-].)(?<!(?i:continuation)[_-].)"
_OTHERS = (
    r"(?!ary|i[sz]|[A-Za-z0-9_]{0,20}(?:count|types?|limit|ur[li]|path|file|dir|endpoint|name|arn|length|usage"
    r"|expir[a-z]*|_ids?)(?![A-Za-z]))"
)
# Begins with the telling word, not with the name it ends: a search that starts anywhere in a name is slow.
# Its first letter stands by itself, in both cases, because such a set is what `re` looks for quickly.
_NAME = (
    rf"[{''.join(_INITIALS)}{''.join(_INITIALS).upper()}]{_PAGES}(?i:(?:"
    + "|".join(
        f"(?<={initial})(?:{'|'.join(hint[1:] for hint in _NAME_HINTS if hint[0] == initial)})"
        for initial in _INITIALS
    )
    + rf"){_OTHERS}[A-Za-z0-9_]{{0,40}})"
)
_QUOTE = r"\\{0,8}[\"']"
_RUN = r"(?P<secret>[\w+/=.~%!^*-]{8,}+)"
_VARIABLE = r"(?<![A-Za-z0-9_])[A-Z][A-Z0-9_]{0,60}_(?:KEY|PASS|PAT|AUTH|JWT)(?:_[A-Z0-9]{1,5})?"

SHAPES: tuple[Shape, ...] = (
    Shape(
        "private key",
        ("private key", "private%20key", "private+key"),
        # To its end; where that is missing, as far as there may be a key.
        r"(?s)-----?[ ]?BEGIN(?: |%20|\+)(?:[A-Z0-9]+(?: |%20|\+))*PRIVATE(?: |%20|\+)KEY[^-]{0,10}----"
        r"(?:(?:(?!BEGIN).){0,20000}?----[ ]?END[^-]{0,80}-----?|[A-Za-z0-9+/=\s\\%:,-]*)",
    ),
    Shape(
        "private key", ("private-lines:",), r"Private-Lines:\s*\d+\s+(?P<secret>(?:[A-Za-z0-9+/=]{1,80}\s?)+)"
    ),
    _token("api key", "sk-", rf"{_DIGIT}[A-Za-z0-9_-]{{20,}}"),
    _token("github", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"[A-Za-z0-9_]{20,}"),
    _token(
        "gitlab",
        "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- glsoat- glffct- gloas- GR1348941",
        r"[\w-]{20,}",
    ),
    _token("google", "AIza", r"[\w-]{30,}"),
    _token("google", "GOCSPX- ya29. 1//0", r"[\w-]{20,}"),
    _token("aws", "AKIA ASIA ABIA ACCA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _token("slack", "xoxa- xoxb- xoxc- xoxd- xoxe- xoxo- xoxp- xoxr- xoxs- xapp-", r"[\w-]{10,}"),
    _token("npm", "npm_", r"[A-Za-z0-9]{30,}"),
    _token("pypi", "pypi-", r"[\w-]{40,}"),
    _token("databricks", "dapi", r"[0-9a-f]{32}"),
    _token("huggingface", "hf_", rf"{_DIGIT}?[A-Za-z0-9]{{30,}}"),
    _token("stripe", "sk_live_ sk_test_ rk_live_ rk_test_ whsec_", r"[A-Za-z0-9]{16,}"),
    _token("api key", "pplx- gsk_ xai- r8_ tvly- lsv2_pt_ lsv2_sk_ pcsk_ fw_ nvapi-", r"[\w-]{20,}"),
    _token(
        "api key",
        "lin_api_ lin_oauth_ ntn_ secret_ sbp_ figd_ glsa_ glc_ hvs. PMAK- dckr_pat_ dckr_oat_ sntrys_",
        r"[\w-]{24,}",
    ),
    _token(
        "api key",
        "tgp_v1_ api_org_ jina_ glrtr- sntryu_ sb_secret_ nfp_ HRKU- pscale_tkn_ pscale_pw_ pscale_oauth_ "
        "vercel_blob_rw_ CLOJARS_ AKCp NRAK- pnu_ rdme_ tfp_ CFPAT- pat-na1- pat-eu1- sq0atp- sq0csp- EAAA "
        "dp.pt. dp.st. dp.ct. dp.sa. hvb. hvr. dt0c01. ATATT3 ATCTT3 ATBB LTAI AKID AQVN sk.eyJ fo1_ NRII- "
        "ops_eyJ",
        r"(?=[\w.-]{0,200}\d)[\w.-]{16,}",
    ),
    _token("api key", "csk- fc- pul- dor_v1_ sk_ napi_ hcaik_ oy2", r"(?=[0-9a-z]{0,200}\d)[0-9a-z]{32,}"),
    _token("api key", "cio", r"[A-Za-z0-9]{32}(?![A-Za-z0-9])"),
    _token("voyage", "pa-", r"[\w-]{43}(?![\w-])"),
    _token("cloudflare", "v1.0-", r"[0-9a-f]{24}-[0-9a-f]{100,}"),
    _token("huggingface", "api_org_", r"[A-Za-z]{30,}"),
    _token("artifactory", "cmVmdGtu", r"[A-Za-z0-9]{40,}"),
    _token("fly", "fm2_", r"[\w+/=-]{40,}"),
    _token("plaid", "access-production- access-sandbox- access-development-", r"[0-9a-f-]{36}"),
    # Without a word of their own: tried on all that is long.
    Shape(
        "api key",
        (),
        r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}|st\.[0-9a-f]{24}\.[0-9a-f]{32}\.[0-9a-f]{32}|1/\d{13,16}:[0-9a-f]{32}"
        r"|(?<![\w.-])[nr]?[MNOmno][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,40}(?!\w)",
        alone=True,
    ),
    Shape(
        "azure", ("8q~", "azdo"), r"(?<![\w~])(?:\w{3}8Q~[\w.~-]{31,34}|[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4})"
    ),
    Shape("api key", ("-us",), r"(?<![0-9a-f])[0-9a-f]{32}-us\d{1,2}(?!\w)"),
    Shape("api key", (".atlasv1.",), r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}"),
    Shape(
        "api key",
        ("$production$", "$sandbox$"),
        r"access_token\$(?:production|sandbox)\$[a-z0-9]{10,}\$[0-9a-f]{32}",
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
        ("hooks.slack.com", "discord", "webhook.office.com", "hooks.zapier.com"),
        r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks"
        r"|hooks\.zapier\.com/hooks/catch|\.webhook\.office\.com)(?:/|%2F)(?P<secret>[\w/%@-]{16,})",
    ),
    Shape(
        "bearer",
        ("bearer",),
        r"(?i:\bbearer(?:\s|\+){1,5})(?P<secret>[\w+/=.~%-]{16,}+)",
        random=True,
    ),
    Shape(
        "basic",
        ("basic",),
        r"(?i:authorization\\*[\"']?\s*[:=,]\s*b?\\*[\"']?\s*basic\s+)(?P<secret>[A-Za-z0-9+/]{8,}={0,2})",
    ),
    Shape(
        "authorization",
        ("authorization",),
        r"(?i:authorization\\*[\"']?\s*[:=,]\s*b?\\*[\"']?\s*(?:[a-z][a-z0-9-]{1,20}\s{1,3})?)"
        r"(?P<secret>[\w+/=.~%-]{16,}+)",
        random=True,
    ),
    Shape(
        "authorization",
        ("authorization",),
        r"(?i:authorization\s*[:=]\s*(?:digest|hawk|oauth|sharedkey(?:lite)?|aws4-hmac-sha256)\s+)"
        r"(?P<secret>[^\r\n'\[]{0,80}[=:][^\r\n'\[]{8,})",
        random=True,
    ),
    Shape("authorization", ("authentication",), rf"(?i:\bauthentication\s*[:=]\s*){_RUN}", random=True),
    Shape("field", ('auth"',), r"\"auth\"\s{0,5}:\s{0,5}\"(?P<secret>[A-Za-z0-9+/=]{8,})\"", random=True),
    Shape("private key", ('"kty"',), r"\"(?:d|k|p|q|dp|dq|qi)\"\s{0,5}:\s{0,5}\"(?P<secret>[\w-]{16,})\""),
    Shape("signature", ("signature=",), r"(?i:\bsignature=)(?P<secret>[0-9a-f]{32,})"),
    Shape("password", ("://",), r"://(?P<secret>[^\s/:@\"'\[\]]{16,})@", random=True),
    Shape("password", ("://",), r"://[^\s/:@\"'\[\]]*:(?P<secret>[^\s/\"'\[\]]+)@"),
    # In a summary the rest is cut off.
    Shape(
        "password",
        ("://",),
        r"://[^\s/:@\"'\[\]]*:(?P<secret>[^\s/@\"'\[\]]{6,200}?)(?=\.\.\.|\u2026)",
        random=True,
    ),
    # What stands there unquoted is no URL, and is written all the same.
    Shape(
        "password",
        ("://",),
        r"://[^\s/:@\"'\[\]]*:(?!\d{1,5}/)(?P<secret>[^\s@\"\[\]{}<>]{6,200})@",
        random=True,
    ),
    Shape("password", ("jdbc:",), r"(?i:jdbc:oracle:\w+:)[^\s/@]{1,60}/(?P<secret>[^\s@\"]{1,200})@"),
    Shape(
        "password",
        (":5432:", ":3306:", ":*:"),
        r"[\w.*-]:(?:5432|3306|\*):[\w*-]{1,60}:[\w*-]{1,60}:(?P<secret>[^\s\[\"'\\]{6,})",
        random=True,
    ),
    Shape(
        "password",
        ("sshpass", "login ", "mysql", "redis-cli", "pass:"),
        r"(?:\bsshpass\s+-p\s{0,3}|\blogin\b[^\n]{0,200}?\s-p\s{1,3}|\bmysql\w{0,10}\b[^\n]{0,200}?\s-p"
        r"|\bredis-cli\b[^\n]{0,200}?\s-a\s{1,3}|-pass(?:in|out)?\s+pass:)[\"']?(?P<secret>[^\s\"'\[]{6,})",
        random=True,
    ),
    Shape(
        "password",
        ("identified", "password"),
        r"(?i:\b(?:identified\s+(?:with\s+[\w']{1,40}\s+)?by|password)\s+)[\"'](?P<secret>[^\"'\s\[]{6,})[\"']",
        random=True,
    ),
    Shape(
        "password",
        ("-u ", "--user", "login "),
        r"(?:(?:\s-u|--user)[\s=]\s{0,5}[\"']?[^\s:\"']{1,60}:|\blogin\s+\S{1,60}\s+password\s+)(?P<secret>[^\s\"'\[]{8,})",
        random=True,
    ),
    Shape(
        "cookie",
        ("cookie:",),
        r"(?i:\b(?:set-)?cookie:\s*)(?P<secret>[^\s=;\"'\[]+=[^\r\n\"'\[]+)",
    ),
    Shape(
        "field",
        _NAME_HINTS,
        rf"(?P<name>{_NAME}){_QUOTE}\s{{0,5}}:\s{{0,5}}(?P<quote>{_QUOTE})(?P<secret>(?:(?!(?P=quote)).){{1,4000}})(?P=quote)",
    ),
    Shape(
        "assigned",
        _NAME_HINTS,
        rf"{_NAME}(?:\s{{0,5}}[=:]|\s(?i:is|was)\s)\s{{0,5}}(?:{_QUOTE}|[`*]{{1,3}})?{_RUN}",
        random=True,
    ),
    Shape(
        "assigned",
        _NAME_HINTS,
        rf"{_NAME}\s{{0,5}}[=:]\s{{0,5}}(?P<quote>{_QUOTE})(?P<secret>[^\s\"'\\\[]{{6,200}}+)(?P=quote)",
        random=True,
    ),
    Shape("assigned", _NAME_HINTS, rf"<{_NAME}>(?P<secret>[^<\s\[]{{6,}})</", random=True),
    Shape(
        "assigned",
        ("--",),
        rf"--(?:[A-Za-z0-9]{{1,20}}-){{0,3}}{_NAME}\s{{1,5}}(?:{_QUOTE})?{_RUN}",
        random=True,
    ),
    Shape(
        "assigned",
        ("_key", "_pass", "_pat", "_auth", "_jwt"),
        rf"(?:{_VARIABLE}|\b_auth(?:Token)?)\s{{0,5}}[=:]\s{{0,5}}(?:{_QUOTE})?{_RUN}",
        random=True,
    ),
    Shape(
        "assigned", ("pass",), rf"pass(?<![A-Za-z]pass)\s{{0,5}}[=:]\s{{0,5}}(?:{_QUOTE})?{_RUN}", random=True
    ),
    Shape(
        "said",
        _NAME_HINTS,
        rf"{_NAME}(?:\s[\w:-]{{1,20}}=[\"'][^\"'<>]{{0,40}}[\"'])?[\W_]{{1,12}}"
        r"(?:(?i:content-type:)[^\r\n]{1,60}\s{1,4})?(?:(?i:is|was|to|value|cdata|b)[\W_]{1,12})?(?P<secret>[A-Za-z0-9][\w+/=.~!^*-]{15,}+)",
        strict=True,
    ),
    Shape(
        "header",
        ("-key", "-token", "-secret"),
        rf"(?i:\bx-(?:[a-z0-9]{{1,20}}-){{0,3}}(?:key|token|secret)){_QUOTE}\s{{0,5}},\s{{0,5}}b?{_QUOTE}{_RUN}",
        random=True,
    ),
    Shape(
        "query",
        ("key=", "sig=", "signature=", "code=", "auth=", "jwt=", "otp=", "session_id=", "sessionid=", "saml"),
        r"(?i:[?&;](?:key|sig|signature|code|auth|jwt|otp|session_?id|saml(?:request|response)|x-amz-[a-z-]+)=)(?P<secret>[^&\s\"'\[#]{8,})",
    ),
)
"""Tried in this order: whole credentials first, then what only a name gives away."""
