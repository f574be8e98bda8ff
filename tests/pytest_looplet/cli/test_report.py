"""`looplet report`, and that the script has every command."""

import pytest

from pytest_looplet.cli import commands, main
from pytest_looplet.report.files import write
from pytest_looplet.report.model import EvalRow, SessionReport

EVIL = "\x1b[2J\n::error::x\n##[error]y"


def report(standing: str, case: str = "one") -> SessionReport:
    row = EvalRow(
        "evals/eval_a.py", "eval_a", case, 1, standing, score=float(standing == "passed"), reason=EVIL
    )
    return SessionReport(
        (row,), exit_status=int(standing != "passed"), planned={"evals/eval_a.py::eval_a": 1}
    )


@pytest.fixture
def files(tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    write(report("passed"), good)
    write(report("failed", "two"), bad)
    return good, bad


def test_the_script_has_every_command():
    names = [command.name for command in commands()]
    assert {"show", "diff", "replay", "eval", "report", "cassettes", "permissions"} <= set(names)
    assert len(set(names)) == len(names)


def test_CL_05_merge_writes_and_says_whether_the_session_is_red(files, tmp_path, capsys):
    out = tmp_path / "all.html"
    assert main(["report", "merge", *map(str, files), "-o", str(out), "-o", str(tmp_path / "all.md")]) == 1
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "1 of 2 evals green" in capsys.readouterr().out


def test_CL_05_show_of_a_green_session_is_0(files):
    assert main(["report", "show", str(files[0])]) == 0


def test_CL_01_CL_03_what_a_report_holds_is_printed_as_text(files, capsys):
    assert main(["report", "show", str(files[1])]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert not [line for line in out.splitlines() if line.startswith(("::", "##["))]


def test_diff_names_what_got_worse(tmp_path, capsys):
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    write(report("passed"), before)
    write(report("failed"), after)
    assert main(["report", "diff", str(before), str(after)]) == 1
    assert "regressed eval_a[one]: passed 1.00 -> failed 0.00" in capsys.readouterr().out
    assert main(["report", "diff", str(before), str(before), "--json"]) == 0


def test_CL_02_a_damaged_report_is_one_line_and_exit_3(tmp_path, capsys):
    path = tmp_path / "r.json"
    path.write_text("{")
    assert main(["report", "show", str(path)]) == 3
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


def test_permissions_explain_names_the_rule(tmp_path, capsys):
    rules = tmp_path / "rules.json"
    rules.write_text('{"default": "deny", "rules": [{"tool": "search", "decision": "allow"}]}')
    code = main(["permissions", "explain", str(rules), '{"tool": "search", "args": {}}'])
    assert (code, capsys.readouterr().out.splitlines()[-1]) == (0, "-> allow")
    assert main(["permissions", "explain", str(rules), '{"tool": "rm", "args": {}}']) == 1


def test_cassettes_of_an_empty_folder_are_none(tmp_path, capsys):
    for action in ("list", "check", "scan", "migrate"):
        assert main(["cassettes", action, str(tmp_path)]) == 0
    assert "0 cassettes" in capsys.readouterr().out
