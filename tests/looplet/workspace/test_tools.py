"""The tools of a workspace: what they do, and that nothing leads out of the folder."""

import os
import resource
import socket
import stat
import sys
import threading
import time

import pytest

from looplet import CancelToken, ToolCall, ToolContext
from looplet.errors import ConfigError
from looplet.workspace import workspace_tools

pytestmark = pytest.mark.slow

SECRET = "the secret outside"


class Space:
    """A workspace, what is outside of it, and its tools."""

    def __init__(self, base, **more):
        self.base, self.ws, self.out = base, base / "ws", base / "out"
        self.ws.mkdir()
        self.out.mkdir()
        (self.out / "secret").write_text(SECRET)
        (self.ws / "src").mkdir()
        (self.ws / "src" / "a.py").write_text("x = 1\ny = 2\n")
        self.tools = workspace_tools(self.ws, timeout_s=more.pop("timeout_s", 20), **more)

    def call(self, name, /, ctx=None, **args):
        result = self.tools.dispatch(ToolCall(name, args), ctx=ctx)
        assert result.error is None, result.error
        return result.data

    def before(self):
        """Names and contents of all outside."""
        return sorted((path.name, path.read_bytes()) for path in self.out.iterdir())


@pytest.fixture
def space(tmp_path):
    return Space(tmp_path)


def test_the_tools_do_their_work(space):
    assert space.call("write", file_path="new/deep/b.py", content="z = 3\n") == {
        "written": "new/deep/b.py",
        "lines": 1,
    }
    assert space.call("read", file_path="src/a.py") == {
        "path": "src/a.py",
        "content": "   1 | x = 1\n   2 | y = 2",
        "line_count": 2,
    }
    edited = space.call(
        "edit", file_path=str(space.ws / "src" / "a.py"), old_string="x = 1", new_string="x = 5"
    )
    assert edited == {"edited": "src/a.py", "replacements": 1}
    assert (space.ws / "src" / "a.py").read_text() == "x = 5\ny = 2\n"
    assert space.call("glob", pattern="**/*.py") == {
        "pattern": "**/*.py",
        "files": ["new/deep/b.py", "src/a.py"],
        "total": 2,
    }
    assert space.call("glob", pattern="*.py", path="src")["files"] == ["src/a.py"]
    assert space.call("glob", pattern="*.py")["files"] == []
    assert space.call("grep", pattern="[xz] =")["total"] == 2
    assert space.call("grep", pattern="x", path="src/a.py")["matches"] == ["src/a.py:1:x = 5"]
    assert space.call("grep", pattern="z", include="*.txt")["matches"] == []
    assert space.call("bash", command="cat src/a.py; echo no >&2; exit 3") == {
        "stdout": "x = 5\ny = 2\n",
        "stderr": "no\n",
        "exit_code": 3,
        "next_step": "read stderr, mend the cause, run it again",
    }
    assert space.call("think", analysis="hm")["acknowledged"] is True
    assert space.call("done", summary="ok") == {"summary": "ok"}
    assert space.tools.tool_names == ["bash", "read", "write", "edit", "glob", "grep", "think", "done"]


def test_long_files_are_read_in_parts(space):
    (space.ws / "long").write_text("".join(f"line {n}\n" for n in range(1, 5001)))
    first = space.call("read", file_path="long")
    assert first["truncated"] == "lines 1 to 2000 of 5000; give offset"
    assert (
        space.call("read", file_path="long", offset=4999, limit=5)["content"]
        == "4999 | line 4999\n5000 | line 5000"
    )
    (space.ws / "wide").write_text("x" * 50_000)
    assert len(space.call("read", file_path="wide")["content"]) < 2100


def escapes(space):
    ws, out = space.ws, space.out
    (ws / "folder").symlink_to(out)
    (ws / "file").symlink_to(out / "secret")
    (ws / "relative").symlink_to("../out/secret")
    (ws / "dangling").symlink_to(out / "new")
    (ws / "chain").symlink_to("folder")
    (ws / "loop").symlink_to("loop")
    (ws / "deep").symlink_to("src/../../out")
    os.link(out / "secret", ws / "hard")
    return {
        "parent": "../out/secret",
        "absolute": str(out / "secret"),
        "absolute by the root": str(ws) + "/../out/secret",
        "a sibling that begins the same": str(ws) + "-evil/x",
        "a system file": "/etc/hostname",
        "after a folder": "src/../../out/secret",
        "after a folder that is not there": "nope/../../out/secret",
        "a link to a folder": "folder/secret",
        "a link to a file": "file",
        "a relative link": "relative",
        "a link to nothing": "dangling",
        "a link to a link": "chain/secret",
        "a link with dots": "deep/secret",
        "a link and back": "folder/../out/secret",
        "a loop": "loop",
        "a hard link": "hard",
        "a process": "/proc/self/cwd/../out/secret",
        "a descriptor": "/dev/fd/0",
        "NUL": "src/a.py\0",
        "nothing": "",
        "half a character": "src/\ud800",
        "too long": "a/" * 4000,
        "the folder itself": ".",
        "the parent alone": "..",
    }


def test_CO_01_nothing_outside_is_read(space):
    for name, path in escapes(space).items():
        data = space.call("read", file_path=path)
        assert data.get("error"), name
        assert data["remediation"]
        assert SECRET not in str(data)


def test_CO_02_nothing_outside_is_written(space):
    paths, before = escapes(space), space.before()
    for name, path in paths.items():
        assert space.call("write", file_path=path, content="evil").get("error"), name
        assert space.call("edit", file_path=path, old_string="secret", new_string="evil").get("error"), name
    assert space.before() == before
    assert sorted(path.name for path in space.base.iterdir()) == ["out", "ws"]


def test_links_inside_are_followed(space):
    (space.ws / "in").symlink_to("src")
    (space.ws / "src" / "near").symlink_to("a.py")
    assert space.call("read", file_path="src/near")["path"] == "src/a.py"
    (space.ws / "absolute").symlink_to(space.ws / "src" / "a.py")
    assert space.call("read", file_path="in/a.py")["path"] == "src/a.py"
    assert space.call("read", file_path="absolute")["path"] == "src/a.py"
    assert space.call("write", file_path="in/c.py", content="c")["written"] == "src/c.py"
    assert space.call("read", file_path="src/../in/./c.py")["content"] == "   1 | c"


@pytest.mark.parametrize("path", [".git/config", ".git/hooks/pre-commit", "sub/.GIT/config"])
def test_what_decides_what_git_runs_is_not_written(space, path):
    assert "git" in space.call("write", file_path=path, content="[core]\npager = evil")["error"]


def test_CO_03_searches_stay_inside(space):
    escapes(space)
    for pattern in ("../*", "/etc/*", "**/../../*", "", "a\0"):
        assert space.call("glob", pattern=pattern).get("error"), pattern
    found = space.call("glob", pattern="**/*")["files"]
    assert not [name for name in found if name.startswith("folder/")]
    for path in ("..", "/etc", "folder", "chain", "file"):
        assert space.call("glob", pattern="*", path=path).get("error"), path
        assert space.call("grep", pattern="secret", path=path).get("error"), path
    matched = space.call("grep", pattern="secret")["matches"]
    assert not [line for line in matched if "outside" in line]


@pytest.mark.parametrize("pattern", ["--help", "-f/etc/passwd", "--file=/etc/passwd", "-e", "-r", "--"])
def test_CO_03_patterns_are_never_options(space, pattern):
    (space.ws / "odd").write_text(f"has {pattern} in it\n")
    assert space.call("grep", pattern=pattern)["matches"] == [f"odd:1:has {pattern} in it"]
    assert space.call("grep", pattern="x", include=pattern)["matches"] == []


GLOBS = {
    "any folders, also none": ("**/a.py", ["a.py", "b/a.py", "b/c/a.py"]),
    "folders between": ("b/**/a.py", ["b/a.py", "b/c/a.py"]),
    "all below": ("b/**", ["b/a.py", "b/c/a.py", "b/c/x"]),
    "twice": ("**/**/c/**/x", ["b/c/x"]),
    "no star reaches over a slash": ("*/a.py", ["b/a.py"]),
    "no question mark does": ("b?a.py", []),
    "no set does": ("b[!x]a.py", []),
    "a set": ("[ab].py", ["a.py"]),
    "a dot and a star in a set": ("b/c/[.*x]", ["b/c/x"]),
    "a dot in front": ("./b/*.py", ["b/a.py"]),
    "all folders": ("**/c/*", ["b/c/a.py", "b/c/x"]),
}


@pytest.mark.parametrize(("pattern", "files"), GLOBS.values(), ids=GLOBS)
def test_what_a_pattern_stands_for(tmp_path, pattern, files):
    (tmp_path / "b" / "c").mkdir(parents=True)
    for name in ("a.py", "b/a.py", "b/c/a.py", "b/c/x"):
        (tmp_path / name).touch()
    data = workspace_tools(tmp_path).dispatch(ToolCall("glob", {"pattern": pattern})).data
    assert data["files"] == files


@pytest.mark.parametrize("pattern", ["**/" * 300 + "zz", "*a" * 400 + "b", "**/*" * 200, "**/a/" * 150 + "b"])
def test_CO_09_no_pattern_takes_for_ever(space, pattern):
    deep = space.ws.joinpath(*["a"] * 30)
    deep.mkdir(parents=True)
    (deep / ("a" * 200)).touch()
    begun = time.monotonic()
    assert space.call("glob", pattern=pattern)["files"] == []
    assert time.monotonic() - begun < 5


def test_a_pattern_that_is_none_is_told(space):
    assert "error" in space.call("grep", pattern="(")
    assert "error" in space.call("grep", pattern="")


def test_CO_05_a_child_that_holds_the_pipe_does_not_hold_us(space):
    begun = time.monotonic()
    data = space.call("bash", command="sleep 30 & echo started")
    assert (data["stdout"], data["exit_code"]) == ("started\n", 0)
    assert time.monotonic() - begun < 5


def test_the_process_group_is_ended(space):
    space.call("bash", command="(sleep 1; echo late > late) & echo on > on")
    time.sleep(1.5)
    assert (space.ws / "on").exists()
    assert not (space.ws / "late").exists()


def test_CO_06_a_flood_is_cut(space):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = space.call("bash", command="head -c 50000000 /dev/zero | tr '\\0' x; echo end; echo oops >&2")
    assert data["stdout"].endswith("xend\n")
    assert "bytes left out" in data["stdout"]
    assert len(data["stdout"]) < 61_000
    assert data["stderr"] == "oops\n"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000 * (1024 if sys.platform == "darwin" else 1)


def test_a_command_that_does_not_end_is_killed(tmp_path):
    space = Space(tmp_path, timeout_s=0.5)
    for command in (
        "echo begun; sleep 30",
        "echo begun; exec >&- 2>&-; sleep 30",
        "echo begun; trap '' TERM; yes",
    ):
        begun = time.monotonic()
        data = space.call("bash", command=command)
        assert time.monotonic() - begun < 5
        assert data["error"] == "the command was killed after 0.5 s"
        assert data["stdout"].startswith("begun\n")


def test_a_cancelled_run_ends_its_command(space):
    token = CancelToken()
    timer = threading.Timer(0.3, token.cancel)
    timer.start()
    data = space.call("bash", ToolContext(cancel_token=token), command="sleep 30")
    timer.join()
    assert data["error"] == "the command was cancelled"


def test_CO_07_no_secret_of_ours_reaches_a_command(tmp_path, monkeypatch):
    for name in (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "DATABASE_URL",
        "LD_PRELOAD",
    ):
        monkeypatch.setenv(name, "hidden-value")
    space = Space(tmp_path, env={"MINE": "shown"})
    env = space.call("bash", command="env")["stdout"]
    assert "hidden-value" not in env
    assert "MINE=shown" in env
    assert f"HOME={os.path.realpath(space.ws)}" in env


def test_a_command_reads_no_input_of_ours(space):
    assert space.call("bash", command="cat; echo end")["stdout"] == "end\n"


@pytest.mark.parametrize("command", ["echo \0", "x" * 3_000_000], ids=["NUL", "too long"])
def test_a_command_that_cannot_start_is_told(space, command):
    assert "remediation" in space.call("bash", command=command)


EDITS = {
    "CRLF": (b"a\r\nb\r\nc\r\n", "a\nb", "a\nB\nB2", b"a\r\nB\r\nB2\r\nc\r\n"),
    "CRLF given": (b"a\r\nb\r\n", "a\r\nb", "x\r\ny", b"x\r\ny\r\n"),
    "no final newline": (b"a\nb", "b", "B", b"a\nB"),
    "a BOM": (b"\xef\xbb\xbfa = 1\n", "a", "b", b"\xef\xbb\xbfb = 1\n"),
    "other letters": ("é = 日\n".encode(), "日", "本", "é = 本\n".encode()),
    "another encoding, plain letters": (b"caf\xe9 = 1\n", "= 1", "= 2", b"caf\xe9 = 2\n"),
    "mixed ends": (b"a\r\nb\nc", "c", "d", b"a\r\nb\nd"),
    "nothing in its place": (b"a b c", " b", "", b"a c"),
    "form feeds": (b"a\x0cb\x0bc", "b", "B", b"a\x0cB\x0bc"),
}


@pytest.mark.parametrize(("data", "old", "new", "wanted"), EDITS.values(), ids=EDITS)
def test_CO_08_only_the_matched_bytes_change(space, data, old, new, wanted):
    file = space.ws / "file"
    file.write_bytes(data)
    file.chmod(0o755)
    assert space.call("edit", file_path="file", old_string=old, new_string=new)["replacements"] == 1
    assert file.read_bytes() == wanted
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert [path.name for path in space.ws.iterdir() if path.name.endswith(".tmp")] == []


REFUSED_EDITS = {
    "not there": (b"abc", "x", "y"),
    "twice": (b"abab", "ab", "x"),
    "twice, one over the other": (b"aaa", "aa", "x"),
    "nothing to find": (b"abc", "", "x"),
    "nothing to change": (b"abc", "a", "a"),
    "NUL": (b"a\0b", "a", "x"),
    "UTF-16": ("abc".encode("utf-16"), "a", "x"),
    "letters that the encoding has not": (b"caf\xe9 = 1", "1", "日"),
    "half a character": (b"abc", "a", "\ud800"),
}


@pytest.mark.parametrize(("data", "old", "new"), REFUSED_EDITS.values(), ids=REFUSED_EDITS)
def test_CO_08_what_is_unclear_changes_nothing(space, data, old, new):
    (space.ws / "file").write_bytes(data)
    assert "error" in space.call("edit", file_path="file", old_string=old, new_string=new)
    assert (space.ws / "file").read_bytes() == data


def test_write_keeps_the_mode(space):
    (space.ws / "run").write_text("x")
    (space.ws / "run").chmod(0o755)
    space.call("write", file_path="run", content="y")
    assert stat.S_IMODE((space.ws / "run").stat().st_mode) == 0o755
    assert "error" in space.call("write", file_path="src", content="y")
    assert "error" in space.call("write", file_path="big", content="x" * 10_000_001)


def test_CO_09_special_files_never_block(space):
    os.mkfifo(space.ws / "fifo")
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as plug:
        os.chdir(space.ws)
        try:
            plug.bind("socket")
        finally:
            os.chdir(here)
    with (space.ws / "huge").open("wb") as huge:
        huge.truncate(5_000_000_000)
    begun = time.monotonic()
    for name in ("fifo", "socket", "src", "huge"):
        assert "error" in space.call("read", file_path=name), name
        assert "error" in space.call("edit", file_path=name, old_string="a", new_string="b"), name
        if name != "huge":
            assert "error" in space.call("write", file_path=name, content="x"), name
    (space.ws / "huge").unlink()
    assert space.call("grep", pattern="x =")["total"] == 1
    assert time.monotonic() - begun < 10


def test_a_large_text_is_read_in_part(space):
    (space.ws / "large").write_text("line\n" * 400_000)
    data = space.call("read", file_path="large", limit=1)
    assert data["truncated"] == "the file has 2,000,000 bytes; only the first 1,000,000 were read"


def test_a_link_put_in_the_way_between_two_steps_leads_nowhere(space):
    """A racer swaps a folder for a link to the outside; nothing outside is ever read or changed."""
    stop = threading.Event()
    inside, link = space.ws / "swap", space.ws / "link"
    inside.mkdir()
    (inside / "secret").write_text("inside")
    link.symlink_to(space.out)

    def race():
        while not stop.is_set():
            os.rename(inside, space.ws / "aside")
            os.rename(link, inside)
            os.rename(inside, link)
            os.rename(space.ws / "aside", inside)

    racer = threading.Thread(target=race)
    racer.start()
    try:
        for _ in range(300):
            assert SECRET not in str(space.call("read", file_path="swap/secret"))
            space.call("edit", file_path="swap/secret", old_string="the secret", new_string="evil")
    finally:
        stop.set()
        racer.join()
    assert space.before() == [("secret", SECRET.encode())]


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        workspace_tools(tmp_path / "none")
