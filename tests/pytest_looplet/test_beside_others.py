"""Beside the plugins that a project has anyway: their suites and ours stay green, and no name clashes."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import textwrap

import pytest

from looplet.testing import call
from looplet.testing.provider import LocalProvider

pytestmark = pytest.mark.slow

OURS = """
from looplet import tool
from looplet.testing import call
from pytest_looplet import expect

@tool
def look(order_id: str) -> str:
    return "shipped"

def test_scripted(looplet_run, looplet_script):
    llm = looplet_script(call("look", order_id="7"), call("done", answer="ok"))
    run = looplet_run("Where is order 7?", llm=llm, tools=[look])
    expect(run).to_call("look", order_id="7").to_finish()

def test_replayed(looplet_run):
    run = looplet_run("Where is order 7?", tools=[look])
    expect(run).to_call("look").to_finish()
"""

# For each plugin: the name of its entry point, what it needs on the command line, how many pass, and a suite
# of its own that uses what it is for.
PLUGINS = {
    "pytest-recording": (
        "recording",
        ["--record-mode=none", "--block-network"],
        2,
        """
        import urllib.request
        import pytest

        @pytest.mark.vcr
        def test_theirs():
            with urllib.request.urlopen("http://example.invalid/hello") as reply:
                assert reply.read() == b"recorded"

        @pytest.mark.block_network
        def test_blocked():
            import socket
            with pytest.raises(RuntimeError), socket.socket() as one:
                one.connect(("127.0.0.1", 9))
        """,
    ),
    "pytest-asyncio": (
        "asyncio",
        ["-o", "asyncio_default_fixture_loop_scope=function"],
        2,
        """
        import asyncio
        import pytest
        import pytest_asyncio
        from looplet.testing import call

        @pytest_asyncio.fixture
        async def value():
            await asyncio.sleep(0)
            return 3

        @pytest.mark.asyncio
        async def test_theirs(value):
            assert value == 3

        @pytest.mark.asyncio
        async def test_both(value, looplet_run, looplet_script):
            llm = looplet_script.async_(call("done", answer="ok"))
            run = await looplet_run.async_("x", llm=llm, tools=[])
            assert run.final_output == {"answer": "ok"}
        """,
    ),
    "pytest-randomly": (
        "randomly",
        ["--randomly-seed=7"],
        9,
        """
        import random
        import pytest

        @pytest.mark.parametrize("n", range(9))
        def test_theirs(n):
            print("drawn", n, random.random())
        """,
    ),
    "pytest-cov": (
        "pytest_cov",
        ["--cov=counted", "--cov-report=term"],
        1,
        """
        import counted

        def test_theirs():
            assert counted.double(2) == 4
        """,
    ),
    "pytest-xdist": (
        "xdist",
        ["-n", "2"],
        3,
        """
        import pytest

        @pytest.mark.parametrize("n", [1, 2])
        def test_theirs(n, worker_id):
            assert worker_id in ("gw0", "gw1")

        @pytest.mark.xdist_group("one")
        def test_grouped(testrun_uid):
            assert testrun_uid
        """,
    ),
    "inline-snapshot": (
        "inline_snapshot",
        [],
        2,
        """
        from inline_snapshot import external, snapshot
        from looplet.testing import call

        def test_theirs():
            assert {"a": [1, 2]} == snapshot({"a": [1, 2]})

        def test_both(looplet_run, looplet_script):
            run = looplet_run("x", llm=looplet_script(call("done", answer="ok")), tools=[])
            assert run.final_output == snapshot({"answer": "ok"})
        """,
    ),
    "syrupy": (
        "syrupy",
        ["--snapshot-update"],
        2,
        """
        from looplet.testing import call

        def test_theirs(snapshot):
            assert {"a": [1, 2]} == snapshot

        def test_both(snapshot, looplet_run, looplet_script):
            run = looplet_run("x", llm=looplet_script(call("done", answer="ok")), tools=[])
            assert run.final_output == snapshot
        """,
    ),
    "hypothesis": (
        "hypothesispytest",
        ["--hypothesis-seed=1"],
        2,
        """
        from hypothesis import HealthCheck, given, settings, strategies as st
        from looplet.testing import call

        @given(st.integers())
        def test_theirs(n):
            assert n + 0 == n

        @settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
        @given(st.text(max_size=5))
        def test_both(looplet_run, looplet_script, answer):
            run = looplet_run("x", llm=looplet_script(call("done", answer=answer)), tools=[])
            assert run.final_output == {"answer": answer}
        """,
    ),
    "pytest-rerunfailures": (
        "rerunfailures",
        ["--reruns=2"],
        2,
        """
        from looplet.testing import call

        tries = []

        def test_theirs():
            tries.append(1)
            assert len(tries) == 2

        def test_both(looplet_run, looplet_script):
            tries.append(1)
            run = looplet_run("x", llm=looplet_script(call("done", answer=str(len(tries)))), tools=[])
            assert run.final_output == {"answer": "4"}
        """,
    ),
}

CASSETTE = """\
version: 1
interactions:
- request: {method: GET, uri: 'http://example.invalid/hello', body: null, headers: {}}
  response:
    status: {code: 200, message: OK}
    headers: {content-type: [text/plain]}
    body: {string: recorded}
"""


@pytest.fixture(scope="module", autouse=True)
def _they_are_installed() -> None:
    for name in PLUGINS:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed; it is in the extra dev")


class Project:
    """A folder with suites, run in processes of their own."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.folder = pytester.path
        names = ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")
        self.environment = {key: value for key, value in os.environ.items() if key not in names}
        self.environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        self.write("counted.py", "def double(n):\n    return n * 2\n")
        self.write("cassettes/test_theirs/test_theirs.yaml", CASSETTE)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def run(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *options]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    def record(self) -> None:
        self.write("test_ours.py", OURS)
        script = [call("look", order_id="7"), call("done", answer="It is shipped.")]
        with LocalProvider(script) as provider:
            options = ("--looplet-record", "--looplet-model=openai:tiny", "test_ours.py::test_replayed")
            done = self.run("-p", "pytest_looplet.plugin", *options, **provider.env)
        assert done.returncode == 0, done.stdout


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)


def entry_point(name: str) -> str:
    """The module of the pytest plugin of that name."""
    (found,) = (e for e in importlib.metadata.entry_points(group="pytest11") if e.name == name)
    return found.value


def passed(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"\d+ (failed|error)", done.stdout)
    found = re.search(r"(\d+) passed", done.stdout)
    return int(found[1]) if found else 0


def test_each_suite_is_green_beside_ours(project: Project) -> None:
    """One session for each plugin: its suite alone without us, then both suites together."""
    project.record()
    for name, (entry, options, count, suite) in PLUGINS.items():
        project.write("test_theirs.py", suite)
        options = ["-p", entry_point(entry), *options]
        both = project.run("-p", "pytest_looplet.plugin", *options)
        assert passed(both) == count + 2, f"{name}\n{both.stdout}"
        assert "looplet: 1 cassette used" in both.stdout, name
        if name == "pytest-randomly":
            alone = project.run(*options, "test_theirs.py")
            assert drawn(alone) == drawn(both)
            assert drawn(alone) != sorted(drawn(alone))


def test_all_of_them_at_once(project: Project) -> None:
    """Every plugin of this list loaded: the suites of all, and ours, are green in one session."""
    project.record()
    total = 2
    for name, (_, _, count, suite) in PLUGINS.items():
        if name not in ("pytest-xdist", "pytest-recording", "pytest-rerunfailures"):  # have to be asked for
            project.write(f"test_{name.replace('-', '_')}.py", suite)
            total += count
    del project.environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
    options = ["--snapshot-update", "-o", "asyncio_default_fixture_loop_scope=function", "-n", "2"]
    everything = project.run(*options, "--inline-snapshot=disable", "-p", "no:benchmark")
    assert passed(everything) == total, everything.stdout


def drawn(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("drawn")]


def names(text: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, text, re.MULTILINE))


def test_no_name_is_somebody_elses(project: Project) -> None:
    """Options, settings, fixtures and markers of all of them, and none of ours among them."""
    project.write("test_empty.py", "def test_it(): pass\n")
    theirs = [part for entry, *_ in PLUGINS.values() for part in ("-p", entry_point(entry))]
    with_us = [*theirs, "-p", "pytest_looplet.plugin"]
    for option, pattern, ours in (
        ("--help", r"^  (?:-\w[^-\n]*, )?(--[a-z][\w-]*)", "--looplet-"),
        ("--help", r"^  ([a-z]\w+) \(\w+\)", "looplet_"),
        ("--fixtures", r"^([a-z]\w*)(?: \[\w+ scope\])? -- ", "looplet_"),
        ("--markers", r"^@pytest\.mark\.(\w+)", "looplet"),
    ):
        alone, together = (
            names(project.run(*plugins, option, "-q").stdout, pattern) for plugins in (theirs, with_us)
        )
        assert alone, option
        assert together >= alone
        assert together - alone, option
        assert [name for name in together - alone if not name.startswith(ours)] == []
        assert [name for name in alone if name.startswith(ours)] == []
