"""Run the tests of cassettes with vcrpy and the SDKs at the lowest or latest versions that we promise.

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
WATCHED = ("vcrpy", "openai", "anthropic")
TESTS = ("test_replay.py", "test_streams.py", "test_bridge.py", "test_modes.py")


def wanted(which: str) -> list[str]:
    """The watched packages, pinned to their lower bound or free to be the latest."""
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["openai"], *extras["anthropic"]]
    found = []
    for line in lines:
        name, bound = re.match(r"([A-Za-z0-9_-]+)>=([0-9.]+)", line).groups()  # type: ignore[union-attr]
        if name in WATCHED:
            found.append(f"{name}=={bound}" if which == "lowest" else line)
    return found


def main(which: str, folder: Path) -> int:
    """Make an environment in *folder*, install, test; gives pytest's exit code."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    tools = ["hypothesis", "jsonschema", "pytest-asyncio", "pytest-xdist"]
    install = [str(python), "-m", "pip", "install", "-q", "-e", str(HOUSE), *tools, *wanted(which)]
    subprocess.run(install, check=True)
    subprocess.run([str(python), "-m", "pip", "list"], check=True)
    tests = [str(HOUSE / "tests/pytest_looplet/cassette" / name) for name in TESTS]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=HOUSE, check=False).returncode


if __name__ == "__main__":
    place = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp()) / "env"
    sys.exit(main(sys.argv[1], place))
