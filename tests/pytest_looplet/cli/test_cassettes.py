"""`looplet cassettes`: each action over real files, as a user calls it."""

import json
import os
import re
import subprocess
import sys
import textwrap

import pytest

from looplet.testing import call
from looplet.testing.provider import LocalProvider
from pytest_looplet.cassette import use_cassette
from pytest_looplet.cli import main
from tests.pytest_looplet.cassette.agents import OpenAIAgent, close_clients

pytestmark = pytest.mark.slow

TOKEN = "ghp_" + "FAKE1234abcd" * 3
SCRIPT = "import sys; from pytest_looplet.cli import main; sys.exit(main())"
TESTS = """
import pytest

@pytest.mark.parametrize("n", [1, 2])
def test_it(looplet_cassette, n):
    pass
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "a.looplet.yaml"
    with LocalProvider([call("search", q="x"), "Done."]) as provider, use_cassette(path, "rewrite"):
        OpenAIAgent(provider.base_url).run()
    close_clients()
    return path.read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path, text, monkeypatch):
    """A test with two cassettes, one of a test that is gone, in the current folder."""
    (tmp_path / "test_a.py").write_text(textwrap.dedent(TESTS))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    folder = tmp_path / "cassettes" / "test_a"
    folder.mkdir(parents=True)
    for name in ("test_it-1", "test_it-2", "test_gone"):
        (folder / f"{name}.looplet.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return folder


def looplet(*arguments):
    """In a process of its own, because pytest is started in it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "cassettes", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_list_and_show(project, capsys):
    assert main(["cassettes", "list"]) == 0
    told = capsys.readouterr().out
    assert "test_gone.looplet.yaml: 2 calls, " in told
    assert "gpt-4o-mini, " in told
    assert " bytes, 0 days" in told
    assert told.endswith("3 cassettes\n")


def test_show_is_a_line_for_each_call(project, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    path = project / "test_gone.looplet.yaml"
    assert main(["cassettes", "show", str(path)]) == 0
    file, facts, *table = capsys.readouterr().out.splitlines()
    assert file == str(path)
    assert re.fullmatch(
        r"  2 calls, [0-9]+ \+ [0-9]+ tokens, [0-9,]+ bytes, recorded [0-9-]{10} \(today\)", facts
    )
    rows = [re.split(r"  +", line.strip()) for line in table]
    assert rows[0] == ["#", "call", "model", "messages", "status", "tokens", "answer"]
    where = "localhost/v1/chat/completions"
    assert [row[:5] + row[6:] for row in rows[1:]] == [
        ["1", where, "gpt-4o-mini", "2", "200", "search q='x'"],
        ["2", where, "gpt-4o-mini", "4", "200", "'Done.'"],
    ]
    assert "{" not in "".join(table)


def test_show_as_json_has_the_bodies_whole(project, capsys):
    assert main(["cassettes", "show", "--json", str(project / "test_gone.looplet.yaml")]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    first, last = shown["calls"]
    assert first["request"]["messages"][0]["role"] == "system"
    assert (first["method"], first["url"], first["status"]) == ("POST", "/v1/chat/completions", 200)
    assert last["reply"]["choices"][0]["message"]["content"] == "Done."


def body(method, path, request, reply, status=200):
    return {
        "request": {"method": method, "url": path, "provider": "there", "json": request},
        "reply": {"status": status, **reply},
    }


ANSWERS = {
    "a text at a backend's own protocol": (
        body("CALL", "/generate", {"prompt": "x"}, {"json": {"text": "Hello."}}),
        ["CALL there/generate", "200", "'Hello.'"],
    ),
    "calls at a backend's own protocol": (
        body(
            "CALL",
            "/chat",
            {"messages": ["x"]},
            {"json": {"blocks": [{"type": "tool_use", "name": "look", "input": {"n": 1}}]}},
        ),
        ["CALL there/chat", "1", "200", "look n=1"],
    ),
    "an MCP server": (
        body("MCP", "/tools/list", {}, {"json": {"result": {"tools": []}}}),
        ["MCP there/tools/list", "200", '{"result":{"tools":[]}}'],
    ),
    "a provider that is busy": (
        body("POST", "/v1", {"messages": []}, {"json": {"error": {"message": "slow down"}}}, 429),
        ["there/v1", "0", "429", "✗ HTTP 429: slow down"],
    ),
    "no reply": (
        body("POST", "/v1", {"messages": []}, {"failure": "ConnectTimeout"}, 0),
        ["there/v1", "0", "none", "✗ ConnectTimeout"],
    ),
    "a text of many lines that moves the cursor": (
        body("CALL", "/generate", {"prompt": "x"}, {"json": {"text": "a\n::error::b\x1b[2J"}}),
        ["CALL there/generate", "200", r"'a\n::error::b\x1b[2J'"],
    ),
}


@pytest.mark.parametrize(("one", "cells"), ANSWERS.values(), ids=ANSWERS)
def test_show_tells_what_any_call_answered(one, cells, tmp_path, capsys):
    path = tmp_path / "a.looplet.yaml"
    path.write_text(f"{json.dumps({'looplet_cassette': 1, 'interactions': [{'call': 1, **one}]})}\n...\n")
    assert main(["cassettes", "show", str(path)]) == 0
    assert re.split(r"  +", capsys.readouterr().out.splitlines()[-1].strip()) == ["1", *cells]


def test_check_tells_what_belongs_to_no_test_and_what_is_damaged(project):
    (project / "test_it-1.looplet.yaml").write_text("- a\n")
    status, told = looplet("check")
    assert status == 1
    assert "cassettes/test_a/test_gone.looplet.yaml: belongs to no test" in told
    assert "cannot read cassette cassettes/test_a/test_it-1.looplet.yaml: it is no cassette" in told
    assert "3 cassettes, 1 cannot be read, 1 finding\n" in told


def test_check_with_replay_tells_what_is_never_played(project):
    status, told = looplet("check", "--replay")
    assert status == 1
    assert "cassettes/test_a/test_it-1.looplet.yaml: 2 calls not played" in told


def test_prune_deletes_only_when_told_to(project):
    status, told = looplet("prune")
    assert (status, told.count("belongs to no test")) == (1, 1)
    assert (project / "test_gone.looplet.yaml").exists()
    status, told = looplet("prune", "--yes")
    assert (status, told.count("deleted")) == (0, 1)
    assert sorted(path.name for path in project.iterdir()) == [
        "test_it-1.looplet.yaml",
        "test_it-2.looplet.yaml",
    ]
    assert looplet("check")[0] == 0


def test_prune_deletes_nothing_when_the_tests_cannot_be_collected(project):
    (project.parents[1] / "test_a.py").write_text("import nothing_of_that_name\n")
    status, told = looplet("prune", "--yes")
    assert status != 0
    assert "error: the tests could not be collected" in told
    assert len(list(project.iterdir())) == 3


def test_scan_and_redact(project, text, capsys):
    assert main(["cassettes", "scan"]) == 0
    (project / "test_gone.looplet.yaml").write_text(text.replace("Be careful.", TOKEN))
    assert main(["cassettes", "scan"]) == 1
    assert "test_gone.looplet.yaml:" in (told := capsys.readouterr().out)
    assert "looks like github" in told
    assert TOKEN not in told
    assert main(["cassettes", "redact"]) == 0
    assert "1 of 3 cassettes rewritten" in capsys.readouterr().out
    assert main(["cassettes", "scan"]) == 0


def test_migrate_brings_a_plain_vcrpy_file_up_to_date(project, capsys):
    plain = project / "plain.looplet.yaml"
    plain.write_text(
        "version: 1\ninteractions:\n"
        "- request: {method: POST, uri: 'https://api.openai.com/v1/x', body: '{}', headers: {}}\n"
        "  response: {status: {code: 200, message: OK}, headers: {}, body: {string: '{}'}}\n"
    )
    assert main(["cassettes", "migrate"]) == 0
    assert "1 of 4 cassettes rewritten" in capsys.readouterr().out
    assert plain.read_text().startswith("# Recorded by pytest-looplet")


@pytest.mark.parametrize("action", ["list", "check", "scan", "prune"])
def test_a_folder_that_is_not_there(project, action, capsys):
    assert main(["cassettes", action, "nowhere"]) == 3
    assert "nowhere: there is no such file or folder" in capsys.readouterr().err
