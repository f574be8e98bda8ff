"""The numbered examples: short, offline, and each does what its first lines say."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("[0-9]*.py"))
FOLDERS = sorted(path for path in EXAMPLES.glob("[0-9]*") if path.is_dir())
FOREIGN = ("OPENAI_", "ANTHROPIC_", "PYTEST_", "CI", "GITHUB_")


def run(folder, *command):
    env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    env |= {
        "PYTHONIOENCODING": "utf-8",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "-p no:cacheprovider -p pytest_looplet.plugin",
    }
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, capture_output=True, encoding="utf-8", check=False
    )
    return done.returncode, re.sub(r"\d+ms", "0ms", done.stdout) + done.stderr


def test_there_is_one_for_each_idea():
    assert [path.name[:2] for path in sorted([*SCRIPTS, *FOLDERS])] == [f"{n:02}" for n in range(1, 12)]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_prints_what_it_says(path):
    about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    shown = "".join(f"{line[4:]}\n" for line in about.partition("Prints:\n")[2].splitlines())
    assert shown
    assert run(EXAMPLES, path.name) == (0, shown)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_suite_passes_and_can_be_recorded_again_byte_for_byte(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "suite", ignore=shutil.ignore_patterns("__pycache__"))
    cassettes = {path: path.read_bytes() for path in copy.rglob("*.looplet.yaml")}
    assert cassettes
    code, out = run(copy, "-m", "pytest", "-q")
    assert code == 0, out
    code, out = run(tmp_path, EXAMPLES / "record.py", "suite")
    assert code == 0, out
    assert {path: path.read_bytes() for path in copy.rglob("*.looplet.yaml")} == cassettes


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.rglob("[0-9]*/**/*.py")) + SCRIPTS, ids=lambda path: path.name
)
def test_none_is_longer_than_a_page(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
