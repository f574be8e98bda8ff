"""`looplet init`: a working agent, its test, its evals and a CI job, written into a repository."""

from __future__ import annotations

import argparse
import configparser
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from looplet.cli.command import OK, Command
from looplet.errors import ConfigError

FILES = {
    "agent.py": ("agent.py", "an agent: a prompt and a tool"),
    "tests/test_agent.py": ("test_agent.py", "a test of it, with a scripted model"),
    "evals/cases/agent.yaml": ("cases.yaml", "two cases"),
    "evals/conftest.py": ("conftest.py", "how a case is run"),
    "evals/eval_agent.py": ("eval_agent.py", "three evals"),
    ".github/workflows/agent.yml": ("agent.yml", "the gate in CI"),
}
"""Where a file goes, which text it is, and what it is for."""

SETTINGS = ("pytest.ini", "tests and evals find agent.py")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", default=".", help="the repository (default: .)")


def _init(options: argparse.Namespace) -> int:
    root = Path(options.directory)
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such folder; make it first")
    settings = settings_of(root)
    wanted = FILES if settings else {**FILES, SETTINGS[0]: SETTINGS}
    kept = [name for name, (text, about) in wanted.items() if not _write(root / name, name, text, about)]
    if settings and not settings.finds_modules:
        print(f"add to {settings.file}: pythonpath = .     so that {SETTINGS[1]}")
    if len(kept) == len(wanted):
        print(f"nothing to do: all {len(wanted)} files are there, and none was changed")
    elif kept:
        print("what was kept may not fit what is new; start in an empty folder to see them together")
    where = "" if options.directory == "." else f"cd {root} && "
    print(f"next: {where}pytest tests/test_agent.py evals")
    return OK


class Settings(NamedTuple):
    """Where a repository keeps pytest's settings, and whether they set `pythonpath`."""

    file: str
    finds_modules: bool


def settings_of(root: Path) -> Settings | None:
    """The settings that *root* has, or None. Looked for where pytest looks, in its order."""
    project = root / "pyproject.toml"
    if not (root / "pytest.ini").exists() and project.exists():
        tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {}).get("pytest", {})
        if tool:
            return Settings(project.name, "pythonpath" in tool or "pythonpath" in tool.get("ini_options", {}))
    for name, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        parser = configparser.ConfigParser(interpolation=None)
        if parser.read(root / name, encoding="utf-8") and section in parser:
            return Settings(name, "pythonpath" in parser[section])
    return None


def _write(path: Path, name: str, text: str, about: str) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = files("pytest_looplet.cli").joinpath("starter", f"{text}.txt").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(content)
    except FileExistsError:
        print(f"kept  {name:<28} it was there")
        return False
    print(f"wrote {name:<28} {about}")
    return True


COMMAND = Command(
    "init", "write a working agent, test, evals and CI job; files that are there are kept", _arguments, _init
)
