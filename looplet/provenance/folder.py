"""The folder of a run: files a person can read and diff, each written whole as the run goes.

| file | holds |
|---|---|
| `trajectory.json` | the run (`docs/schemas/trajectory.schema.json`) |
| `steps/step_01.json` … | each step, also alone |
| `manifest.jsonl` | one line for each model call; a replay reads this |
| `call_00_prompt.txt`, `call_00_response.txt` … | the same calls, for people |
| `volatile.json` | times and ids, the only file in which two equal runs differ |
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

from looplet.errors import TraceError
from looplet.provenance.call import LLMCall, prompt_text, response_text
from looplet.provenance.steady import steady
from looplet.values import normal

MARKS = ("trajectory.json", "manifest.jsonl")
"""Files that a whole run has."""

_OWN = (*MARKS, "call_*_prompt.txt", "call_*_response.txt", "steps/step_*.json", "volatile.json")
"""What a folder is known by as that of a run, also of one that was killed."""

_QUOTED = re.compile(r'(?<=")[^"]+(?=")')


class RunFolder:
    """Writes the files of one run.

    Args:
        path: The folder; made if it is not there.
        replace: Remove the files of another run that is in it already.

    Raises:
        TraceError: Another run is in it already, or it cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        self.path = Path(path)
        if replace:
            self._forget()
        self._refuse_used()
        self._is_ours = False
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise TraceError(f"{self.path} cannot be made: {problem.strerror or problem}") from problem
        self._volatile: dict[str, Any] = {"calls": [], "steps": {}}
        self._names: dict[str, str] = {}

    def _files(self) -> list[Path]:
        return [file for pattern in _OWN for file in self.path.glob(pattern)]

    def _refuse_used(self) -> None:
        used = self._files()
        if used:
            name = used[0].relative_to(self.path)
            raise TraceError(
                f"{self.path} holds another run ({name}); give each run a folder of its own, or remove it"
            )

    def _forget(self) -> None:
        try:
            for file in self._files():
                file.unlink()
        except OSError as problem:
            raise _cannot(self.path, problem) from problem

    def _take(self) -> None:
        """Before the first file: another run may have come here since this one was to."""
        if not self._is_ours:
            self._refuse_used()
            self._is_ours = True

    def write_call(self, call: LLMCall) -> None:
        """Write a model call: its two text files and its line of the manifest."""
        self._take()
        # A provider makes up new call ids every time; in files they are named by position.
        response = steady(call.response, self._names)
        prompt = _QUOTED.sub(lambda found: self._names.get(found[0], found[0]), call.prompt)
        call = replace(call, response=response, prompt=prompt)
        line = call.to_dict()
        self._volatile["calls"].append({"timestamp": call.timestamp, "duration_ms": call.duration_ms})
        line.update(timestamp=0.0, duration_ms=0.0)
        name = f"call_{call.index:02d}"
        self._write(f"{name}_prompt.txt", prompt_text(call))
        self._write(f"{name}_response.txt", response_text(call))
        self._append("manifest.jsonl", json.dumps(line, allow_nan=False))

    def write_step(self, number: int, step: Mapping[str, Any], times: Mapping[str, float]) -> None:
        """Write one step's file."""
        self._take()
        try:
            (self.path / "steps").mkdir(exist_ok=True)
        except OSError as problem:
            raise _cannot(self.path / "steps", problem) from problem
        self._volatile["steps"][str(number)] = dict(times)
        self.write_json(f"steps/step_{number:02d}.json", step)

    def write_json(self, name: str, value: Any) -> None:
        """Write *value* as an indented JSON file, whole or not at all."""
        self._take()
        text = json.dumps(normal(value), indent=2, sort_keys=True, allow_nan=False)
        self._write(name, f"{text}\n")

    def write_volatile(self, **more: Any) -> None:
        """Write what differs between two equal runs."""
        self._volatile.update(more)
        self.write_json("volatile.json", self._volatile)

    def _append(self, name: str, line: str) -> None:
        path = self.path / name
        try:
            with path.open("ab", buffering=0) as file:
                end = file.tell()
                try:
                    _write_all(file, f"{line}\n".encode())
                except OSError:
                    with suppress(OSError):
                        file.truncate(end)  # or the next line would end in the remains of this one
                    raise
        except OSError as problem:
            raise _cannot(path, problem) from problem

    def _write(self, name: str, text: str) -> None:
        path = self.path / name
        draft = path.with_name(f".{path.name}.part")
        try:
            draft.write_bytes(text.encode("utf-8", "backslashreplace"))
            draft.replace(path)
        except OSError as problem:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise _cannot(path, problem) from problem


def _write_all(file: FileIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _cannot(path: Path, problem: OSError) -> TraceError:
    return TraceError(f"{path} cannot be written: {problem.strerror or problem}")
