"""Settings, markers and hooks that decide how a cassette is played; and that recording is deterministic."""

import socketserver
import textwrap
import threading

import openai  # noqa: F401 - loading it takes longer than a test
import pytest

# Loaded here once, because an inner session forgets what it loaded, and YAML's C part does not.
import pytest_looplet.provider
import pytest_looplet.run
import pytest_looplet.tapes  # noqa: F401
from looplet.testing.provider import LocalProvider

pytestmark = pytest.mark.slow

ASKS = """
import openai, pytest

def ask(text, **more):
    with openai.OpenAI(max_retries=0) as client:
        turns = [{"role": "user", "content": text}]
        reply = client.chat.completions.create(model="tiny", messages=turns, **more)
    return reply.choices[0].message.content
"""


def echo(request):
    """Says what it was asked."""
    return f"heard {request.body['messages'][-1]['content']}"


@pytest.fixture
def suite(pytester, monkeypatch):
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(helper=ASKS)
    return pytester


def run(suite, source, *options, record=False):
    suite.makepyfile(test_a="import pytest\nfrom helper import ask\n" + textwrap.dedent(source))
    common = ("-p", "no:asyncio", "-W", "default")
    if not record:
        return suite.runpytest(*common, *options)
    with LocalProvider(echo) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        return suite.runpytest(*common, "--looplet-record", *options)


PLAIN = """
def test_it(looplet_cassette):
    assert ask("go", temperature=0.5)
"""
MARKED = """
@pytest.mark.looplet(drift={"params": "warn"})
def test_it(looplet_cassette):
    assert ask("go", temperature=0.9)
"""
WARM = PLAIN.replace("0.5", "0.9")


@pytest.mark.parametrize(
    ("source", "options", "outcome"),
    [
        (WARM, (), {"failed": 1}),
        (WARM, ("-o", "looplet_drift=params=warn"), {"passed": 1}),
        (WARM, ("-o", "looplet_drift=model=warn"), {"failed": 1}),
        (WARM, ("--looplet-drift=params=warn",), {"passed": 1}),
        (WARM, ("-o", "looplet_drift=params=warn", "--looplet-drift=params=fail"), {"failed": 1}),
        (MARKED, (), {"passed": 1}),
        (MARKED, ("--looplet-drift=params=fail",), {"passed": 1}),
        (WARM, ("--looplet-match=sequence",), {"passed": 1}),
        (WARM, ("-o", "looplet_match=sequence"), {"passed": 1}),
    ],
    ids=[
        "default", "ini", "ini of another class", "option", "option over ini", "marker", "marker over option",
        "sequence by option", "sequence by ini",
    ],
)  # fmt: skip
def test_who_decides_about_drift(suite, source, options, outcome):
    run(suite, PLAIN, record=True).assert_outcomes(passed=1)
    run(suite, source, *options).assert_outcomes(**outcome)


CONNECTS = """
import socket

def test_it(looplet_cassette):
    ask("go")
    socket.create_connection(("127.0.0.1", {port})).close()
"""


@pytest.mark.parametrize("allowed", [(), ("127.0.0.1",), ("127.0.0.1:{port}",), ("example.org",)])
def test_hosts_that_a_replay_may_connect_to(suite, allowed):
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        source = CONNECTS.replace("{port}", str(port))
        run(suite, source, record=True).assert_outcomes(passed=1)
        hosts = " ".join(allowed).replace("{port}", str(port))
        result = run(suite, source, "-o", f"looplet_allow_hosts={hosts}")
        server.shutdown()
    if "127" in hosts:
        result.assert_outcomes(passed=1)
    else:
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([f"*127.0.0.1:{port}* blocked*"])


LIVE = """
@pytest.mark.looplet(live=True)
def test_live(looplet_cassette):
    assert looplet_cassette is None
"""


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ((), {"skipped": 1}),
        (("--looplet-live",), {"passed": 1}),
        (("--looplet-record",), {"skipped": 1}),
        (("--looplet-mode=missing",), {"skipped": 1}),
    ],
)
def test_a_live_test_in_each_mode(suite, options, outcome):
    run(suite, LIVE, *options).assert_outcomes(**outcome)


@pytest.mark.parametrize("options", [("--looplet-mode=tail",), ("--looplet-mode=missing",)])
def test_live_with_a_recording_mode_is_a_usage_error(suite, options):
    assert run(suite, LIVE, "--looplet-live", *options).ret == pytest.ExitCode.USAGE_ERROR


FAILS = """
def test_it(looplet_cassette):
    assert len([ask(text) for text in {texts}]) == 9, "its own reason"
"""


def test_unplayed_calls_of_a_test_that_failed_are_not_what_is_told(suite):
    run(suite, FAILS.replace("{texts}", "['a', 'b']"), record=True)
    result = run(suite, FAILS.replace("{texts}", "['a']"))
    result.assert_outcomes(failed=1)
    assert "its own reason" in result.stdout.str()
    assert "were not made" not in result.stdout.str()


def test_the_hook_that_redacts(suite):
    suite.makeconftest(
        "import re\ndef pytest_looplet_redact(text):\n    return re.findall('ACME-[0-9]+', text)\n"
    )
    source = "def test_it(looplet_cassette):\n    assert 'heard' in ask('my number is ACME-{n}')\n"
    run(suite, source.replace("{n}", "1234"), record=True).assert_outcomes(passed=1)
    text = next(suite.path.rglob("*.looplet.yaml")).read_text()
    assert "ACME-" not in text
    assert text.count("[redacted:hook]") == 2
    run(suite, source.replace("{n}", "99")).assert_outcomes(passed=1)


def test_the_hook_that_normalizes(suite):
    suite.makeconftest(
        "def pytest_looplet_normalize_request(request):\n    request['body'].pop('user', None)\n"
    )
    source = "def test_it(looplet_cassette):\n    assert ask('go', user='{n}')\n"
    run(suite, source.replace("{n}", "ann"), record=True).assert_outcomes(passed=1)
    assert "user: ann" in next(suite.path.rglob("*.looplet.yaml")).read_text()
    run(suite, source.replace("{n}", "bob")).assert_outcomes(passed=1)
    (suite.path / "conftest.py").write_text("")
    run(suite, source.replace("{n}", "bob")).assert_outcomes(failed=1)


MANY = """
@pytest.mark.parametrize("n", range(8))
def test_it(looplet_cassette, n):
    said = [ask(f"{n} {turn}") for turn in range(3)]
    assert said == [f"heard {n} {turn}" for turn in range(3)]
"""
BACKWARDS = "def pytest_collection_modifyitems(items):\n    items.reverse()\n"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["in another order", "by four workers", "by four workers in another order"])
def test_the_same_files_result(suite, how):
    run(suite, MANY, record=True).assert_outcomes(passed=8)
    alone = {path.name: path.read_bytes() for path in suite.path.rglob("*.looplet.yaml")}
    assert len(alone) == 8
    for path in list(suite.path.rglob("*.looplet.yaml")):
        path.unlink()
    if "order" in how:
        suite.makeconftest(BACKWARDS)
    options = ("-n", "4") if "workers" in how else ()
    run(suite, MANY, *options, record=True).assert_outcomes(passed=8)
    assert {path.name: path.read_bytes() for path in suite.path.rglob("*.looplet.yaml")} == alone
    run(suite, MANY, *options).assert_outcomes(passed=8)
