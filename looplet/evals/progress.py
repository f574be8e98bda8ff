"""A progress bar for people who wait at a terminal; nothing at all for everybody else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

from looplet.clock import perf

T = TypeVar("T")

WIDTH = 24
QUIET_S = 0.5
"""Seconds before anything is shown: what is over sooner needs no bar."""
EVERY_S = 0.1


def watched(
    items: Iterable[T], total: int | None, what: str, *, wanted: bool | None = None, out: TextIO | None = None
) -> Iterator[T]:
    """*items*, with a bar on the terminal while they are taken; the bar is gone when they are.

    Args:
        items: Whatever is worked on.
        total: How many there are, None if that is not known.
        what: What they are called, for example `runs`.
        wanted: Whether to show it; None shows it where *out* is a terminal.
        out: Where to; standard error if None.
    """
    out = sys.stderr if out is None else out  # a program without a console has none
    if out is None or not (_is_terminal(out) if wanted is None else wanted):
        yield from items
        return
    started = told = perf()
    done = shown = 0
    try:
        for item in items:
            yield item
            done += 1
            now = perf()
            if now - started >= QUIET_S and now - told >= EVERY_S:
                told = now
                shown = _show(out, bar(done, total, what, now - started), shown)
    finally:
        if shown:
            out.write(f"\r{' ' * shown}\r")
            out.flush()


def bar(done: int, total: int | None, what: str, seconds: float) -> str:
    """The bar as text: `[######------------------]  1,000 of 4,000 runs, 25%, 0:30 left`."""
    if not total:
        return f"{done:,} {what}, {_clock(seconds)}"
    share = min(1.0, done / total)
    filled = int(WIDTH * share)
    left = seconds / share - seconds if share else 0.0
    drawn = f"[{'#' * filled}{'-' * (WIDTH - filled)}]"
    return f"{drawn} {done:,} of {total:,} {what}, {share:.0%}, {_clock(left)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def _show(out: TextIO, text: str, before: int) -> int:
    out.write(f"\r{text}{' ' * max(0, before - len(text))}")
    out.flush()
    return len(text)


def _is_terminal(out: TextIO) -> bool:
    try:
        return out.isatty()
    except ValueError:  # closed
        return False
