"""vcrpy, with its body matcher and without."""

import os
import tempfile

import tasks
import vcr


def replay(calls: int) -> float:
    return _replay(calls, ["method", "path", "body"])


def replay_by_address(calls: int) -> float:
    return _replay(calls, ["method", "path"])


def size(calls: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return os.path.getsize(_recorded(folder, calls))


def _replay(calls: int, match_on: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = _recorded(folder, calls)

        def played() -> None:
            with vcr.use_cassette(path, record_mode="none", match_on=match_on):
                tasks.sdk_agent(calls)

        return tasks.cpu_seconds(played, 1) / calls


def _recorded(folder: str, calls: int) -> str:
    path = f"{folder}/agent.yaml"
    with tasks.provider() as address, vcr.use_cassette(path, record_mode="all"):
        tasks.sdk_agent(calls, address=address)
    return path


if __name__ == "__main__":
    tasks.main(globals())
