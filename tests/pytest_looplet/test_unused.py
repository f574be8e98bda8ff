"""Installed and unused, the plugin changes nothing and loads next to nothing."""

import json
import os
import subprocess
import sys

import pytest

from pytest_looplet.plugin import OPTIONS, SETTINGS

PROBE = """
import json, sys
def pytest_sessionfinish():
    print("LOADED", json.dumps(sorted(m for m in sys.modules if m.split(".")[0] in
        {"looplet", "pytest_looplet", "vcr", "tabulate", "yaml", "openai"})))
"""


def run(pytester, *options):
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *options]
    return subprocess.run(
        command, cwd=pytester.path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def suite(pytester):
    """A suite that has nothing to do with agents, a script that looks like evals among it."""
    pytester.makeconftest(PROBE)
    pytester.makepyfile(
        test_plain="def test_one(): pass\ndef test_two(tmp_path): assert tmp_path\n",
        eval_model="raise SystemExit('a script was imported')\n",
    )
    (pytester.path / "cassettes").mkdir()
    (pytester.path / "cassettes" / "theirs.yaml").write_text("interactions: []\n")
    return pytester


def test_PP_01_nothing_but_the_plugin_itself_is_loaded(suite):
    done = run(suite, "-p", "pytest_looplet.plugin", "-s")
    loaded = json.loads(
        next(line for line in done.stdout.splitlines() if "LOADED" in line).split("LOADED ")[1]
    )
    rooms = ("fixtures", "hookspecs", "keys", "plugin")
    window = ["pytest_looplet", *(f"pytest_looplet.{room}" for room in rooms)]
    where = ["pytest_looplet.evals", "pytest_looplet.evals.where"]  # looks at eval_model.py and declines
    assert loaded == sorted(window + where)
    assert done.returncode == 0


def test_PP_01_PP_14_outcomes_files_and_environment_stay_as_they_are(suite):
    before = sorted(path for path in suite.path.rglob("*") if "__pycache__" not in path.parts)
    plain = run(suite, "-q", "--strict-markers", "--strict-config")
    with_us = run(suite, "-q", "--strict-markers", "--strict-config", "-p", "pytest_looplet.plugin")
    assert (with_us.returncode, with_us.stderr) == (plain.returncode, plain.stderr) == (0, "")
    assert "2 passed" in with_us.stdout
    assert "2 passed" in plain.stdout
    after = sorted(path for path in suite.path.rglob("*") if "__pycache__" not in path.parts)
    assert before == after


BREAKABLE = (
    "vcr",
    "yaml",
    "tabulate",
    "openai",
    "anthropic",
    "httpx",
    "httpx2",
    "xdist",
    "opentelemetry",
    "requests",
    "urllib3",
    "aiohttp",
    "tornado",
)


@pytest.mark.slow
def test_a_broken_dependency_breaks_no_run_that_does_not_use_us(suite):
    """Each of them raises when it is imported, and what is worse than an ImportError."""
    broken = suite.path / "broken"
    broken.mkdir()
    for name in BREAKABLE:
        (broken / f"{name}.py").write_text("raise SystemError('this installation is broken')\n")
    done = run(suite, "-p", "pytest_looplet.plugin", "-q", "-o", "pythonpath=broken")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    for option in ("--help", "--fixtures", "--markers"):
        done = run(suite, "-p", "pytest_looplet.plugin", "-q", "-o", "pythonpath=broken", option)
        assert done.returncode == 0, done.stdout + done.stderr
    # They are really broken: a test that does use us is told so, and the others pass.
    suite.makepyfile(test_ours="def test_ours(looplet_cassette): pass\n")
    done = run(
        suite, "-p", "pytest_looplet.plugin", "-q", "-o", "pythonpath=broken", "test_plain.py", "test_ours.py"
    )
    assert "this installation is broken" in done.stdout + done.stderr


def test_every_option_fixture_and_setting_is_documented(pytester):
    options = run(pytester, "-p", "pytest_looplet.plugin", "--help").stdout
    fixtures = run(pytester, "-p", "pytest_looplet.plugin", "--fixtures").stdout
    for name, _, _ in OPTIONS:
        assert f"--looplet-{name}" in options
    for name, _, _ in SETTINGS:
        assert name in options
    for name in ("run", "backend", "script", "cassette", "case", "trial", "agent", "judge"):
        assert f"looplet_{name}" in fixtures
    assert "no docstring available" not in fixtures[fixtures.index("looplet_") :]


def test_the_plugin_works_with_common_options(pytester):
    """PP-08, the part that needs no other plugin."""
    pytester.makepyfile(test_x="def test_x(looplet_script): looplet_script()\n")
    for options in (["-p", "no:terminal"], ["--tb=no"], ["-q"], ["-s"]):
        done = run(pytester, "-p", "pytest_looplet.plugin", *options)
        assert done.returncode == 0, done.stdout + done.stderr
