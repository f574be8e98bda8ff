"""An MCP server that misbehaves: an error of the call, never a hang or a crash of the run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from looplet import (
    CancelToken,
    ConfigError,
    ErrorKind,
    LoopConfig,
    ToolContext,
    async_run_loop,
    run_loop,
    tool,
    tools_from,
)
from looplet.mcp import MCPClosed, MCPError, MCPTimeout, MCPToolAdapter
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, call
from looplet.types import ToolCall

pytestmark = pytest.mark.slow

SERVER = Path(__file__).with_name("mcp_hostile.py")
SHORT, LONG = 0.7, 15.0


def adapter(mode="", *more, timeout=LONG, **options):
    command = [sys.executable, "-I", "-S", str(SERVER), mode, *more]
    return MCPToolAdapter(command, timeout=timeout, **options)


def echo(server, ctx=None):
    registry = tools_from([])
    server.register_all(registry)
    return registry.dispatch(ToolCall("echo", {"text": "x"}), ctx=ctx)


# What a server does when it is called: seconds it gets, the sort of error, and what the error says.
MISDEEDS = {
    "hang_at_call": (SHORT, ErrorKind.TIMEOUT, "no answer within 0.7 s"),
    "die_at_call": (
        LONG,
        ErrorKind.NETWORK,
        "exit code 3; call start() for a new one; its last lines: out of",
    ),
    "close_output": (LONG, ErrorKind.NETWORK, "closed its output"),
    "is_error": (LONG, ErrorKind.EXECUTION, "no such row"),
    "rpc_error": (LONG, ErrorKind.EXECUTION, "bad arguments (MCP error -32602)"),
    "odd_error": (LONG, ErrorKind.EXECUTION, "just text"),
    "no_result": (LONG, ErrorKind.EXECUTION, "no result object"),
    "list_result": (LONG, ErrorKind.EXECUTION, "no result object"),
    "no_content": (LONG, ErrorKind.EXECUTION, "no list of content"),
    "odd_content": (LONG, ErrorKind.EXECUTION, "no list of content"),
    "wrong_ids": (SHORT, ErrorKind.TIMEOUT, "no answer"),
    "huge": (LONG, ErrorKind.EXECUTION, "more than 16000000 bytes"),
    "huge_without_end": (1.0, None, ""),
    "cut_message": (LONG, ErrorKind.NETWORK, "exit code 0"),
    "not_utf8": (SHORT, ErrorKind.TIMEOUT, "no answer"),
    "nested": (SHORT, ErrorKind.TIMEOUT, "no answer"),
}


SLOW = {"huge_without_end", "not_utf8", "nested"}
MODES = [pytest.param(mode, marks=[pytest.mark.slow] if mode in SLOW else []) for mode in MISDEEDS]


@pytest.mark.parametrize("mode", MODES)
def test_a_misdeed_is_the_error_of_the_call(mode):
    seconds, kind, says = MISDEEDS[mode]
    with adapter(mode, timeout=seconds) as server:
        result = echo(server)
    assert result.error
    assert says in result.error
    assert kind in (None, result.error_kind)
    assert "\x1b" not in result.error


# What a server does beside giving a right answer.
NOISES = [
    "",
    "chatty",
    "batch",
    "twice",
    "stderr_flood",
    "stdout_flood",
    "progress_flood",
    "garbage_at_start",
    "old",
]


@pytest.mark.parametrize("mode", NOISES)
def test_MC_03_MC_04_noise_does_not_matter(mode):
    with adapter(mode) as server:
        progress = ToolContext(on_progress=lambda stage, data: None)
        assert [echo(server, progress).data for _ in range(2)] == [{"text": "fine"}] * 2


STARTS = {
    "hang_at_start": (SHORT, MCPTimeout, "no answer within"),
    "die_at_start": (LONG, MCPClosed, "no licence"),
    "error_at_start": (LONG, MCPError, "not today"),
    "future": (LONG, MCPError, "2099-01-01"),
    "no_revision": (LONG, MCPError, "None"),
}


@pytest.mark.parametrize("mode", STARTS)
def test_a_server_that_does_not_start(mode):
    seconds, kind, says = STARTS[mode]
    server = adapter(mode, timeout=seconds)
    with pytest.raises(kind, match=says) as caught:
        server.start()
    assert isinstance(caught.value, RuntimeError)
    server.close()


LISTS = {
    "hang_at_list": (SHORT, "no answer"),
    "endless_pages": (LONG, "more than 100 pages"),
    "same_page": (LONG, "do not go on"),
    "no_list": (LONG, "no list of tools"),
}


@pytest.mark.parametrize("mode", LISTS)
def test_a_list_that_cannot_be_had(mode):
    seconds, says = LISTS[mode]
    with adapter(mode, timeout=seconds) as server, pytest.raises(MCPError, match=says):
        server.tools()


def test_a_program_that_does_not_exist():
    with pytest.raises(MCPClosed, match="cannot be started"):
        MCPToolAdapter("/no/such/program").start()


def test_tools_that_cannot_be_offered_are_left_out():
    with adapter("bad_tools") as server:
        assert [(spec.name, spec.description) for spec in server.tools()] == [("echo", "Say it again.")]


def test_a_schema_without_properties_takes_anything():
    with adapter("no_properties") as server:
        assert server.tools()[0].parameters == {"type": "object", "properties": {}}
        assert echo(server).data == {"text": "fine"}


def test_pages_are_followed():
    with adapter("pages") as server:
        assert [spec.name for spec in server.tools()] == ["first", "echo"]


def test_a_changed_list_is_asked_for_again():
    with adapter("changes") as server:
        assert server.tools() == server.tools()
        assert echo(server).data
        assert [spec.name for spec in server.tools()] == ["renamed"]


def test_MC_02_the_server_is_told_that_nobody_waits_any_more():
    with adapter("cancelled_seen", timeout=SHORT) as server:
        assert echo(server).error_kind is ErrorKind.TIMEOUT
        assert echo(server).data == {"text": "fine"}
        assert "cancelled {'requestId': 3" in _last_words(server)


def _last_words(server):
    """What the server wrote to stderr, as its obituary tells it."""
    process = server._link._process
    process.kill()
    time.sleep(0.1)
    return process.obituary()


def test_MC_03_a_late_answer_is_not_taken_for_the_next_one():
    with adapter("late", timeout=SHORT) as server:
        assert echo(server).error_kind is ErrorKind.TIMEOUT
        assert echo(server).data == {"text": "fine"}


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("ping", {"result": {}}),
        ("roots/list", {"result": {"roots": []}}),
        (
            "sampling/createMessage",
            {"error": {"code": -32601, "message": "looplet does not offer sampling/createMessage"}},
        ),
    ],
)
def test_requests_of_the_server_are_answered(method, answer):
    with adapter(f"asks {method}") as server:
        assert echo(server).data == {"jsonrpc": "2.0", "id": "s1", **answer}


def test_a_cancelled_run_does_not_wait():
    token = CancelToken()
    with adapter("hang_at_call") as server:
        server.tools()
        started = time.monotonic()
        ctx = ToolContext(cancel_token=token)
        threading.Timer(0.2, token.cancel).start()
        result = echo(server, ctx)
    assert "the run was cancelled" in result.error
    assert time.monotonic() - started < 10


def test_a_server_that_does_not_read_is_ended():
    with adapter("deaf", timeout=SHORT) as server:
        connection = server._link
        with pytest.raises(MCPError):
            connection.request("tools/call", {"x": "y" * 1_000_000}, timeout_s=SHORT)


class TestCommands:
    @pytest.mark.parametrize(
        "command",
        [  # a shell would act on each
            *["a | b", "a; b", "a && b", "a > f", "a $HOME", "a `b`", "a $(b)", "a *.py", "~/a"],
            *["a 'b", "X=1 a", "a # b", 'a "$(b)"', "a\nb", ""],
            [],
        ],
    )
    def test_MC_05_what_needs_a_shell_is_refused(self, command):
        with pytest.raises(ConfigError):
            MCPToolAdapter(command)

    def test_MC_05_quoted_text_is_text(self):
        text = f"'{sys.executable}' -I -S '{SERVER}' \"\" 'a; b | $c *'"
        with MCPToolAdapter(text) as server:
            assert echo(server).data == {"text": "fine"}

    @pytest.mark.parametrize("timeout", [0, -1, True, float("nan")])
    def test_a_time_limit_is_above_nought(self, timeout):
        with pytest.raises(ConfigError):
            MCPToolAdapter("x", timeout=timeout)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pids, seconds=6.0):
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


def pids_in(file):
    deadline = time.monotonic() + LONG
    while not (file.exists() and file.read_text().count(" ")) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [int(word) for word in file.read_text().split()]


class TestTheEnd:
    def test_MC_06_close_ends_the_children_too(self, tmp_path):
        file = tmp_path / "pids"
        with adapter("stubborn", str(file)):
            pids = pids_in(file)
            assert all(map(alive, pids))
        assert gone(pids, 1.0)

    @pytest.mark.slow
    @pytest.mark.parametrize("end", ["exception", "exit", "SIGTERM", "SIGKILL"])
    def test_MC_06_however_the_parent_ends(self, tmp_path, end):
        file = tmp_path / "pids"
        code = (
            "import sys, time\n"
            "from looplet.mcp import MCPToolAdapter\n"
            f"MCPToolAdapter([sys.executable, '-I', '-S', {str(SERVER)!r}, 'child', {str(file)!r}]).start()\n"
            + {"exception": "raise OSError\n", "exit": ""}.get(end, "time.sleep(60)\n")
        )
        with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as parent:
            pids = pids_in(file)
            if end.startswith("SIG"):
                time.sleep(0.1)
                os.kill(parent.pid, getattr(signal, end))
            parent.wait(LONG)
        assert gone(pids)

    def test_closing_twice_or_unstarted(self):
        server = adapter()
        server.close()
        server.start()
        server.close()
        server.close()
        with pytest.raises(MCPClosed, match="is not running"):
            server.tools()

    def test_MC_12_a_dead_server_is_an_error_at_once_and_may_be_started_again(self):
        with adapter("die_at_call") as server:
            registry = tools_from([])
            server.register_all(registry)
            started = time.monotonic()
            for _ in range(2):
                result = registry.dispatch(ToolCall("echo", {"text": "x"}))
                assert result.error_kind is ErrorKind.NETWORK
            assert time.monotonic() - started < 5
            server.start()
            assert [spec.name for spec in server.tools()] == ["echo"]


def test_MC_07_the_server_gets_no_keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with adapter("env", env={"TOKEN": "given"}) as server:
        seen = echo(server).data
    assert "OPENAI_API_KEY" not in seen
    assert (seen["TOKEN"], seen["PATH"]) == ("given", os.environ["PATH"])


class TestNames:
    def test_MC_08_a_taken_name_is_refused_and_nothing_is_registered(self):
        @tool
        def echo(text: str) -> str:
            """Mine."""
            return text

        registry = tools_from([echo])
        with adapter("pages") as server, pytest.raises(ConfigError, match="prefix="):
            server.register_all(registry)
        assert registry.tool_names == ["echo"]

    def test_MC_08_names_with_a_prefix(self):
        registry = tools_from([])
        with adapter(prefix="far.") as server:
            assert server.register_all(registry) == 1
            assert registry.dispatch(ToolCall("far.echo", {"text": "x"})).data == {"text": "fine"}

    def test_MC_10_words_are_cleaned_and_bounded(self):
        with adapter("dirty") as server:
            (spec,) = server.tools()
        words = spec.description + spec.parameters["properties"]["q"]["description"]
        assert spec.name == "a_b_tool"
        assert not set("\x1b\u202e\u200b") & set(words)
        assert len(words) < 5_200


SCRIPT = [call("echo", text="x"), call("echo", text="y"), call("done", answer="ready")]


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("mode", [*MISDEEDS, *NOISES])
def test_the_run_goes_on(mode, how):
    seconds = MISDEEDS[mode][0] if mode in MISDEEDS else LONG
    started = time.monotonic()
    with adapter(mode, timeout=seconds) as server:
        tools = tools_from(server.tools(), include_done=True)
        if how == "sync":
            found = run_loop(ScriptedChatBackend(SCRIPT), "t", tools, config=LoopConfig())
        else:
            found = asyncio.run(async_run_loop(AsyncScriptedChatBackend(SCRIPT), "t", tools))
    assert (found.stop_reason, len(found.steps)) == ("done", 3)
    assert [bool(step.tool_result.error) for step in found.steps[:2]] == [mode in MISDEEDS] * 2
    assert time.monotonic() - started < 30
