"""Matchers for paths, values and URLs: yes, no, or a doubt that never widens access."""

import os
import socket

import pytest

from looplet.errors import ConfigError
from looplet.permissions import Unsure, equals, one_of, path_within, regex, url_host


def answer(matcher, args):
    """`yes`, `no` or `unsure`."""
    try:
        return "yes" if matcher(args) else "no"
    except Unsure:
        return "unsure"


@pytest.fixture(scope="module")
def ws(tmp_path_factory):
    return build(tmp_path_factory.mktemp("paths"))


def build(base):
    """A folder with links of all kinds, in *base*."""
    ws = base / "ws"
    (ws / "src").mkdir(parents=True)
    (base / "out").mkdir()
    (base / "ws-evil").mkdir()
    (ws / "src" / "a.py").write_text("x")
    (base / "out" / "secret").write_text("x")
    links = {"out": base / "out", "file": base / "out" / "secret", "in": ws / "src", "chain": ws / "out"}
    links |= {
        "dangling": base / "out" / "new",
        "loop": "loop",
        "round": "round2",
        "round2": "round",
        "up": "..",
    }
    for name, target in links.items():
        (ws / name).symlink_to(target)
    os.mkfifo(ws / "fifo")
    with socket.socket(socket.AF_UNIX) as plug:
        here = os.getcwd()
        os.chdir(ws)
        try:
            plug.bind("socket")
        finally:
            os.chdir(here)
    (base / "link-to-ws").symlink_to(ws)
    (base / "to-file").symlink_to(ws / "src" / "a.py")
    (base / "out" / "down").mkdir()
    (base / "out" / "to-file").symlink_to(ws / "src" / "a.py")
    (ws / "back").symlink_to(base / "out" / "down")
    return ws


PATHS = {
    "a file": ("src/a.py", "yes"),
    "a folder": ("src", "yes"),
    "the root itself": (".", "yes"),
    "absolute": ("{WS}/src/a.py", "yes"),
    "not there yet": ("new/deep/file", "yes"),
    "a link inside": ("in/a.py", "yes"),
    "dots that stay": ("src/../src/./a.py", "yes"),
    "dots in a name": ("..a/b..", "yes"),
    "through a link to the folder": ("{BASE}/link-to-ws/src/a.py", "yes"),
    "a blank inside": ("my file", "yes"),
    "other letters": ("日本/é.py", "yes"),
    "a trailing slash": ("src/", "yes"),
    "the parent": ("..", "no"),
    "outside": ("../out/secret", "no"),
    "absolute outside": ("{BASE}/out/secret", "no"),
    "the root of the system": ("/", "no"),
    "a sibling that begins the same": ("{WS}-evil/x", "no"),
    "out of a folder that is not there": ("nope/../../out/x", "no"),
    "a system file": ("/etc/passwd", "no"),
    "a process": ("/proc/self/environ", "no"),
    "a device": ("/dev/null", "no"),
    "double slash": ("//etc/passwd", "no"),
    "a link to a folder outside": ("out/secret", "unsure_or_no"),
    "a link to a file outside": ("file", "unsure"),
    "a link through a link": ("chain/secret", "no"),
    "a link to nowhere": ("dangling", "unsure"),
    "a link outside, to the folder": ("{BASE}/link-to-ws", "unsure"),
    "a link outside, to a file": ("../to-file", "unsure"),
    "beside where a link leads": ("back/../to-file", "unsure"),
    "under a link to nowhere": ("dangling/x", "no"),
    "a link to the parent": ("up/out/secret", "no"),
    "back in by the parent": ("up/ws/src/a.py", "yes"),
    "out by a link, back by dots": ("out/../ws/src/a.py", "yes"),
    "in by the dots, out by the link": ("out/../src/a.py", "unsure"),
    "a link to itself": ("loop", "unsure"),
    "links in a circle": ("round/x", "unsure"),
    "a pipe": ("fifo", "unsure"),
    "a socket": ("socket", "unsure"),
    "NUL": ("src/a.py\0.txt", "unsure"),
    "a newline": ("src/a.py\n", "unsure"),
    "a blank before": (" /etc/passwd", "unsure"),
    "a blank behind": ("src/a.py ", "unsure"),
    "nothing": ("", "unsure"),
    "blanks": ("  ", "unsure"),
    "home": ("~", "unsure"),
    "somebody's home": ("~root/x", "unsure"),
    "a backslash": ("src\\..\\..\\out", "unsure"),
    "a URL": ("file:///etc/passwd", "unsure"),
    "too long": ("a/" * 3000, "unsure"),
    "a bidi mark": ("src/\u202ea.py", "unsure"),
    "half a character": ("src/\ud800", "unsure"),
    "a zero-width space": ("src/a\u200b.py", "unsure"),
    "inside, by way of a process": ("/proc/self/root{WS}/src/a.py", "unsure_or_no"),
    "a list": (["src/a.py"], "unsure"),
    "a number": (3, "unsure"),
    "null": (None, "unsure"),
    "bytes": (b"src/a.py", "unsure"),
    "an object": ({"path": "src/a.py"}, "unsure"),
}


@pytest.mark.parametrize(("path", "wanted"), PATHS.values(), ids=PATHS)
def test_PE_06_paths_by_their_real_place(path, wanted, ws):
    if isinstance(path, str):
        path = path.replace("{WS}", str(ws)).replace("{BASE}", str(ws.parent))
    got = answer(path_within(ws), {"path": path})
    assert got in (("no", "unsure") if wanted == "unsure_or_no" else (wanted,))


DEFAULTS = {
    "left out": ({}, "yes"),
    "given": ({"path": "a.py"}, "yes"),
    "given, and outside": ({"path": "../x"}, "no"),
    "given, and no text": ({"path": None}, "unsure"),
}


@pytest.mark.parametrize(("args", "wanted"), DEFAULTS.values(), ids=DEFAULTS)
def test_a_path_that_is_left_out_stands_for_the_default(tmp_path, args, wanted):
    assert answer(path_within(tmp_path, default="."), args) == wanted
    assert answer(path_within(tmp_path), {}) == "unsure"
    assert answer(path_within(tmp_path, default=".."), {}) == "no"


def test_PE_06_case_is_a_doubt(tmp_path):
    (tmp_path / "Secret").mkdir()
    matcher = path_within(tmp_path / "Secret")
    assert answer(matcher, {"path": str(tmp_path / "SECRET" / "x")}) == "unsure"
    assert answer(matcher, {"path": str(tmp_path / "Other")}) == "no"


def test_PE_06_a_root_that_is_a_link(ws):
    matcher = path_within(ws.parent / "link-to-ws", arg="file")
    assert answer(matcher, {"file": "src/a.py"}) == "yes"
    assert answer(matcher, {"file": str(ws / "src")}) == "yes"
    assert answer(matcher, {"file": "."}) == "yes"
    assert answer(matcher, {"file": str(ws.parent / "link-to-ws") + "/"}) == "yes"
    assert answer(matcher, {"file": "../out"}) == "no"
    assert answer(matcher, {"path": "src"}) == "unsure"


def test_PE_06_relative_paths_may_start_elsewhere(ws):
    matcher = path_within(ws / "src", cwd=ws)
    assert answer(matcher, {"path": "src/a.py"}) == "yes"
    assert answer(matcher, {"path": "a.py"}) == "no"
    assert answer(matcher, {"path": "src/../a.py"}) == "no"


@pytest.mark.parametrize("root", ["", None, 3, "a\0b"], ids=repr)
def test_a_root_that_is_none_is_refused(root):
    with pytest.raises(ConfigError, match="root"):
        path_within(root)


VALUES = {
    "equal": (equals("a", arg="x"), {"x": "a"}, "yes"),
    "other text": (equals("a", arg="x"), {"x": "b"}, "no"),
    "other case": (equals("a", arg="x"), {"x": "A"}, "no"),
    "missing": (equals("a", arg="x"), {"y": "a"}, "unsure"),
    "another type": (equals("1", arg="x"), {"x": 1}, "unsure"),
    "one is not true": (equals(1, arg="x"), {"x": True}, "unsure"),
    "one is not 1.0": (equals(1, arg="x"), {"x": 1.0}, "unsure"),
    "null": (equals(None, arg="x"), {"x": None}, "yes"),
    "a list": (equals([1, 2], arg="x"), {"x": [1, 2]}, "yes"),
    "one of": (one_of("a", "b", arg="x"), {"x": "b"}, "yes"),
    "none of": (one_of("a", "b", arg="x"), {"x": "c"}, "no"),
    "of several types": (one_of("a", 1, arg="x"), {"x": 1}, "yes"),
    "a pattern": (regex(r"[a-z]+-\d{1,3}", arg="x"), {"x": "ab-12"}, "yes"),
    "as a whole": (regex(r"[a-z]+", arg="x"), {"x": "ab; rm"}, "no"),
    "not the first line": (regex(r"[a-z]+", arg="x"), {"x": "ab\n"}, "no"),
    "either": (regex("dev|test", arg="x"), {"x": "test"}, "yes"),
    "not text": (regex("1", arg="x"), {"x": 1}, "unsure"),
    "many options": (regex("a?" * 30, arg="x"), {"x": "aaa"}, "unsure"),
    "a counted repeat": (regex("a{3}b{3}c{3}", arg="x"), {"x": "a" * 5000}, "no"),
    "too long": (regex(".*a.*b.*", arg="x"), {"x": "a" * 5000}, "unsure"),
    "a long text": (regex("a*", arg="x"), {"x": "a" * 90_000}, "yes"),
}


@pytest.mark.parametrize(("matcher", "args", "wanted"), VALUES.values(), ids=VALUES)
def test_values(matcher, args, wanted):
    assert answer(matcher, args) == wanted


SLOW = [
    r"(a+)+b",
    r"(a|a)*b",
    r"(a?){30}a{30}",
    r"(?:a*)*",
    r"(a)\1",
    r"(?=a)b",
    r"(?<!a)b",
    r"(a{1,9}){1,9}",
]
SLOW += [r"(?i)a", r"(x+x+)+y", r"(?P<n>a+)+", r"(?P=n)", "[", "(", "*", "a" * 3 + "(?(1)b)"]


@pytest.mark.parametrize("pattern", SLOW)
def test_a_pattern_that_may_take_for_ever_is_refused(pattern):
    with pytest.raises(ConfigError, match="regex"):
        regex(pattern, arg="x")


@pytest.mark.parametrize(
    "pattern", [r"a*b", r"a?" * 20 + "b", r"\w+@\w+\.\w+", r"(abc)*d", r"a{0,50}b{0,50}c", r"[(a+)]+"]
)
def test_the_worst_text_is_compared_in_bounded_time(pattern):
    matcher = regex(pattern, arg="x")
    for length in (20, 200, 2000, 20_000, 99_999):
        assert answer(matcher, {"x": "a" * length}) in ("yes", "no", "unsure")


HOSTS = {
    "the host": ("https://example.com/a?b#c", "yes"),
    "no path": ("https://example.com", "yes"),
    "plain http": ("http://example.com/", "yes"),
    "capital letters": ("HTTPS://EXAMPLE.com/", "yes"),
    "the usual port": ("https://example.com:443/", "yes"),
    "a sub-domain": ("https://a.api.test/", "yes"),
    "a port that is named": ("http://local.test:8080/x", "yes"),
    "another host": ("https://evil.test/", "no"),
    "a longer name": ("https://example.com.evil.test/", "no"),
    "a name that ends the same": ("https://evilexample.com/", "no"),
    "the domain of a sub-domain": ("https://api.test/", "no"),
    "in the path": ("https://evil.test/example.com", "no"),
    "another port": ("https://example.com:22/", "unsure"),
    "the port of another scheme": ("http://example.com:443/", "unsure"),
    "without the port that is named": ("http://local.test/x", "unsure"),
    "another scheme": ("ftp://example.com/", "unsure"),
    "a dot behind": ("https://example.com./", "unsure"),
    "a user": ("https://example.com@evil.test/", "unsure"),
    "a user in front": ("https://me:pw@example.com/", "unsure"),
    "a backslash": ("https://evil.test\\@example.com/", "unsure"),
    "a hash in front": ("https://evil.test#@example.com/", "no"),
    "a blank": ("https://example.com /", "unsure"),
    "a newline": ("https://example.com\n.evil.test/", "unsure"),
    "percent in the host": ("https://example%2ecom/", "unsure"),
    "other letters": ("https://exаmple.com/", "unsure"),
    "no scheme": ("example.com/a", "unsure"),
    "two slashes": ("//example.com/a", "unsure"),
    "three slashes": ("https:///example.com", "unsure"),
    "one slash": ("https:/example.com", "unsure"),
    "a script": ("javascript:alert(1)", "unsure"),
    "a number": ("http://2130706433/", "unsure"),
    "a hex number": ("http://0x7f.1/", "unsure"),
    "an IPv6 address": ("http://[::1]/", "unsure"),
    "nothing": ("", "unsure"),
}


@pytest.mark.parametrize(("url", "wanted"), HOSTS.values(), ids=HOSTS)
def test_hosts(url, wanted):
    matcher = url_host("example.com", "*.api.test", "local.test:8080")
    assert answer(matcher, {"url": url}) == wanted


@pytest.mark.parametrize("host", ["", "https://example.com", "a b", "a/b", None, "*", "user@host"])
def test_a_host_that_is_none_is_refused(host):
    with pytest.raises(ConfigError, match="url_host"):
        url_host(host)


def test_at_least_one_host_and_one_value():
    with pytest.raises(ConfigError):
        url_host()
    with pytest.raises(ConfigError):
        one_of(arg="x")


def test_matchers_say_what_they_look_for(tmp_path):
    assert str(equals("a", arg="x")) == "x is 'a'"
    assert str(one_of("a", 2, arg="x")) == "x is 'a' or 2"
    assert str(regex("a+", arg="x")) == "x matches 'a+'"
    assert str(url_host("a.b", "c.d")) == "url is at a.b or c.d"
    assert str(path_within(tmp_path)) == f"path inside {tmp_path}"
