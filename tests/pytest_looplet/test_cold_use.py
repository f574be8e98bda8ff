"""What a newcomer meets: ids with an @, files of one name, numbers that are none."""

import shutil
import socket

import openai  # noqa: F401
import pytest

# Loaded here once, because an inner session forgets what it loaded.
import pytest_looplet.cassette.vcr_bridge
import pytest_looplet.evals.collect
import pytest_looplet.places
import pytest_looplet.run  # noqa: F401
from looplet.trajectory import Trajectory
from pytest_looplet.recording import accepted_path

SAVES = """
from looplet.testing import call

def test_y(looplet_run, looplet_script):
    looplet_run("x", llm=looplet_script(call("done", answer="{answer}")))
"""
NAMES = """
import pytest
from pytest_looplet.places import cassette_path, rerecord_command
from pytest_looplet.marker import marked
from pytest_looplet.settings import settings_of

@pytest.mark.xdist_group("g")
@pytest.mark.parametrize("who", ["a@x.com", "a@y.com"])
def test_mail(who, request):
    path = cassette_path(request.node, settings_of(request.config), marked(request.node))
    print("PATH", path.name, "COMMAND", rerecord_command(request.node))
    with open("seen.txt", "a") as seen:
        seen.write(f"{path.name} {rerecord_command(request.node)}\\n")
"""


@pytest.mark.parametrize("options", [(), ("-n1", "--dist=loadgroup")], ids=["alone", "loadgroup"])
def test_an_at_sign_in_an_id_is_part_of_it_and_the_group_of_xdist_is_not(options, pytester):
    pytester.makepyfile(test_a=NAMES.replace('"seen.txt"', repr(str(pytester.path / "seen.txt"))))
    pytester.runpytest(*options, "-p", "no:cacheprovider").assert_outcomes(passed=2)
    lines = sorted((pytester.path / "seen.txt").read_text().splitlines())
    assert len({line.split()[0] for line in lines}) == 2
    commands = [line.partition(" ")[2] for line in lines]
    assert sorted(commands) == [
        f"pytest --looplet-record 'test_a.py::test_mail[a@{host}.com]'" for host in "xy"
    ]


def test_saved_runs_of_files_of_one_name_lie_apart_and_can_be_graded(pytester):
    for folder in "ab":
        (pytester.mkpydir(folder) / "test_same.py").write_text(SAVES.format(answer=folder))
    (pytester.mkdir("evals") / "eval_any.py").write_text("def eval_it(ctx): return True\n")
    pytester.runpytest("--looplet-save-runs=runs", "a", "b").assert_outcomes(passed=2)
    found = sorted(path.parts[-4] for path in (pytester.path / "runs").rglob("trajectory.json"))
    assert found == ["a", "b"]
    pytester.runpytest("--looplet-runs=runs", "evals").assert_outcomes(passed=2)


def test_no_trials_at_all_is_refused(pytester):
    pytester.makepyfile("def test_it(looplet_run): pass")
    result = pytester.runpytest("--looplet-trials=0")
    result.stderr.fnmatch_lines(["ERROR: --looplet-trials: '0' is no whole number from 1"])


def test_a_reply_that_was_not_used_is_told_once(pytester):
    pytester.makepyfile("def test_it(looplet_script): looplet_script('never said')")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.no_fnmatch_line("*During handling*")


AGENT = """
from looplet import tool

@tool
def look(at: str) -> str:
    \"\"\"Look.\"\"\"
    return at

def test_it(looplet_run):
    assert looplet_run("look", tools=[look]).completed
"""


@pytest.mark.slow
def test_the_command_that_a_failure_names_needs_no_model(pytester, monkeypatch):
    from looplet.testing import call
    from looplet.testing.provider import LocalProvider

    pytester.makepyfile(test_a=AGENT)
    for _ in range(2):
        with LocalProvider([call("look", at="x"), call("done", answer="ok")]) as provider:
            for name, value in provider.env.items():
                monkeypatch.setenv(name, value)
            model = () if pytester.path.joinpath("cassettes").exists() else ("--looplet-model=openai:m",)
            pytester.runpytest("--looplet-record", *model).assert_outcomes(passed=1)
    pytester.runpytest().assert_outcomes(passed=1)


def test_a_missing_cassette_comes_before_a_missing_model(pytester):
    pytester.makepyfile(test_a=AGENT)
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*no cassette: *test_a/test_it.looplet.yaml does not exist*",
            "*pytest --looplet-record test_a.py::test_it --looplet-model=PROVIDER:NAME*",
        ]
    )


DEAD = """
def test_ours(looplet_run):
    looplet_run("hello")

def test_theirs(looplet_cassette):
    import openai
    openai.OpenAI(max_retries=0).chat.completions.create(model="m", messages=[])
"""


@pytest.mark.slow
def test_a_server_that_is_not_there_is_named_and_recording_again_is_no_advice(pytester, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
    pytester.makepyfile(test_a=DEAD)
    # In a process of its own: an inner session forgets the classes that HTTP libraries map errors by.
    result = pytester.runpytest_subprocess("--looplet-record", "--looplet-model=openai:m", "-p", "no:asyncio")
    result.assert_outcomes(failed=2)
    told = [line for line in result.outlines if line.startswith("E ")]
    note = f"no reply to POST http://127.0.0.1:{port}/v1/chat/completions: "
    assert sum(note in line for line in told) == 2
    assert any("nothing was recorded: see that the model's server is there" in line for line in told)
    assert not any("meant to change it" in line or ".looplet.yaml" in line for line in told)
    assert not list(pytester.path.rglob("*.looplet.yaml"))


SHARED = """
from looplet import tool

@tool
def look(at: str) -> str:
    \"\"\"Look.\"\"\"
    return at

def test_it(looplet_run, looplet_clock):
    assert looplet_run("look", tools=[look]).completed

def test_new(looplet_run, looplet_clock):
    looplet_run("look", tools=[look])
"""


@pytest.mark.slow
def test_what_is_written_names_no_folder_of_the_machine(pytester, monkeypatch):
    from looplet.testing import call
    from looplet.testing.provider import LocalProvider

    monkeypatch.delenv("CI", raising=False)
    one, two = pytester.mkdir("one"), pytester.path / "two"
    (one / "test_a.py").write_text(SHARED)
    monkeypatch.chdir(one)
    with LocalProvider([call("look", at="x"), call("done", answer="ok")]) as provider:
        for name, value in provider.env.items():
            monkeypatch.setenv(name, value)
        options = ("--rootdir=.", "--looplet-record", "--looplet-model=openai:m", "-k", "test_it")
        pytester.runpytest(*options).assert_outcomes(passed=1, deselected=1)
    shutil.copytree(one, two)
    reports = [f"--looplet-report=r.{kind}" for kind in ("html", "json", "md")]
    for folder in (one, two):
        monkeypatch.chdir(folder)
        result = pytester.runpytest("--rootdir=.", "--looplet-save-runs=runs", *reports)
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["*no cassette*: cassettes/test_a/test_new.looplet.yaml does not exist*"])
        written = [folder / f"r.{kind}" for kind in ("html", "json", "md")]
        assert not [path for path in written if str(folder) in path.read_text()]
        assert "cassettes/test_a/test_it.looplet.yaml" in written[0].read_text()
    saved = [folder / "runs" / "test_a" / "test_it" / "trajectory.json" for folder in (one, two)]
    assert saved[0].read_bytes() == saved[1].read_bytes()
    run = Trajectory.load(saved[0])
    assert run.metadata["cassette"] == "cassettes/test_a/test_it.looplet.yaml"
    assert accepted_path(run).as_posix() == "cassettes/test_a/test_it.run.json"
