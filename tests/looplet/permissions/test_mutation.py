"""Every branch of the permission engine is missed by some row when it is gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each mutant is a fork of one process")
def test_no_branch_can_go_unnoticed():
    script = Path(__file__).with_name("mutation.py")
    # Lines of a package that is changed on purpose are no coverage, and counting them takes minutes.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
