"""Fixtures of wider scope that call a model have a tape of their own."""

import textwrap

import openai  # noqa: F401 - loading it takes longer than a test
import pytest

# Loaded here once, because an inner session forgets what it loaded, and YAML's C part does not.
import pytest_looplet.provider
import pytest_looplet.run
import pytest_looplet.tapes  # noqa: F401
from looplet.testing.provider import LocalProvider

pytestmark = pytest.mark.slow

CONFTEST = """
import socket, openai, pytest

def ask(text):
    with openai.OpenAI() as client:
        reply = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": text}])
    return reply.choices[0].message.content

@pytest.fixture(scope="session")
def summary():
    return ask("sum up")
"""
TESTS = """
import pytest
from conftest import ask

@pytest.fixture(scope="module", params=["a", "b"])
def letter(request):
    yield ask(request.param)

@pytest.fixture(scope="class")
def own():
    return ask("own")

class TestIt:
    def test_it(self, summary, letter, own, looplet_cassette):
        assert [summary, letter, own, ask("test")] == ["Hm."] * 4
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeconftest(textwrap.dedent(CONFTEST))
    pytester.makepyfile(test_a=textwrap.dedent(TESTS))
    return pytester


def run(pytester, *options):
    return pytester.runpytest("-p", "no:asyncio", "-p", "no:randomly", *options)


def record(suite, *options):
    """Record, and give the number of calls that the provider saw."""
    with LocalProvider(["Hm."] * 20) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        run(suite, "--looplet-record", *options).assert_outcomes(passed=2)
    return len(provider.requests)


def files(suite):
    return sorted(
        str(path.relative_to(suite.path / "cassettes")) for path in suite.path.rglob("*.looplet.yaml")
    )


def test_each_has_its_own_file_and_replays_offline(suite):
    assert record(suite) == 6  # once for the session and the class, twice for the module and the test
    assert files(suite) == [
        "conftest/fixture.summary.looplet.yaml",
        "test_a/TestIt.test_it-a.looplet.yaml",
        "test_a/TestIt.test_it-b.looplet.yaml",
        "test_a/fixture.letter-0.looplet.yaml",
        "test_a/fixture.letter-1.looplet.yaml",
        "test_a/fixture.own.TestIt.looplet.yaml",
    ]
    again = run(suite)
    again.assert_outcomes(passed=2)
    assert "looplet: 6 cassettes used" in again.outlines


def test_workers_of_xdist_record_it_once(suite):
    record(suite)
    alone = {name: (suite.path / "cassettes" / name).read_bytes() for name in files(suite)}
    assert record(suite, "-n", "2", "--dist=load") == 6
    assert {name: (suite.path / "cassettes" / name).read_bytes() for name in files(suite)} == alone


def test_one_without_a_cassette_never_goes_live(suite):
    record(suite)
    (suite.path / "cassettes/conftest/fixture.summary.looplet.yaml").unlink()
    failed = run(suite)
    failed.assert_outcomes(errors=2)
    failed.stdout.fnmatch_lines(["*no cassette for POST *fixture.summary.looplet.yaml does not exist*"])
    failed.stdout.fnmatch_lines(["*record it: pytest --looplet-record *test_a.py::TestIt::test_it*"])


def test_what_it_asks_now_is_held_against_what_it_asked(suite):
    record(suite)
    conftest = suite.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace('"sum up"', '"sum all up"'))
    failed = run(suite)
    failed.assert_outcomes(errors=2)
    failed.stdout.fnmatch_lines(["*sum all up*"])


def test_one_that_calls_no_model_may_connect_and_leaves_no_file(pytester):
    pytester.makepyfile(
        """
        import socket, threading, pytest

        @pytest.fixture(scope="module")
        def database():
            with socket.create_server(("127.0.0.1", 0)) as server:
                with socket.create_connection(server.getsockname()):
                    return "up"

        def test_it(database, looplet_cassette):
            assert database == "up"
        """
    )
    for options in ((), ("--looplet-record",)):
        run(pytester, *options).assert_outcomes(passed=1)
    assert not list(pytester.path.rglob("*.looplet.yaml"))


ASYNC = """
import openai, pytest
{imports}

async def ask(text):
    async with openai.AsyncOpenAI() as client:
        turns = [{{"role": "user", "content": text}}]
        reply = await client.chat.completions.create(model="tiny", messages=turns)
    return reply.choices[0].message.content

@{fixture}(scope="module"{loop})
async def summary():
    return await ask("sum up")

@{fixture}(scope="module"{loop})
async def letter():
    yield await ask("a letter")

@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

@{mark}
async def test_one(summary, letter, looplet_cassette):
    assert [summary, letter, await ask("one")] == ["Hm."] * 3

@{mark}
async def test_two(summary, letter, looplet_cassette):
    assert [summary, letter, await ask("two")] == ["Hm."] * 3
"""
ASYNCIO = ("-o", "asyncio_default_fixture_loop_scope=module")
ASYNC_PLUGINS = {
    "pytest-asyncio": (
        {
            "imports": "import pytest_asyncio",
            "fixture": "pytest_asyncio.fixture",
            "loop": ', loop_scope="module"',
            "mark": 'pytest.mark.asyncio(loop_scope="module")',
        },
        ASYNCIO,
    ),
    "pytest-asyncio, auto": (
        {
            "imports": "pytestmark = pytest.mark.asyncio(loop_scope='module')",
            "fixture": "pytest.fixture",
            "loop": "",
            "mark": "pytest.mark.filterwarnings('default')",
        },
        (*ASYNCIO, "-o", "asyncio_mode=auto"),
    ),
    "anyio": (
        {"imports": "", "fixture": "pytest.fixture", "loop": "", "mark": "pytest.mark.anyio"},
        ("-p", "no:asyncio"),
    ),
}


@pytest.mark.parametrize(("words", "options"), ASYNC_PLUGINS.values(), ids=ASYNC_PLUGINS)
def test_async_fixtures_have_a_tape_of_their_own(words, options, pytester, monkeypatch):
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(test_a=ASYNC.format(**words))
    with LocalProvider(["Hm."] * 20) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        pytester.runpytest("--looplet-record", *options).assert_outcomes(passed=2)
    assert len(provider.requests) == 4  # once for each fixture and each test
    assert files(pytester) == [
        "test_a/fixture.letter.looplet.yaml",
        "test_a/fixture.summary.looplet.yaml",
        "test_a/test_one.looplet.yaml",
        "test_a/test_two.looplet.yaml",
    ]
    replayed = pytester.runpytest(*options)
    replayed.assert_outcomes(passed=2)
    assert "looplet: 4 cassettes used" in replayed.outlines
    alone = pytester.runpytest("-k", "two", *options)
    alone.assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize("scope", ["function", "module"])
def test_PP_05_a_set_up_whose_replay_is_ended_fails_no_test_that_does_not_need_it(scope, suite):
    suite.makepyfile(
        test_a=f"""
        import pytest
        from conftest import ask

        @pytest.fixture
        def base(): yield

        @pytest.fixture(scope="{scope}", params=["asks", "does not"])
        def answer(request{", base, looplet_cassette" if scope == "function" else ""}):
            return ask("text") if request.param == "asks" else ""

        def test_one(answer): pass
        def test_two(answer): pass
        """
    )
    result = run(suite)
    result.assert_outcomes(errors=2, passed=2)
    result.stdout.no_fnmatch_line("*AssertionError*")
