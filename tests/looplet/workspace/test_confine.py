"""Commands that the system holds to the workspace: whatever code they run, nothing elsewhere changes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from looplet import ToolCall
from looplet.workspace import confinement, workspace_tools

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not confinement(), reason="this system cannot hold a program to a folder"),
]

CONFINE = Path(sys.modules["looplet.workspace"].__file__).with_name("confine.py")


class Space:
    def __init__(self, base):
        self.ws, self.out = base / "ws", base / "out"
        self.ws.mkdir()
        self.out.mkdir()
        (self.out / "kept").write_text("kept")
        os.chmod(self.out / "kept", 0o644)
        self.before = self.state()
        self.tools = workspace_tools(self.ws)

    def state(self):
        found = {}
        for path in sorted([self.out, *self.out.rglob("*")]):
            seen = path.lstat()
            text = path.read_bytes() if path.is_file() else b""
            found[path.name] = (seen.st_mode, seen.st_nlink, seen.st_uid, seen.st_mtime_ns, text)
        return found

    def bash(self, command):
        result = self.tools.dispatch(ToolCall("bash", {"command": command}))
        assert result.error is None
        return result.data


@pytest.fixture
def space(tmp_path):
    return Space(tmp_path)


OUTSIDE = {
    "write": "echo evil > ../out/kept",
    "append": "echo evil >> ../out/kept",
    "make": "touch ../out/new",
    "remove": "rm -f ../out/kept",
    "rename": "mv ../out/kept ../out/other",
    "move out": "echo x > a; mv a ../out/a",
    "move in": "mv ../out/kept kept",
    "hard link": "ln ../out/kept kept && echo evil > kept",
    "link": "ln -s $PWD/../out here && echo evil > here/kept",
    "folder": "mkdir ../out/folder",
    "device": "mknod ../out/pipe p",
    "cut short": "truncate -s 0 ../out/kept",
    "by its number": "exec 9<>../out/kept; echo evil >&9",
    "python": "python3 -c \"open('../out/kept', 'w').write('evil')\"",
    "root of a process": "echo evil > /proc/self/root$PWD/../out/kept",
    "in the background": "(setsid sh -c 'sleep 0.2; echo evil > ../out/kept' &) ; sleep 0.5",
    "another namespace": "unshare -Urm sh -c 'mount -o remount,rw /; echo evil > ../out/kept'",
}


@pytest.mark.parametrize("command", OUTSIDE.values(), ids=OUTSIDE)
def test_nothing_outside_changes(space, command):
    space.bash(command)
    assert space.state() == space.before


ABOUT_FILES = {
    "mode": "chmod 600 ../out/kept",
    "time": "touch -d 2001-01-01 ../out/kept",
    "python": "python3 -c \"import os; os.chmod('../out/kept', 0)\"",
}


@pytest.mark.skipif(confinement() != "mounts", reason="without user namespaces, modes and times are not kept")
@pytest.mark.parametrize("command", ABOUT_FILES.values(), ids=ABOUT_FILES)
def test_modes_and_times_outside_stay(space, command):
    space.bash(command)
    assert space.state() == space.before


def test_inside_everything_works(space):
    command = (
        "mkdir -p a/b && echo one > a/b/c && mv a/b/c a/d && ln a/d e && ln -s a f && chmod 700 e && cat f/d"
    )
    assert space.bash(command)["stdout"] == "one\n"
    assert (
        space.bash("git init -q . && git add . && git status --short | wc -l; echo x > /dev/null")[
            "exit_code"
        ]
        == 0
    )


def test_temporary_files_have_a_place_and_are_gone_afterwards(space):
    told = space.bash("cat <<< here; echo x > $TMPDIR/file; mktemp; echo $TMPDIR")
    assert told["stderr"] == ""
    assert not Path(told["stdout"].split()[-1]).exists()


def test_a_left_link_does_not_lead_the_cleaning_out(space):
    space.bash("ln -s $PWD/../out $TMPDIR/link; mkdir $TMPDIR/a; chmod 0 $TMPDIR/a")
    assert space.state() == space.before


def test_processes_outside_are_not_reached(space):
    with subprocess.Popen(["sleep", "30"]) as other:
        space.bash(f"kill -9 {other.pid}")
        assert other.poll() is None
        other.kill()


def test_what_we_know_cannot_be_read_from_our_process(space, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-ours")
    with subprocess.Popen(["sleep", "30"]) as other:  # it has the key in its environment
        told = space.bash(f"cat /proc/{other.pid}/environ /proc/{os.getpid()}/environ; env")
        other.kill()
    assert "sk-of-ours" not in told["stdout"]


def test_without_it_commands_do_as_they_like(space):
    space.tools = workspace_tools(space.ws, confine=False)
    space.bash("touch ../out/new")
    assert (space.out / "new").exists()


def test_a_program_that_cannot_be_confined_does_not_run(space):
    command = [
        sys.executable,
        "-I",
        "-S",
        str(CONFINE),
        "landlock",
        str(space.ws / "none"),
        "--",
        "echo",
        "ran",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (126, "")
    assert "cannot confine echo" in done.stderr
