"""Installed and not used, the plugin changes nothing and loads next to nothing."""

import json
import os
import subprocess
import sys

import pytest

SUITE = """
import json, pathlib, sys, pytest

def pytest_unconfigure(config):
    loaded = [name for name in sys.modules if name.split(".")[0] in {wanted}]
    pathlib.Path({out!r}).write_text(json.dumps(loaded))
"""

TESTS = """
import pytest

def test_passes(): pass
def test_fails(): assert 0
@pytest.mark.skip
def test_skipped(): pass
"""

BEHIND = ["looplet", "pytest_looplet", "vcr", "tabulate", "yaml", "openai", "anthropic", "asyncio", "inspect"]


@pytest.fixture
def suite(tmp_path):
    folder = tmp_path / "suite"
    folder.mkdir()
    out = str(tmp_path / "loaded.json")
    (folder / "conftest.py").write_text(SUITE.format(wanted=BEHIND, out=out))
    (folder / "test_plain.py").write_text(TESTS)
    return folder


def run(suite, *arguments):
    """Exit code, last line without the time, and modules loaded, with nothing installed but pytest and us."""
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=suite, env=env, capture_output=True, encoding="utf-8", check=False)
    loaded = json.loads((suite.parent / "loaded.json").read_text())
    last = done.stdout.splitlines()[-1].partition(" in ")[0]
    return done.returncode, last, set(loaded)


def test_PP_01_nothing_changes_and_nothing_is_loaded(suite):
    files = sorted(suite.iterdir())
    code, last, loaded = run(suite, "-p", "pytest_looplet.plugin")
    code_without, last_without, loaded_without = run(suite)
    assert (code, last) == (code_without, last_without) == (1, "1 failed, 1 passed, 1 skipped")
    assert {name for name in loaded - loaded_without if not name.startswith("pytest_looplet")} == set()
    assert not any(name.startswith(("looplet", "pytest_looplet.cassette")) for name in loaded)
    assert sorted(suite.iterdir()) == files
