"""The coding agent as a person starts it: over real HTTP, in a real repository, with a bug to mend."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from looplet import PermissionEngine
from looplet.cli import main as looplet
from looplet.errors import ConfigError
from looplet.examples import coding_agent
from looplet.examples.coding_agent import main, run_coding_agent
from looplet.testing import ScriptedChatBackend, call
from looplet.testing.provider import LocalProvider, slow, status
from looplet.workspace import confinement
from tests.looplet.examples import broken_repository as broken

pytestmark = pytest.mark.slow

needs_confinement = pytest.mark.skipif(
    not confinement(), reason="this system cannot hold tests to a folder, so that they need a person's yes"
)


@pytest.fixture
def repository(tmp_path):
    return broken.make(tmp_path / "repository")


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "trace"


def agent(provider, workspace, *more):
    return ["mend it", "--base-url", provider.base_url, "--workspace", str(workspace), *map(str, more)]


def fresh_agent(tmp_path):
    """A file for `looplet replay` with today's agent, in a repository that nobody has mended yet."""
    again = broken.make(tmp_path / "again")
    file = tmp_path / "agent.py"
    file.write_text(
        "from looplet import coding_agent_preset\n\n\n"
        f"def agent():\n    return coding_agent_preset({str(again)!r})\n"
    )
    return again, f"{file}:agent"


def is_green(folder):
    command = [sys.executable, "-m", "pytest", "-q"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


@needs_confinement
def test_it_mends_a_real_bug_and_the_run_replays(repository, trace, tmp_path, capsys):
    assert not is_green(repository)
    with LocalProvider(broken.TURNS) as provider:
        assert main(agent(provider, repository, "--trace", trace, "--model", "tiny")) == 0
    provider.assert_exhausted()
    assert is_green(repository)
    changed = subprocess.run(["git", "status", "--short"], cwd=repository, capture_output=True, text=True)
    assert changed.stdout == " M pages/slices.py\n"

    printed = capsys.readouterr().out
    assert "Tests: FAILED ✗" in printed
    assert printed.index("Tests: FAILED") < printed.index("Tests: PASSED ✓")
    assert "Done. 10 steps, stop reason: done" in printed
    assert {request.body["model"] for request in provider.requests} == {"tiny"}
    assert "no test run has passed" in provider.requests[6].text

    found = {path.name for path in trace.iterdir()}
    assert {"trajectory.json", "manifest.jsonl", "permissions.jsonl", "eval_results.json", "steps"} <= found
    assert len((trace / "manifest.jsonl").read_text().splitlines()) == len(broken.TURNS)
    assert len(list((trace / "steps").iterdir())) == 10
    audit = [json.loads(line) for line in (trace / "permissions.jsonl").read_text().splitlines()]
    assert [record["step"] for record in audit] == list(range(1, 11))
    assert {record["verdict"] for record in audit} == {"allow"}

    assert looplet(["show", str(trace)]) == 0
    again, today = fresh_agent(tmp_path)
    assert looplet(["replay", str(trace), "--agent", today]) == 0, capsys.readouterr().out
    assert is_green(again)


def test_it_starts_as_a_module_and_needs_a_folder_that_exists(repository, tmp_path):
    env = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    with LocalProvider(
        [call("read", file_path="pages/slices.py"), call("done", summary="no")] * 3
    ) as provider:
        command = [sys.executable, "-m", "looplet.examples.coding_agent", *agent(provider, repository)]
        done = subprocess.run(
            [*command, "--max-steps", "2"], env=env, capture_output=True, encoding="utf-8", check=False
        )
    assert (done.returncode, done.stderr) == (1, "")
    assert "stop reason: budget_exhausted" in done.stdout
    with pytest.raises(SystemExit) as ended:
        main(["mend it", "--workspace", str(tmp_path / "none")])
    assert ended.value.code == 2


USAGE = {
    "resume without a trace": ["--resume"],
    "no steps": ["--max-steps", "0"],
    "an unknown option": ["--yolo"],
}


@pytest.mark.parametrize("options", USAGE.values(), ids=USAGE)
def test_a_usage_error(options):
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2


def test_a_trace_is_not_written_over(repository, trace, capsys):
    with LocalProvider([call("done", summary="x")] * 4) as provider:
        main(agent(provider, repository, "--trace", trace, "--max-steps", 1))
        assert main(agent(provider, repository, "--trace", trace)) == 1
    assert "holds another run" in capsys.readouterr().err


def test_a_provider_that_fails_is_told(repository, capsys):
    with LocalProvider([status(401, "no such key")]) as provider:
        assert main(agent(provider, repository)) == 1
    assert "no such key" in capsys.readouterr().out


@needs_confinement
def test_killed_and_resumed_it_finishes_and_the_whole_run_replays(repository, trace, tmp_path, capsys):
    at = 4
    with LocalProvider([*broken.TURNS[:at], slow(60, "late")]) as provider:
        command = [sys.executable, "-m", "looplet.examples.coding_agent"]
        command += agent(provider, repository, "--trace", trace)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while len(provider.requests) <= at and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with LocalProvider(broken.TURNS[at:]) as provider:
        assert main(agent(provider, repository, "--trace", trace, "--resume")) == 0
    provider.assert_exhausted()
    assert is_green(repository)
    assert len((trace / "manifest.jsonl").read_text().splitlines()) == len(broken.TURNS)
    assert len(json.loads((trace / "trajectory.json").read_text())["steps"]) == 10
    capsys.readouterr()
    _, today = fresh_agent(tmp_path)
    assert looplet(["replay", str(trace), "--agent", today]) == 0, capsys.readouterr().out


def test_interrupted_it_says_how_to_go_on(repository, trace, capsys):
    with LocalProvider([call("read", file_path="pytest.ini"), slow(60, "late")]) as provider:
        command = [sys.executable, "-m", "looplet.examples.coding_agent"]
        command += agent(provider, repository, "--trace", trace)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while len(provider.requests) < 2 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=30)[1]
    assert (process.returncode, told) == (130, "stopped; --resume goes on\n")
    assert json.loads((trace / "trajectory.json").read_text())["termination_reason"] == "error"
    with LocalProvider([call("read", file_path="pytest.ini")]) as provider:
        assert main(agent(provider, repository, "--trace", trace, "--resume", "--max-steps", 2)) == 1
    assert "Done. 2 steps, stop reason: budget_exhausted" in capsys.readouterr().out


def test_a_finished_run_is_not_resumed(repository, trace, capsys):
    rules = PermissionEngine().allow("*")
    turns = [call("bash", command="true # pytest && true"), call("done", summary="x")]
    script = ScriptedChatBackend(*turns)
    run_coding_agent(script, "x", workspace=repository, trace_dir=trace, permissions=rules)
    with LocalProvider([]) as provider:
        assert main(["x", *agent(provider, repository, "--trace", trace, "--resume")[1:]]) == 1
    assert "cannot be resumed" in capsys.readouterr().err


def test_a_folder_of_its_own_is_gone_afterwards():
    script = [
        call("write", file_path="fib.py", content="def fib(n): return n\n"),
        call("bash", command="pwd"),
        call("done", summary="x"),
    ]
    told = run_coding_agent(ScriptedChatBackend(*script), max_steps=3)
    assert [step["call"]["tool"] for step in told["steps"]] == ["write", "bash", "done"]
    assert told["stop_reason"] == "budget_exhausted"
    folder = told["steps"][1]["result"]["data"]["stdout"].strip()
    assert "looplet-workspace-" in folder
    assert not os.path.exists(folder)
    with pytest.raises(ConfigError, match="name the folder"):
        run_coding_agent(ScriptedChatBackend(), resume=True)


def test_the_names_that_others_import():
    assert coding_agent.build_tools(".").tool_names[:3] == ["bash", "read", "write"]
    assert coding_agent.CodingGuardrailHook().check_done(None, None, None, 1)


@needs_confinement
def test_CO_07_tests_do_not_see_our_key(repository, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-ours-and-nobody-else's")
    spy = "import os\n\n\ndef test_spy():\n    open('seen', 'w').write(str(dict(os.environ)))\n"
    turns = [
        call("write", file_path="test_spy.py", content=spy),
        call("bash", command="pytest -q test_spy.py"),
    ]
    with LocalProvider([*turns, call("done", summary="x")]) as provider:
        assert main(agent(provider, repository)) == 0
    seen = (repository / "seen").read_text()
    assert "PATH" in seen
    assert "sk-of-ours" not in seen
    assert provider.requests[0].headers["authorization"].startswith("Bearer sk-of-ours")


def test_rules_of_one_s_own(repository, tmp_path, capsys):
    rules = tmp_path / "mine.toml"
    rules.write_text(
        '[[rules]]\ndecision = "allow"\ntool = "bash"\nmatch = { kind = "command", pattern = "date" }\n'
    )
    turns = [call("bash", command="date"), call("read", file_path="pytest.ini")]
    with LocalProvider(turns) as provider:
        main(agent(provider, repository, "--rules", rules, "--max-steps", 2))
    printed = capsys.readouterr().out
    assert "bash(command='date') ✓" in printed
    assert "read(file_path='pytest.ini') ✗" in printed


class Terminal:
    """The agent at a terminal, with a person who answers each question."""

    def __init__(self, command, answer):
        self.shown = ""
        reading, theirs = pty.openpty()
        process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        answered = 0
        while process.poll() is None or select.select([reading], [], [], 0)[0]:
            if select.select([reading], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(reading, 4096).decode()
                except OSError:  # the other end is closed
                    break
            if self.shown.count("[y/N]") > answered:
                answered += 1
                os.write(reading, answer)
        os.close(reading)
        process.wait(30)


ANSWERS = {"yes": (b"y\n", True), "no": (b"n\n", False), "nothing but enter": (b"\n", False)}


@pytest.mark.parametrize(("answer", "made"), ANSWERS.values(), ids=ANSWERS)
def test_CO_04_at_a_terminal_a_person_is_asked(repository, answer, made):
    turns = [call("bash", command="mkdir new"), call("read", file_path="pytest.ini")]
    with LocalProvider(turns) as provider:
        command = [sys.executable, "-m", "looplet.examples.coding_agent"]
        terminal = Terminal([*command, *agent(provider, repository, "--max-steps", 2)], answer)
    assert 'bash {"command": "mkdir new"}' in terminal.shown
    assert (repository / "new").exists() == made


def test_CO_04_without_a_terminal_it_is_denied(repository, capsys):
    with LocalProvider([call("bash", command="mkdir new")]) as provider:
        main(agent(provider, repository, "--max-steps", 1))
    assert not (repository / "new").exists()
    assert "nobody can be asked" in capsys.readouterr().out
