"""Whatever we add to pytest has our name in front, so that it meets nobody else's."""

import pytest

import pytest_looplet.fixtures
from pytest_looplet import plugin


class Parser:
    """Notes what is asked of pytest's parser."""

    def __init__(self):
        self.options, self.inis = [], []

    def getgroup(self, name, description):
        assert name == "looplet"
        return self

    def addoption(self, *names, **how):
        self.options += names

    def addini(self, name, *args, **how):
        self.inis.append(name)


def test_every_option_and_setting():
    parser = Parser()
    plugin.pytest_addoption(parser)
    assert len(parser.options) > 10
    assert len(parser.inis) > 10
    assert [name for name in parser.options if not name.startswith("--looplet-")] == []
    assert [name for name in parser.inis if not name.startswith("looplet_")] == []


def test_every_fixture():
    kind = type(pytest_looplet.fixtures.looplet_run)
    fixtures = [name for name, value in vars(pytest_looplet.fixtures).items() if isinstance(value, kind)]
    assert len(fixtures) > 12
    assert [name for name in fixtures if not name.startswith("looplet_")] == []
    assert [name for name in fixtures if name not in vars(plugin)] == []


def test_the_one_marker(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    without = pytester.runpytest_inprocess("--markers").outlines
    with_us = pytester.runpytest_inprocess("-p", "pytest_looplet.plugin", "--markers").outlines
    ours = [line for line in with_us if line.startswith("@pytest.mark.") and line not in without]
    assert [line.split("(")[0] for line in ours] == ["@pytest.mark.looplet"]


@pytest.mark.slow
def test_beside_other_plugins(pytester):
    """With every plugin of this environment loaded, as a user has it."""
    pytester.makepyfile("""
        from looplet.testing import call

        def test_it(looplet_run, looplet_script):
            run = looplet_run("x", llm=looplet_script(call("done", answer="ok")), tools=[])
            assert run.final_output == {"answer": "ok"}
    """)
    pytester.runpytest_subprocess("-Wignore").assert_outcomes(passed=1)
    pytester.runpytest_subprocess("--help").stdout.fnmatch_lines(["*--looplet-record*"])
