"""Stand-ins for provider keys, so that a client can be built where nothing will be called."""

from __future__ import annotations

import os

import pytest

NAMES = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
STAND_IN = "not-a-key-looplet-replays"


def lend(config: pytest.Config) -> None:
    """Set each key that is missing, until the end of the session."""
    missing = [name for name in NAMES if not os.environ.get(name)]
    for name in missing:
        os.environ[name] = STAND_IN

    def take_back() -> None:
        for name in missing:
            if os.environ.get(name) == STAND_IN:
                del os.environ[name]

    config.add_cleanup(take_back)
