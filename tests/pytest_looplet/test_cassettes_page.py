"""What the page about cassettes names exists. Its examples run in tests/docs."""

import re
from pathlib import Path

from pytest_looplet.plugin import OPTIONS, SETTINGS
from pytest_looplet.pricing import read_pricing

PAGE = (Path(__file__).parents[2] / "docs" / "cassettes.md").read_text(encoding="utf-8")


def test_its_prices_can_be_read(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert list(read_pricing(text, tmp_path)) == ["gpt-4o-mini"]


def test_the_options_and_settings_it_names_exist():
    options = {f"--looplet-{name}" for name, _, _ in OPTIONS}
    assert set(re.findall(r"--looplet-[a-z-]*[a-z]", PAGE)) <= options
    settings = {name for name, _, _ in SETTINGS} | {"looplet_run"}
    assert set(re.findall(r"`(looplet_[a-z_]+)`", PAGE)) <= settings
