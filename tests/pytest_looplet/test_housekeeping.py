"""The line about cassettes at the end of a session, and what it turns red."""

import os
import textwrap
import time

import openai  # noqa: F401 - loading it takes longer than a test
import pytest

# Loaded here once, because an inner session forgets what it loaded, and YAML's C part does not.
import pytest_looplet.provider
import pytest_looplet.run
import pytest_looplet.tapes  # noqa: F401
from looplet.testing import call
from looplet.testing.provider import LocalProvider

pytestmark = pytest.mark.slow

TWO_TESTS = """
import pytest

def test_one(looplet_run):
    looplet_run("one")

@pytest.mark.parametrize("n", [1, 2])
def test_two(looplet_run, n):
    looplet_run(f"two {n}")
"""
ANSWER = call("done", answer="yes")
RECORD = ("--looplet-record", "--looplet-model=openai:tiny")


@pytest.fixture
def suite(pytester, monkeypatch):
    """Two tests with their three cassettes, and a function that runs pytest and gives its looplet lines."""
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(test_a=textwrap.dedent(TWO_TESTS))
    with LocalProvider([ANSWER] * 3) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        run(pytester, *RECORD).assert_outcomes(passed=3)
    return pytester


def run(pytester, *options):
    return pytester.runpytest("-p", "no:asyncio", "-p", "no:randomly", *options)


def line(result):
    """What is said of cassettes at the end of a session; empty if nothing is."""
    found = [line for line in result.outlines if line.startswith("looplet: ") and " cassette" in line]
    return found[0] if found else ""


def test_used(suite):
    assert line(run(suite)) == "looplet: 3 cassettes used"
    assert line(run(suite, "test_a.py::test_one")) == "looplet: 1 cassette used"


def test_a_cassette_that_is_not_there_is_not_used(suite):
    suite.makepyfile(
        test_b="""
        def test_never_recorded(looplet_capture):
            import openai
            with looplet_capture():
                openai.OpenAI().chat.completions.create(model="tiny", messages=[])
    """
    )
    result = run(suite, "test_b.py")
    result.assert_outcomes(failed=1)
    assert line(result) == ""


def test_under_xdist_it_is_the_same(suite):
    (suite.path / "cassettes/test_a/test_gone.looplet.yaml").write_text("x")
    expected = "looplet: 3 cassettes used, 1 orphaned (looplet cassettes prune)"
    result = run(suite, "-n", "2")
    result.assert_outcomes(passed=3)
    assert line(result) == expected == line(run(suite))


@pytest.mark.parametrize(
    ("options", "orphans"),
    [
        ((), 2),
        (("-k", "one"), 2),
        (("test_a.py",), 2),
        (("test_a.py::test_one",), 1),
        (("test_a.py::test_two",), 1),
    ],
    ids=["all", "-k leaves tests out", "a file", "one test", "a parametrised test"],
)
def test_orphans_are_told_of_files_that_were_collected_whole(suite, options, orphans):
    """A test that is gone, and a whole file that is."""
    cassettes = suite.path / "cassettes"
    (cassettes / "test_a" / "test_gone.looplet.yaml").write_text("x")
    (cassettes / "test_b").mkdir()
    (cassettes / "test_b" / "test_x.looplet.yaml").write_text("x")
    assert f", {orphans} orphaned" in line(run(suite, *options))


@pytest.mark.parametrize(("wish", "status"), [("warn", 0), ("ignore", 0), ("fail", 1)])
def test_what_an_orphan_does(suite, wish, status):
    (suite.path / "cassettes/test_a/test_gone.looplet.yaml").write_text("x")
    result = run(suite, "-o", f"looplet_orphaned={wish}")
    assert result.ret == status
    assert ("orphaned" in line(result)) is (wish != "ignore")
    assert ("1 cassette orphaned (looplet_orphaned = fail): " in result.stdout.str()) is (wish == "fail")


@pytest.mark.parametrize(("wish", "status"), [("warn", 0), ("ignore", 0), ("fail", 1)])
def test_what_a_stale_one_does(suite, wish, status):
    old = time.time() - 40 * 86_400
    os.utime(suite.path / "cassettes/test_a/test_one.looplet.yaml", (old, old))
    result = run(suite, "-o", f"looplet_stale={wish}", "-o", "looplet_cassette_max_age=30")
    assert result.ret == status
    told = "" if wish == "ignore" else ", 1 stale (over 30 days)"
    assert line(result) == f"looplet: 3 cassettes used{told}"


def test_age_counts_from_the_commit_not_from_the_checkout(suite):
    path = suite.path / "cassettes/test_a/test_one.looplet.yaml"
    environment = {"GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    for command in ("init -q", "add .", "-c user.name=x -c user.email=x@x commit -q -m x"):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            assert suite.run("git", *command.split()).ret == 0
    aged = ("-o", "looplet_cassette_max_age=365")
    assert "3 stale" in line(run(suite, *aged))
    path.write_text(path.read_text() + "\n")
    assert "2 stale" in line(run(suite, *aged))


@pytest.mark.parametrize(
    ("unused", "outcome"), [("error", {"failed": 1}), ("warn", {"passed": 1}), ("ignore", {"passed": 1})]
)
def test_unplayed(suite, unused, outcome):
    (suite.path / "test_a.py").write_text("def test_one(looplet_cassette): pass\n")
    result = run(suite, "-W", "default", "-o", f"looplet_unused={unused}", "test_a.py::test_one")
    result.assert_outcomes(**outcome, warnings=1 if unused == "warn" else 0)
    assert line(result) == "looplet: 1 cassette used, 1 with unplayed calls"


@pytest.mark.parametrize("setting", ["looplet_stale=sometimes", "looplet_orphaned=error"])
def test_another_word_is_an_error(suite, setting):
    result = run(suite, "-o", setting)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"{setting.partition('=')[0]}: " in result.stderr.str()


@pytest.mark.parametrize("age", ["soon", "-1", "0", "nan", "inf"])
def test_an_age_that_is_none(suite, age):
    result = run(suite, "-o", f"looplet_cassette_max_age={age}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"{age!r} is no number of days" in result.stderr.str()


def test_a_session_without_cassettes_says_nothing(pytester):
    pytester.makepyfile("def test_x(): pass")
    assert line(run(pytester)) == ""
