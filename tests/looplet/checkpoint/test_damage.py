"""Journals and checkpoint files that are not as they were written: named, never passed over in silence."""

from __future__ import annotations

import argparse
import json
import logging
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from looplet.checkpoint import FileCheckpointStore
from looplet.cli.checkpoints import COMMAND
from looplet.errors import CheckpointError
from looplet.loop import LoopConfig, composable_loop
from looplet.testing import ScriptedChatBackend, call
from looplet.tools import tool, tools_from
from looplet.types import DefaultState


@tool
def add(a: int) -> int:
    """Give it back."""
    return a


def run(folder: Path, script: list[Any], until: int, **config: Any) -> list[int]:
    """The numbers of all steps that the run has after *until* of them, whichever process took them."""
    state = DefaultState(max_steps=20)
    settings = LoopConfig(checkpoint_dir=str(folder), max_steps=20, **config)
    tools = tools_from([add], include_done=True)
    for step in composable_loop(ScriptedChatBackend(*script), "t", tools, config=settings, state=state):
        if step.number == until:
            break
    return [step.number for step in state.steps]


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    """The lines of a journal of five steps: first line, then call, start and step of each."""
    settings = LoopConfig(checkpoint_dir=str(tmp_path / "whole"), max_steps=20)
    script = [call("add", a=n) for n in range(6)]
    tools = tools_from([add], include_done=True)
    steps = composable_loop(ScriptedChatBackend(*script), "t", tools, config=settings)
    for _ in range(5):
        next(steps)
    data = (tmp_path / "whole" / "journal.jsonl").read_bytes().rstrip(b"\0")
    steps.close()
    return data.splitlines(keepends=True)


def resumed(folder: Path, data: bytes, **config: Any) -> list[int]:
    folder.mkdir()
    (folder / "journal.jsonl").write_bytes(data)
    return run(folder, [call("add", a=9), call("done", answer="ok")], 5, **config)


def flipped(line: bytes) -> bytes:
    return line[:-20] + bytes([line[-20] ^ 4]) + line[-19:]


def test_CK_04_a_damaged_newest_line_is_told(
    tmp_path: Path, lines: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "looplet.checkpoint"):
        numbers = resumed(tmp_path / "again", b"".join([*lines[:-1], flipped(lines[-1])]))
    assert numbers == [1, 2, 3, 4, 5]
    assert "journal.jsonl: line 16 " in caplog.text
    assert "step 5 and later ones are lost" in caplog.text


def test_CK_04_a_line_that_was_cut_off_is_no_damage(
    tmp_path: Path, lines: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    data = b"".join(lines)
    with caplog.at_level(logging.WARNING, "looplet.checkpoint"):
        for cut in range(1, len(lines[-1]), 40):
            resumed(tmp_path / str(cut), data[:-cut])
    assert caplog.text == ""


HOLES = {"at the first step": 3, "in the middle": 7}


@pytest.mark.parametrize("at", HOLES.values(), ids=HOLES)
def test_CK_04_a_block_of_zeros_in_the_middle_is_damage(tmp_path: Path, lines: list[bytes], at: int) -> None:
    data = b"".join([*lines[:at], b"\0" * len(lines[at]), *lines[at + 1 :]])
    with pytest.raises(CheckpointError, match=rf"journal\.jsonl, line {at + 1}: damaged"):
        resumed(tmp_path / "again", data)


def test_CK_03_a_hole_in_the_last_write_is_a_power_cut(tmp_path: Path, lines: list[bytes]) -> None:
    call_, start = lines[-3:-1]
    hole = b"\0" * (len(call_) - 30) + call_[-30:]
    numbers = resumed(tmp_path / "again", b"".join([*lines[:-3], hole, start]))
    assert numbers == [1, 2, 3, 4, 5]


SHUFFLED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a step twice": lambda a: [*a[:7], a[6], *a[7:]],
    "two steps swapped": lambda a: [*a[:6], a[9], *a[7:9], a[6], *a[10:]],
    "a step gone": lambda a: [*a[:6], *a[7:]],
    "two runs in one": lambda a: [*a, *a],
    "a start gone": lambda a: [*a[:5], *a[6:]],
}


@pytest.mark.parametrize("shuffle", SHUFFLED.values(), ids=SHUFFLED)
@pytest.mark.parametrize("resume", ["auto", "force"])
def test_CK_04_whole_lines_in_a_wrong_order(
    tmp_path: Path, lines: list[bytes], shuffle: Callable[[list[bytes]], list[bytes]], resume: str
) -> None:
    data = b"".join(shuffle(lines))
    with pytest.raises(CheckpointError, match=r"journal\.jsonl, line \d+: not a record that can stand here"):
        resumed(tmp_path / "again", data, resume=resume)
    assert (tmp_path / "again" / "journal.jsonl").read_bytes() == data


def line_of(record: dict[str, Any]) -> bytes:
    body = json.dumps(record)[:-1].encode()
    return body + b', "crc": "%08x"}\n' % zlib.crc32(body)


@pytest.mark.parametrize("task", ["t", "u"], ids=["damaged", "of another task"])
def test_CK_04_a_journal_that_is_refused_is_left_as_it_is(
    tmp_path: Path, lines: list[bytes], task: str
) -> None:
    begin = {**json.loads(lines[0]), "task": task}
    del begin["crc"]
    middle = flipped(lines[8]) if task == "t" else lines[8]
    data = b"".join([line_of(begin), *lines[1:8], middle, *lines[9:-1], b'{"kind": "st'])
    with pytest.raises(CheckpointError, match="damaged" if task == "t" else "another task"):
        resumed(tmp_path / "again", data)
    assert (tmp_path / "again" / "journal.jsonl").read_bytes() == data


def changed(line: bytes) -> list[bytes]:
    """The line, with a good checksum, without each of its members and with members of other types."""
    record = json.loads(line)
    del record["crc"]
    without = [{k: v for k, v in record.items() if k != name} for name in record]
    odd: list[Any] = [None, "x", [], {}]
    others = [{**record, name: value} for name in record for value in odd]
    return [line_of(one) for one in without + others]


@pytest.mark.slow
def test_CK_09_records_of_another_shape(tmp_path: Path, lines: list[bytes]) -> None:
    journal = tmp_path / "journal.jsonl"
    store = FileCheckpointStore(tmp_path)
    for number in (0, 1, 2, len(lines) - 1):
        for line in changed(lines[number]):
            data = b"".join([*lines[:number], line, *lines[number + 1 :]])
            for read in (
                store.load_latest,
                lambda: store.load("step_2"),
                lambda: run(tmp_path, [call("add", a=9), call("done", answer="ok")], 6),
                lambda: show(tmp_path),
            ):
                journal.write_bytes(data)
                problem = "journal.jsonl"
                try:
                    read()
                except CheckpointError as raised:
                    problem = str(raised)
                assert "journal.jsonl" in problem


NO_JOURNALS = {
    "not JSON": b"hello",
    "one line": b"hello\n",
    "JSON": b"{}\n",
    "a damaged first line": b'{"kind": "begin", "version": 1, "crc": "00000000"}\n',
    "nothing but a kind": line_of({"kind": "begin", "version": 1}),
    "no kind": line_of({"version": 1}),
    "deep": b"[" * 5000 + b"]" * 5000 + b"\n",
}


@pytest.mark.parametrize("data", NO_JOURNALS.values(), ids=NO_JOURNALS)
def test_CK_09_what_is_no_journal_is_not_begun_over(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"journal\.jsonl"):
        resumed(tmp_path / "again", data)
    assert (tmp_path / "again" / "journal.jsonl").read_bytes() == data


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/full")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such files")
@pytest.mark.parametrize("make", [a_pipe, a_device, Path.mkdir])
def test_CK_09_what_is_no_file_is_named_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "journal.jsonl")
    make(tmp_path / "k.json")
    store = FileCheckpointStore(tmp_path)
    for name, read in (
        (r"k\.json", lambda: store.load("k")),
        (r"journal\.jsonl", store.load_latest),
        (r"journal\.jsonl", lambda: run(tmp_path, [call("add", a=1)], 1)),
        (r"journal\.jsonl", lambda: show(tmp_path)),
    ):
        with pytest.raises(CheckpointError, match=name):
            read()


def show(folder: Path) -> None:
    COMMAND.run(argparse.Namespace(action="show", directory=str(folder), json=False))


def test_CK_12_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file cannot be made a folder"):
        FileCheckpointStore(tmp_path / "file")


BAD_FILES = {
    "a log that is a list": {"session_log_data": []},
    "entries that are none": {"session_log_data": {"entries": [{"bogus": 1}]}},
    "a conversation of text": {"conversation_data": "x"},
    "messages that are none": {"conversation_data": {"version": 1, "messages": [{}]}},
    "counters of text": {"config_snapshot": "x"},
    "metadata of text": {"metadata": "x"},
    "a step below 0": {"step_number": -1},
}


@pytest.mark.parametrize("members", BAD_FILES.values(), ids=BAD_FILES)
def test_CK_09_a_checkpoint_with_members_of_another_shape(tmp_path: Path, members: dict[str, Any]) -> None:
    (tmp_path / "k.json").write_text(json.dumps({"step_number": 1, **members}))
    with pytest.raises(CheckpointError, match=r"k\.json"):
        FileCheckpointStore(tmp_path).load("k")


def test_CK_09_a_number_that_python_does_not_read(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text('{"step_number": %s}' % ("9" * 5000))
    with pytest.raises(CheckpointError, match=r"k\.json"):
        FileCheckpointStore(tmp_path).load("k")
