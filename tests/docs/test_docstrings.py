"""Every block of code in a docstring runs; what it takes for granted is said here, beside its place."""

import ast
import asyncio
import inspect
import re
import textwrap
import tomllib
from pathlib import Path

import pytest

from looplet.testing import call
from looplet.testing.provider import LocalProvider
from tests.docs.blocks import blocks_of
from tests.docs.story import HOUSE

LOOP = """
from looplet import LoopConfig, async_run_loop, composable_loop, tool, tools_from
from looplet.testing import ScriptedChatBackend, call
llm, task, tools = ScriptedChatBackend("Hello."), "Say hello", tools_from([], include_done=True)
"""

GIVEN = {
    "looplet/approval.py:": """
        def pay(ctx, amount=5):
            <block>
            return "paid"
        from looplet import ToolContext
        assert pay(ToolContext())["needs_approval"]
        """,
    "looplet/evals/builtin.py:": "from looplet.evals.builtin import *",
    "looplet/lazy.py:names_of": "from looplet.lazy import names_of",
    "looplet/presets.py:": f"""
        import os, pathlib
        os.environ["HOME"] = os.getcwd()
        pathlib.Path("project").mkdir()
        from looplet.presets import coding_agent_preset
        {textwrap.indent(LOOP, " " * 8)}
        """,
    "looplet/provenance/sink.py:ProvenanceSink": f"from looplet import ProvenanceSink\n{LOOP}",
    "looplet/redact/__init__.py:": "from looplet.redact import Redactor",
    "looplet/streaming/iterator.py:EventStream": f"""
        import asyncio
        from looplet.streaming import EventStream
        {textwrap.indent(LOOP, " " * 8)}
        from looplet.testing import AsyncScriptedChatBackend
        llm = AsyncScriptedChatBackend("Hello.")
        """,
    "looplet/telemetry/otel.py:": f"from looplet.telemetry import OpenTelemetryHook\n{LOOP}",
    "looplet/testing/checkpoint_conformance.py:": "from looplet import FileCheckpointStore as MyStore",
    "looplet/testing/provider.py:": """
        import openai
        from looplet.testing import call
        from looplet.testing.provider import LocalProvider
        """,
    "looplet/workspace/__init__.py:": """
        import os, pathlib
        os.environ["HOME"] = os.getcwd()
        pathlib.Path("project").mkdir()
        pathlib.Path("rules.toml").write_text('default = "deny"')
        from looplet import PermissionEngine, PermissionHook
        from looplet.workspace import workspace_tools
        """,
    "pytest_looplet/capture.py:Captures": """
        import contextlib
        from looplet import run_loop, tools_from
        from looplet.testing import ScriptedChatBackend, call
        from pytest_looplet import expect
        def issue_refund(): return "ok"
        run_of = run_loop(ScriptedChatBackend(call("issue_refund"), "ok"), "x", [issue_refund])
        looplet_capture, my_agent = lambda: contextlib.nullcontext(run_of), lambda task: None
        """,
    "pytest_looplet/cassette/backend.py:": """
        from pytest_looplet import tape_backend
        from looplet.testing import ScriptedBackend
        LlamaInProcess = lambda weights: ScriptedBackend()
        """,
    "pytest_looplet/cassette/cassette.py:use_cassette": """
        import functools, openai
        from pytest_looplet import use_cassette
        client = openai.OpenAI()
        ask = client.chat.completions.create
        client.chat.completions.create = lambda _: ask(model="m", messages=[{"role": "user", "content": "x"}])
        """,
    "pytest_looplet/hookspecs.py:pytest_looplet_redact": "import re",
}
"""What a block finds; where it stands inside something, `<block>` says where."""

COMMANDS = {
    "looplet/examples/coding_agent.py:": "tests/looplet/examples/test_coding_agent.py",
    "looplet/examples/hello_world.py:": "tests/looplet/examples/test_hello_world.py",
    "looplet/examples/ollama_hello.py:": "tests/looplet/examples/test_ollama_hello.py",
    "looplet/testing/provider.py:": "tests/looplet/testing/test_provider.py",
    "looplet/workspace/confine.py:": "tests/looplet/workspace",
}
"""Where commands in docstrings are run."""


BLOCK_IN_DOCSTRING = re.compile(r"\n\n {4}|```")


def all_blocks():
    """Place and text of each block. Only a docstring with a blank line before an indent can have one."""
    for package in ("looplet", "pytest_looplet"):
        for path in sorted((HOUSE / package).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            texts = (inspect.cleandoc(text) for text in re.findall(r'"""(.*?)"""', source, re.DOTALL))
            if not any(BLOCK_IN_DOCSTRING.search(text) for text in texts):
                continue  # reading the source as Python takes ten times as long
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    text = ast.get_docstring(node) or ""
                    place = f"{path.relative_to(HOUSE).as_posix()}:{getattr(node, 'name', '')}"
                    for block in blocks_of(text, place) if BLOCK_IN_DOCSTRING.search(text) else ():
                        yield pytest.param(place, block.text, id=f"{place}:{block.place.rpartition(':')[2]}")


ALL = list(all_blocks())


def run_python(code, place):
    compiled = compile(code, place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names = {"__name__": "__docstring__"}
    if compiled.co_flags & inspect.CO_COROUTINE:

        async def run():
            await eval(compiled, names)

        asyncio.run(run())
    else:
        exec(compiled, names)


@pytest.mark.parametrize(("place", "text"), ALL)
def test_a_block_in_a_docstring_runs(place, text, tmp_path, monkeypatch):
    if text.lstrip().startswith(("python ", "ollama ")):
        assert Path(HOUSE / COMMANDS[place]).exists()
        return
    given = textwrap.dedent(GIVEN.get(place, ""))
    if "<block>" in given:
        code = given.replace("    <block>", textwrap.indent(text.rstrip(), "    "))
    else:
        code = f"{given}\n{text}"
    try:
        ast.parse(text)
    except SyntaxError:
        assert tomllib.loads(text)
        return
    monkeypatch.chdir(tmp_path)
    with LocalProvider([call("done", answer="ok"), "ok"]) as provider:
        for name, value in (provider.env | {"HOME": str(tmp_path)}).items():
            monkeypatch.setenv(name, value)
        run_python(code, place)


def test_what_is_said_of_docstrings_is_of_docstrings():
    places = {param.values[0] for param in ALL}
    assert {*GIVEN, *COMMANDS} <= places
