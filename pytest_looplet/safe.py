"""Text of models and tools in pytest's own reports, made fit for a terminal and for a CI log."""

from __future__ import annotations

import pytest

from looplet.text import escape_terminal


def make_safe(report: pytest.TestReport) -> None:
    """Escape what a terminal would act on in the failure and in the captured output of *report*."""
    text = report.longreprtext
    if text and (safe := escape_terminal(text, lines=True)) != text:
        report.longrepr = safe
    report.sections = [(title, escape_terminal(content, lines=True)) for title, content in report.sections]
