"""A folder that takes in a run as it goes: model calls from a wrapped backend, steps from a hook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from looplet.provenance.backend import AsyncRecordingLLMBackend, RecordingLLMBackend
from looplet.provenance.call_log import CallLog, ObservedCalls
from looplet.provenance.folder import RunFolder
from looplet.provenance.recorder import TrajectoryRecorder


class ProvenanceSink:
    """Writes a run directory that can be read, compared with `diff -r -x volatile.json` and replayed.

        sink = ProvenanceSink("runs/today")
        for step in composable_loop(sink.wrap_llm(llm), tools=tools, hooks=[sink.trajectory_hook()]): ...

    Everything up to the last finished step is on disk at any moment.

    Args:
        dir: The folder of this run; one that holds a run already is refused.
        max_chars_per_call: Most characters kept of one prompt or reply.
        redact: Called with every text before it is written, after what is secret by itself was taken out.
        capture_context: Keep `str(context)` with the steps.
        replace: Take the place of a run that is in the folder: for one that is resumed, which is told again.

    Raises:
        TraceError: The folder holds another run, or cannot be written.
    """

    def __init__(
        self,
        dir: str | Path,  # noqa: A002 - the name is part of the interface
        *,
        max_chars_per_call: int = 200_000,
        redact: Callable[[str], str] | None = None,
        capture_context: bool = True,
        replace: bool = False,
    ) -> None:
        self.dir = Path(dir)
        self._options: dict[str, Any] = {"max_chars_per_call": max_chars_per_call, "redact": redact}
        self._capture_context = capture_context
        self._folder: RunFolder | None = RunFolder(self.dir, replace=replace)
        self._llm: CallLog | None = None
        self._hook: TrajectoryRecorder | None = None

    def wrap_llm(self, backend: Any, *, async_: bool | None = None) -> RecordingLLMBackend:
        """*backend* with every call recorded.

        Args:
            async_: Whether its methods are async; by default its `generate` is looked at.
        """
        code = getattr(getattr(type(backend), "generate", None), "__code__", None)
        is_async = bool(code and code.co_flags & 0x80) if async_ is None else async_
        kind = AsyncRecordingLLMBackend if is_async else RecordingLLMBackend
        llm = kind(backend, **self._options)
        self._record(llm)
        return llm

    def call_observer(self) -> ObservedCalls:
        """What records model calls from among `LoopConfig.observers`, in the place of a wrapped backend.

        It hears of a resumed run from its beginning.
        """
        calls = ObservedCalls(**self._options)
        self._record(calls)
        return calls

    def _record(self, calls: CallLog) -> None:
        self._llm = calls
        calls.on_call = self._in_folder().write_call
        if self._hook is not None:
            self._hook.record_calls_of(calls)

    def _in_folder(self) -> RunFolder:
        if self._folder is None:
            self._folder = RunFolder(self.dir)
        return self._folder

    def trajectory_hook(self) -> TrajectoryRecorder:
        """The hook that records steps; the same one each time. It may be made before or after `wrap_llm`."""
        if self._hook is None:
            self._hook = TrajectoryRecorder(
                recording_llm=self._llm,
                capture_context=self._capture_context,
                folder=self._in_folder(),
                redact=self._options["redact"],
            )
        return self._hook

    def flush(self) -> Path:
        """Write what a run that has not ended yet came to so far; gives the folder."""
        if self._hook is not None:
            self._hook.write_run(self._in_folder())
        return self.dir

    def reset(self) -> None:
        """Forget the run that was recorded, so that another one can be: set `dir` to its folder."""
        self._folder = None
        self._llm = None
        self._hook = None
