"""Looking after cassettes: what is in them, what must not be, bringing old ones up to date."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
import vcr

from pytest_looplet.cassette import CassetteUnreadable, use_cassette
from pytest_looplet.cassette.upkeep import cassettes_in, leaks, orphans, read, redacted, rewrite, summary
from tests.pytest_looplet.cassette.agents import TLS, OpenAIAgent
from tests.pytest_looplet.cassette.conftest import NOWHERE
from tests.pytest_looplet.cassette.raw_server import RawServer

TOKEN = "ghp_" + "FAKE1234abcd" * 3


def test_a_cassette_at_a_glance(cassette_path: Path) -> None:
    told = summary(cassette_path)
    assert (told.calls, told.models) == (3, ("gpt-4o-mini",))
    assert told.size == cassette_path.stat().st_size
    assert told.input_tokens > told.output_tokens > 0


def test_a_missing_or_damaged_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CassetteUnreadable, match="no such file"):
        summary(tmp_path / "none.looplet.yaml")
    with pytest.raises(CassetteUnreadable, match="no such file"):
        leaks(tmp_path / "none.looplet.yaml")


def test_an_old_file_with_a_secret_is_found_and_cleaned(cassette_path: Path) -> None:
    text = cassette_path.read_text(encoding="utf-8")
    assert leaks(cassette_path) == []
    cassette_path.write_text(text.replace("sunny", TOKEN).replace("content: Done.", f"content: {TOKEN}"))
    line = next(n for n, told in enumerate(text.splitlines(), 1) if told.strip() == "sunny")
    assert (leaks(cassette_path)[0].line, leaks(cassette_path)[0].kind) == (line, "github")
    assert rewrite(cassette_path, redacted(read(cassette_path)))
    assert leaks(cassette_path) == []
    assert TOKEN not in cassette_path.read_text(encoding="utf-8")


def test_a_vcrpy_cassette_becomes_one_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "plain.looplet.yaml"
    with RawServer(lambda asked: asked.send(b'{"ok":true}')) as server, vcr.use_cassette(str(path)):
        url = server.url
        httpx2.post(url, json={"messages": ["a"]}, headers={"Authorization": f"Bearer {TOKEN}"}, verify=TLS)
    assert rewrite(path, redacted(read(path)))
    assert not rewrite(path, read(path))
    assert path.read_text(encoding="utf-8").startswith("# Recorded by pytest-looplet")
    assert leaks(path) == []
    with use_cassette(path):
        assert httpx2.post(url, json={"messages": ["a"]}, verify=TLS).json() == {"ok": True}


def test_files_that_belong_to_no_test(cassette_path: Path, tmp_path: Path) -> None:
    other = tmp_path / "sub" / "other.looplet.yaml"
    other.parent.mkdir()
    other.write_bytes(cassette_path.read_bytes())
    (tmp_path / "notes.yaml").write_text("a: 1\n")
    assert [p.name for p in cassettes_in([tmp_path])] == ["run.looplet.yaml", "other.looplet.yaml"]
    assert orphans([tmp_path], [cassette_path]) == [other]


def test_bringing_a_file_up_to_date_keeps_its_replay(cassette_path: Path) -> None:
    assert not rewrite(cassette_path, read(cassette_path))
    rewrite(cassette_path, redacted(read(cassette_path)))
    with use_cassette(cassette_path):
        assert OpenAIAgent(NOWHERE).run().texts == ["Done."]
