"""Run what matters with vcrpy, the SDKs and pytest at the lowest or latest versions that we promise.

The tests of cassettes need plugins that need a newer pytest; the examples need nothing but us, so they are
what runs with the lowest pytest.

python .github/versions.py lowest|latest [folder for the environment]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

HOUSE = Path(__file__).parent.parent
SDKS = ("vcrpy", "openai", "anthropic")
ALL = (*SDKS, "pytest", "tabulate", "PyYAML")
EXAMPLES = ("support_agent", "05_cassette_test", "06_eval_suite", "11_other_framework")
TESTS = ("test_replay.py", "test_streams.py", "test_bridge.py", "test_modes.py")


def wanted(which: str, watched: tuple[str, ...]) -> list[str]:
    """The watched packages, pinned to their lower bound or free to be the latest."""
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["openai"], *extras["anthropic"]]
    found = []
    for line in lines:
        name, bound = re.match(r"([A-Za-z0-9_-]+)>=([0-9.]+)", line).groups()  # type: ignore[union-attr]
        if name in watched:
            found.append(f"{name}=={bound}" if which == "lowest" else line)
    return found


def environment(folder: Path, *packages: str) -> Path:
    """Make an environment in *folder* with us and *packages*; gives its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", "-e", str(HOUSE), *packages], check=True)
    subprocess.run([str(python), "-m", "pip", "list"], check=True)
    return python


def main(which: str, folder: Path) -> int:
    """Make the environments in *folder*, install, test; gives 0 if all passed."""
    tools = ("hypothesis", "httpx2", "jsonschema", "pytest-asyncio", "pytest-xdist")
    python = environment(folder / "tests", *tools, *wanted(which, SDKS))
    tests = [str(HOUSE / "tests/pytest_looplet/cassette" / name) for name in TESTS]
    runs = [[str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]]
    python = environment(folder / "examples", *wanted(which, ALL))
    for name in EXAMPLES:
        runs.append([str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"examples/{name}"])
    return max([subprocess.run(command, cwd=HOUSE, check=False).returncode for command in runs])


if __name__ == "__main__":
    place = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp()) / "env"
    sys.exit(main(sys.argv[1], place))
