"""The state of the cassettes: one line at the end of a session, and what it may turn red."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import pytest

from looplet import clock
from looplet.text import escape_terminal
from pytest_looplet.keys import SUFFIX
from pytest_looplet.marker import marked
from pytest_looplet.places import OF_A_FIXTURE, cassette_path
from pytest_looplet.settings import settings_of

Wish: TypeAlias = Literal["ignore", "warn", "fail"]
"""What a cassette that is stale or orphaned does to a session."""

KEEPER = "looplet-housekeeper"
_DAY_S = 86_400


@dataclass(slots=True)
class State:
    """What a session found out about cassettes.

    Attributes:
        used: Paths of cassettes that were opened, and how many of their calls were not played; 0 where a
            test was cut, or recorded.
        orphaned: Cassettes that belong to no test that was collected.
    """

    used: dict[str, int] = field(default_factory=dict)
    orphaned: set[str] = field(default_factory=set)

    @property
    def unplayed(self) -> list[str]:
        """Used cassettes of which some calls were not played."""
        return sorted(path for path, count in self.used.items() if count)


class Housekeeper:
    """Watches which cassettes are used; one in each process that collects or reports.

    Args:
        config: The session's.

    Attributes:
        state: What was found, in the controller of xdist that of all workers.
        problems: Why the session is red, if it is.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.state = State()
        self.problems: list[str] = []
        self._config = config
        self._wishes: dict[str, Wish] = {what: _wish(config, what) for what in ("stale", "orphaned")}
        self._max_age = _days(config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """See all items of the collected files, before any is deselected."""
        self.state.orphaned.update(str(path) for path in orphans(session.config, items))

    def used(self, path: Path, unplayed: int) -> None:
        """Note that the cassette at *path* was open, and how many of its calls were not made."""
        self.state.used[str(path)] = max(unplayed, self.state.used.get(str(path), 0))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """In a worker, send what was found; elsewhere judge it."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["looplet_cassettes"] = [self.state.used, sorted(self.state.orphaned)]
            return
        for what, paths in (("orphaned", self.orphaned), ("stale", self.stale)):
            if paths and self._wishes[what] == "fail":
                self.problems.append(f"{_cassettes(len(paths))} {what} (looplet_{what} = fail): {paths[0]}")
        if self.problems and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Learn from a worker of xdist."""
        used, orphaned = getattr(node, "workeroutput", {}).get("looplet_cassettes", ({}, ()))
        for path, unplayed in used.items():
            self.used(Path(path), unplayed)
        self.state.orphaned.update(orphaned)

    @property
    def orphaned(self) -> list[str]:
        """Cassettes that belong to no test and were not used, unless that is ignored."""
        found = sorted(self.state.orphaned - self.state.used.keys())
        return found if self._wishes["orphaned"] != "ignore" else []

    @property
    def stale(self) -> list[str]:
        """Used cassettes that are older than the limit, unless there is none."""
        if self._max_age is None or self._wishes["stale"] == "ignore":
            return []
        return stale((Path(path) for path in self.state.used), self._max_age)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the line, if there is anything to say."""
        if line := self.line():
            told = self.stale or self.orphaned or self.state.unplayed
            terminalreporter.write_line(line, yellow=bool(told), green=not told)
        for problem in self.problems:
            terminalreporter.write_line(f"looplet: {escape_terminal(problem)}", red=True)

    def line(self) -> str:
        """What is said about cassettes; empty if none was used and none is orphaned."""
        parts = []
        if self.stale:
            parts.append(f"{len(self.stale)} stale (over {self._max_age:g} days)")
        if self.orphaned:
            parts.append(f"{len(self.orphaned)} orphaned (looplet cassettes prune)")
        if self.state.unplayed:
            parts.append(f"{len(self.state.unplayed)} with unplayed calls")
        if not (self.state.used or parts):
            return ""
        return ", ".join([f"looplet: {_cassettes(len(self.state.used))} used", *parts])


def _cassettes(count: int) -> str:
    return f"{count} cassette{'' if count == 1 else 's'}"


def keeper_of(config: pytest.Config) -> Housekeeper:
    """The housekeeper of this session, made when it is first asked for."""
    found = config.pluginmanager.get_plugin(KEEPER)
    if isinstance(found, Housekeeper):
        return found
    keeper = Housekeeper(config)
    config.pluginmanager.register(keeper, KEEPER)
    return keeper


def orphans(config: pytest.Config, items: Iterable[pytest.Item]) -> list[Path]:
    """Cassettes beside the collected files that none of their tests would open.

    Only files that were collected whole are judged: not where a single test was named, or with --lf. The
    cassettes of evals depend on their cases and are left out.
    """
    if config.getoption("lf", False):
        return []
    settings = settings_of(config)
    named = {Path(config.invocation_params.dir, arg.split("::")[0]) for arg in config.args if "::" in arg}
    known: set[Path] = set()
    fixtures: set[str] = set()
    files: set[Path] = set()
    for item in items:
        files.add(item.path)
        known.add(cassette_path(item, settings, marked(item)))
        fixtures.update(getattr(item, "fixturenames", ()))
    found: set[Path] = set()
    for file in files:
        if file not in named and not file.name.startswith("eval_"):
            found.update((file.parent / settings.cassette_dir / file.stem).glob(f"*{SUFFIX}"))
    for folder in {file.parent / settings.cassette_dir for file in files}:
        gone = (f for f in folder.glob("*/") if not (folder.parent / f"{f.name}.py").exists())
        if folder.parent / f"{folder.name}.py" not in named:
            found.update(path for one in gone for path in one.glob(f"*{SUFFIX}"))
    return sorted(path for path in found - known if not _of_fixture(path, fixtures))


def _of_fixture(path: Path, fixtures: set[str]) -> bool:
    """Whether this is the tape of a fixture of wider scope that some collected test asks for."""
    return path.name.startswith(OF_A_FIXTURE) and any(
        path.name.startswith(f"{OF_A_FIXTURE}{name}") for name in fixtures
    )


def stale(paths: Iterable[Path], days: float) -> list[str]:
    """Those of *paths* that were last changed more than *days* ago."""
    return sorted(str(path) for path in paths if path.exists() and age_days(path) > days)


def age_days(path: Path) -> float:
    """Days since *path* was committed last; since it was written, where git does not know it as it is."""
    written = _committed(path)
    return (clock.now() - (path.stat().st_mtime if written is None else written)) / _DAY_S


def _committed(path: Path) -> float | None:
    """A checkout sets the time of a file anew, so git knows better; None where it does not."""
    told = _git(path, "log", "-1", "--format=%ct", "--", path.name)
    if not told or _git(path, "status", "--porcelain", "--", path.name):
        return None
    return float(told)


def _git(path: Path, *command: str) -> str:
    try:
        done = subprocess.run(
            ["git", *command], cwd=path.parent, capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _wish(config: pytest.Config, what: str) -> Wish:
    value = config.getini(f"looplet_{what}") or "warn"
    if value not in get_args(Wish):
        raise pytest.UsageError(f"looplet_{what}: {value!r} is none of {', '.join(get_args(Wish))}")
    return cast(Wish, value)


def _days(config: pytest.Config) -> float | None:
    value = config.getini("looplet_cassette_max_age")
    if not value:
        return None
    try:
        days = float(value)
    except ValueError:
        days = 0.0
    if not 0 < days < float("inf"):
        raise pytest.UsageError(f"looplet_cassette_max_age: {value!r} is no number of days")
    return days
