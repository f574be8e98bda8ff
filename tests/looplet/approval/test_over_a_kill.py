"""Approval over a kill: the process that asked is gone, a later one has the answer, the call runs once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

AGENT = Path(__file__).with_name("agent.py")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("approval")
    command = [sys.executable, str(AGENT), str(folder), "50"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 51, done.stderr
    return found


@pytest.fixture
def trials(runs):
    return runs[:50]


def test_every_process_was_killed_while_it_waited(trials):
    assert {(trial["asked"], trial["killed"]) for trial in trials} == {("asked", 9)}


def test_after_an_approval_the_call_ran_exactly_once(trials):
    approved = [trial for trial in trials if trial["answer"] == "approve"]
    assert len(approved) == 40
    for trial in approved:
        assert trial["effects"] == ["5"]
        request, steps = trial["later"]
        assert (request["tool"], request["args"]) == ("pay", {"amount": 5})
        assert steps[-2:] == [["pay", ""], ["done", ""]]


def test_after_a_refusal_it_never_ran_and_the_model_was_told(trials):
    refused = [trial for trial in trials if trial["answer"] == "deny"]
    assert len(refused) == 10
    for trial in refused:
        assert trial["effects"] == []
        _, steps = trial["later"]
        assert [tool for tool, _ in steps[-2:]] == ["pay", "done"]
        assert "refused this call" in steps[-2][1]


def test_killed_inside_the_approved_call_it_is_in_doubt_and_not_repeated(runs):
    cut = runs[50]
    assert (cut["killed"], cut["effects"]) == (9, ["5"])
    assert [tool for tool, _ in cut["later"]] == ["pay", "done"]
    assert "unknown whether it took effect" in cut["later"][0][1]
