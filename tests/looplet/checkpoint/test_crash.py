"""A run that is killed, again and again, loses nothing it handed out and repeats nothing it did."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.looplet.checkpoint.agent import POINTS, STEPS

pytestmark = pytest.mark.slow

AGENT = Path(__file__).with_name("agent.py")


class Attempts:
    """Starts the agent until it is done; keeps what it printed, over all its lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.kills = 0

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(AGENT), str(self.folder), *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_until_up(self, process: subprocess.Popen[str]) -> None:
        """Wait for Python to have started; where that is slow, no life would ever get to its first step."""
        up = self.folder / "up"
        while process.poll() is None and not up.exists():
            time.sleep(0.005)
        up.unlink(missing_ok=True)

    def finish(self, process: subprocess.Popen[str]) -> bool:
        """Wait for one life to end; whether the run is done."""
        out, err = process.communicate(timeout=60)
        self.lines += out.splitlines()
        # Killed between its last record and its exit, it was done all the same.
        if process.returncode == 0 or "that run is finished" in err:
            return True
        assert process.returncode == -9, err
        self.kills += 1
        return False

    def check(self) -> None:
        """Every step was handed out once, in order; every effect happened once, or its call says why not."""
        numbers = [int(line.split()[0]) for line in self.lines]
        assert numbers == sorted(set(numbers)), "a step was handed out twice or out of order"
        assert len(self.effects) == len(set(self.effects)), "a tool ran twice"
        in_doubt = [line for line in self.lines if "unknown whether" in line]
        assert len(in_doubt) <= self.kills
        missing = len(set(range(1, numbers[-1])) - set(numbers))
        assert missing <= self.kills, "a step was lost that nobody can have been shown"
        assert self.lines[-1].split()[1] == "done" or self.kills

    @property
    def effects(self) -> list[str]:
        path = self.folder / "effects"
        return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("step", [4, 5])
@pytest.mark.parametrize("point", POINTS)
def test_CK_02_killed_at_a_point(tmp_path: Path, point: str, step: int) -> None:
    attempts = Attempts(tmp_path)
    first = attempts.finish(attempts.start(point, str(step)))
    # Steps 4 and 5 are one batch: the model is not asked before the second.
    assert not first or (point, step) == ("before the model", 5)
    assert first or attempts.finish(attempts.start())
    attempts.check()
    in_doubt = [line for line in attempts.lines if "unknown whether" in line]
    assert len(in_doubt) == (point in ("in the tool", "after the effect"))
    expected = STEPS - (point == "in the tool")
    assert len(attempts.effects) == expected


def test_CK_01_killed_at_random_300_times(tmp_path: Path) -> None:
    chance = random.Random(7)
    kills = runs = 0
    while kills < 300:
        runs += 1
        attempts = Attempts(tmp_path / str(runs))
        attempts.folder.mkdir()
        done = False
        while not done:
            process = attempts.start()
            attempts.wait_until_up(process)
            time.sleep(chance.uniform(0, 0.25))
            process.kill()
            done = attempts.finish(process)
        attempts.check()
        kills += attempts.kills
