"""A session of evals loads what its agent needs, and no more."""

import os
import subprocess
import sys

PROBE = """
import sys
BEFORE = set(sys.modules)  # what a tool that measures us may have loaded

import pytest
from looplet import Trajectory

HEAVY = {{"asyncio", "yaml", "vcr", "http.client", "tomllib", "unittest.mock", "looplet.loop"}}

@pytest.fixture
def looplet_agent({fixtures}):
    return {agent}

def pytest_sessionfinish():
    print("LOADED", sorted(HEAVY & set(sys.modules) - BEFORE))
"""

EVALS = """
looplet_cases = [{"id": "one", "task": "hello"}]

def eval_it(ctx):
    return ctx.completed
"""


def loaded(pytester, agent, fixtures=""):
    pytester.makeconftest(PROBE.format(agent=agent, fixtures=fixtures))
    (pytester.mkdir("evals") / "eval_a.py").write_text(EVALS)
    command = [sys.executable, "-m", "pytest", "-sq", "-p", "no:cacheprovider", "-p", "pytest_looplet.plugin"]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        command, cwd=pytester.path, env=environment, capture_output=True, text=True, check=True
    )
    assert "1 passed" in done.stdout
    return next(line.split("LOADED ")[1] for line in done.stdout.splitlines() if "LOADED" in line)


def test_an_agent_that_uses_none_of_it_loads_no_http_client_no_yaml_and_no_event_loop(pytester):
    agent = "lambda case: Trajectory(task=case.task, stop_reason='done')"
    assert loaded(pytester, agent) == "[]"


def test_a_scripted_agent_loads_the_loop_and_no_http_client(pytester):
    agent = "lambda case: looplet_run(case.task, tools=[], llm=looplet_script(call('done', answer='x')))"
    agent += "\n\nfrom looplet.testing import call"
    assert loaded(pytester, agent, "looplet_run, looplet_script") == "['looplet.loop']"
