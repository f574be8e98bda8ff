"""A session inside a session: pytester runs it in this process, and unloads afterwards what it loaded.

Who tests a plugin of their own beside ours runs many of them. Each is as good as the first.
"""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

OUTER = '''
import pytest
from looplet.testing import call
from looplet.testing.provider import LocalProvider
{imports}

pytest_plugins = ["pytester"]

AGENT = """
import os
import openai
from looplet import tool
from looplet.backends import OpenAIBackend

@tool
def greet(name: str) -> dict:
    "Greet somebody."
    return {{"greeting": f"Hello {{name}}"}}

def test_agent(looplet_run):
    client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="none", max_retries=0)
    run = looplet_run("Greet Ada", tools=[greet], llm=OpenAIBackend(client, model="m"))
    assert [step.tool_call.tool for step in run.steps] == ["greet", "done"]
"""

EVALS = """
import pytest
from looplet import run_loop, tool
from looplet.testing import ScriptedBackend, call

@pytest.fixture
def looplet_agent():
    script = [call("done", answer="ok")]
    return lambda case: run_loop(ScriptedBackend(script), task=case.task, tools=[])

def eval_done(ctx):
    return ctx.completed
"""

@pytest.mark.parametrize("time", range(2))
def test_a_recording_is_replayed(pytester, monkeypatch, time):
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(test_a=AGENT)
    with LocalProvider([call("greet", name="Ada"), call("done", answer="ok")]) as provider:
        monkeypatch.setenv("BASE_URL", provider.base_url)
        pytester.runpytest("--looplet-record").assert_outcomes(passed=1)
    assert len(list(pytester.path.rglob("*.looplet.yaml"))) == 1
    pytester.runpytest().assert_outcomes(passed=1)

@pytest.mark.parametrize("time", range(2))
def test_evals_are_collected(pytester, monkeypatch, time):
    monkeypatch.delenv("CI", raising=False)
    evals = pytester.mkdir("evals")
    (evals / "eval_a.py").write_text(EVALS)
    (evals / "cases").mkdir()
    (evals / "cases" / "all.yaml").write_text("- id: one\\n  task: x\\n- id: two\\n  task: y\\n")
    pytester.runpytest("evals", "--looplet-baseline=b.json", "--looplet-accept").assert_outcomes(passed=2)
    pytester.runpytest("evals", "--looplet-baseline=b.json").assert_outcomes(passed=2)
'''


@pytest.mark.parametrize(
    "imports",
    [
        "",
        "from pytest_looplet import expect, from_cassette, use_cassette",
        "import looplet.evals, vcr, openai",
    ],
    ids=["nothing loaded", "our names loaded", "theirs loaded"],
)
def test_each_is_as_good_as_the_first(imports, tmp_path):
    (tmp_path / "test_outer.py").write_text(OUTER.format(imports=imports))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "test_outer.py",
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout
    assert "4 passed" in ended.stdout
