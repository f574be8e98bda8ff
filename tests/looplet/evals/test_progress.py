"""A bar for people who wait at a terminal, and nothing for everybody else."""

import io

import pytest

from looplet.clock import fixed_clock
from looplet.evals.progress import bar, watched


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_how_far_it_is_and_is_left_clean():
    out = Terminal()
    with fixed_clock() as clock:
        for _ in watched(range(4), 4, "runs", out=out):
            clock.advance(1)
    drawn = out.getvalue().split("\r")
    assert drawn[1] == "[######------------------] 1 of 4 runs, 25%, 0:03 left"
    assert drawn[-2].strip() == ""
    assert drawn[-1] == ""


@pytest.mark.parametrize("why", ["no terminal", "unwanted", "soon over", "closed", "not there"])
def test_nobody_else_is_shown_a_bar(why, monkeypatch):
    out = Terminal() if why not in ("no terminal", "closed") else io.StringIO()
    if why == "closed":
        out.close()
    if why == "not there":
        monkeypatch.setattr("sys.stderr", None)
    with fixed_clock() as clock:
        where = None if why == "not there" else out
        for _ in watched(range(4), 4, "runs", out=where, wanted=False if why == "unwanted" else None):
            clock.advance(0.01 if why == "soon over" else 1)
    assert out.closed or out.getvalue() == ""


def test_without_a_total_the_bar_counts():
    assert bar(1_234, None, "runs", 61) == "1,234 runs, 1:01"
