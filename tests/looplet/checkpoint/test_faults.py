"""A disk that fails, power that goes, secrets that must not stay, journals that grow."""

from __future__ import annotations

import base64
import errno
import json
import os
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from looplet.checkpoint import Checkpoint, CheckpointStore, FileCheckpointStore
from looplet.errors import CheckpointError
from looplet.loop import LoopConfig, composable_loop
from looplet.provenance import ProvenanceSink
from looplet.testing import MockLLMBackend, ScriptedBackend, ScriptedChatBackend, ScriptedToolBackend, call
from looplet.testing.checkpoint_conformance import StoreConformance
from looplet.tools import tool, tools_from
from looplet.types import DefaultState

SECRETS = Path(__file__).parents[1] / "redact" / "planted_secrets.jsonl"


@tool
def add(a: int) -> int:
    """Give it back."""
    return a


TOOLS = tools_from([add], include_done=True)


def start(folder: Path, script: list[Any], **config: Any) -> Any:
    settings = LoopConfig(checkpoint_dir=str(folder), **config)
    return composable_loop(ScriptedChatBackend(*script), "count", TOOLS, config=settings)


class Disk:
    """Stands between the journal and the disk: fails on demand, and knows what was synced.

    Only calls for the journal's descriptor are touched.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.path = path
        self.fail_at: int | None = None
        self.error = errno.ENOSPC
        self.writes = 0
        self.image = bytearray()
        self.synced = b""
        self._write, self._sync = os.write, os.fdatasync
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr("looplet.checkpoint.journal._sync", self.sync)

    def _is_journal(self, fd: int) -> bool:
        return self.path.exists() and os.fstat(fd).st_ino == self.path.stat().st_ino

    def write(self, fd: int, data: Any) -> int:
        if not self._is_journal(fd):
            return self._write(fd, data)
        self.writes += 1
        if self.fail_at is not None and self.writes >= self.fail_at:
            self._write(fd, bytes(data)[: len(data) // 2])  # A full disk takes a part.
            raise OSError(self.error, os.strerror(self.error))
        place = os.lseek(fd, 0, os.SEEK_CUR)
        self.image[place : place + len(data)] = bytes(data)
        return self._write(fd, data)

    def sync(self, fd: int) -> None:
        self._sync(fd)
        self.synced = bytes(self.image)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT], ids=["full", "broken", "quota"])
@pytest.mark.parametrize("fail_at", range(2, 9))
def test_CK_12_a_write_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int, error: int
) -> None:
    disk = Disk(monkeypatch, tmp_path / "journal.jsonl")
    disk.fail_at, disk.error = fail_at, error
    script = [call("add", a=i) for i in range(6)]
    seen: list[int] = []
    steps = start(tmp_path, script, max_steps=9)
    with pytest.raises(CheckpointError, match=r"journal\.jsonl cannot be written"):
        seen.extend(step.number for step in steps)
    disk.fail_at = None
    again = [s.number for s in start(tmp_path, [*script[len(seen) :], call("done", answer="ok")])]
    # What was saved is not handed out twice; the one step that was shown though its line failed may be.
    assert again[-1] >= len(seen)
    assert again == list(range(again[0], again[-1] + 1))
    assert again[0] in (len(seen), len(seen) + 1)


def test_CK_03_a_checkpoint_by_hand_is_in_its_folder_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, list[str]]] = []
    sync = os.fsync

    def watched(fd: int) -> None:
        synced.append((os.fstat(fd).st_ino, sorted(os.listdir(tmp_path))))
        sync(fd)

    monkeypatch.setattr(os, "fsync", watched)
    FileCheckpointStore(tmp_path).save(Checkpoint(1), "one")
    assert synced[-1] == (tmp_path.stat().st_ino, ["one.json"])


@pytest.mark.parametrize("shown", range(1, 7))
def test_CK_03_power_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: int) -> None:
    disk = Disk(monkeypatch, tmp_path / "journal.jsonl")
    script = [call("add", a=i) for i in range(6)]
    steps = start(tmp_path, script)
    for _ in range(shown):
        next(steps)
    survived = disk.synced  # Nothing that was not synced does.
    steps.close()
    after = tmp_path / "after"
    after.mkdir()
    (after / "journal.jsonl").write_bytes(survived + b"\0" * 4096)
    state = DefaultState()
    settings = LoopConfig(checkpoint_dir=str(after))
    llm = ScriptedChatBackend(call("done", answer="ok"))
    list(composable_loop(llm, "count", TOOLS, config=settings, state=state))
    assert [s.number for s in state.steps[:shown]] == list(range(1, shown + 1))


def test_CK_11_a_journal_grows_with_its_steps(tmp_path: Path) -> None:
    sizes = []
    for steps in (50, 400):
        script = [*[call("add", a=i) for i in range(steps)], call("done", answer="ok")]
        list(start(tmp_path / str(steps), script, max_steps=steps + 5))
        sizes.append((tmp_path / str(steps) / "journal.jsonl").stat().st_size / steps)
    assert sizes[1] < sizes[0] * 1.2


@pytest.mark.slow
def test_10000_steps_are_resumed(tmp_path: Path) -> None:
    total = 10_000
    settings = LoopConfig(checkpoint_dir=str(tmp_path), max_steps=total + 5)
    reply = '{"tool": "add", "args": {"a": 1}}'
    steps = composable_loop(MockLLMBackend([reply]), "count", TOOLS, config=settings)
    for _ in range(total):
        next(steps)
    steps.close()
    state = DefaultState(max_steps=total + 5)
    done = MockLLMBackend(['{"tool": "done", "args": {"answer": "ok"}}'])
    last = list(composable_loop(done, "count", TOOLS, config=settings, state=state))
    assert [s.number for s in last] == [total + 1]
    assert len(state.steps) == total + 1


def planted() -> list[dict[str, str]]:
    rows = [json.loads(line) for line in SECRETS.read_text().splitlines()]
    turned = [{**row, "value": row["value"][::-1], "carrier": row.get("carrier", "")[::-1]} for row in rows]
    return [row for row in turned if row["must_be_redacted"] == "yes" and row["value"] in row["carrier"]]


def test_PR_05_the_planted_secrets_are_in_no_file(tmp_path: Path) -> None:
    rows = planted()
    assert len(rows) > 20

    @tool
    def carry(text: str) -> dict[str, str]:
        """Carry a text."""
        if text.startswith("fail "):
            raise RuntimeError(text)
        return {"found": text}

    script: list[Any] = []
    for number, row in enumerate(rows):
        script.append(call("carry", text=("fail " if number % 3 == 0 else "") + row["carrier"]))
    script.append(call("done", answer=rows[0]["carrier"]))
    sink = ProvenanceSink(tmp_path / "run")
    llm = sink.wrap_llm(ScriptedChatBackend(*script))
    config = LoopConfig(
        max_steps=len(script) + 2,
        checkpoint_dir=str(tmp_path / "checkpoint"),
        system_prompt=rows[1]["carrier"],
    )
    tools = tools_from([carry], include_done=True)
    hooks = [sink.trajectory_hook()]
    list(composable_loop(llm, {"goal": rows[2]["carrier"]}, tools, hooks=hooks, config=config))
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = [
        (row["id"], row["kind"], path.name)
        for row in rows
        for form in forms(row["value"])
        for path, data in written.items()
        if form in data
    ]
    assert found == []


@pytest.mark.parametrize("wire", [ScriptedBackend, ScriptedToolBackend, ScriptedChatBackend])
def test_PR_05_a_secret_of_many_lines_is_not_in_the_journal(
    wire: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{n}a1B2c3D4e5F6" * 5 for n in range(4)]
    key = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"])
    monkeypatch.setenv("MANY_LINES_SECRET", "first line 1\nsecond line 2")

    @tool
    def carry(text: str) -> str:
        """Carry a text."""
        return text

    config = LoopConfig(
        checkpoint_dir=str(tmp_path), use_native_tools=True if wire is ScriptedToolBackend else None
    )
    llm = wire(call("carry", text=f"x\n{key}"), call("done", answer="ok"))
    goal = f"use\n{key}\nand first line 1\nsecond line 2\nwell"
    list(
        composable_loop(
            llm, {"goal": goal}, tools_from([carry], include_done=True), context=goal, config=config
        )
    )
    written = (tmp_path / "journal.jsonl").read_text(encoding="utf-8")
    assert "[redacted:private key]" in written
    assert [line for line in (*lines, "second line 2") if line in written] == []


def forms(secret: str) -> list[bytes]:
    plain = secret.encode()
    quoted = urllib.parse.quote(secret, safe="").encode()
    return [plain, json.dumps(secret)[1:-1].encode(), quoted, base64.b64encode(plain)]


class TestFileStore(StoreConformance):
    def make_store(self, tmp_path: Path) -> CheckpointStore:
        return FileCheckpointStore(tmp_path)
