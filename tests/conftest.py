"""What every test here may use: pytest's own plugin for testing plugins, and how long hypothesis looks."""

import importlib
import os

import pytest

try:
    from hypothesis import settings
except ImportError:
    settings = None

pytest_plugins = ["pytester"]

LOADED_WHEN_NEEDED = (
    *("pytest_looplet.cassette.vcr_bridge", "pytest_looplet.cassette.format", "pytest_looplet.run"),
    *("pytest_looplet.evals.collect", "pytest_looplet.evals.batch", "pytest_looplet.evals.yaml_cases"),
    *("pytest_looplet.provider", "pytest_looplet.cassette.drift"),
)
"""Rooms of the plugin that open late. An inner session forgets what it loaded, and YAML's C part does not."""

# No deadline: a machine that does several things at once is slow now and then. In CI the examples are the
# same in every run, so that red means the change and not the dice.
if settings is not None:
    settings.register_profile("house", deadline=None, max_examples=30, derandomize="CI" in os.environ)
    settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Know the settings of a plugin that is not installed, so that what is missing is told below."""
    if not pluginmanager.hasplugin("asyncio"):
        for name in ("asyncio_mode", "asyncio_default_fixture_loop_scope"):
            parser.addini(name, "of pytest-asyncio")


def pytest_collection(session: pytest.Session) -> None:
    """Without the tools of development `pytest --help` works, and nothing is run."""
    if settings is None:
        raise pytest.UsageError("these tests need the tools of development: pip install -e '.[dev]'")


@pytest.fixture(scope="session")
def rooms_are_open() -> None:
    """All of the plugin is loaded, before the first inner session."""
    for room in LOADED_WHEN_NEEDED:
        importlib.import_module(room)


@pytest.fixture
def pytester(
    rooms_are_open: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """pytest's own, without the plugins that are installed to be tested beside ours only."""
    names = ("randomly", "recording", "rerunfailures", "inline_snapshot", "syrupy")
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{name}" for name in names))
    return pytester
