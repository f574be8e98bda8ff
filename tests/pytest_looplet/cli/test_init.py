"""`looplet init`: what it writes works at once, and it never touches what is there."""

import os
import subprocess
import sys

import pytest

from pytest_looplet.cli import main
from pytest_looplet.cli.init import FILES, settings_of


def written(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_writes_its_files_and_says_what_is_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert written(tmp_path) == {*FILES, "pytest.ini"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["wrote", "agent.py", "an", "agent:", "a", "prompt", "and", "a", "tool"]
    assert lines[-1] == "next: pytest tests/test_agent.py evals"


@pytest.mark.slow
def test_what_it_writes_passes_offline(tmp_path, capsys):
    assert main(["init", str(tmp_path)]) == 0
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTEST_", "CI"))
    }
    env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "pytest_looplet.plugin",
        "-Werror",
        "tests",
        "evals",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "7 passed" in done.stdout, done.stdout + done.stderr
    assert f"next: cd {tmp_path} && pytest tests/test_agent.py evals" in capsys.readouterr().out


def test_it_keeps_what_is_there(tmp_path, capsys):
    (tmp_path / "agent.py").write_text("mine")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q\n")
    assert main(["init", str(tmp_path)]) == 0
    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / "agent.py").read_text() == "mine"
    assert (tmp_path / "pytest.ini").read_text() == "[pytest]\naddopts = -q\n"
    out = capsys.readouterr().out
    assert "kept  agent.py" in out
    assert "add to pytest.ini: pythonpath = ." in out


def content(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_second_time_it_changes_nothing_and_says_so(tmp_path, capsys):
    assert main(["init", str(tmp_path)]) == 0
    before = content(tmp_path)
    capsys.readouterr()
    assert main(["init", str(tmp_path)]) == 0
    assert content(tmp_path) == before
    *kept, told, following = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in kept] == [["kept", name] for name in FILES]
    assert told == "nothing to do: all 6 files are there, and none was changed"
    assert following == f"next: cd {tmp_path} && pytest tests/test_agent.py evals"


def test_what_is_written_beside_what_was_there_may_not_fit(tmp_path, capsys):
    (tmp_path / "agent.py").write_text("mine")
    assert main(["init", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "what was kept may not fit what is new" in out
    assert "nothing to do" not in out


def test_the_exit_codes_are_told(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "exit codes: 0 fine, 1 no" in capsys.readouterr().out


SETTINGS = {
    "none": ({}, None),
    "a project without settings of pytest": ({"pyproject.toml": "[project]\nname = 'x'\n"}, None),
    "pyproject": (
        {"pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-q'\n"},
        ("pyproject.toml", False),
    ),
    "pyproject with a path": (
        {"pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['.']\n"},
        ("pyproject.toml", True),
    ),
    "pytest.ini wins": (
        {
            "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-q'\n",
            "pytest.ini": "[pytest]\npythonpath = src\n",
        },
        ("pytest.ini", True),
    ),
    "tox.ini": ({"tox.ini": "[pytest]\n"}, ("tox.ini", False)),
    "tox.ini of tox alone": ({"tox.ini": "[tox]\n"}, None),
    "setup.cfg": ({"setup.cfg": "[tool:pytest]\n"}, ("setup.cfg", False)),
}


@pytest.mark.parametrize(("content", "found"), SETTINGS.values(), ids=SETTINGS)
def test_settings_are_found_where_pytest_finds_them(content, found, tmp_path):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    assert settings_of(tmp_path) == found


def test_a_folder_that_is_missing_is_named(tmp_path, capsys):
    assert main(["init", str(tmp_path / "no")]) == 3
    assert "there is no such folder" in capsys.readouterr().err
