"""The page about assertions names every expectation. Its examples run in tests/docs."""

import re
from pathlib import Path

from pytest_looplet import Expectation

PAGE = (Path(__file__).parents[2] / "docs" / "assertions.md").read_text(encoding="utf-8")


def test_every_expectation_is_named():
    named = set(re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE))
    assert named == {name for name in vars(Expectation) if "to_" in name}
