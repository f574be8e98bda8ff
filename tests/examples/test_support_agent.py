"""The support agent's folder, as a user finds it: replayed, recorded again, and broken on purpose."""

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

AGENT = Path(__file__).parents[2] / "examples" / "support_agent"


@pytest.fixture
def agent(tmp_path):
    """A copy of the folder, to break."""
    return Path(shutil.copytree(AGENT, tmp_path / "agent", ignore=shutil.ignore_patterns("__pycache__")))


def run(folder, *command):
    """Run *command* in *folder* with no key and no provider in the environment."""
    foreign = ("OPENAI_", "ANTHROPIC_", "PYTEST_", "CI", "PYTHONDONTWRITEBYTECODE")
    env = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, capture_output=True, encoding="utf-8", check=False
    )
    return done.returncode, done.stdout + done.stderr


def pytest_in(folder, *arguments):
    # Without the plugins that only our own tests need, as after a plain installation.
    ours = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:benchmark", "-p", "no:hypothesispytest")
    return run(folder, "-m", "pytest", *ours, *arguments)


def cassettes(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*.looplet.yaml"))


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def changed(folder):
    """Cassettes of *folder* that are not, byte for byte, those of the repository."""
    return filecmp.cmpfiles(folder, AGENT, cassettes(AGENT), shallow=False)[1:]


def test_it_is_green_prints_its_scores_and_writes_a_report_but_no_cassette(agent):
    code, out = pytest_in(agent, "--looplet-report=report.json")
    assert code == 0, out
    assert "50 passed" in out  # eight evals on six cases, two tests
    assert "eval_pays_the_right_amount" in out
    assert (agent / "report.json").stat().st_size > 0
    assert len(cassettes(agent)) == 8
    assert changed(agent) == ([], [])


@pytest.mark.slow
def test_lost_cassettes_come_back_byte_for_byte(agent):
    for lost in (cassettes(agent)[0], cassettes(agent)[-1]):
        (agent / lost).unlink()
    code, out = pytest_in(agent, "test_refunds.py")
    assert code == 1
    assert "--looplet-record" in out
    code, out = run(agent, "record.py")
    assert code == 0, out
    assert cassettes(agent) == cassettes(AGENT)
    assert changed(agent) == ([], [])


def test_a_changed_tool_is_named_with_its_step_and_the_way_to_record_again(agent):
    edit(agent / "support_agent.py", '"delivered broken", "days_ago": 3', '"delivered broken", "days_ago": 4')
    code, out = pytest_in(agent, "test_refunds.py::test_refund_looks_before_it_pays")
    assert code == 1
    assert "model call 2 differs from the recording" in out
    assert "the first difference came from tool lookup_order at step 1" in out
    assert "pytest --looplet-record" in out
