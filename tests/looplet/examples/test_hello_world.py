"""The hello-world example, as a person starts it: scripted, over HTTP, and without a server."""

import os
import re
import subprocess
import sys

import pytest

from looplet.examples import hello_world
from looplet.testing import call
from looplet.testing.provider import LocalProvider

OUTPUT = """\
#1 ✓ greet(name=Alice) → 1 keys [0ms]
#2 ✓ greet(name=Bob) → 1 keys [0ms]
#3 ✓ done(answer=Greeted) → 1 keys [0ms]

──────────────────────────────────────────────────
Eval results:
  eval_greeted_everyone                    1.00
  eval_completed                           1.00 pass
  overall                                  2 scored (avg 1.00)
──────────────────────────────────────────────────
"""


def printed(text):
    """What was printed, with the milliseconds of a slow machine as 0."""
    return re.sub(r"\[\d+ms\]", "[0ms]", text)


def test_scripted(capsys):
    assert hello_world.main(["--scripted"]) == 0
    assert printed(capsys.readouterr().out) == OUTPUT


def test_started_as_a_module():
    env = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "looplet.examples.hello_world", "--scripted"]
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=True)
    assert printed(done.stdout) == OUTPUT


def test_over_http(capsys, monkeypatch):
    turns = [call("greet", name="Alice"), call("greet", name="Bob"), call("done", answer="Greeted")]
    with LocalProvider(turns) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        assert hello_world.main(["--model", "tiny"]) == 0
    assert printed(capsys.readouterr().out) == OUTPUT
    assert {request.body["model"] for request in provider.requests} == {"tiny"}
    assert {request.headers["authorization"] for request in provider.requests} == {"Bearer x"}
    provider.assert_exhausted()


def test_an_agent_that_does_not_finish_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr(hello_world, "SCRIPT", (call("greet", name="Alice"),) * 8)
    assert hello_world.main(["--scripted"]) == 1


def test_without_the_sdk_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(SystemExit, match=r"pip install .*openai"):
        hello_world.main([])
