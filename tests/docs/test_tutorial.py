"""The tutorial, docs/tutorial.md, as a reader follows it: in a fresh environment, from the wheel alone."""

import subprocess
import sys
import venv

import pytest

from tests.docs.blocks import page
from tests.docs.story import HOUSE, Story, bin_of

pytestmark = pytest.mark.slow


def test_every_command_prints_what_the_tutorial_shows(tmp_path):
    wheels = tmp_path / "wheels"
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(wheels), str(HOUSE)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    folder = tmp_path / "shop"
    folder.mkdir()
    Story(folder, bin_of(environment), installs=str(wheel)).run(page(HOUSE / "docs" / "tutorial.md", HOUSE))
