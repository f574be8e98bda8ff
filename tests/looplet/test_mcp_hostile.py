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
from looplet.mcp.command import argv_of
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, call
from looplet.types import ToolCall

pytestmark = pytest.mark.slow

SERVER = Path(__file__).with_name("mcp_hostile.py")
SHORT, LONG = 0.7, 15.0
PROGRAM = Path(sys.executable).name
NAMED = f"the MCP server '{PROGRAM} (hostile\\\\x1b[2J)'"


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
    assert NAMED in result.error or mode in ("is_error", "no_content", "odd_content")  # the tool's own words


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
    "die_at_start_leaving_child": (LONG, MCPClosed, "exit code 3"),
    "error_at_start": (LONG, MCPError, r"says: not \\x1b.*today"),
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
    assert f"the MCP server '{PROGRAM}'" in str(caught.value)
    assert not set("\x1b\x07\u202e") & set(str(caught.value))
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
    with adapter(mode, timeout=seconds) as server, pytest.raises(MCPError, match=says) as caught:
        server.tools()
    assert f"the MCP server '{PROGRAM}" in str(caught.value)


def test_MC_02_the_limit_is_for_all_pages():
    with adapter("slow_pages", timeout=SHORT) as server:
        started = time.monotonic()
        with pytest.raises(MCPTimeout, match="tools/list"):
            server.tools()
        assert time.monotonic() - started < 5


def test_MC_01_an_empty_cursor_is_the_end():
    with adapter("empty_cursor") as server:
        assert [spec.name for spec in server.tools()] == ["echo"]


def test_MC_10_regular_expressions_and_webs_of_references_do_not_hold_us_up():
    evil = "a" * 40 + "!"
    started = time.monotonic()
    with adapter("patterns") as server:
        tools = tools_from(server.tools())
    said = [tools.dispatch(ToolCall(name, {"text": evil, evil: evil})).error for name in tools.tool_names]
    assert time.monotonic() - started < 10
    assert ["is not running" in text for text in said] == [True] * 7 + [False] * 2
    one, *_, data, _ = server_schemas(tools)
    assert one["properties"]["text"] == {"type": "string", "description": "Letters. (pattern: ^(a+)+$)"}
    assert data["properties"] == {"pattern": {"type": "string"}, "text": {"const": {"pattern": "^(a+)+$"}}}


def server_schemas(tools):
    return [schema["input_schema"] for schema in tools.tool_schemas()]


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


def test_a_server_that_stops_in_the_middle_of_a_message_is_ended():
    with adapter("deaf", timeout=SHORT) as server:
        connection = server._link
        with pytest.raises(
            MCPTimeout, match=r"stopped reading in the middle .* and was ended; call start\(\)"
        ):
            connection.request("tools/call", {"x": "y" * 1_000_000}, timeout_s=SHORT)


def test_a_server_that_is_busy_is_not_ended():
    with adapter("busy") as server:
        server.tools()
        found = []

        def ask(timeout_s):
            # Small enough to be written at once or not at all; together they fill the pipe.
            try:
                found.append(server._link.request("tools/call", {"x": "y" * 3_000}, timeout_s=timeout_s))
            except MCPTimeout as problem:
                found.append(str(problem))

        threads = [threading.Thread(target=ask, args=(LONG,))]
        threads += [threading.Thread(target=ask, args=(0.3,)) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
    assert found[-1] == {"content": [{"type": "text", "text": "fine"}]}
    assert any("reads nothing from its stdin" in text for text in found[:-1])


class TestCommands:
    @pytest.mark.parametrize(
        "command",
        [  # a shell would act on each
            *["a | b", "a; b", "a && b", "a > f", "a $HOME", "a `b`", "a $(b)", "a *.py", "~/a"],
            *["a \\", "a \\\nb", 'a "b\\', 'a "\\$b"', 'a "\\`"', 'a "b\\\nc"', "a b=~", "a b=c:~"],
            *["a 'b", "X=1 a", "a # b", 'a "$(b)"', "a\nb", ""],
            [],
        ],
    )
    def test_MC_05_what_needs_a_shell_is_refused(self, command):
        with pytest.raises(ConfigError):
            MCPToolAdapter(command)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (r'a "\d+" \$x \*', ["a", r"\d+", "$x", "*"]),
            (r"""a "\"b\\" 'c\' b#c d~""", ["a", '"b\\', "c\\", "b#c", "d~"]),
        ],
    )
    def test_MC_05_what_is_left_means_what_it_means_to_a_shell(self, text, words):
        assert argv_of(text) == words
        shell = subprocess.run(["sh", "-c", f"printf '%s\\n' {text}"], capture_output=True, text=True)
        assert shell.stdout.splitlines() == words

    def test_MC_05_quoted_text_is_text(self):
        text = f"'{sys.executable}' -I -S '{SERVER}' \"\" 'a; b | $c *'"
        with MCPToolAdapter(text) as server:
            assert echo(server).data == {"text": "fine"}

    @pytest.mark.parametrize("timeout", [0, -1, True, float("nan"), float("inf"), 1e10, "5", None])
    def test_MC_02_a_time_limit_is_above_nought_and_there_is_one(self, timeout):
        with pytest.raises(ConfigError, match="seconds above 0"):
            MCPToolAdapter("x", timeout=timeout)

    @pytest.mark.parametrize("command", [5, None, b"x", {"x": 1}, [""], ["x", 5], Path("x")], ids=repr)
    def test_what_is_no_command(self, command):
        with pytest.raises(ConfigError, match="give a list of words"):
            MCPToolAdapter(command)

    @pytest.mark.parametrize("env", ["A", {"A=B": "x"}, {"": "x"}, {5: "x"}, {"A": 5}, {"A": "\0"}], ids=repr)
    def test_what_is_no_environment(self, env):
        with pytest.raises(ConfigError, match="env="):
            MCPToolAdapter("x", env=env)

    @pytest.mark.parametrize("prefix", ["a b", "\x1b", None, 5, "ü"], ids=repr)
    def test_MC_10_a_prefix_is_of_letters(self, prefix):
        with pytest.raises(ConfigError, match="prefix="):
            MCPToolAdapter("x", prefix=prefix)

    def test_a_folder_that_cannot_be_one(self):
        with pytest.raises(MCPClosed, match="cannot be started"):
            MCPToolAdapter("true", cwd="a\0").start()


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

    @pytest.mark.parametrize("mode", ["hang_at_call", "hang_with_stranger", "ignore_input"])
    def test_MC_06_close_ends_the_call_that_is_under_way(self, mode):
        found = []
        with adapter(mode, timeout=60.0) as server:
            tools = tools_from(server.tools())

            def ask(text):
                found.append(tools.dispatch(ToolCall("echo", {"text": text})).error)

            threads = [threading.Thread(target=ask, args=(text,)) for text in ("x", "y" * 1_000_000)]
            for thread in threads:
                thread.start()
                time.sleep(0.2)
            started = time.monotonic()
        for thread in threads:
            thread.join(LONG)
        assert time.monotonic() - started < 5
        assert ["was closed" in error for error in found] == [True, True]

    def test_MC_06_of_several_that_start_at_once_none_is_left(self, tmp_path):
        server = adapter("marks", str(tmp_path))
        threads = [threading.Thread(target=server.start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert echo(server).data == {"text": "fine"}
        server.close()
        assert gone([int(file.name) for file in tmp_path.iterdir()], 1.0)

    def test_MC_06_a_forked_child_leaves_the_server_to_its_parent(self):
        code = (
            "import os, sys\n"
            "from looplet import ToolCall, tools_from\n"
            "from looplet.mcp import MCPToolAdapter\n"
            f"server = MCPToolAdapter([sys.executable, '-I', '-S', {str(SERVER)!r}])\n"
            "server.start()\n"
            "tools = tools_from(server.tools())\n"
            "child = os.fork()\n"
            "result = tools.dispatch(ToolCall('echo', {'text': 'x'})) if not child else None\n"
            "if not child:\n"
            "    print(result.error, flush=True)\n"
            "    server.close()\n"
            "    sys.exit()\n"
            "os.waitpid(child, 0)\n"
            "print(tools.dispatch(ToolCall('echo', {'text': 'x'})).data)\n"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG)
        in_child, in_parent = run.stdout.splitlines()
        assert "belongs to the process that forked this one" in in_child
        assert in_parent == "{'text': 'fine'}"

    def test_MC_06_a_forked_child_that_lives_on_does_not_keep_it(self, tmp_path):
        file = tmp_path / "pids"
        code = (
            "import os, sys, time\n"
            "from looplet.mcp import MCPToolAdapter\n"
            f"command = [sys.executable, '-I', '-S', {str(SERVER)!r}, 'stubborn', {str(file)!r}]\n"
            "MCPToolAdapter(command).start()\n"
            "if os.fork() == 0:\n"
            "    sys.stdin.read()\n"
            "    os._exit(0)\n"
            "print('ready', flush=True)\n"
            "time.sleep(60)\n"
        )
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as parent:
            assert parent.stdout.readline() == b"ready\n"
            parent.kill()
            assert gone(pids_in(file))

    def test_closing_twice_or_unstarted(self):
        server = adapter()
        server.close()
        server.start()
        server.close()
        server.close()
        with pytest.raises(MCPClosed, match="is not running"):
            server.tools()

    @pytest.mark.parametrize("mode", ["die_leaving_child", "die_leaving_stranger"])
    def test_MC_12_a_dead_server_whose_child_holds_its_pipes(self, mode):
        with adapter(mode, timeout=60.0) as server:
            tools = tools_from(server.tools())
            started = time.monotonic()
            for _ in range(2):
                result = tools.dispatch(ToolCall("echo", {"text": "x"}))
                assert result.error_kind is ErrorKind.NETWORK
                assert "ended with exit code 3; call start()" in result.error
            assert time.monotonic() - started < 5

    def test_MC_12_what_a_launcher_left_behind_is_the_server(self):
        with adapter("launcher") as server:
            time.sleep(1.0)
            assert echo(server).data == {"text": "fine"}

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
