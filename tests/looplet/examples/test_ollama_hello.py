"""The Ollama example, against a provider on 127.0.0.1 and against nobody."""

import sys

import pytest

from looplet.examples import ollama_hello
from looplet.testing import call
from looplet.testing.provider import LocalProvider
from tests.looplet.examples.test_hello_world import printed


def test_it_greets(capsys, monkeypatch):
    with LocalProvider([call("greet", name="Alice"), "I greeted Alice."]) as provider:
        monkeypatch.setenv("OLLAMA_BASE_URL", provider.base_url)
        monkeypatch.setenv("OLLAMA_MODEL", "tiny")
        assert ollama_hello.main() == 0
    assert printed(capsys.readouterr().out) == (
        "#1 ✓ greet(name=Alice) → 1 keys [0ms]\n#2 ✓ done(answer=I greeted Alice.) → 1 keys [0ms]\n"
    )
    assert {request.body["model"] for request in provider.requests} == {"tiny"}
    assert provider.requests[0].headers["authorization"] == "Bearer ollama"


def test_a_server_that_refuses_is_told_with_its_address(capsys, monkeypatch):
    with LocalProvider([]) as provider:
        monkeypatch.setenv("OLLAMA_BASE_URL", provider.base_url)
        assert ollama_hello.main() == 1
    assert (
        f"is a server at {provider.base_url}, and does it have the model llama3.1:8b?"
        in capsys.readouterr().err
    )


def test_without_the_sdk_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(SystemExit, match=r"pip install .*openai"):
        ollama_hello.main()
