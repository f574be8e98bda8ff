"""Tracebacks of our own exceptions, without the frames of libraries between the test and the reason."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest._code.code import Traceback, TracebackEntry

OURS = ("looplet", "pytest_looplet")
HOUSE = Path(__file__).parent.parent


@functools.cache
def _hidden() -> tuple[str, ...]:
    """How the paths of files begin that are no user's."""
    import sysconfig  # slow to load, and most tests pass

    libraries = {sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib")}
    return tuple(f"{folder}{os.sep}" for folder in {*libraries, *(str(HOUSE / name) for name in OURS)})


def show_own_frames(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Show what belongs to the test and the agent of a traceback that ends in an exception of ours."""
    excinfo, style = call.excinfo, item.config.getoption("tbstyle", "auto")
    if excinfo is None or style not in ("auto", "long", "short") or item.config.getoption("fulltrace", False):
        return
    if not type(excinfo.value).__module__.startswith(OURS):
        return
    if not any(_is_own(entry) for entry in excinfo.traceback):
        report.longrepr = excinfo.getrepr(style="value")
        return
    report.longrepr = excinfo.getrepr(
        style="short" if style == "short" else "long",
        showlocals=bool(item.config.getoption("showlocals", False)),
        tbfilter=_own,
    )


def _is_own(entry: TracebackEntry) -> bool:
    return not str(entry.path).startswith(_hidden())


def _own(excinfo: pytest.ExceptionInfo[BaseException]) -> Traceback:
    return excinfo.traceback.filter(_is_own)
