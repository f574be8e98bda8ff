"""A run on a terminal, as it goes: one line for each call, and what the model writes."""

from __future__ import annotations

import os
import sys
import threading
from typing import TextIO

from looplet.streaming.event import (
    ContextPressureEvent,
    Event,
    HookEvent,
    LLMChunkEvent,
    LoopEndEvent,
    LoopStartEvent,
    RecoveryEvent,
    ToolDispatchEvent,
    ToolResultEvent,
)
from looplet.text import clip, escape_terminal

_RED, _GREEN, _DIM, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[2m", "\x1b[0m"
_WIDTH = 100


class TerminalPrinter:
    """An emitter that writes lines for people: `composable_loop(..., stream=TerminalPrinter())`.

    With `LoopConfig.stream_tokens` the model's text appears as it is written. Control characters of models
    and tools are shown, not obeyed.

    Args:
        file: Where to write; standard error by default, so that output stays clean.
        color: Whether to use colors; by default where *file* is a terminal and `NO_COLOR` is not set.
    """

    def __init__(self, file: TextIO | None = None, *, color: bool | None = None) -> None:
        self._file = file or sys.stderr
        self._color = self._file.isatty() and not os.environ.get("NO_COLOR") if color is None else color
        self._args: dict[int, str] = {}
        self._in_text = False
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        """Write what *event* tells, if it is for people."""
        with self._lock:
            if isinstance(event, LLMChunkEvent):
                self._in_text = True
                self._write(escape_terminal(event.chunk, lines=True))
            elif isinstance(event, ToolDispatchEvent):
                self._args[event.step_num] = event.args_summary
            elif line := self._line(event):
                self._write(f"{self._end_of_text()}{line}\n")
            self._file.flush()

    def _write(self, text: str) -> None:
        encoding = self._file.encoding
        if encoding:  # a sign that the terminal does not have must not end the run
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        self._file.write(text)

    def _end_of_text(self) -> str:
        was, self._in_text = self._in_text, False
        return "\n" if was else ""

    def _line(self, event: Event) -> str:
        if isinstance(event, LoopStartEvent):
            return self._in(_DIM, f"▶ {_short(event.task_summary) or 'run'}, at most {event.max_steps} steps")
        if isinstance(event, ToolResultEvent):
            mark = self._in(_RED, "✗") if event.has_error else self._in(_GREEN, "✓")
            args = _short(self._args.pop(event.step_num, ""))
            time = self._in(_DIM, f"[{event.duration_ms:.0f}ms]")
            return f"#{event.step_num} {mark} {_short(event.tool_name)}({args}) {time}"
        if isinstance(event, HookEvent):
            return self._in(_DIM, f"  {event.method} by {_short(event.hook_name)}: {_short(event.message)}")
        if isinstance(event, RecoveryEvent):
            how = "mended" if event.success else "not mended"
            return self._in(_DIM, f"  {_short(event.strategy)}: {how}")
        if isinstance(event, ContextPressureEvent):
            return self._in(_DIM, f"  context {event.level}: {event.percent_used:.0f}% used")
        if isinstance(event, LoopEndEvent):
            counts = f"{event.total_steps} steps, {event.total_llm_calls} model calls"
            return self._in(_DIM, f"■ {_short(event.reason)}: {counts}")
        return ""

    def _in(self, color: str, text: str) -> str:
        return f"{color}{text}{_PLAIN}" if self._color else text


def _short(text: str) -> str:
    return clip(escape_terminal(text), _WIDTH)
