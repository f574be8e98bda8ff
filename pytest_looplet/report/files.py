"""The files a report is written to: JSON, Markdown or HTML, by the end of their names."""

from __future__ import annotations

import os
from pathlib import Path

from looplet.trajectory import files
from pytest_looplet.report.model import SessionReport

SUMMARY = "GITHUB_STEP_SUMMARY"
SUMMARY_LIMIT = 1_000_000
"""Bytes: beyond a mebibyte GitHub drops the whole summary of a step."""


def render(report: SessionReport, suffix: str) -> str:
    """*report* as `.json`, `.md` or `.html`.

    Raises:
        ValueError: *suffix* is none of these.
    """
    if suffix == ".json":
        return report.to_json()
    if suffix == ".md":
        from pytest_looplet.report.markdown import markdown

        return markdown(report)
    if suffix == ".html":
        from pytest_looplet.report.html import page

        return page(report)
    raise ValueError(f"a report is .json, .html or .md, not {suffix or 'a file without an ending'}")


def write(report: SessionReport, path: Path) -> None:
    """Write *report* to *path*, whole or not at all.

    Raises:
        TraceError: it cannot be written.
        ValueError: the name does not say in which form.
    """
    files.write(path, render(report, path.suffix).encode("utf-8", "backslashreplace").decode("utf-8"))


def write_summary(report: SessionReport) -> None:
    """Add the Markdown to the summary of a CI step, where there is one."""
    summary = os.environ.get(SUMMARY)
    if not summary or not (report.evals or report.tests or report.problems):
        return
    text = render(report, ".md").encode("utf-8", "backslashreplace")
    if len(text) > SUMMARY_LIMIT:
        text = text[:SUMMARY_LIMIT].rpartition(b"\n")[0] + b"\n\nThe rest is in the report file.\n"
    with Path(summary).open("ab") as file:
        file.write(text)
