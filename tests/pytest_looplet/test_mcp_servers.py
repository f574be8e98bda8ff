"""MCP servers under a cassette: recorded with a real one, replayed without it."""

from __future__ import annotations

import sys
from pathlib import Path

import openai
import pytest

# Loaded here once, and not in each inner session again: it takes longer than a test.
import pytest_looplet.capture
import pytest_looplet.cassette.mcp
import pytest_looplet.evals.at_once
import pytest_looplet.evals.collect
import pytest_looplet.evals.injected
import pytest_looplet.provider
import pytest_looplet.run
import pytest_looplet.servers
import pytest_looplet.tapes  # noqa: F401
from looplet.testing import call, calls
from looplet.testing.provider import LocalProvider

pytestmark = pytest.mark.slow

with openai.OpenAI(api_key="none") as client:
    _ = client.chat.completions

HERE = Path(__file__).parents[1] / "looplet"
DEMO, HOSTILE = str(HERE / "mcp_demo.py"), str(HERE / "mcp_hostile.py")

SCRIPT = [
    calls(call("add", a=1), call("broken")),
    call("say", text='{"a": [1]}'),
    call("done", answer="ready"),
]

TEST = """
    import os
    import pytest
    from looplet import MCPToolAdapter

    COMMAND = os.environ["MCP_COMMAND"]

    def agent(looplet_run, server):
        return looplet_run("Use the server.", tools=server.tools())

    def test_agent(looplet_run):
        with MCPToolAdapter(COMMAND) as server:
            run = agent(looplet_run, server)
        added, failed, said = [step.tool_result for step in run.steps[:3]]
        assert added.data == {"result": 3}
        assert "the disk is full" in failed.error
        assert said.data == {"a": [1]}
        assert run.final_output == {"answer": "ready"}
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A project; `run(command, *options)` runs its tests with a provider and a server, or without."""
    pytester.makeini("[pytest]\nlooplet_model = openai:test-model\n")
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = ("-p", "pytest_looplet.plugin", "-p", "no:cacheprovider", "-Werror")

    def run(*options, server=None, script=None, env=None):
        monkeypatch.setenv("MCP_COMMAND", server or "/no/such/server")
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        if script is None:
            return pytester.runpytest_inprocess(*plugins, *options)
        with LocalProvider(list(script)) as provider, pytest.MonkeyPatch.context() as patch:
            for name, value in provider.env.items():
                patch.setenv(name, value)
            return pytester.runpytest_inprocess(*plugins, *options)

    return run


def command(*words):
    return " ".join(f"'{word}'" for word in (sys.executable, *words))


BAD = command("-I", "-S", HOSTILE)
ECHO = f"{BAD} answers"


def cassette(pytester):
    (file,) = pytester.path.rglob("*.looplet.yaml")
    return file


def test_a_recorded_run_is_replayed_without_the_server(project, pytester):
    pytester.makepyfile(TEST)
    recorded = project("--looplet-record", server=command(DEMO), script=SCRIPT)
    recorded.assert_outcomes(passed=1)
    text = cassette(pytester).read_text()
    assert text.count("method: MCP") == 4  # the list and three calls
    assert "the disk is full" in text
    project().assert_outcomes(passed=1)
    assert cassette(pytester).read_text() == text


def test_the_async_loop_too_and_calls_at_once(project, pytester):
    pytester.makepyfile("""
        import asyncio, os
        from openai import AsyncOpenAI
        from looplet import AsyncOpenAIBackend, MCPToolAdapter

        async def agent(looplet_run, tools):
            url = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
            async with AsyncOpenAI(base_url=url) as client:
                llm = AsyncOpenAIBackend(client, model="test-model")
                return await looplet_run.async_("t", llm=llm, tools=tools, concurrent_dispatch=True)

        def test_agent(looplet_run):
            with MCPToolAdapter(os.environ["MCP_COMMAND"]) as server:
                tools = server.tools()
                for tool in tools:
                    tool.concurrent_safe = True
                run = asyncio.run(agent(looplet_run, tools))
            assert [s.tool_result.data for s in run.steps[:3]] == [{"said": n} for n in "abc"]
    """)
    script = [calls(*[call("echo", text=n) for n in "abc"]), call("done", answer="ready")]
    project("--looplet-record", server=ECHO, script=script).assert_outcomes(passed=1)
    for _ in range(2):
        project().assert_outcomes(passed=1)


@pytest.mark.parametrize("scope", ["function", "session"])
def test_a_server_of_a_fixture(project, pytester, scope):
    pytester.makeconftest(f"""
        import os, pytest
        from looplet import MCPToolAdapter

        @pytest.fixture(scope="{scope}")
        def server():
            with MCPToolAdapter(os.environ["MCP_COMMAND"]) as server:
                yield server
    """)
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("n", [1, 2])
        def test_agent(server, looplet_run, n):
            assert looplet_run("t", tools=server.tools()).steps[0].tool_result.data == {"said": "x"}
    """)
    script = [call("echo", text="x"), call("done", answer="ready")] * 2
    project("--looplet-record", server=ECHO, script=script).assert_outcomes(passed=2)
    project().assert_outcomes(passed=2)
    project("-k", "2").assert_outcomes(passed=1)  # each cassette stands alone


def test_a_list_that_the_fixture_asks_for_is_on_the_tape_of_the_fixture(project, pytester):
    pytester.makeconftest("""
        import os, pytest
        from looplet import MCPToolAdapter

        @pytest.fixture(scope="session")
        def tools():
            with MCPToolAdapter(os.environ["MCP_COMMAND"]) as server:
                yield server.tools()
    """)
    pytester.makepyfile("""
        def test_agent(tools, looplet_run):
            assert looplet_run("t", tools=tools).steps[0].tool_result.data == {"said": "x"}
    """)
    script = [call("echo", text="x"), call("done", answer="ready")]
    project("--looplet-record", server=ECHO, script=script).assert_outcomes(passed=1)
    assert len(list(pytester.path.rglob("*.looplet.yaml"))) == 2
    result = project()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*belongs to no test*")


def test_a_call_that_was_not_recorded_is_a_drift_that_says_so(project, pytester):
    pytester.makepyfile("""
        import os
        from looplet import MCPToolAdapter, tool

        def test_agent(looplet_run):
            with MCPToolAdapter(os.environ["MCP_COMMAND"]) as server:
                (far,) = server.tools()

                @tool
                def echo(text: str) -> object:
                    return far.execute(text=os.environ.get("CHANGE", text))

                looplet_run("t", tools=[echo])
    """)
    script = [call("echo", text="x"), call("done", answer="ready")]
    project("--looplet-record", server=ECHO, script=script).assert_outcomes(passed=1)
    result = project(env={"CHANGE": "other"})
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*MCP request 2 differs from the recording*", "*other*"])


def test_errors_and_changed_lists_are_replayed_as_they_happened(project, pytester):
    pytester.makepyfile("""
        import os
        from looplet import MCPToolAdapter

        def test_dies(looplet_run):
            with MCPToolAdapter(os.environ["MCP_COMMAND"] + " die_at_call") as server:
                run = looplet_run("t", tools=server.tools())
            result = run.steps[0].tool_result
            assert (result.error_kind.value, "exit code 3" in result.error) == ("network", True)

        def test_changes(looplet_run):
            with MCPToolAdapter(os.environ["MCP_COMMAND"] + " changes") as server:
                looplet_run("t", tools=server.tools())
                assert [tool.name for tool in server.tools()] == ["renamed"]
    """)
    script = [call("echo", text="x"), call("done", answer="ready")] * 2
    server = BAD
    project("--looplet-record", server=server, script=script).assert_outcomes(passed=2)
    project().assert_outcomes(passed=2)


def test_two_servers_keep_apart(project, pytester):
    pytester.makepyfile("""
        import os
        from looplet import MCPToolAdapter

        def test_agent(looplet_run):
            command = os.environ["MCP_COMMAND"]
            with MCPToolAdapter(command, prefix="a.") as one, MCPToolAdapter(command, prefix="b.") as two:
                run = looplet_run("t", tools=[*two.tools(), *one.tools()])
            assert [step.tool_result.data for step in run.steps[:2]] == [{"said": "x"}, {"said": "y"}]
    """)
    script = [calls(call("a.echo", text="x"), call("b.echo", text="y")), call("done", answer="ready")]
    project("--looplet-record", server=ECHO, script=script).assert_outcomes(passed=1)
    project().assert_outcomes(passed=1)


def test_without_a_recording_of_it_the_server_itself_is_asked(project, pytester):
    """A scripted model with a real server is an ordinary test."""
    pytester.makepyfile("""
        import os
        from looplet import MCPToolAdapter
        from looplet.testing import call

        def test_agent(looplet_run, looplet_script):
            with MCPToolAdapter(os.environ["MCP_COMMAND"]) as server:
                llm = looplet_script(call("echo", text="x"), call("done", answer="ready"))
                run = looplet_run("t", llm=llm, tools=server.tools())
            assert run.steps[0].tool_result.data == {"said": "x"}
    """)
    project(server=ECHO).assert_outcomes(passed=1)
    assert not list(pytester.path.rglob("*.looplet.yaml"))
    result = project()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*MCPClosed*cannot be started*"])


def test_what_a_capture_reads_are_model_calls_only(project, pytester):
    pytester.makepyfile("""
        import os
        from looplet import MCPToolAdapter, run_loop, tools_from

        def test_agent(looplet_capture, looplet_backend):
            with looplet_capture() as run, MCPToolAdapter(os.environ["MCP_COMMAND"]) as server:
                run_loop(looplet_backend, "t", tools_from(server.tools(), include_done=True))
            assert len(run.model_calls) == 2
    """)
    script = [call("echo", text="x"), call("done", answer="ready")]
    project("--looplet-record", server=ECHO, script=script).assert_outcomes(passed=1)
    project().assert_outcomes(passed=1)


EVALS = """
    import os
    import pytest
    from looplet import MCPToolAdapter

    @pytest.fixture
    def looplet_agent(looplet_run):
        with MCPToolAdapter(os.environ["MCP_COMMAND"]) as server:
            early = server.tools() if "EARLY" in os.environ else None
            yield lambda case: looplet_run(case.task, tools=early or server.tools())

    looplet_cases = [{"id": f"c{i}", "task": f"task {i}"} for i in range(3)]

    def eval_finishes(ctx):
        return ctx.completed
"""


def test_cases_at_once_ask_the_server_in_their_runs(project, pytester, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    options = ("--looplet-record", "--looplet-concurrency=3", "eval_m.py")
    pytester.makepyfile(eval_m=EVALS)
    script = [call("done", answer="ready")] * 3
    project(*options, server=command(DEMO), script=script).assert_outcomes(passed=3)
    project("eval_m.py").assert_outcomes(passed=3)
    refused = project(*options, server=command(DEMO), script=script, env={"EARLY": "1"})
    refused.assert_outcomes(errors=3)
    refused.stdout.fnmatch_lines(["*inside the function that runs a case*--looplet-concurrency=1*"])
