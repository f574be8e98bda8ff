"""An agent with two sub-agents, one that fails and one that is denied a tool: one cassette holds it all."""

from __future__ import annotations

import openai
import pytest

# Loaded here once, and not in each inner session again: it takes longer than a test.
import pytest_looplet.expectation
import pytest_looplet.people
import pytest_looplet.provider
import pytest_looplet.run
import pytest_looplet.tapes  # noqa: F401
from looplet.testing import call, calls
from looplet.testing.provider import LocalProvider, by_task, status

pytestmark = pytest.mark.slow

with openai.OpenAI(api_key="none") as client:
    _ = client.chat.completions

SCRIPT = {
    "Lead": [
        calls(call("delegate", task="Research"), call("delegate", task="Clean up")),
        call("done", answer="one of two"),
    ],
    "Research": [call("look", q="x"), status(400, "the model is out")],
    "Clean up": [call("bash", cmd="rm -rf build"), call("done", answer="was not allowed")],
}

AGENT = """
    import asyncio
    import os

    import pytest
    from openai import AsyncOpenAI, OpenAI

    from looplet import (
        AsyncOpenAIBackend, OpenAIBackend, Usage, async_run_sub_loop, run_sub_loop, tool,
    )
    from pytest_looplet import expect

    URL = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")

    @tool
    def look(q: str) -> str:
        "Look."
        return f"seen {q}"

    @tool
    def bash(cmd: str) -> str:
        "Run a command."
        raise AssertionError("it was denied")

    class Listener:
        def __init__(self):
            self.heard = []

        def on_event(self, payload):
            if "SUBAGENT" in payload.event.name:
                self.heard.append((payload.event.name, payload.subagent_id, payload.extra.get("stop_reason")))

    class AsyncListener(Listener):
        async def on_event(self, payload):
            await asyncio.sleep(0)
            super().on_event(payload)

    def sync_run(looplet_run, listener, at_once):
        with OpenAI(base_url=URL, max_retries=0) as client:
            llm = OpenAIBackend(client, model="test-model")

            @tool(concurrent_safe=at_once)
            def delegate(task: str) -> object:
                "Ask a sub-agent."
                return run_sub_loop(llm, task, [look, bash])

            return looplet_run(
                "Lead", llm=llm, tools=[delegate], hooks=[listener], concurrent_dispatch=at_once
            )

    def async_run(looplet_run, listener, at_once):
        async def run():
            async with AsyncOpenAI(base_url=URL, max_retries=0) as client:
                llm = AsyncOpenAIBackend(client, model="test-model")

                @tool(concurrent_safe=at_once)
                async def delegate(task: str) -> object:
                    "Ask a sub-agent."
                    return await async_run_sub_loop(llm, task, [look, bash])

                return await looplet_run.async_(
                    "Lead", llm=llm, tools=[delegate], hooks=[listener], concurrent_dispatch=at_once
                )

        return asyncio.run(run())

    @pytest.mark.parametrize("at_once", [False, True])
    @pytest.mark.parametrize("run", [sync_run, async_run])
    def test_agent(run, looplet_run, looplet_permissions, at_once):
        looplet_permissions.script(allow=["look", "delegate"])
        listener = AsyncListener() if run is async_run else Listener()
        lead = run(looplet_run, listener, at_once)
        check(lead, listener, looplet_permissions, at_once)

    def check(lead, listener, permissions, at_once):
        expect(lead).to_finish()
        assert lead.final_output == {"answer": "one of two"}
        research, clean = sorted(lead.children, key=lambda child: child.task != "Research")
        failed, denied = [step.tool_result.data for step in lead.steps[:2]]

        assert (failed["stop_reason"], failed["answer"]) == ("llm_error", None)
        assert research.steps[0].tool_result.data == "seen x"
        assert "the model is out" in research.error

        assert (denied["stop_reason"], denied["answer"]) == ("done", "was not allowed")
        assert clean.steps[0].tool_result.error_kind.value == "permission_denied"
        assert [(d.tool, d.verdict) for d in clean.decisions if d.tool == "bash"] == [("bash", "deny")]
        assert [call.tool for call in permissions.denied] == ["bash"]

        assert [len(run.model_calls) for run in (lead, research, clean)] == [2, 2, 2]
        own = sum((call.usage for call in lead.model_calls), Usage())
        assert lead.usage == own + research.usage + clean.usage
        assert research.usage.input_tokens > 0 and clean.usage.output_tokens > 0

        told = [("SUBAGENT_START", "Research", None), ("SUBAGENT_STOP", "Research", "llm_error"),
                ("SUBAGENT_START", "Clean up", None), ("SUBAGENT_STOP", "Clean up", "done")]
        names = {research.run_id: "Research", clean.run_id: "Clean up"}
        heard = [(name, names[run_id], reason) for name, run_id, reason in listener.heard]
        assert sorted(heard, key=repr) == sorted(told, key=repr)
        assert at_once or heard == told
"""


def run(pytester, *options):
    plugins = ("-p", "pytest_looplet.plugin", "-p", "no:cacheprovider", "-Werror")
    return pytester.runpytest_inprocess(*plugins, *options)


def test_the_whole_replays_from_one_cassette(pytester, monkeypatch):
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_agent=AGENT)
    with LocalProvider(by_task(SCRIPT)) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        run(pytester, "--looplet-record").assert_outcomes(passed=4)
    cassettes = list(pytester.path.rglob("*.looplet.yaml"))
    assert len(cassettes) == 4  # one for each test
    assert all(file.read_text().count("method: POST") == 6 for file in cassettes)
    run(pytester).assert_outcomes(passed=4)
    run(pytester, "--looplet-match=sequence", "-k", "False").assert_outcomes(passed=2)
