"""What becomes of the file: modes, cut recordings, full disks, kills."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from looplet.errors import ConfigError
from looplet.testing import call
from looplet.testing.provider import LocalProvider
from pytest_looplet.cassette import (
    CassetteDrift,
    CassetteError,
    CassetteNotWritten,
    NotRecorded,
    open_cassette,
    use_cassette,
)
from tests.pytest_looplet.cassette.agents import OpenAIAgent
from tests.pytest_looplet.cassette.conftest import NOWHERE
from tests.pytest_looplet.cassette.raw_server import RawServer

SCRIPT = [call("search", q="x"), call("search", q="y"), "Done."]


def test_replay_without_a_cassette_fails_when_a_call_is_made(tmp_path: Path) -> None:
    path = tmp_path / "none.looplet.yaml"
    with use_cassette(path) as cassette:
        pass
    assert cassette.interactions == []
    told = r"/v1/chat/completions: .*none\.looplet\.yaml does not exist\nrecord it: pytest --looplet-record x"
    with (
        pytest.raises(NotRecorded, match=told),
        use_cassette(path, rerecord_command="pytest --looplet-record x"),
    ):
        OpenAIAgent(NOWHERE).run()
    assert not path.exists()


def test_missing_records_once(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    for time_ in (1, 2):
        with LocalProvider(list(SCRIPT)) as provider, use_cassette(path, "missing") as cassette:
            assert OpenAIAgent(provider.base_url).run().texts == ["Done."]
        assert len(provider.requests) == (3 if time_ == 1 else 0)
        assert (len(cassette.recorded), len(cassette.played)) == ((3, 0) if time_ == 1 else (0, 3))


def test_missing_with_a_cassette_that_lacks_a_call_fails_as_replay_does(cassette_path: Path) -> None:
    with LocalProvider(list(SCRIPT)) as provider:
        agent = OpenAIAgent(provider.base_url)
        with pytest.raises(CassetteDrift), use_cassette(cassette_path, "missing"):
            agent.run("another task")
        assert provider.requests == []


def test_CA_08_rewrite_starts_afresh(cassette_path: Path) -> None:
    with LocalProvider(["Short."]) as provider, use_cassette(cassette_path, "rewrite"):
        OpenAIAgent(provider.base_url).run()
    with use_cassette(cassette_path) as cassette:
        assert OpenAIAgent(NOWHERE).run().texts == ["Short."]
    assert len(cassette.interactions) == 1


class NewResult(OpenAIAgent):
    """The agent whose second search gives something else."""

    def answer(
        self, turn: dict[str, Any], messages: list[Any], result: str = "sunny\nand warm, naïve 🙂"
    ) -> bool:
        return super().answer(turn, messages, result if len(messages) < 4 else "rain")


def test_tail_plays_up_to_the_first_difference(cassette_path: Path) -> None:
    with LocalProvider(["Take an umbrella."]) as provider:
        with use_cassette(cassette_path, "tail") as cassette:
            assert NewResult(provider.base_url).run().texts == ["Take an umbrella."]
        assert len(provider.requests) == 1
    assert (len(cassette.played), len(cassette.recorded)) == (2, 1)
    with use_cassette(cassette_path) as again:
        assert NewResult(NOWHERE).run().texts == ["Take an umbrella."]
    assert len(again.interactions) == 3


def test_tail_without_a_difference_leaves_the_file_alone(cassette_path: Path) -> None:
    before = cassette_path.stat().st_mtime_ns
    with use_cassette(cassette_path, "tail"):
        OpenAIAgent(NOWHERE).run()
    assert cassette_path.stat().st_mtime_ns == before


def test_tail_drops_what_is_not_called_any_more(cassette_path: Path) -> None:
    with use_cassette(cassette_path, "tail"):
        OpenAIAgent(NOWHERE).run(turns=2)
    with use_cassette(cassette_path) as cassette:
        OpenAIAgent(NOWHERE).run(turns=2)
    assert len(cassette.interactions) == 2


@pytest.mark.parametrize(
    ("error", "kept"), [(AssertionError("no"), True), (ValueError("no"), False), (KeyboardInterrupt(), False)]
)
def test_CA_07_a_cut_recording_replaces_nothing(
    error: BaseException, kept: bool, cassette_path: Path
) -> None:
    old = cassette_path.read_bytes()
    partial = cassette_path.with_name("run.looplet.yaml.partial")

    def run_and_raise(base_url: str) -> None:
        OpenAIAgent(base_url).run()
        raise error

    with (
        LocalProvider(["Short."]) as provider,
        pytest.raises(type(error)),
        use_cassette(cassette_path, "rewrite"),
    ):
        run_and_raise(provider.base_url)
    assert (cassette_path.read_bytes() != old) is kept
    assert partial.exists() is not kept


def test_a_recording_without_calls_takes_the_old_one_away_only_if_all_went_well(cassette_path: Path) -> None:
    with pytest.raises(AssertionError), use_cassette(cassette_path, "rewrite"):
        raise AssertionError
    assert cassette_path.exists()
    with use_cassette(cassette_path, "rewrite"):
        pass
    assert not cassette_path.exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    agent_done = []
    with (
        LocalProvider(["Done."]) as provider,
        pytest.raises(
            CassetteNotWritten, match=r"cannot write cassette .*a\.looplet\.yaml: (Not a directory|File)"
        ),
        use_cassette(blocked / "a.looplet.yaml", "rewrite"),
    ):
        agent_done.append(OpenAIAgent(provider.base_url).run())
    assert agent_done


def test_nothing_but_the_cassette_is_left(tmp_path: Path) -> None:
    with LocalProvider(["Done."]) as provider, use_cassette(tmp_path / "sub" / "a.looplet.yaml", "rewrite"):
        OpenAIAgent(provider.base_url).run()
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["a.looplet.yaml"]


def test_one_file_is_recorded_once_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.looplet.yaml"
    with use_cassette(path, "rewrite"), pytest.raises(CassetteError, match="replayed, not recorded"):
        use_cassette(path, "rewrite").open()
    use_cassette(path, "rewrite").open().close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"mode": "once"}, "mode is one of replay, rewrite, missing, tail; not 'once'"),
        ({"match": "loose"}, "match is one of strict, sequence; not 'loose'"),
        ({"drift_policy": {"colour": "warn"}}, "drift class is one of"),
        ({"drift_policy": {"model": "maybe"}}, "drift policy is one of fail, warn"),
        ({"normalizers": ["moon"]}, "normalizer is one of date, uuid, path"),
        ({"unused": "maybe"}, "unused is one of error, ignore"),
    ],
)
def test_a_wrong_word_is_told(options: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        open_cassette(tmp_path / "a.yaml", **options)


KILLED = """
import sys, httpx2
from pytest_looplet.cassette import use_cassette
print("ready", flush=True)
with use_cassette(sys.argv[1], "rewrite"), httpx2.Client() as client:
    for n in range(20):
        client.post(sys.argv[2], json={"messages": [{"role": "user", "content": "x" * 20_000}] * n})
print("done", flush=True)
"""


@pytest.mark.slow
def test_CA_07_a_kill_at_any_moment_leaves_the_old_or_the_new(cassette_path: Path) -> None:
    old = cassette_path.read_bytes()
    with RawServer(lambda asked: asked.send(b'{"ok":true}')) as server:
        command = [sys.executable, "-c", KILLED]
        subprocess.run([*command, "new.looplet.yaml", server.url], check=True, capture_output=True)
        new = Path("new.looplet.yaml").read_bytes()
        for delay_ms in range(0, 100, 2):
            child = subprocess.Popen([*command, str(cassette_path), server.url], stdout=subprocess.PIPE)
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(delay_ms / 1000)
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
            assert cassette_path.read_bytes() in (old, new)
