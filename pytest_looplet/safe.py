"""Text of models and tools in pytest's own reports, made fit for a terminal and for a CI log."""

from __future__ import annotations

from typing import Any

import pytest

from looplet.text import escape_terminal, visible


def make_safe(report: pytest.TestReport) -> None:
    """Escape what a terminal would act on in the failure, reason and captured output of *report*."""
    if hasattr(report, "wasxfail"):
        report.wasxfail = escape_terminal(report.wasxfail, lines=True)
    if isinstance(report.longrepr, tuple):  # of one that was skipped: file, line, reason
        *place, reason = report.longrepr
        report.longrepr = (*place, escape_terminal(reason, lines=True))  # type: ignore[assignment]
    text = "" if isinstance(report.longrepr, tuple) else report.longreprtext
    if text and (safe := escape_terminal(text, lines=True)) != text:
        report.longrepr = safe
    report.sections = [(title, escape_terminal(content, lines=True)) for title, content in report.sections]


def sendable(value: Any) -> Any:
    """A JSON value that a worker of xdist can send and a file can hold: half characters become escapes."""
    if isinstance(value, str):
        return visible(value) if _has_halves(value) else value
    if not isinstance(value, (dict, list, tuple)):
        return value
    # Written at once, it is seen far sooner than by looking at each part that there is nothing to do.
    return value if r"\ud" not in repr(value) else _sendable(value)


def _sendable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_sendable(key): _sendable(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_sendable(entry) for entry in value]
    return sendable(value)


def _has_halves(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
