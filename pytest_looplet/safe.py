"""Text of models and tools in pytest's own reports, made fit for a terminal and for a CI log."""

from __future__ import annotations

from typing import Any

import pytest

from looplet.text import escape_terminal, visible


def make_safe(report: pytest.TestReport) -> None:
    """Escape what a terminal would act on in the failure and in the captured output of *report*."""
    text = report.longreprtext
    if text and (safe := escape_terminal(text, lines=True)) != text:
        report.longrepr = safe
    report.sections = [(title, escape_terminal(content, lines=True)) for title, content in report.sections]


def sendable(value: Any) -> Any:
    """A JSON value that a worker of xdist can send and a file can hold: half characters become escapes."""
    if isinstance(value, str):
        return value if value.isascii() or not _has_halves(value) else visible(value)
    if isinstance(value, dict):
        return {sendable(key): sendable(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(entry) for entry in value]
    return value


def _has_halves(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
