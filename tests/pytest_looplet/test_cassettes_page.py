"""The page about cassettes is true: its test is recorded and replayed, and what it names exists."""

import re
from pathlib import Path

import openai  # noqa: F401 - loading it takes longer than a test
import pytest

import pytest_looplet.provider
import pytest_looplet.run
import pytest_looplet.tapes  # noqa: F401
from looplet.testing import call
from looplet.testing.provider import LocalProvider
from pytest_looplet.plugin import OPTIONS, SETTINGS
from pytest_looplet.pricing import read_pricing

PAGE = (Path(__file__).parents[2] / "docs" / "cassettes.md").read_text(encoding="utf-8")


def test_its_test_and_hooks_record_and_replay(pytester, monkeypatch):
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    test, hooks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    pytester.makepyfile(test_orders=test)
    pytester.makeconftest(f"import re\n{hooks}")
    script = [call("lookup_order", order_id="7"), call("done", answer="It is shipped.")]
    with LocalProvider(script) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        recorded = pytester.runpytest("--looplet-record", "--looplet-model=openai:tiny", "-p", "no:asyncio")
        recorded.assert_outcomes(passed=1)
    pytester.runpytest("-p", "no:asyncio").assert_outcomes(passed=1)


def test_its_prices_can_be_read(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert list(read_pricing(text, tmp_path)) == ["gpt-4o-mini"]


def test_the_options_and_settings_it_names_exist():
    options = {f"--looplet-{name}" for name, _, _ in OPTIONS}
    assert set(re.findall(r"--looplet-[a-z-]*[a-z]", PAGE)) <= options
    settings = {name for name, _, _ in SETTINGS} | {"looplet_run"}
    assert set(re.findall(r"`(looplet_[a-z_]+)`", PAGE)) <= settings
