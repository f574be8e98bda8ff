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
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
