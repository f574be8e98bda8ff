"""Markdown and annotations: one cell, one line, whatever was said."""

from pathlib import Path

import pytest

from pytest_looplet.report.files import render, write, write_summary
from pytest_looplet.report.github import workflow_commands
from pytest_looplet.report.markdown import cell

GOLDEN = Path(__file__).parents[1] / "golden" / "reports"


def check(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


def test_markdown_reads_as_reviewed(report):
    check("report.md", render(report, ".md"))


def test_annotations_read_as_reviewed(report):
    commands = workflow_commands(report, Path("/repo/sub"), {"GITHUB_WORKSPACE": "/repo"})
    check("annotations.txt", "\n".join(commands) + "\n")


@pytest.mark.parametrize(
    "text",
    ["a | b", "`code`", "one\ntwo\r\nthree\u2028four\x85five", "<b>", "::error::x", "[a](b)", "**b**", "_e_"],
)
def test_what_was_said_stays_in_its_cell_as_text(text):
    shown = cell(text)
    assert len(shown.splitlines()) == 1
    assert not set("|`<[*\r\n") & set(shown)
    assert "::" not in shown


def test_names_stay_readable():
    assert cell("eval_refund_policy.py: 0.95 (95 %)") == "eval_refund_policy.py: 0.95 (95 %)"


def test_tables_have_the_same_number_of_cells_in_every_row(report):
    tables = [block for block in render(report, ".md").split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_annotations_are_one_line_each_and_say_where(report, evil):
    commands = workflow_commands(report, Path("/r"), {})
    assert len(commands) == 4
    for command in commands:
        head, _, text = command[2:].partition("::")
        assert head.startswith(
            ("error file=evals/eval_support.py,line=7,", "warning file=", "error file=tests/")
        )
        assert "\n" not in command
        assert "\r" not in text
        assert "%0A" in text  # lines of the message
        assert "100%25" in text


def test_at_most_ten_annotations_of_a_level(large_report):
    commands = workflow_commands(large_report, Path("/r"), {})
    assert [sum(c.startswith(f"::{level} ") for c in commands) for level in ("error", "warning")] == [2, 10]


def test_the_summary_of_a_step_is_added_to(report, tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    write_summary(report)
    assert summary.read_text(encoding="utf-8") == "before\n" + render(report, ".md")


def test_a_summary_is_never_larger_than_GitHub_takes(report, tmp_path, monkeypatch):
    from dataclasses import replace

    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    write_summary(replace(report, remarks=("x" * 900,) * 2000))
    assert 900_000 < summary.stat().st_size < 1024 * 1024
    assert summary.read_text(encoding="utf-8").endswith("The rest is in the report file.\n")


def test_a_report_goes_by_the_end_of_its_name(report, tmp_path):
    with pytest.raises(ValueError, match=r"\.json, \.html or \.md, not \.txt"):
        write(report, tmp_path / "r.txt")
    write(report, tmp_path / "deep" / "r.html")
    assert (tmp_path / "deep" / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
