"""Secrets are found wherever they stand and however they are written; what only looks like one stays."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings, strategies as st

from looplet.redact import Redactor, is_secret_header, is_secret_name, is_secret_query, known_secrets

PLANTED = [
    json.loads(line) for line in (Path(__file__).parent / "planted_secrets.jsonl").read_text().splitlines()
]
"""Synthetic credentials and the text around them, stored backwards so that secret scanners stay quiet."""

# Channels that are not text as such: HTTP has its own tests for them.
IN_HTTP = {"req_header", "resp_header", "req_uri", "resp_stream", "env"}
IN_TEXT = {row["id"]: row for row in PLANTED if row["where"] not in IN_HTTP}


def secret_and_carrier(row: dict[str, Any]) -> tuple[str, str]:
    return row["value"][::-1], row["carrier"][::-1]


@pytest.mark.parametrize("name", [n for n, r in IN_TEXT.items() if r["must_be_redacted"] == "yes"])
def test_PR_05_planted_secrets_are_taken_out(name: str) -> None:
    secret, carrier = secret_and_carrier(IN_TEXT[name])
    redactor = Redactor()
    clean = redactor.text(carrier)
    assert secret not in clean
    assert secret not in json.loads(f'"{clean}"') if carrier[0] != "{" else True
    assert redactor.text(clean) == clean


@pytest.mark.parametrize("name", [n for n, r in IN_TEXT.items() if r["must_be_redacted"] == "yes"])
def test_PR_05_planted_secrets_are_taken_out_of_data(name: str) -> None:
    secret, carrier = secret_and_carrier(IN_TEXT[name])
    data = json.loads(carrier) if carrier[0] == "{" else {"content": [carrier, carrier]}
    clean = json.dumps(Redactor().value(data))
    assert secret not in clean
    assert json.dumps(secret)[1:-1] not in clean


@pytest.mark.parametrize("name", [n for n, r in IN_TEXT.items() if r["must_be_redacted"] == "no"])
def test_PR_05_what_is_no_secret_stays(name: str) -> None:
    _, carrier = secret_and_carrier(IN_TEXT[name])
    assert Redactor().text(carrier) == carrier


BODY = "a1B2c3D4e5F6g7H8i9J0" * 8
HEX = "0a1b2c3d4e5f6789" * 8
TOKENS = [
    *(f"{prefix}{BODY[:40]}" for prefix in ("glffct-", "gloas-", "GR1348941", "xoxc-", "xoxd-", "1//0")),
    *(
        f"{prefix}{BODY[:64]}"
        for prefix in ("jina_", "tgp_v1_", "HRKU-", "pscale_pw_", "NRAK-", "nfp_", "EAAA")
    ),
    *(
        f"{prefix}{BODY[:64]}"
        for prefix in ("dp.st.prd.", "hvb.", "ATATT3xFfGF0", "CFPAT-", "pat-na1-", "LTAI")
    ),
    *(f"{prefix}{HEX[:48]}" for prefix in ("pul-", "fc-", "dor_v1_", "sk_")),
    f"ghs_12345_eyJ{BODY[:20]}.{BODY[:30]}.{BODY[:30]}",
    f"abc8Q~{BODY[:14]}~{BODY[:18]}.",
    f"{HEX[:76]}AZDOa1B2",
    f"{HEX[:32]}-us12",
    f"{BODY[:14]}.atlasv1.{BODY[:60]}",
    f"access_token$production${HEX[:16]}${HEX[:32]}",
    f"access_token$sandbox${HEX[:16]}${HEX[:32]}",
    *(
        f"{prefix}{HEX[:64]}"
        for prefix in ("napi_", "hcaik_", "oy2", "lin_oauth_", "v1.0-" + HEX[:24] + "-" + HEX)
    ),
    *(f"{prefix}{BODY[:43]}" for prefix in ("pa-", "dckr_oat_", "NRII-", "cmVmdGtu", "fm2_", "ops_eyJ")),
    f"cio{BODY[:32]}",
    f"pat{BODY[:14]}.{HEX[:64]}",
    f"st.{HEX[:24]}.{HEX[:32]}.{HEX[:32]}",
    f"1/1234567890123456:{HEX[:32]}",
    f"M{BODY[:23]}.G{BODY[:5]}.{BODY[:38]}",
    f"access-production-{HEX[:8]}-{HEX[:4]}-{HEX[:4]}-{HEX[:4]}-{HEX[:12]}",
]


@pytest.mark.parametrize("token", TOKENS, ids=[token[:12] for token in TOKENS])
@pytest.mark.parametrize("around", ["{}", "it is {} now", "https://x.invalid/{}/y", '{{"a": "{}"}}'])
def test_PR_05_a_token_of_a_known_provider(token: str, around: str) -> None:
    assert token not in Redactor().text(around.format(token))


@pytest.mark.parametrize(
    "around",
    [
        *(
            r"a\n{}\n",
            r"a\t{}",
            r"a\\n{}\\n",
            r"caf\u00e9{}",
            r"\x1b[0m{}\x1b",
            "\x1b[1;32m{}\x1b[0m",
            "a%20{}%20b",
            "u%3D{}&x",
            "%7B%22{}%22%7D",
        ),
        *(r"{{\"arguments\": \"{{\\\"text\\\": \\\"a\\n{}\\\"}}\"}}", r"\\\\n{}"),
    ],
)
def test_PR_05_a_token_behind_an_escape(around: str) -> None:
    clean = Redactor().text(around.format(TOKENS[0]))
    assert clean.startswith(around.partition("{}")[0].replace("{{", "{"))
    assert TOKENS[0] not in clean
    assert clean.endswith(around.rpartition("{}")[2].replace("}}", "}"))


@pytest.mark.parametrize("skipped", range(3))
@pytest.mark.parametrize("around", [r"a\n{}\n", "a%3D{}", "/v1/{}/x", "x/{}", '"{}"', "%{}"])
def test_PR_05_base64_behind_an_escape_or_in_a_path(around: str, skipped: int) -> None:
    spelled = base64.b64encode(b": {"[:skipped] + TOKENS[0].encode()).decode()
    clean = Redactor().text(around.format(spelled))
    assert spelled[8:-8] not in clean
    assert "[redacted:base64]" in clean


@pytest.mark.parametrize("end", ["\n", "\r\n", r"\n", r"\r\n"])
def test_PR_05_a_key_in_base64_of_many_lines(end: str) -> None:
    key = (
        "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join([HEX[:64]] * 6) + "\n-----END RSA PRIVATE KEY-----\n"
    )
    lines = base64.encodebytes(key.encode()).decode().strip().split("\n")
    assert (
        Redactor().text(f"$ base64 id{end}{end.join(lines)}{end}$")
        == f"$ base64 id{end}[redacted:base64]{end}$"
    )


def test_PR_05_a_key_that_is_cut_hides_neither_the_next_one_nor_the_text_behind_it() -> None:
    begin, end = "-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----"
    text = f"S1 (a={begin}\n{HEX[:9]}...) -> [redacted:github] ok\nS2 (a={begin}\n{HEX[:64]}\n{end}) -> fine"
    clean = Redactor().text(text)
    assert (
        clean
        == "S1 (a=[redacted:private key]...) -> [redacted:github] ok\nS2 (a=[redacted:private key]) -> fine"
    )
    assert Redactor().text(f"{begin}\\n{HEX[:64]}\\n{HEX[:20]}") == "[redacted:private key]"


def test_PR_05_a_password_in_a_url_that_is_cut() -> None:
    assert VALUE not in Redactor().text(f"open(dsn=postgres+asyncpg://app:{VALUE}...) failed")
    assert Redactor().text("open(url=http://host:8080...)") == "open(url=http://host:8080...)"


@pytest.mark.parametrize("levels", range(5))
def test_PR_05_a_field_in_json_in_json(levels: int) -> None:
    said = json.dumps({"user": "x", "password": VALUE})
    for _ in range(levels):
        said = json.dumps({"said": said})
    clean = Redactor().text(said)
    assert VALUE not in clean
    for _ in range(levels):
        clean = json.loads(clean)["said"]
    assert json.loads(clean)["user"] == "x"


VALUE = "Mptt0JlVGlAelo1OwzfWsU"
SAID = [
    "Ocp-Apim-Subscription-Key: {}",
    "https://{}@github.com/a/b.git",
    "curl -u admin:{} https://x",
    "curl --user 'admin:{}' https://x",
    "tool --password {} x",
    'tool --api-key "{}" x',
    "machine x.com login u password {}",
    "_auth={}",
    "Authorization: token {}",
    "authorization: {}",
    "[(b'authorization', b'Basic {}')]",
    "OPENAI_KEY={}",
    "DB_PASS={}",
    "<password>{}</password>",
    "https%3A%2F%2Fx%2F%3Faccess_token%3D{}%26y",
    '{{"API Key": "{}"}}',
    '[["X-Api-Key", "{}"]]',
    "my password is {}",
    "The API key is {}.",
    "The secret key is `{}`",
    "const token = `{}`;",
    ":password => '{}'",
    "('password', '{}')",
    "{{b'password': b'{}'}}",
    'user.setPassword("{}")',
    "**Password:** {}",
    "| password | {} |",
    "passphrase '{}'",
    "Use the token {} to log in",
    "ENV API_TOKEN {}",
    "API_KEY\t{}",
    "aws configure set aws_secret_access_key {}",
    "password: |\n  {}\n",
    "api_keys:\n  - {}\n",
    "- name: DB_PASSWORD\n  value: {}\n",
    '<ns:password type="x">{}</ns:password>',
    "<password><![CDATA[{}]]></password>",
    '<add key="ApiKey" value="{}" />',
    'form-data; name="password"\r\n\r\n{}\r\n',
    'form-data; name="api_key"\r\nContent-Type: text/plain\r\n\r\n{}\r\n',
    "ansible_ssh_pass={}",
    "db.pass={}",
    '{{"passcode":"{}"}}',
    '{{"encryptionKey":"{}"}}',
    '{{"passwords":["{}"]}}',
    '{{"auths":{{"x.io":{{"auth":"{}"}}}}}}',
    '{{"kty":"RSA","d":"{}"}}',
    "DD-APPLICATION-KEY: {}",
    "X-Functions-Key: {}",
    "Authentication: {}",
    'Authorization: Digest username="u", nonce="n", response="{}"',
    'Authorization: Hawk id="a1", ts="1", mac="{}"',
    "Authorization: SharedKey account:{}",
    "mysql -uroot -p{} db",
    "sshpass -p {} ssh u@h",
    "docker login -u me -p {} r.x.io",
    "redis-cli -a {} ping",
    "openssl enc -pass pass:{}",
    "CREATE USER u IDENTIFIED BY '{}';",
    "ALTER USER u WITH PASSWORD '{}';",
    "db.x.io:5432:app:me:{}",
    "jdbc:oracle:thin:scott/{}@//h:1521/x",
    "https://x.io/?jwt={}",
    "https://x.io/?session_id={}&a=b",
    "https://x.io/?SAMLResponse={}",
    "https%3A%2F%2Fu%3A{}%40h.io%2F",
    r"https:\/\/u:{}@h.io\/x",
    "https://discord.com/api/v10/webhooks/123456789012345678/{}",
    "https://hooks.zapier.com/hooks/catch/1234567/{}/",
    "Private-Lines: 1\n{}\nPrivate-MAC: ab",
    "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
]


@pytest.mark.parametrize("text", SAID)
def test_PR_05_a_value_that_the_words_before_it_tell(text: str) -> None:
    assert VALUE not in Redactor().text(text.format(VALUE))


@pytest.mark.parametrize(
    "password", ["p@ss9w0rd!xK", "aB3/xY7+q==", "aB3'xY7qZZ1", "p%40ss%2Fw0rd9", "hunter2"]
)
def test_PR_05_a_password_with_signs_in_a_url(password: str) -> None:
    clean = Redactor().text(f"DSN=amqp://user:{password}@host:5672/v and more")
    assert clean == "DSN=amqp://user:[redacted:password]@host:5672/v and more"


def test_PR_05_a_quoted_password_with_signs() -> None:
    assert "hunter2!" not in Redactor().text("password: 'hunter2!X'")


@pytest.mark.parametrize(
    "data",
    [
        [["X-Api-Key", VALUE]],
        [("Cookie", f"a={VALUE}")],
        {"name": "API_KEY", "value": VALUE},
        {"auths": {"x.io": {"auth": VALUE}}},
        {"API Key": VALUE},
        {"key": "API_KEY", "value": VALUE},
        {"Key": "DB_PASSWORD", "Value": VALUE},
        {"passwords": [VALUE]},
        {"api_keys": ["x", VALUE]},
        {"password": {"value": VALUE}},
        {"cookies": [{"name": "sid", "value": VALUE, "path": "/"}]},
        {"kty": "RSA", "n": "x", "d": VALUE},
        {"kty": "oct", "k": VALUE},
        {"identityToken": VALUE},
    ],
)
def test_PR_05_pairs_of_a_name_and_a_value(data: Any) -> None:
    assert VALUE not in json.dumps(Redactor().value(data))


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"x " + TOKENS[0].encode()), b"\xff\x00" + TOKENS[0].encode()],
    ids=["gzip", "binary"],
)
def test_PR_05_a_token_in_data_that_is_no_text(packed: bytes) -> None:
    spelled = base64.b64encode(packed).decode()
    assert Redactor().text(f"data={spelled}") == "data=[redacted:base64]"


def test_gzip_that_is_broken_or_endless_is_data_like_any() -> None:
    for data in (b"\x1f\x8b" + b"\x00" * 40, gzip.compress(b"0" * 50_000_000)):
        text = base64.b64encode(data).decode()
        assert Redactor().text(text) == text


HARMLESS = [
    "docker run -u 1000:1000 -p 8080:80 image",
    "tool --token-file path/to/file --password-stdin",
    "author: Jane Doe, authorization: none",
    "the header x-request-id, the key 'sort-key', PRIMARY_KEY = id",
    "my password is on the other page",
    "api-1 pul-request fc-match sk_buff EAAAAA",
    "max_tokens: 2000, token_type: bearer",
    "the password: must have 8 characters",
    "sk-learn is short for scikit-learn-contrib-packages",
    "token = get_token()",
    "Basic understanding of authorization basics",
    '{"tokens": ["Hello"], "next_page_token": "abc12345678"}',
    "https://example.com/a?key=v1&other=2",
    "commit 1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b",
    "api_key=os.environ['OPENAI_API_KEY']",
    "call_9b2f0a41c7d84e55 chatcmpl-AbCdEf0123456789 req_011CQx",
    "image sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "a/very/long/path/that/has/many/parts/and/no/secret/in/it.txt",
    "fingerprint 2b:9c:11:aa and port 8080:9090",
    "const token = process.env.GITHUB_TOKEN_2;",
    "token = local.github_token_v2",
    "SSH_KEY_PATH=~/.ssh/id_ed25519",
    'private_key_path = "/x/y1.pem"',
    "tokenizer=cl100k_base tokenize=unicode61 token_count=12a45678",
    "next_token: abc12345678901, pageToken=CAUQAA1234, nextPageToken: CAUQAA1234567, sync_token: abc12345678",
    "api_key%3Dos.environ%5B%22API_KEY%22%5D password%3D%2A%2A%2A%2A%2A%2A%2A%2A max_tokens%3D2000%2C%20t",
    "Bearer%20authentication%20is%20required",
    r'{"token":"\u0120hello","logprob":-0.1}',
    "mkdir -p /var/lib/app2 && ssh -p 2222 user@host && pytest -p no:cacheprovider",
    "http://localhost:8080/a@b and https://x.io/@user/post-1234567890",
    "pass: 12, fail: 3, test_pass=True",
    "the token Base64UrlEncoder makes, the secret 3f2504e0-4f89-11d3-9a0c is no",
    "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----",
    r"C:\new\table\x41\u0041 100%2 %zz",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_PR_05_ordinary_text_stays(text: str) -> None:
    assert Redactor().text(text) == text
    assert Redactor().value({"logprobs": [{"token": "Hello"}], "text": text})["text"] == text


def test_values_under_telling_names() -> None:
    data = {
        "password": "hunter22",
        "client_secret": "abcd-efgh",
        "apiKey": "k-1234567",
        "accessToken": "zzzz-1111",
        "token": "Hello",
        "tokens": 12,
        "schema": {"password": {"type": "string"}},
        "usage": {"prompt_tokens": 3},
    }
    clean = Redactor().value(data)
    assert [clean[name] for name in ("password", "client_secret", "apiKey", "accessToken")] == [
        "[redacted:field]"
    ] * 4
    for name in ("token", "tokens", "schema", "usage"):
        assert clean[name] is data[name]


SECRET = 'p4ss w"rd/é+\\x9f8e'


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(SECRET))[3:-3],
        quote(SECRET, safe=""),
        quote(SECRET),
    ],
)
def test_PR_06_a_variables_value_in_every_spelling(spelled: str) -> None:
    redactor = Redactor.of_environment({"DB_PASSWORD": SECRET, "HOME": "/root"})
    assert redactor.text(f"before {spelled} after") == "before [env:DB_PASSWORD] after"


@pytest.mark.parametrize("shift", [0, 1, 2, 3, 7])
def test_PR_06_a_variables_value_inside_base64(shift: int) -> None:
    redactor = Redactor.of_environment({"DB_PASSWORD": SECRET})
    packed = base64.b64encode(b"\xff" * shift + SECRET.encode() + b"\x00tail").decode()
    clean = redactor.text(packed)
    # As a part of longer base64, or as a base64 text that says nothing else.
    assert clean == "[redacted:base64]" or len(clean.replace("[env:DB_PASSWORD]", "")) < 20 + 2 * shift


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("OPENAI_API_KEY", "abc123def456", True),
        ("GITHUB_TOKEN", "abc123def456", True),
        ("DB_PASSWORD", "abc123def456", True),
        ("AWS_SECRET_ACCESS_KEY", "abc123def456", True),
        ("MY_SERVICE_API_KEY_2", "abc123def456", True),
        ("PLAIN", "abc123def456", False),
        ("MONKEY_BUSINESS", "abc123def456", False),
        ("SSH_AUTH_SOCK", "/tmp/ssh-abc/agent.1", False),
        ("API_KEY_FILE", "keys/abc123.txt", False),
        ("SECRET_MODE", "production", False),
        ("TOKEN_LIMIT", "123456789", False),
        ("SHORT_KEY", "abc12", False),
    ],
)
def test_PR_06_which_variables_hold_secrets(name: str, value: str, kept: bool) -> None:
    assert known_secrets({name: value}) == ({value: name} if kept else {})


def test_two_variables_with_one_value_go_by_the_first_name() -> None:
    assert known_secrets({"B_KEY": "abc123def", "A_KEY": "abc123def"}) == {"abc123def": "A_KEY"}


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *(
            (n, True)
            for n in ("Authorization", "x-api-key", "api-key", "Cookie", "set-cookie", "X-Auth-Token")
        ),
        *((n, True) for n in ("x-goog-api-key", "proxy-authorization", "x-amz-security-token")),
        *(
            (n, False)
            for n in ("content-type", "x-request-id", "x-ratelimit-remaining-tokens", "retry-after")
        ),
    ],
)
def test_headers_that_hold_credentials(name: str, secret: bool) -> None:
    assert is_secret_header(name) is secret


def test_names_of_query_fields_and_variables() -> None:
    assert [is_secret_query(n) for n in ("key", "access_token", "sig", "alt", "page_token")] == [True] * 3 + [
        False
    ] * 2
    assert is_secret_name("AZURE_OPENAI_KEY")
    assert not is_secret_name("KEYBOARD")


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text("skghp_-AIza0123456789eyJ.=:/ \"'\\[]bearer", max_size=80))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    redactor = Redactor.of_environment({"X_KEY": "abc123def"})
    clean = redactor.text(text)
    assert redactor.text(clean) == clean


@pytest.mark.parametrize(
    "word",
    [
        *("password", "a-", "token=", "token=a-(", "://", "-eyJ", "sk-", "A", 'pwd":"'),
        *("A_", "--a-", "-u ", "--user a", "token is ", "x-a-", "<secret>", "authorization: a "),
        *(
            "login ",
            "mysql a -p",
            "x:*:a:a:",
            "jdbc:oracle:a:a/",
            "identified by '",
            "%3a",
            "\\n",
            "api_key a ",
        ),
        *("Private-Lines: 1 ab ", "authorization: digest a", "aaaaaaaa/", "a:5432:a", "%5c", "pat.st.Mo"),
    ],
)
def test_no_text_takes_more_than_linear_time(word: str) -> None:
    # A search that tried every start and every length would need minutes for this.
    Redactor().text(word * (100_000 // len(word)))


def test_a_users_own_function_is_called_last() -> None:
    redactor = Redactor(extra=[lambda text: text.replace("[redacted:", "<")])
    assert redactor.text("ghp_" + "a1" * 18) == "<github]"
