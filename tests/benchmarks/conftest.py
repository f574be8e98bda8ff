"""How the benchmarks are timed: every measure has a floor, and what counts is the ratio of the two.

`make bench` runs the files `bench_*.py` beside this one. The suite does not collect them: a time is never a
reason for a red test. The table that `table.py` makes of their figures is `docs/performance.md`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import pytest

Work = Callable[[], object]


class Timed(Protocol):
    """Time a measure; see `timed`."""

    def __call__(
        self,
        measure: str,
        work: Mapping[str, Work],
        *,
        per: int | Mapping[str, int] = 1,
        target: float | None = None,
        rounds: int = 30,
    ) -> None: ...


@pytest.fixture
def timed(benchmark: Any) -> Timed:
    """Time the sides of *measure* in turn: a moment in which the machine is slow hits all alike.

    Sides are `ours` and `floor`; `base` and `floor_base` are what is taken off each of them first, where only
    what was added counts. *per* is how many steps, calls or items a work does, of one side or of all.
    *target* is the highest ratio that is good enough.
    """

    def time(
        measure: str,
        work: Mapping[str, Work],
        *,
        per: int | Mapping[str, int] = 1,
        target: float | None = None,
        rounds: int = 30,
    ) -> None:
        taken: dict[str, list[float]] = {side: [] for side in work if side != "ours"}

        def time_the_others() -> None:
            for side, seconds in taken.items():
                began = perf_counter()
                work[side]()
                seconds.append(perf_counter() - began)

        benchmark.group = measure
        benchmark.pedantic(work["ours"], setup=time_the_others, rounds=rounds, warmup_rounds=1)
        least = {side: min(seconds) for side, seconds in taken.items()}
        benchmark.extra_info.update(seconds=least, per=per, target=target)

    return time


@pytest.fixture
def python() -> Callable[..., Work]:
    """A function of arguments that gives a work: run Python once with them, in a process of its own.

    Compiled files are kept, as they are on a user's machine; no plugin loads that is not asked for.
    """
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment = outside | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    def work_of(*arguments: str, folder: Path | None = None) -> Work:
        command = [sys.executable, *arguments]
        return lambda: subprocess.run(
            command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL
        )

    return work_of


@pytest.fixture
def a_pytest(python: Callable[..., Work]) -> Callable[..., Work]:
    """A function of a file and its folder that gives a work: a pytest process, with our plugin or without."""

    def work_of(name: str, *, folder: Path, plugin: bool) -> Work:
        ours = ["-p", "pytest_looplet.plugin"] if plugin else []
        return python("-m", "pytest", "-q", "-p", "no:cacheprovider", *ours, name, folder=folder)

    return work_of
