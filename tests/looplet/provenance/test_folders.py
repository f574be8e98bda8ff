"""Folders of runs that were killed, are used twice, or are on a disk that fails."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from looplet.errors import TraceError
from looplet.loop import LoopConfig, composable_loop
from looplet.provenance import ProvenanceSink, replay_loop
from looplet.testing import ScriptedChatBackend, call
from looplet.tools import tool, tools_from


@tool
def look(at: str) -> dict[str, str]:
    """Look at something."""
    return {"seen": at}


TOOLS = tools_from([look], include_done=True)


def run(sink: ProvenanceSink, looks: int, *, until: int = 0, calls: bool = True, steps: bool = True) -> Any:
    script = [call("look", at=str(n)) for n in range(looks)]
    llm: Any = ScriptedChatBackend(*script, call("done", answer="ok"))
    llm = sink.wrap_llm(llm) if calls else llm
    hooks = [sink.trajectory_hook()] if steps else []
    taken = composable_loop(llm, "look", TOOLS, hooks=hooks, config=LoopConfig(max_steps=20))
    for step in taken:
        if step.number == until:
            break
    return taken


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kept", ["calls", "steps"])
def test_PR_04_the_folder_of_a_killed_run_is_used(tmp_path: Path, kept: str) -> None:
    taken = run(
        ProvenanceSink(tmp_path / "on"), 5, until=4, calls=kept == "calls", steps=kept == "steps"
    )  # as it is when a process is killed now
    shutil.copytree(tmp_path / "on", tmp_path / "killed")
    taken.close()
    (tmp_path / "killed" / "manifest.jsonl").unlink(missing_ok=True)
    with pytest.raises(TraceError, match="holds another run"):
        ProvenanceSink(tmp_path / "killed")
    run(ProvenanceSink(tmp_path / "killed", replace=True), 1)
    assert not (tmp_path / "killed" / "steps" / "step_03.json").exists()


def of_two_sinks(folder: Path) -> tuple[ProvenanceSink, ProvenanceSink]:
    return ProvenanceSink(folder), ProvenanceSink(folder)


def of_one_sink(folder: Path) -> tuple[ProvenanceSink, ProvenanceSink]:
    sink = ProvenanceSink(folder)
    return sink, sink


@pytest.mark.parametrize("two", [of_two_sinks, of_one_sink])
def test_PR_04_a_second_run_changes_nothing(
    tmp_path: Path, two: Callable[[Path], tuple[ProvenanceSink, ProvenanceSink]]
) -> None:
    first, second = two(tmp_path)
    run(first, 3)
    before = content(tmp_path)
    with pytest.raises(TraceError, match="holds another run"):
        run(second, 1)
    assert content(tmp_path) == before


def test_PR_04_a_sink_that_was_reset_takes_another_folder(tmp_path: Path) -> None:
    sink = ProvenanceSink(tmp_path / "one")
    run(sink, 3)
    before = content(tmp_path / "one")
    sink.reset()
    with pytest.raises(TraceError, match="holds another run"):
        sink.trajectory_hook()
    sink.dir = tmp_path / "two"
    run(sink, 1)
    assert content(tmp_path / "one") == before
    assert (tmp_path / "two" / "steps" / "step_02.json").exists()


def test_PR_01_a_call_that_was_cut_off_takes_none_with_it(tmp_path: Path) -> None:
    run(ProvenanceSink(tmp_path), 3)
    manifest = tmp_path / "manifest.jsonl"
    whole = manifest.read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    for cut in (last + 1, last + 40, len(whole) - 1):
        manifest.write_bytes(whole[:cut])
        steps = replay_loop(tmp_path, tools=TOOLS)
        assert [next(steps).tool_result.data for _ in range(3)] == [{"seen": str(n)} for n in range(3)]
        steps.close()


BAD_LINES = {
    "a list": b"[]\n",
    "a method of no backend": b'{"method": "nope", "response": "x"}\n',
    "a method that is a number": b'{"method": 3, "response": "x"}\n',
    "a response that is a number": b'{"method": "generate", "response": 5}\n',
    "an index that is text": b'{"method": "chat", "response": null, "index": "../x"}\n',
    "half a character": b'{"method": "chat", "response": "\xff"}\n',
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_PR_01_a_line_of_another_shape_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(line)
    with pytest.raises(TraceError, match=r"manifest\.jsonl, line 1: no recorded call"):
        next(replay_loop(tmp_path, tools=TOOLS))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_PR_01_a_full_disk_leaves_what_was_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    written = 0

    class Full(FileIO):
        def write(self, data: Any) -> int:
            nonlocal written
            written += 1
            if written == 3:
                super().write(bytes(data)[:50])
                raise OSError(error, os.strerror(error))
            return super().write(data)

    opened = Path.open

    def failing(path: Path, mode: str = "r", **options: Any) -> Any:
        return Full(path, mode) if path.name == "manifest.jsonl" else opened(path, mode, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", failing)
        sink = ProvenanceSink(tmp_path)
        run(sink, 5)
    last = sink.trajectory_hook().trajectory.steps[-1]
    assert "manifest.jsonl cannot be written" in last.tool_result["error"]
    steps = replay_loop(tmp_path, tools=TOOLS)
    assert [next(steps).tool_result.data for _ in range(2)] == [{"seen": "0"}, {"seen": "1"}]
    steps.close()
    assert (tmp_path / "manifest.jsonl").read_bytes().endswith(b"}\n")
