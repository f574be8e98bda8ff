"""Stand-ins for provider keys, so that a client can be built where nothing will be called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NAMES = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
STAND_IN = "not-a-key-looplet-replays"
SUFFIX = ".looplet.yaml"

lent_key = pytest.StashKey[bool]()
folders_key = pytest.StashKey[dict[Path, bool]]()


def lend(config: pytest.Config) -> None:
    """Set each key that is missing, until the end of the session."""
    if config.stash.get(lent_key, False):
        return
    config.stash[lent_key] = True
    missing = [name for name in NAMES if not os.environ.get(name)]
    for name in missing:
        os.environ[name] = STAND_IN

    def take_back() -> None:
        for name in missing:
            if os.environ.get(name) == STAND_IN:
                del os.environ[name]

    config.add_cleanup(take_back)


def has_cassettes(file: Path, folder: str, config: pytest.Config) -> bool:
    """Whether a test file has cassettes of ours in *folder* beside it; the folder is looked for once."""
    known = config.stash.setdefault(folders_key, {})
    beside = file.parent / folder
    if beside not in known:
        known[beside] = beside.is_dir()
    if not known[beside]:
        return False
    try:
        return any(name.endswith(SUFFIX) for name in os.listdir(beside / file.stem))
    except OSError:
        return False
