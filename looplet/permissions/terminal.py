"""Asking the person at the terminal, who must answer in time."""

from __future__ import annotations

import json
import os
import select
import sys
from typing import TextIO

from looplet.clock import perf
from looplet.permissions.rule import PermissionDecision, PermissionRule
from looplet.text import escape_terminal
from looplet.types import ToolCall
from looplet.values import bounded, normal

SHOWN_CHARS = 4000
"""Characters of a call that a person is shown; a longer one cannot be judged and is denied."""


class TerminalPrompt:
    """An `ask_handler` that shows the exact call and takes `y` or `yes` for a yes, all else for a no.

    Without a terminal, or without an answer in time, the call is denied. What was typed before the
    question does not count as an answer.

    Attributes:
        timeout_s: Seconds to wait. Keep it below the engine's `ask_timeout_s`.
        source: Where answers come from; standard input by default. It must be a terminal.
        to: Where the question goes; standard error by default.
    """

    def __init__(
        self, timeout_s: float = 55.0, *, source: TextIO | None = None, to: TextIO | None = None
    ) -> None:
        self.timeout_s = timeout_s
        self.source = source
        self.to = to

    def __call__(self, call: ToolCall, rule: PermissionRule) -> PermissionDecision:
        """Ask about *call*. Denies whenever there is no clear yes."""
        source, to = self.source or sys.stdin, self.to or sys.stderr
        args = json.dumps(normal(call.args), ensure_ascii=False)
        if source is None or to is None or not source.isatty() or len(args) > SHOWN_CHARS:
            return PermissionDecision.DENY
        _forget_typed(source)
        because = f" ({escape_terminal(bounded(rule.reason, 300))})" if rule.reason else ""
        to.write(f"{escape_terminal(call.tool)} {escape_terminal(args)}\nAllow this call{because}? [y/N] ")
        to.flush()
        answer = _line(source.fileno(), self.timeout_s)
        if answer is None:
            to.write("\nno answer, denied\n")
            to.flush()
            return PermissionDecision.DENY
        yes = answer.strip().lower() in ("y", "yes")
        return PermissionDecision.ALLOW if yes else PermissionDecision.DENY


def _forget_typed(source: TextIO) -> None:
    try:
        import termios  # not on Windows
    except ImportError:
        return
    termios.tcflush(source.fileno(), termios.TCIFLUSH)


def _line(handle: int, timeout_s: float) -> str | None:
    """One line from *handle*, or None if it does not come in time or the input ends."""
    end = perf() + timeout_s
    typed = b""
    while not typed.endswith(b"\n"):
        left = end - perf()
        if left <= 0 or not select.select([handle], [], [], left)[0]:
            return None
        more = os.read(handle, 1024)
        if not more:
            return None
        typed += more
    return typed.decode("utf-8", "replace")
